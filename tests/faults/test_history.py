# SPDX-License-Identifier: Apache-2.0
"""etcd's history is cut or replaced while an agent is away: compaction, and restore from a snapshot with the
same token and addresses, which etcd does not tell its watchers. Afterwards the catalog equals etcd, and the
index that a client was shown never goes back."""
import json
import os
import signal
import time
import unittest

import checker
from fault_case import FaultCase, figure
from harness import wait_for
from single import check_run

EQUAL_AGAIN_S = 10
# Nothing tells an agent of it; only a comparison that follows each break finds it.
EQUAL_AGAIN_UNTOLD_S = 75


class History(FaultCase):
    members = 1
    lease_ttl = 30

    def value(self, port):
        return json.dumps({"host": "10.7.7.7", "port": port})

    def shown(self, agent):
        """{service: {id: (address, port)}} as this agent answers."""
        names = [s["name"] for s in (agent.try_get("/services")[2] or {}).get("services", [])]
        return {name: {i["id"]: (i["address"], i["port"])
                       for i in (agent.try_get("/services/" + name)[2] or {}).get("instances", [])} for name in names}

    def truth(self):
        """The same of etcd; the tests write only what can be read."""
        truth = {}
        for key, found in self.cluster.keys().items():
            service, instance = key.removeprefix("/services/").split("/", 1)
            fields = json.loads(found["value"])
            truth.setdefault(service, {})[instance] = (fields["host"], fields["port"])
        return truth

    def await_equal(self, agent, seconds=EQUAL_AGAIN_S):
        wait_for(lambda: self.shown(agent) == self.truth(),
                 lambda: f"the catalog to equal etcd\nagent {self.shown(agent)}\netcd  {self.truth()}\n{agent.log()}",
                 seconds)
        # And it stays so: etcd is quiet, so is the agent.
        until = time.monotonic() + 1
        while time.monotonic() < until:
            self.assertEqual(self.shown(agent), self.truth())
            time.sleep(0.1)

    def cut(self, agent, link):
        link.refuse()
        wait_for(lambda: self.etcd_state(agent).get("state") == "lost", "the agent to lose etcd", 8)

    def assert_index_held(self, pollers):
        self.assertEqual(checker.index_never_back(pollers), [])
        self.assertEqual(checker.answers_never_stopped(pollers, 2.0), [])

    def delete_while_away(self, name, writes_after, seconds):
        link = self.links()[0]
        self.cluster.put("/services/db/d1", self.value(1))
        self.cluster.put("/services/db/d2", self.value(2))
        agent = self.start_agent("node-1", [{"name": "plain", "port": 9, "id": "plain-1", "check": "none"}], [link.url])
        agent.await_instances("plain", ["plain-1"])
        agent.await_instances("db", ["d1", "d2"])
        self.poll(agent, ["plain", "db"])
        self.cut(agent, link)
        self.cluster.txn(deletes=["/services/plain/plain-1", "/services/db/d1"])
        for number in range(writes_after):
            self.cluster.put("/other", str(number))
        self.recorder.sync()
        self.cluster.compact(self.cluster.revision())
        link.heal()
        connected = self.await_connected(agent)
        wait_for(lambda: "/services/plain/plain-1" in self.cluster.keys(),
                 lambda: "the own key to come back:\n" + agent.log(), seconds)
        figure(f"{name}.own_key_back_s", time.monotonic() - connected)
        self.await_equal(agent, seconds)
        check_run(self)

    def await_connected(self, agent):
        wait_for(lambda: self.etcd_state(agent).get("state") == "connected", "etcd to be found again", 5)
        return time.monotonic()

    def prepare(self):
        """Returns the agent, its poller and its link, with a snapshot behind and more history after it."""
        self.link = self.links()[0]
        self.web = self.http_service()
        self.cluster.txn(puts=[("/services/db/stays", self.value(1)), ("/services/db/resurrected", self.value(2))])
        config = [self.service(self.web.port, id="web-1"),
                  {"name": "old", "port": 8, "id": "old-1", "check": "none"}]
        agent = self.start_agent("node-1", config, [self.link.url], data_dir=os.path.join(self.folder, "data"))
        agent.await_instances("web", ["web-1"])
        agent.await_instances("old", ["old-1"])
        self.snapshot = os.path.join(self.folder, "snapshot.db")
        self.cluster.snapshot(self.snapshot)
        # After the snapshot: one service of ours is not configured any more, foreign keys come and go.
        agent.config["services"] = config[:1]
        agent.write(agent.config)
        agent.send(signal.SIGHUP)
        wait_for(lambda: "/services/old/old-1" not in self.cluster.keys(), "the service to be taken out", 5)
        self.cluster.delete("/services/db/resurrected")
        self.cluster.put("/services/db/lost", self.value(3))
        for number in range(30):
            self.cluster.put("/services/db/stays", self.value(100 + number))
        wait_for(lambda: self.shown(agent) == self.truth(), "the agent to know all that", 5)
        poller = self.poll(agent, ["db", "web", "old"])
        poller.await_answer(lambda a: a.service == "db" and a.status == 200, "an answer")
        return agent, poller

    def afterwards(self, agent, poller, name, healed, seconds=EQUAL_AGAIN_S):
        agent.await_instances("web", ["web-1"], seconds)
        # Who was resurrected and is not ours is shown; what is ours and not configured goes.
        wait_for(lambda: "/services/old/old-1" not in self.cluster.keys(),
                 lambda: "the resurrected key of a service that is not configured to be removed:\n" + agent.log(),
                 seconds)
        self.await_equal(agent, seconds)
        figure(f"{name}.equal_again_s", time.monotonic() - healed - 1)
        found = self.cluster.keys()["/services/web/web-1"]
        self.assertIn('"node":"node-1"', found["value"])
        self.assertEqual(agent.get("/agent")[2]["etcd"]["lease"], f"{found['lease']:016x}")
        self.assertIn("resurrected", self.shown(agent)["db"])
        self.assertNotIn("lost", self.shown(agent)["db"])
        # New changes are seen, with a greater index.
        index = poller.last("db").index
        self.cluster.put("/services/db/after", self.value(4))
        poller.await_answer(lambda a: a.service == "db" and "after" in {i["id"] for i in a.instances},
                            "a change after the restore")
        self.assertGreater(poller.last("db").index, index)
        self.assert_index_held([poller])


