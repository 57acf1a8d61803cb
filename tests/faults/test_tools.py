# SPDX-License-Identifier: Apache-2.0
"""The suite's own tools: a checker that finds nothing must be one that would find something."""
import socket
import threading
import time
import types
import unittest

import checker
from cluster import Cluster
from fault_case import Case, wait_for
from poller import Answer
from proxy import Proxies
from recorder import Event, Recorder, Revision, Timeline, read_instance

VALUE = b'{"host":"10.0.0.1","port":%d}'


def put(key, port):
    return Event("put", key, VALUE % port, 1, 0)


def delete(key):
    return Event("delete", key, b"", 0, 0)


class Checking(unittest.TestCase):
    """One service: a at revision 2, b at 3, a gone and c there at 5."""

    def setUp(self):
        self.revisions = [
            Revision(2, 0.0, [put("/services/web/a", 1)]), Revision(3, 0.0, [put("/services/web/b", 2)]),
            Revision(4, 0.0, [put("/services/other/x", 3)]),
            Revision(5, 0.0, [delete("/services/web/a"), put("/services/web/c", 4)])]
        self.recorder = types.SimpleNamespace(history=lambda: self.revisions, prefix="/services/", problems=[])

    def answer(self, at, index, ids, status=200, held=(), held_header=None):
        ports = {"a": 1, "b": 2, "c": 4, "x": 9}
        instances = [read_instance(i, VALUE % ports[i]) for i in ids]
        return Answer(at, at, "web", status, index, "live", 0, instances, frozenset(held),
                      len(held) if held_header is None else held_header, index, "")

    def poller(self, *answers):
        return types.SimpleNamespace(name="agent", services=["web"], down=[], late=[], answers=lambda: list(answers),
                                     last=lambda service: answers[-1])

    def errors(self, *answers):
        return checker.check(self.recorder, [self.poller(*answers)])

    def assert_error(self, text, *answers):
        errors = self.errors(*answers)
        self.assertTrue(any(text in e for e in errors), errors)

    def test_the_truth_is_no_error(self):
        self.assertEqual([], self.errors(self.answer(1, 2, ["a"]), self.answer(1.1, 3, ["a", "b"]),
                                         self.answer(1.2, 5, ["b", "c"])))

    def test_half_a_revision_is_an_error(self):
        self.assert_error("missing ['c']", self.answer(1, 5, ["b"]), self.answer(1.1, 5, ["b", "c"]))
        self.assert_error("not in etcd ['a']", self.answer(1, 5, ["a", "b", "c"]), self.answer(1.1, 5, ["b", "c"]))

    def test_an_old_state_under_a_new_index_is_an_error(self):
        self.assert_error("missing ['b']", self.answer(1, 3, ["a"]), self.answer(1.1, 5, ["b", "c"]))

    def test_an_index_of_the_future_is_an_error(self):
        self.assert_error("future", self.answer(1, 9, ["b", "c"]))

    def test_an_index_that_goes_back_is_an_error(self):
        self.assert_error("went back", self.answer(1, 5, ["b", "c"]), self.answer(1.1, 3, ["a", "b"]))

    def test_silence_and_refusals_are_errors(self):
        good = self.answer(1, 5, ["b", "c"])
        self.assert_error("one of 0.600 s", good, self.answer(1.6, 5, ["b", "c"]))
        self.assert_error("got 503", good, self.answer(1.1, 0, [], 503), self.answer(1.2, 5, ["b", "c"]))
        self.assert_error("ConnectionRefused", good, good._replace(status=0, error="ConnectionRefused", at=1.1), good)

    def test_an_old_last_answer_is_an_error(self):
        self.assert_error("the last answer", self.answer(1, 3, ["a", "b"]))

    def test_held_is_exempt_but_not_unmarked(self):
        self.assertEqual([], self.errors(self.answer(1, 5, ["a", "b", "c"], held=["a"])))
        self.assert_error("X-Rosterd-Held: 0", self.answer(1, 5, ["a", "b", "c"], held=["a"], held_header=0))
        self.assert_error("never seen in etcd", self.answer(1, 5, ["b", "c", "x"], held=["x"]))

    def test_two_keys_of_one_instance_are_an_error(self):
        self.revisions.append(Revision(6, 0.0, [put("/services/web/d", 2)]))
        self.revisions.append(Revision(7, 0.0, [delete("/services/web/d")]))
        self.assertEqual(["revision 6"], [e.split(":")[0] for e in checker.one_key_per_instance(self.recorder)])

    def test_the_truth_can_be_asked_in_any_order(self):
        timeline = Timeline(self.revisions, "web")
        self.assertEqual([["b", "c"], ["a"], ["a", "b"], []], [sorted(timeline.at(r)) for r in (5, 2, 4, 1)])


