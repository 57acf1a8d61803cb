# SPDX-License-Identifier: Apache-2.0
"""The agent's wall clock jumps by an hour while it runs: nothing expires, no timer sticks.

libfaketime moves CLOCK_REALTIME of the agent alone; etcd and this test keep the true time.
"""
import datetime
import glob
import os
import shutil
import signal
import subprocess
import time
import unittest

from single import SingleCase, wait_for

LIBRARY = next(iter(glob.glob("/usr/lib/*/faketime/libfaketimeMT.so.1")), None)
COMPILER = shutil.which("cc") or shutil.which("g++")
SHIM = os.path.join(os.path.dirname(os.path.abspath(__file__)), "wall_clock_shim.c")


@unittest.skipUnless(LIBRARY, "needs the Debian package libfaketime")
class ClockCase(SingleCase):
    def move_clock(self, seconds):
        aside = self.offset + ".new"
        with open(aside, "w", encoding="utf-8") as out:
            out.write(f"{seconds:+d}\n")
        os.replace(aside, self.offset)

    def moved(self, config, name):
        """An agent whose wall clock is off by what move_clock() says at each moment."""
        return self.agent(config, name, env={
            **os.environ, "LD_PRELOAD": f"{self.shim}:{LIBRARY}", "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1", "FAKETIME_TIMESTAMP_FILE": self.offset})

    def start(self):
        self.shim = os.path.join(self.folder, "shim.so")
        subprocess.run([COMPILER, "-x", "c", "-O1", "-shared", "-fPIC", "-o", self.shim, SHIM, "-ldl"], check=True,
                       timeout=60)
        self.offset = os.path.join(self.folder, "offset")
        self.move_clock(0)
        self.web = self.http_service()
        self.instance = f"web-node-a-{self.web.port}"
        self.key = f"/services/web/{self.instance}"
        config = self.config([self.service(self.web.port)], data_dir=os.path.join(self.folder, "data"))
        agent = self.moved(config, "agent")
        agent.await_instances("web", [self.instance])
        self.etcd.put("/services/web/other", '{"host":"10.0.0.9","port":9}')
        agent.await_instances("web", sorted([self.instance, "other"]))
        return agent

    def shown_offset(self, agent):
        """By how many seconds the agent's wall clock differs from ours, as its last check tells."""
        last = self.own(agent, self.instance)["checks"][0]["last_run"]
        return datetime.datetime.fromisoformat(last.replace("Z", "+00:00")).timestamp() - time.time()


