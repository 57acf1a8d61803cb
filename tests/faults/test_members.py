# SPDX-License-Identifier: Apache-2.0
"""SIGKILL of members: no lease is lost when they are down for less than the TTL - 5 s, answers never stop,
and agents are live again within 3 s of the quorum."""
import time
import unittest

import checker
from fault_case import FaultCase, figure

LIVE_AGAIN_S = 3


class Killing(FaultCase):
    def kill_and_restart(self, members, seconds):
        """Returns how long after the quorum came back (or the kill, when it never went) all were live."""
        killed_at = time.monotonic()
        for member in members:
            member.kill()
        while time.monotonic() < killed_at + seconds:
            time.sleep(0.05)
        self.cluster.restart(*members)
        quorum_at = self.cluster.await_quorum()
        live_at = self.await_live(since=quorum_at)
        self.cluster.await_healthy()
        return live_at - quorum_at, quorum_at - killed_at


class Members(Killing):
    def test_each_member_in_turn_is_killed_and_no_lease_is_lost(self):
        before = self.fleet()
        for member in self.cluster.members:
            killed_at = time.monotonic()
            live, down = self.kill_and_restart([member], 2)
            figure(f"member_killed.{member.name}.live_after_quorum_s", live)
            self.assertLess(live, LIVE_AGAIN_S)
            for poller in self.pollers:
                self.assertEqual([], [a for a in poller.answers() if a.sent > killed_at and a.age > 5])
        self.assert_same_leases(before)
        self.check_everything()

    def test_the_leader_is_killed_twice_and_agents_are_live_within_3_s(self):
        before = self.fleet()
        for turn in (1, 2):
            leader = self.cluster.leader()
            killed_at = time.monotonic()
            leader.kill()
            quorum_at = self.cluster.await_quorum()
            figure(f"leader_killed.{turn}.election_s", quorum_at - killed_at)
            live_at = self.await_live(since=quorum_at)
            figure(f"leader_killed.{turn}.live_after_quorum_s", live_at - quorum_at)
            self.assertLess(live_at - quorum_at, LIVE_AGAIN_S)
            self.cluster.restart(leader)
            self.cluster.await_healthy()
        self.assert_same_leases(before)
        self.check_everything()

    def test_nothing_is_written_in_6_s_of_steady_state(self):
        before = self.fleet()
        follower = next(m for m in self.cluster.members if m is not self.cluster.leader())
        self.assertEqual(0, checker.writes_in(self.cluster, 3))
        follower.kill()
        self.await_live(since=time.monotonic())
        self.assertEqual(0, checker.writes_in(self.cluster, 3))
        self.assert_same_leases(before)
        self.check_everything()


class AllMembers(Killing):
    lease_ttl = 20

    def test_all_three_are_killed_for_10_s_of_a_20_s_lease(self):
        before = self.fleet()
        killed_at = time.monotonic()
        live, down = self.kill_and_restart(self.cluster.members, 9)
        figure("all_killed.down_s", down)
        figure("all_killed.live_after_quorum_s", live)
        stale = [p.await_answer(lambda a: a.state == "stale", "a stale answer", killed_at, 1).at - killed_at
                 for p in self.pollers]
        figure("all_killed.stale_shown_s", max(stale))
        self.assertLess(max(stale), 5)
        self.assertLess(live, LIVE_AGAIN_S)
        self.assertLess(down, self.lease_ttl - 5, "etcd came back too late to prove anything")
        self.assert_same_leases(before)
        self.check_everything()


if __name__ == "__main__":
    unittest.main()