class Proxying(Case):
    needs_etcd = False

    def setUp(self):
        super().setUp()
        self.proxies = Proxies()
        self.addCleanup(self.proxies.close)
        self.server = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(self.server.close)
        self.link = self.proxies.link(self.server.getsockname()[1])

    def connect(self):
        agent = socket.create_connection(("127.0.0.1", self.link.port))
        member, _ = self.server.accept()
        for sock in (agent, member):
            sock.settimeout(5)
            self.addCleanup(sock.close)
        agent.sendall(b"hello")
        self.assertEqual(member.recv(100), b"hello")
        member.sendall(b"you")
        self.assertEqual(agent.recv(100), b"you")
        return agent, member

    def assert_silent(self, sock):
        sock.settimeout(0.2)
        with self.assertRaises(TimeoutError):
            sock.recv(100)
        sock.settimeout(5)

    def test_dropped_bytes_are_lost_and_the_connection_with_them_once_healed(self):
        agent, member = self.connect()
        self.link.drop("to_member")
        agent.sendall(b"lost")
        self.assert_silent(member)
        member.sendall(b"still there")
        self.assertEqual(agent.recv(100), b"still there")
        self.link.heal()
        with self.assertRaises(ConnectionResetError):
            agent.recv(100)
        self.connect()

    def test_frozen_bytes_wait(self):
        agent, member = self.connect()
        self.link.freeze("to_agent")
        member.sendall(b"later")
        agent.sendall(b"now")
        self.assertEqual(member.recv(100), b"now")
        self.assert_silent(agent)
        self.link.heal()
        self.assertEqual(agent.recv(100), b"later")

    def test_an_end_of_stream_is_lost_too(self):
        agent, member = self.connect()
        self.link.drop()
        agent.shutdown(socket.SHUT_WR)
        self.assert_silent(member)

    def test_delay(self):
        agent, member = self.connect()
        self.link.delay(0.3, "to_member")
        began = time.monotonic()
        agent.sendall(b"slow")
        self.assertEqual(member.recv(100), b"slow")
        self.assertGreaterEqual(time.monotonic() - began, 0.29)

    def test_reset_and_refuse(self):
        agent, member = self.connect()
        self.link.reset()
        for sock in (agent, member):
            with self.assertRaises(ConnectionResetError):
                sock.recv(100)
        agent, _ = self.connect()
        self.link.refuse()
        with self.assertRaises(ConnectionResetError):
            agent.recv(100)
        with self.assertRaises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", self.link.port))
        self.link.heal()
        self.connect()
        wait_for(lambda: self.link.open_connections() == 1, "one open connection")

    def test_it_carries_what_a_storm_sends(self):
        agent, member = self.connect()
        sent = b"".join(b"message %06d " % number for number in range(10_000))
        began = time.monotonic()

        def send():
            for start in range(0, len(sent), 15):
                agent.sendall(sent[start:start + 15])

        thread = threading.Thread(target=send, daemon=True)
        thread.start()
        got = b""
        while len(got) < len(sent):
            got += member.recv(65536)
        thread.join(5)
        self.assertEqual(got, sent)
        print(f"FIGURE proxy.messages_per_s {10_000 / (time.monotonic() - began):.0f}")


class Restoring(Case):
    needs_etcd = False

    def test_a_restored_cluster_has_the_old_history_under_the_same_identity(self):
        cluster = Cluster(self.folder)
        self.addCleanup(cluster.kill)
        cluster.start()
        kept = cluster.put("/services/web/kept", "10.0.0.1:1")
        identity = cluster.leader().status()["header"]["cluster_id"]
        cluster.snapshot(self.folder + "/snapshot")
        cluster.put("/services/web/lost", "10.0.0.1:2")
        cluster.restore(self.folder + "/snapshot")
        self.assertEqual(["/services/web/kept"], list(cluster.keys()))
        self.assertEqual(kept, cluster.revision())
        self.assertEqual(identity, cluster.leader().status()["header"]["cluster_id"])
        recorder = Recorder(cluster)
        self.addCleanup(recorder.close)
        again = cluster.txn([("/services/web/new", "10.0.0.1:3")], ["/services/web/kept"])
        recorder.sync()
        self.assertEqual(kept + 1, again)
        self.assertEqual({"kept"}, set(recorder.truth_at("web", kept)))
        self.assertEqual({"new"}, set(recorder.truth_at("web", again)))

    def test_the_record_goes_on_while_members_freeze_and_die(self):
        cluster = Cluster(self.folder)
        self.addCleanup(cluster.kill)
        cluster.start()
        recorder = Recorder(cluster)
        self.addCleanup(recorder.close)
        for turn, member in enumerate(cluster.members * 2):
            cluster.put(f"/services/web/{turn}", f"10.0.0.1:{turn + 1}")
            member.freeze() if turn < 3 else member.kill()
            cluster.await_quorum()
            cluster.put("/services/web/last", f"10.0.0.2:{turn + 1}")
            recorder.sync()
            cluster.restart(member) if turn >= 3 else member.thaw()
            cluster.await_healthy()
        recorder.sync()
        history = recorder.history()
        self.assertEqual(list(range(2, cluster.revision() + 1)), [r.number for r in history])
        self.assertEqual(12, len([e for r in history for e in r.events]))


if __name__ == "__main__":
    unittest.main()
