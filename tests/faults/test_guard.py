# SPDX-License-Identifier: Apache-2.0
"""The guard against mass loss with real agents: four of six hosts die at once and their instances stay in the
answers of the others, flagged, for `hold`; one host that dies is gone with its lease."""
import signal
import time
import types
import unittest

import checker
from fault_case import FaultCase, figure
from harness import free_port, wait_for
from recorder import Timeline

# The guard is released when the watcher next turns.
RELEASE_S = 3.5


class Guard(FaultCase):
    members = 1
    lease_ttl = 2

    def fleet_of_six(self, hold):
        """Agents 1 to 4 are to die; 5 watches with the guard, 6 with the guard switched off."""
        backend = self.http_service()
        self.configs = []
        for number in range(1, 7):
            service = self.service(free_port(), id=f"web-{number}")
            service["check"]["http"] = f"http://127.0.0.1:{backend.port}/healthz"
            # A second key per lease, so that one deleted key is no whole lease.
            other = {"name": "other", "port": 9, "id": f"other-{number}", "check": "none"}
            self.configs.append([service, other])
            self.start_agent(f"node-{number}", [service, other],
                             guard={"max_drop": "100%" if number == 6 else "50%", "hold": f"{hold}s"})
        for agent in self.agents[4:]:
            agent.await_instances("web", [f"web-{n}" for n in range(1, 7)], 20)
        self.guarded, self.unguarded = (self.poll(agent, ["web"]) for agent in self.agents[4:])
        for poller in (self.guarded, self.unguarded):
            poller.await_answer(lambda a: len(a.instances) == 6, "all six")

    def kill(self, count):
        since = self.cluster.revision()
        for agent in self.agents[:count]:
            agent.process.send_signal(signal.SIGKILL)
        for agent in self.agents[:count]:
            agent.process.wait(5)
        return since, time.monotonic()

    def await_expired(self, number, since):
        revision, _ = self.recorder.await_event(
            lambda e: e.key == f"/services/web/web-{number}" and e.kind == "delete", f"web-{number} to expire", since,
            self.lease_ttl + 6)
        return revision.at

    def held_wrongly(self):
        """While something is held, the index stands before the change that is not shown whole: the answer is what
        etcd has one revision later, and besides it only flagged ones, which were served before and are gone."""
        errors = []
        timeline = Timeline(self.recorder.history(), "web")
        ever = timeline.ever()
        for answer in [a for a in self.guarded.answers() if a.held]:
            truth = timeline.at(answer.index + 1)
            shown = {i["id"]: i for i in answer.instances}
            if answer.held & set(truth) or not answer.held <= ever:
                errors.append(f"{checker.where(answer, self.guarded)}: {sorted(answer.held)} held, "
                              f"etcd has {sorted(truth)}")
            if {k: v for k, v in shown.items() if k not in answer.held} != truth:
                errors.append(f"{checker.where(answer, self.guarded)}: {sorted(shown)} shown, "
                              f"{sorted(answer.held)} held, etcd has {sorted(truth)}")
            if answer.held_header != len(answer.held) or list(shown) != sorted(shown):
                errors.append(f"{checker.where(answer, self.guarded)}: X-Rosterd-Held {answer.held_header}, "
                              f"{sorted(answer.held)} held of {list(shown)}")
        return errors

    def no_errors(self):
        """Every answer is right, held ones exempt and their flag verified; the index never goes back."""
        for poller in (self.guarded, self.unguarded):
            poller.close()
        self.recorder.sync()
        plain = types.SimpleNamespace(name=self.guarded.name, services=self.guarded.services,
                                      answers=lambda: [a for a in self.guarded.answers() if not a.held])
        self.assert_no_errors(checker.answers_equal_truth(self.recorder, [plain, self.unguarded]) + self.held_wrongly()
                              + checker.index_never_back([self.guarded, self.unguarded])
                              + checker.answers_never_stopped([self.guarded, self.unguarded], 2.0))
        self.assertEqual([a for a in self.unguarded.answers() if a.held], [])

    def test_four_of_six_that_die_at_once_are_held_and_flagged_for_4_s(self):
        self.fleet_of_six(4)
        since, killed = self.kill(4)
        expired = [self.await_expired(number, since) for number in range(1, 5)]
        figure("guard.expired_after_kill_s", max(expired) - killed)
        figure("guard.expiries_spread_s", max(expired) - min(expired))
        dead = {f"web-{n}" for n in range(1, 5)}
        first = self.guarded.await_answer(lambda a: a.held == dead, "all four to be held", killed, 5)
        self.assertEqual((first.status, first.held_header), (200, 4))
        self.assertEqual([i["id"] for i in first.instances], [f"web-{n}" for n in range(1, 7)])
        figure("guard.held_after_last_expiry_s", first.at - max(expired))
        self.assertLess(first.at - max(expired), 1)
        released = self.guarded.await_answer(lambda a: not a.held, "the hold to end", first.at, 4 + RELEASE_S + 2)
        figure("guard.held_s", released.at - first.at)
        self.assertGreater(released.at - first.at, 3.8)
        self.assertLess(released.at - first.at, 4 + RELEASE_S)
        self.assertEqual([i["id"] for i in released.instances], ["web-5", "web-6"])
        # A client that polls with the index notices the release.
        self.assertGreater(released.index, first.index)
        self.assertEqual([a for a in self.guarded.answers() if a.sent > released.at and a.held], [])
        self.no_errors()

    def test_one_host_that_dies_is_not_held(self):
        self.fleet_of_six(30)
        since, killed = self.kill(1)
        expired = self.await_expired(1, since)
        gone = self.guarded.await_answer(lambda a: len(a.instances) == 5, "web-1 to be gone", killed, 5)
        figure("guard.one_host_gone_after_expiry_s", max(0.0, gone.at - expired))
        self.assertLess(gone.at - expired, 1)
        self.assertEqual([a for a in self.guarded.answers() if a.held], [])
        self.no_errors()

    def test_keys_deleted_one_by_one_are_not_held(self):
        self.fleet_of_six(30)
        # Their agents put them back.
        since = self.cluster.revision()
        for number in range(1, 5):
            self.cluster.delete(f"/services/web/web-{number}")
        for number in range(1, 5):
            self.recorder.await_event(lambda e, n=number: e.key == f"/services/web/web-{n}" and e.kind == "put",
                                      "the repair", since, 5)
        wait_for(lambda: len(self.guarded.last("web").instances) == 6, "all six again", 5)
        self.assertEqual([a for a in self.guarded.answers() if a.held], [])
        self.no_errors()

    def test_an_agent_that_returns_ends_its_hold(self):
        self.fleet_of_six(30)
        since, killed = self.kill(4)
        for number in range(1, 5):
            self.await_expired(number, since)
        self.guarded.await_answer(lambda a: len(a.held) == 4, "all four to be held", killed, 5)
        began, since = time.monotonic(), self.cluster.revision()
        self.start_agent("node-1-again", self.configs[0], node={"name": "node-1"},
                         guard={"max_drop": "50%", "hold": "30s"})
        put, _ = self.recorder.await_event(lambda e: e.key == "/services/web/web-1" and e.kind == "put",
                                           "web-1 to return", since, 10)
        back = self.guarded.await_answer(
            lambda a: "web-1" in {i["id"] for i in a.instances} and "web-1" not in a.held,
            "web-1 without a flag", began)
        figure("guard.hold_ended_after_return_s", max(0.0, back.at - put.at))
        self.assertEqual((back.held, back.held_header), ({"web-2", "web-3", "web-4"}, 3))
        self.assertLess(back.at - put.at, 1)
        self.no_errors()


if __name__ == "__main__":
    unittest.main()
