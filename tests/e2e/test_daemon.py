# SPDX-License-Identifier: Apache-2.0
"""Daemon manners: systemd's protocol and unit, --dev and its child, the exit of a second agent."""
import os
import signal
import socket
import subprocess
import unittest

from harness import Case, wait_for

SOURCE = os.environ.get("ROSTERD_SOURCE", os.path.join(os.path.dirname(__file__), "..", ".."))
BUILD = os.environ.get("ROSTERD_BUILD", os.path.join(SOURCE, "build", "dev"))


class Systemd(Case):
    def test_sd_notify_says_ready_reloading_stopping_and_feeds_the_watchdog(self):
        path = os.path.join(self.folder, "notify")
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
            notify.bind(path)
            notify.settimeout(10)

            def expect(word):
                while word not in (message := notify.recv(4096).decode()):
                    pass
                return message

            self.etcd.kill()  # ready does not wait for etcd
            agent = self.agent(self.config(), env={**os.environ, "NOTIFY_SOCKET": path, "WATCHDOG_USEC": "200000"})
            expect("READY=1")
            agent.await_listening()
            expect("WATCHDOG=1")
            agent.send(signal.SIGHUP)
            expect("RELOADING=1")
            expect("READY=1")
            agent.send(signal.SIGTERM)
            expect("STOPPING=1")
            self.assertEqual(agent.process.wait(5), 0)

    def test_the_installed_unit_is_valid_and_hardened(self):
        root = os.path.join(self.folder, "root")
        subprocess.run(["cmake", "--install", BUILD], env={**os.environ, "DESTDIR": root},
                       check=True, capture_output=True)
        unit = os.path.join(root, "usr/local/lib/systemd/system/rosterd.service")
        # An installed root, complete enough for the unit's own references.
        for folder in ("etc/systemd", "usr/lib/systemd/system", "bin"):
            os.makedirs(os.path.join(root, folder), exist_ok=True)
        for target in ("multi-user", "network-online", "basic", "sysinit", "shutdown"):
            with open(os.path.join(root, f"usr/lib/systemd/system/{target}.target"), "w", encoding="utf-8") as out:
                out.write("[Unit]\nDescription=x\n")
        kill = os.path.join(root, "bin/kill")
        with open(kill, "w", encoding="utf-8") as out:
            out.write("#!/bin/sh\n")
        os.chmod(kill, 0o755)
        verify = subprocess.run(["systemd-analyze", "verify", f"--root={root}", "rosterd.service"],
                                capture_output=True, text=True, timeout=60)
        self.assertEqual((verify.returncode, verify.stderr), (0, ""))
        security = subprocess.run(["systemd-analyze", "security", "--offline=true", "--threshold=25", unit],
                                  capture_output=True, text=True, timeout=60)
        self.assertEqual(security.returncode, 0, security.stdout)


class Dev(Case):
    needs_etcd = False

    def test_dev_brings_its_own_etcd_that_dies_with_it_however_it_dies(self):
        for number in (signal.SIGTERM, signal.SIGKILL):
            config = {"node": {"name": "n", "advertise": "127.0.0.1"}, **self.config()}
            config["etcd"] = {}
            config["services"] = [{"name": "a", "port": 9, "check": "none"}]
            agent = self.agent(config, f"agent-{number}", ["--dev"])
            agent.await_instances("a", ["a-node-a-9"])
            children = subprocess.run(["ps", "--ppid", str(agent.process.pid), "-o", "pid="], capture_output=True,
                                      text=True).stdout.split()
            self.assertEqual(len(children), 1)
            agent.process.send_signal(number)
            agent.process.wait(5)
            wait_for(lambda: not os.path.exists(f"/proc/{children[0]}"), "the etcd child to die")

    def test_dev_ignores_data_dir_and_etcd_variables(self):
        config = self.config(data_dir=os.path.join(self.folder, "data"), on_stop="keep")
        config["etcd"] = {}
        agent = self.agent(config, arguments=["--dev"],
                           env={**os.environ, "ETCD_LISTEN_CLIENT_URLS": "http://127.0.0.1:1"})
        agent.await_listening()
        wait_for(lambda: agent.try_get("/readyz")[0] == 200, "its etcd to answer")
        self.assertEqual(agent.stop(), 0)
        self.assertFalse(os.path.exists(config["data_dir"]))


if __name__ == "__main__":
    unittest.main()