class WallClock(ClockCase):
    def everything_goes_on(self, agent, number):
        lease, hits = self.etcd.keys()[self.key]["lease"], self.web.hits
        # Checks go on at their pace.
        wait_for(lambda: self.web.hits >= hits + 10, "checks to go on", 5)
        # The lease is renewed: nothing that is older than a keepalive interval plus a call.
        wait_for(lambda: agent.get("/agent")[2]["etcd"]["keepalive_age_ms"] < 300, "a keepalive", 5)
        self.assertEqual(self.etcd.keys()[self.key]["lease"], lease)
        # The watch tells of a change.
        began = time.monotonic()
        self.etcd.put(f"/services/web/new-{number}", '{"host":"10.0.0.9","port":9}')
        wait_for(lambda: f"new-{number}" in agent.instances("web"), "a change to be seen", 2)
        took = time.monotonic() - began
        status, headers, _ = agent.get("/services/web")
        self.assertEqual((status, headers["x-rosterd-state"]), (200, "live"))
        self.assertLessEqual(int(headers["age"]), 5)
        self.assertEqual(agent.get("/livez")[0], 200)
        return took

    def test_an_hour_forth_and_back_expires_nothing_and_sticks_no_timer(self):
        agent = self.start()
        before = self.etcd.keys()
        losses = self.agent_metric(agent, "rosterd_lease_losses_total")
        total = ["other", self.instance]
        for number, seconds in enumerate((3600, 0, -3600, 3600, 0)):
            self.move_clock(seconds)
            wait_for(lambda: abs(self.shown_offset(agent) - seconds) < 60,
                     lambda: f"the agent's clock to be moved by {seconds} s, is {self.shown_offset(agent)}", 5)
            # Longer than a lease lives: what believed the jump would have expired by now.
            until = time.monotonic() + 3
            while time.monotonic() < until:
                self.assertEqual(agent.instances("web"), sorted(total), f"after {seconds:+d} s\n{agent.log()}")
                time.sleep(0.02)
            took = self.everything_goes_on(agent, number)
            total.append(f"new-{number}")
            self.figure(f"clock_{seconds:+d}s_change_seen_ms", round(took * 1000))
        after = self.etcd.keys()
        self.assertEqual((after[self.key]["lease"], after[self.key]["mod_revision"]),
                         (before[self.key]["lease"], before[self.key]["mod_revision"]))
        self.assertEqual(self.agent_metric(agent, "rosterd_lease_losses_total"), losses)
        # A failing service is still taken out in time, and a stop still works.
        self.web.status = 500
        wait_for(lambda: self.key not in self.etcd.keys(), "the failing service to leave etcd", 4)
        self.web.status = 200
        wait_for(lambda: self.key in self.etcd.keys(), "the service to come back", 4)
        began = time.monotonic()
        self.assertEqual(agent.stop(), 0)
        self.figure("clock_stop_ms", round((time.monotonic() - began) * 1000))
        self.assertLess(time.monotonic() - began, 2.5)
        self.assertNotIn(self.key, self.etcd.keys())

    def test_a_clock_that_jumps_before_a_restart_costs_no_registration(self):
        agent = self.start()
        before = self.etcd.keys()[self.key]
        agent.kill()
        self.move_clock(-3600)
        successor = self.moved(
            self.config([self.service(self.web.port)], data_dir=os.path.join(self.folder, "data")), "successor")
        self.await_state(successor, self.instance, "passing")
        wait_for(lambda: self.own(successor, self.instance)["registered"], "the key to be adopted", 5)
        self.assertEqual(self.etcd.keys()[self.key]["lease"], before["lease"], successor.log())
        status, headers, _ = successor.get("/services/web")
        self.assertEqual(status, 200)
        self.assertGreaterEqual(int(headers["age"]), 0)


class Deadlines(ClockCase):
    """gRPC's timers wait on condition variables of CLOCK_REALTIME (abseil 20220623): when the clock is set back, a
    wait lasts longer by as much, and with it the deadline of a call that only gRPC watches over."""

    def test_deadlines_of_calls_hold_after_a_jump(self):
        agent = self.start()
        for seconds in (3600, -3600):
            self.move_clock(seconds)
            wait_for(lambda: abs(self.shown_offset(agent) - seconds) < 60, "the agent's clock to be moved", 5)
            self.etcd.send(signal.SIGSTOP)
            began = time.monotonic()
            wait_for(lambda: agent.get("/services/web")[1]["x-rosterd-state"] == "stale", "stale", 8)
            wait_for(lambda: agent.get("/agent")[2]["etcd"]["state"] == "lost",
                     lambda: f"the frozen member to be given up after {seconds:+d} s:\n{agent.log()}", 8)
            self.figure(f"clock_{seconds:+d}s_frozen_etcd_noticed_ms", round((time.monotonic() - began) * 1000))
            self.assertLess(time.monotonic() - began, 6)
            self.etcd.send(signal.SIGCONT)
            wait_for(lambda: agent.get("/agent")[2]["etcd"]["state"] == "connected", "etcd to be found again", 5)
            wait_for(lambda: agent.get("/services/web")[1]["x-rosterd-state"] == "live", "live again", 5)
            wait_for(lambda: self.instance in agent.instances("web"), "the instance to be back", 5)


if __name__ == "__main__":
    unittest.main()