class Compaction(History):
    def test_what_was_deleted_before_a_compaction_while_away_is_gone_afterwards(self):
        link = self.links()[0]
        web = self.http_service()
        self.cluster.txn(puts=[(f"/services/db/d{n}", self.value(n)) for n in range(1, 6)]
                         + [("/services/gone/g1", self.value(9))])
        agent = self.start_agent("node-1", [self.service(web.port, id="web-1")], [link.url])
        agent.await_instances("web", ["web-1"])
        agent.await_instances("db", [f"d{n}" for n in range(1, 6)])
        poller = self.poll(agent, ["db", "gone", "web"])
        poller.await_answer(lambda a: a.service == "gone" and a.status == 200, "an answer")
        before = self.cluster.keys()["/services/web/web-1"]

        self.cut(agent, link)
        self.cluster.txn(deletes=["/services/db/d1", "/services/db/d2", "/services/gone/g1"])
        self.cluster.put("/services/db/d3", self.value(33))
        self.cluster.put("/services/new/n1", self.value(7))
        for number in range(20):
            self.cluster.put("/other", str(number))
        self.recorder.sync()
        self.cluster.compact(self.cluster.revision())
        healed = time.monotonic()
        link.heal()
        self.await_equal(agent)
        poller.await_answer(lambda a: a.service == "gone" and a.status == 404, "the deletion to be published")
        figure("compaction.equal_again_s", time.monotonic() - healed)
        self.assertEqual(self.shown(agent)["db"],
                         {"d3": ("10.7.7.7", 33), "d4": ("10.7.7.7", 4), "d5": ("10.7.7.7", 5)})
        after = self.cluster.keys()["/services/web/web-1"]
        self.assertEqual((after["lease"], after["mod_revision"]), (before["lease"], before["mod_revision"]))
        # The watch goes on behind the list.
        self.cluster.delete("/services/db/d4")
        wait_for(lambda: "d4" not in (agent.instances("db") or []), "a deletion after it", 3)
        check_run(self)

    def test_own_key_deleted_before_a_compaction_while_away_comes_back(self):
        self.delete_while_away("compaction", 3, 4)


class Restore(History):
    """One member restored from a snapshot: same name, token and addresses, so the same cluster id."""

    def test_restored_revision_is_lower_than_what_the_agent_knows(self):
        agent, poller = self.prepare()
        known = self.cluster.revision()
        self.recorder.close()
        self.cluster.restore(self.snapshot)
        healed = time.monotonic()
        self.assertLess(self.cluster.revision(), known)
        self.afterwards(agent, poller, "restore_lower", healed)

    def test_the_index_is_not_back_when_the_agent_restarts_after_a_restore(self):
        agent, poller = self.prepare()
        self.recorder.close()
        self.cluster.restore(self.snapshot)
        self.await_equal(agent)
        shown = poller.last("db").index
        time.sleep(1.2)  # the state on disk is at most a second old
        with poller.agent_down(slack=3):
            agent.kill()
            successor = self.start_agent("node-1", agent.config["services"], [self.link.url],
                                         data_dir=agent.config["data_dir"], http=agent.config["http"])
            successor.await_instances("web", ["web-1"])
        self.await_equal(successor)
        self.assertGreaterEqual(successor.get("/services/db")[2]["index"], shown)
        self.assert_index_held([poller])


class Untold(History):
    """Changes that etcd tells no watcher: only a comparison after the break finds them."""

    def test_deletion_at_the_very_revision_of_the_compaction_is_found(self):
        # etcd before 3.4.34 and 3.5.16 then takes the watch from there and drops the deletion (#18089).
        self.delete_while_away("compaction_at_the_deletion", 0, EQUAL_AGAIN_UNTOLD_S)

    def test_restored_history_has_overtaken_when_the_agent_reconnects(self):
        agent, poller = self.prepare()
        known = self.cluster.revision()
        self.recorder.close()
        self.cut(agent, self.link)
        self.cluster.restore(self.snapshot)
        while self.cluster.revision() < known + 20:
            self.cluster.put("/services/db/stays", self.value(5))
        self.link.heal()
        healed = time.monotonic()
        # Nothing tells the watch: only the comparison with etcd after a break finds it.
        self.afterwards(agent, poller, "restore_overtaken", healed, EQUAL_AGAIN_UNTOLD_S)


if __name__ == "__main__":
    unittest.main()
