# SPDX-License-Identifier: Apache-2.0
"""SIGSTOP of a member: every agent is connected to a living member and live within 5 s, no instance is
missing from any answer, and the thawed member changes nothing.

One thing no client can prevent: before 3.4.31 and 3.5.13, an etcd leader that was frozen for longer than leases
live revokes them when it thaws, although its successor renewed them (etcd issue 15247). So the leases outlive the
freezes here, and the last test holds the agents to what they can do: all is back within 2 s."""
import os
import time
import unittest

import checker
from fault_case import FaultCase, figure

FAILOVER_S = 5


class Freezing(FaultCase):
    def active_of(self, agent):
        return self.cluster.by_url(self.etcd_state(agent)["endpoint"])

    def frozen(self, which, seconds):
        before = self.fleet()
        leader = self.cluster.leader()
        member = leader
        if which == "active":
            # A follower where there is one that somebody is connected to: the leader has tests of its own.
            active = [self.active_of(agent) for agent in self.agents]
            member = next((m for m in active if m is not leader), active[0])
        hit = [a.name for a in self.agents if self.active_of(a) is member]
        frozen_at = time.monotonic()
        member.freeze()
        live_at = self.await_live(since=time.monotonic(), avoiding=[member.url])
        figure(f"frozen_{which}_{seconds}s.agents_connected_to_it", len(hit))
        figure(f"frozen_{which}_{seconds}s.failover_s", live_at - frozen_at)
        self.assertLess(live_at - frozen_at, FAILOVER_S)
        while time.monotonic() < frozen_at + seconds:
            time.sleep(0.05)
        member.thaw()
        self.cluster.await_healthy()
        thawed_at = self.await_live(since=time.monotonic())
        # What the thawed member still believed has had its say after an election timeout.
        while time.monotonic() < thawed_at + 2:
            time.sleep(0.05)
        for poller in self.pollers:
            stale = [a.age for a in poller.answers() if a.sent > frozen_at]
            self.assertLessEqual(max(stale), FAILOVER_S)
        self.assert_same_leases(before)
        for name, ids in self.ids.items():
            self.assert_no_errors(checker.never_missing(self.pollers, name, ids))
        self.check_everything()


class Frozen5s(Freezing):
    def test_active_member_frozen_5_s(self):
        self.frozen("active", 5)

    def test_leader_frozen_5_s(self):
        self.frozen("leader", 5)


class Frozen15s(Freezing):
    lease_ttl = 30

    def test_active_member_frozen_15_s(self):
        self.frozen("active", 15)

    def test_leader_frozen_15_s(self):
        self.frozen("leader", 15)


@unittest.skipUnless(os.environ.get("ROSTERD_LONG"), "with scripts/test --long")
class Frozen60s(Freezing):
    lease_ttl = 120

    def test_active_member_frozen_60_s(self):
        self.frozen("active", 60)

    def test_leader_frozen_60_s(self):
        self.frozen("leader", 60)


class FrozenLongerThanTheLease(Freezing):
    lease_ttl = 8

    def test_leader_frozen_for_longer_than_its_leases_and_all_is_back_within_2_s(self):
        before = self.fleet()
        leader = self.cluster.leader()
        frozen_at = time.monotonic()
        leader.freeze()
        self.await_live(since=time.monotonic(), avoiding=[leader.url])
        while time.monotonic() < frozen_at + self.lease_ttl + 3:
            time.sleep(0.05)
        self.assert_same_leases(before)
        leader.thaw()
        self.cluster.await_healthy()
        thawed_at = self.await_live(since=time.monotonic())
        while time.monotonic() < thawed_at + 3:
            time.sleep(0.05)
        self.recorder.sync()
        away = [0.0]
        for key in before:
            events = self.recorder.events_of(key)
            self.assertEqual("put", events[-1][1].kind, f"{key} is gone for good")
            away += [after[0].at - gone[0].at for gone, after in zip(events, events[1:]) if gone[1].kind == "delete"]
        figure("leader_frozen_past_ttl.keys_revoked_by_it", len(away) - 1)
        figure("leader_frozen_past_ttl.longest_away_s", max(away))
        self.assertLess(max(away), 2)
        self.check_everything()


if __name__ == "__main__":
    unittest.main()
