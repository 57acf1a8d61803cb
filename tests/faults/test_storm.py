# SPDX-License-Identifier: Apache-2.0
"""Many and big changes: 1,000 writes/s, 5 MB in one revision, 500 deletions in one revision. All is applied,
in order, whole, nothing is lost, and the agents' memory stays bounded."""
import json
import os
import time
import unittest

from fault_case import FaultCase, figure
from writer import Writer

STORM_S = 30 if os.environ.get("ROSTERD_LONG") else 8
GROWTH_MIB = 64  # what one of these may add to an agent's highest resident memory


def memory(agent, field="VmHWM"):
    """MiB"""
    with open(f"/proc/{agent.process.pid}/status", encoding="ascii", errors="replace") as status:
        return next(int(line.split()[1]) / 1024 for line in status if line.startswith(field))


class Storm(FaultCase):
    etcd_arguments = ("--max-request-bytes", str(16 << 20))

    def setUp(self):
        super().setUp()
        self.before = self.fleet(2)
        for poller in self.pollers:
            poller.close()
        self.pollers = []

    def poll_all(self, services, interval):
        for agent in self.agents:
            self.poll(agent, services, interval)
        for poller in self.pollers:
            poller.await_answer(lambda a: a.status in (200, 404), "an answer")

    def await_revision(self, service, count, revision, seconds=10):
        """Until every agent shows so many instances; returns when the last one did."""
        return max(p.await_answer(lambda a: a.service == service and a.index >= revision and
                                  len(a.instances) == count, f"{count} instances of {service}", 0, seconds).at
                   for p in self.pollers)

    def bounded(self, name, before):
        for agent, was in zip(self.agents, before):
            figure(f"{name}.{agent.name}.rss_before_MiB", was)
            figure(f"{name}.{agent.name}.rss_highest_MiB", memory(agent))
            self.assertLess(memory(agent) - was, GROWTH_MIB)

    def finish(self):
        own = {k: v for k, v in self.cluster.keys().items() if k in self.before}
        self.assertEqual(own, self.before)
        self.check_everything()

    def test_1000_writes_per_second_are_applied_in_order_and_none_is_lost(self):
        self.poll_all(["storm", "web"], 0.02)
        rss = [memory(a) for a in self.agents]
        for _ in range(3):
            since = self.cluster.revision()
            writer = Writer(self.cluster.members, "storm", 1030, STORM_S)
            self.addCleanup(writer.close)
            result = writer.result(STORM_S + 60)
            ended_at = time.monotonic()
            last = self.recorder.sync()
            rate = result["writes"] / result["seconds"]
            figure("storm.writes_per_s", rate)
            figure("storm.revisions_per_s", (last - since) / result["seconds"])
            if rate >= 1000:
                break  # else others keep this machine too busy for a storm: once more
        self.assertGreaterEqual(rate, 1000)
        truth = self.recorder.truth_at("storm", last)
        changed = max(r.number for r in self.recorder.history() if any("/storm/" in e.key for e in r.events))
        caught_up = self.await_revision("storm", len(truth), changed)
        figure("storm.caught_up_s", max(0.0, caught_up - ended_at))
        self.bounded("storm", rss)
        self.finish()

    def test_5_MB_in_one_revision_are_applied_whole(self):
        self.poll_all(["big", "web"], 0.02)
        rss = [memory(a) for a in self.agents]
        filler = "x" * 50_000
        puts = []
        for number in range(120):
            key = f"/services/big/i{number:03}"
            if number % 3 == 0:
                puts.append((key, json.dumps({"host": "10.8.1.1", "port": 2000 + number, "tags": ["big"]})))
            elif number % 3 == 1:  # a shape of somebody else's, most of which we do not read
                puts.append((key, json.dumps({"Addr": f"10.8.1.2:{2000 + number}", "Notes": filler})))
            else:
                puts.append((key, filler))  # no instance at all
        # The fillers alone are 4 MB; what we read and show is as big as it may get.
        puts += [(f"/services/big/m{number}", json.dumps({"host": "10.8.1.3", "port": 3000 + number,
                                                          "Metadata": {"notes": filler * 4}})) for number in range(6)]
        total = sum(len(key) + len(value) for key, value in puts)
        figure("big_revision.bytes", total)
        self.assertGreater(total, 5_000_000)
        began = time.monotonic()
        revision = self.cluster.txn(puts)
        shown = self.await_revision("big", 86, revision)
        figure("big_revision.shown_s", shown - began)
        self.assertEqual(1, self.cluster.txn([], [p[0] for p in puts[:100]]) - revision)
        self.await_revision("big", 26 - 7, revision + 1)
        self.bounded("big_revision", rss)
        self.finish()

    def test_500_deletions_in_one_revision_are_one_change(self):
        self.poll_all(["many", "web"], 0.005)
        rss = [memory(a) for a in self.agents]
        for start in range(0, 500, 100):
            last = self.cluster.txn([(f"/services/many/i{n:03}", f"10.8.2.1:{1000 + n}")
                                     for n in range(start, start + 100)])
        self.await_revision("many", 500, last)
        began = time.monotonic()
        revision = self.cluster.delete_prefix("/services/many/")
        self.assertEqual(revision, last + 1)
        gone = self.await_revision("many", 0, revision)
        figure("500_deletions.gone_s", gone - began)
        counts = {len(a.instances) for p in self.pollers for a in p.answers() if a.service == "many"}
        self.assertLessEqual(counts, {0, 100, 200, 300, 400, 500})
        self.bounded("500_deletions", rss)
        self.finish()


if __name__ == "__main__":
    unittest.main()
