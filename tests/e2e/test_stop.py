# SPDX-License-Identifier: Apache-2.0
"""How it ends, and what it leaves behind."""
import os
import signal
import time
import unittest

from harness import Case, wait_for


class Stop(Case):
    def registered(self, name="agent", **changes):
        if not hasattr(self, "web"):
            self.web = self.http_service()
        agent = self.agent(self.config([self.service(self.web.port)], **changes), name)
        agent.await_instances("web", [f"web-node-a-{self.web.port}"])
        return agent

    def test_sigterm_and_sigint_leave_no_key_and_exit_0_within_2_s(self):
        for number in (signal.SIGTERM, signal.SIGINT):
            agent = self.registered(f"agent-{number}")
            began = time.monotonic()
            self.assertEqual(agent.stop(number), 0)
            self.assertLess(time.monotonic() - began, 2)
            self.assertEqual(self.etcd.keys(), {})

    def test_a_stop_takes_at_most_2_s_with_a_frozen_etcd(self):
        agent = self.registered()
        self.etcd.send(signal.SIGSTOP)
        began = time.monotonic()
        self.assertEqual(agent.stop(signal.SIGTERM), 0)
        self.assertLess(time.monotonic() - began, 2)

    def test_sigusr2_keeps_the_key(self):
        agent = self.registered(etcd={"lease_ttl": "20s"})
        before = self.etcd.keys()
        self.assertEqual(agent.stop(signal.SIGUSR2), 0)
        self.assertEqual(self.etcd.keys(), before)

    def test_keep_and_a_restart_write_nothing(self):
        changes = {"etcd": {"lease_ttl": "20s"}, "data_dir": os.path.join(self.folder, "data"), "on_stop": "keep"}
        os.mkdir(changes["data_dir"])
        agent = self.registered("first", **changes)
        before, revision = self.etcd.keys(), self.etcd.revision()
        self.assertEqual(agent.stop(signal.SIGTERM), 0)
        second = self.registered("second", **changes)
        instance = f"web-node-a-{self.web.port}"
        wait_for(lambda: second.get(f"/agent/services/{instance}")[2]["registered"], "registered")
        self.assertEqual(self.etcd.keys(), before)
        self.assertEqual(self.etcd.revision(), revision)


if __name__ == "__main__":
    unittest.main()
