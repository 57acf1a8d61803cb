# SPDX-License-Identifier: Apache-2.0
"""What etcd, other writers and a killed agent do, and what must hold."""
import json
import signal
import time
import unittest

from harness import TTL_S, Case, Etcd, wait_for


class Faults(Case):
    def registered(self, **changes):
        web = self.http_service()
        agent = self.agent(self.config([self.service(web.port)], **changes))
        instance = f"web-node-a-{web.port}"
        agent.await_instances("web", [instance])
        return web, agent, instance, f"/services/web/{instance}"

    def test_after_sigkill_the_key_is_gone_with_its_lease(self):
        _, agent, _, key = self.registered()
        agent.kill()
        self.assertIn(key, self.etcd.keys())
        began = time.monotonic()
        wait_for(lambda: key not in self.etcd.keys(), "the key to expire", TTL_S + 5)
        self.assertLess(time.monotonic() - began, TTL_S + 2 + 1)

    def test_a_killed_agent_s_successor_registers_again(self):
        web, agent, instance, key = self.registered()
        agent.kill()
        successor = self.agent(self.config([self.service(web.port)]), "successor")
        wait_for(lambda: key in self.etcd.keys() and
                 (successor.try_get(f"/agent/services/{instance}")[2] or {}).get("registered"),
                 "the successor to hold the key", TTL_S + 6)

    def test_a_revoked_lease_is_granted_anew_and_the_key_put_back(self):
        _, _, _, key = self.registered()
        lease = self.etcd.keys()[key]["lease"]
        self.etcd.revoke(lease)
        wait_for(lambda: self.etcd.keys().get(key, {}).get("lease", lease) != lease, "a new lease", 3)

    def test_a_deleted_key_comes_back(self):
        _, _, _, key = self.registered()
        revision = self.etcd.keys()[key]["mod_revision"]
        self.etcd.delete(key)
        wait_for(lambda: self.etcd.keys().get(key, {}).get("mod_revision", 0) > revision, "the key to be repaired", 2)

    def test_an_overwritten_key_is_put_right(self):
        _, agent, instance, key = self.registered()
        self.etcd.put(key, "garbage")
        wait_for(lambda: self.etcd.keys()[key]["value"].startswith("{"), "the key to be repaired", 2)
        self.assertNotEqual(self.etcd.keys()[key]["lease"], 0)
        agent.await_instances("web", [instance])

    def test_a_frozen_agent_that_lost_its_lease_is_back_within_two_seconds(self):
        _, agent, instance, key = self.registered()
        agent.send(signal.SIGSTOP)
        wait_for(lambda: key not in self.etcd.keys(), "the key to expire", TTL_S + 5)
        agent.send(signal.SIGCONT)
        wait_for(lambda: key in self.etcd.keys(), "the key to come back", 2)
        agent.await_instances("web", [instance])

    def test_answers_go_on_as_stale_while_etcd_is_frozen(self):
        _, agent, instance, _ = self.registered(etcd={"lease_ttl": "60s"})
        self.etcd.send(signal.SIGSTOP)
        wait_for(lambda: agent.get("/services/web")[1]["x-rosterd-state"] == "stale", "stale", 8)
        self.assertEqual(agent.instances("web"), [instance])
        self.assertEqual(agent.get("/readyz")[0], 200)
        self.etcd.send(signal.SIGCONT)
        wait_for(lambda: agent.get("/services/web")[1]["x-rosterd-state"] == "live", "live again", 8)

    def test_a_start_without_etcd_waits_and_says_why(self):
        self.etcd.kill()
        web = self.http_service()
        agent = self.agent(self.config([self.service(web.port)]))
        agent.await_listening()
        status, headers, body = agent.get("/services/web")
        self.assertEqual(status, 503)
        self.assertEqual(headers["retry-after"], "1")
        self.assertIn("error", body)
        status, _, body = agent.get("/readyz")
        self.assertEqual(status, 503)
        self.assertIn(str(self.etcd.port), json.dumps(body["reasons"]))
        self.assertEqual(agent.get("/livez")[0], 200)
        self.etcd = Etcd(self.folder, self.etcd.port)
        self.addCleanup(self.etcd.kill)
        agent.await_instances("web", [f"web-node-a-{web.port}"])


if __name__ == "__main__":
    unittest.main()
