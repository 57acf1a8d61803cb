# SPDX-License-Identifier: Apache-2.0
"""What is kept under data_dir, and what an agent makes of a disk that fails."""
import os
import signal
import subprocess
import time
import unittest
from unittest import mock

import harness
from harness import Case, Etcd, wait_for


class Disk(Case):
    def setUp(self):
        super().setUp()
        self.data_dir = os.path.join(self.folder, "data")
        self.web = self.http_service()
        self.instance = f"web-node-a-{self.web.port}"

    def changes(self, **more):
        return {"etcd": {"lease_ttl": "30s"}, "data_dir": self.data_dir, "on_stop": "keep", **more}

    def started(self, name, **more):
        return self.agent(self.config([self.service(self.web.port)], **self.changes(**more)), name)

    def registered(self, name="first", **more):
        agent = self.started(name, **more)
        wait_for(lambda: self.status(agent).get("registered"), lambda: "registered; log:\n" + agent.log())
        agent.await_instances("web", [self.instance])
        return agent

    def status(self, agent):
        return agent.try_get(f"/agent/services/{self.instance}")[2] or {}

    def file(self, name):
        return os.path.join(self.data_dir, name)

    def text(self, name):
        try:
            with open(self.file(name), encoding="utf-8", errors="replace") as saved:
                return saved.read()
        except OSError:
            return ""

    def await_saved(self):
        for name in ("lease", "catalog", "health"):
            sign = "agent" if name == "lease" else self.instance
            wait_for(lambda: sign in self.text(name), f"{name} to be saved")

    def test_a_start_without_etcd_serves_the_last_catalog_as_stale_with_its_age(self):
        agent = self.registered()
        self.await_saved()
        index = int(agent.get("/services/web")[1]["x-rosterd-index"])
        agent.stop(signal.SIGUSR2)
        self.etcd.kill()
        stopped = time.time()
        time.sleep(2.2)
        second = self.started("second")
        second.await_listening()
        status, headers, body = second.get("/services/web")
        self.assertEqual(status, 200)
        self.assertEqual([i["id"] for i in body["instances"]], [self.instance])
        self.assertEqual(headers["x-rosterd-state"], "stale")
        self.assertGreaterEqual(int(headers["x-rosterd-index"]), index)
        age = int(headers["age"])
        self.assertGreaterEqual(age, 2)
        self.assertLessEqual(age, time.time() - stopped + 3)
        page = second.get("/agent")[2]
        self.assertEqual(page["catalog"]["state"], "stale")
        self.assertGreaterEqual(page["catalog"]["age_ms"], 2000)
        self.assertEqual(second.get("/readyz")[0], 200)
        self.etcd = Etcd(self.folder, self.etcd.port)
        self.addCleanup(self.etcd.kill)
        wait_for(lambda: second.get("/services/web")[1]["x-rosterd-state"] == "live", "live again", 10)
        answer = second.get("/services/web")
        self.assertLess(int(answer[1]["age"]), 3)
        self.assertGreaterEqual(int(answer[1]["x-rosterd-index"]), index)

    def restart_writes_nothing(self, how):
        first = self.registered("first")
        self.await_saved()
        before, revision = self.status(first), self.etcd.revision()
        index = int(first.get("/services/web")[1]["x-rosterd-index"])
        self.assertEqual(before["state"], "passing")
        if how == signal.SIGKILL:
            # The last save is at most a second old.
            time.sleep(1.2)
            first.kill()
        else:
            self.assertEqual(first.stop(how), 0)
        second = self.started("second")
        second.await_listening()
        at_once = self.status(second)
        self.assertEqual(at_once["state"], "passing")
        self.assertEqual(at_once["since"], before["since"])
        self.assertEqual(second.instances("web"), [self.instance])
        wait_for(lambda: self.status(second).get("registered"), "registered")
        wait_for(lambda: second.get("/services/web")[1]["x-rosterd-state"] == "live", "live")
        self.assertEqual(int(second.get("/services/web")[1]["x-rosterd-index"]), index)
        time.sleep(1)
        self.assertEqual(self.etcd.revision(), revision)
        after = self.status(second)
        self.assertEqual((after["state"], after["since"]), ("passing", before["since"]))

    def test_keep_and_a_restart_write_nothing_and_the_check_state_goes_on(self):
        self.restart_writes_nothing(signal.SIGTERM)

    def test_a_sigkill_and_a_restart_write_nothing_and_the_check_state_goes_on(self):
        self.restart_writes_nothing(signal.SIGKILL)

    def test_a_service_that_died_with_the_agent_is_not_registered_anew(self):
        first = self.registered(on_stop="deregister")
        self.await_saved()
        self.assertEqual(first.stop(), 0)
        self.assertEqual(self.etcd.keys(), {})
        self.web.close()
        revision = self.etcd.revision()
        second = self.started("second")
        second.await_listening()
        wait_for(lambda: self.status(second).get("state") == "failing", "failing")
        self.assertEqual(self.etcd.revision(), revision)

    def test_broken_files_are_named_and_replaced(self):
        first = self.registered(etcd={"lease_ttl": "2s"})
        self.await_saved()
        self.assertEqual(first.stop(), 0)
        for name in ("lease", "catalog", "health"):
            text = self.text(name)
            with open(self.file(name), "w", encoding="utf-8") as out:
                out.write(text[:len(text) // 2] if name == "catalog" else "x" + text[1:])
        second = self.registered("second", etcd={"lease_ttl": "2s"})
        for name in ("lease", "catalog", "health"):
            self.assertEqual(second.log().count(f"{self.file(name)} cannot be used"), 1, second.log())
        wait_for(lambda: all(self.text(name).startswith(f"rosterd {name} ")
                             for name in ("lease", "catalog", "health")), "the files to be replaced")
        self.assertEqual(second.stop(), 0)
        third = self.registered("third", etcd={"lease_ttl": "2s"})
        self.assertNotIn("cannot be used", third.log())

    def test_files_of_another_prefix_are_named_and_ignored(self):
        first = self.registered()
        self.await_saved()
        self.assertEqual(first.stop(), 0)
        second = self.started("second", etcd={"lease_ttl": "30s", "prefix": "/other/"})
        wait_for(lambda: self.status(second).get("registered"), "registered")
        for name in ("lease", "catalog"):
            self.assertIn(f"{self.file(name)} belongs to", second.log())

    def test_a_second_agent_on_one_data_dir_ends_at_once(self):
        self.registered()
        second = self.agent(self.config([], **self.changes()), "second")
        self.assertEqual(second.process.wait(5), 1)
        self.assertIn(self.data_dir, second.log())
        self.assertIn("another rosterd", second.log())

    def failures(self, agent, name):
        text = harness.request(agent.port, "GET", "/metrics")[2].decode()
        line = f'rosterd_state_write_failures_total{{file="{name}"}} '
        return sum(float(l[len(line):]) for l in text.splitlines() if l.startswith(line))

    def runs_and_says_so(self, agent):
        for name in ("lease", "catalog", "health"):
            wait_for(lambda: self.failures(agent, name) > 0, f"a failure of {name} to be counted")
        self.assertEqual(agent.log().count("state cannot be kept on disk"), 1, agent.log())
        self.assertIn(self.data_dir, agent.log())
        self.assertEqual(agent.stop(signal.SIGTERM), 0)

    def test_a_data_dir_that_cannot_be_made_costs_a_warning(self):
        with open(self.data_dir, "w", encoding="utf-8"):
            pass
        self.runs_and_says_so(self.registered())

    def test_a_full_disk_costs_a_warning(self):
        fill = f"dd if=/dev/zero of={self.data_dir}/fill bs=4k count=100 2>/dev/null;"
        agent = self.on_a_small_disk("size=64k", fill)
        self.assertIn("no space left", agent.log())
        self.runs_and_says_so(agent)

    def test_a_read_only_disk_costs_a_warning(self):
        agent = self.on_a_small_disk("ro")
        self.assertIn("read-only", agent.log())
        self.runs_and_says_so(agent)

    def on_a_small_disk(self, options, fill=""):
        """The agent in a mount namespace of its own, where data_dir is a tmpfs."""
        if subprocess.run(["unshare", "-m", "true"], capture_output=True, check=False).returncode != 0:
            self.skipTest("no mount namespaces here")
        os.mkdir(self.data_dir)
        wrapper = os.path.join(self.folder, "wrapper")
        with open(wrapper, "w", encoding="utf-8") as out:
            out.write(f"#!/bin/sh\nexec unshare -m sh -c 'mount -t tmpfs -o {options} none {self.data_dir} || exit 77; "
                      f"{fill} exec {os.path.abspath(harness.BINARY)} \"$@\"' sh \"$@\"\n")
        os.chmod(wrapper, 0o755)
        with mock.patch.object(harness, "BINARY", wrapper):
            return self.registered()


if __name__ == "__main__":
    unittest.main()
