# SPDX-License-Identifier: Apache-2.0
"""What becomes of an agent's registrations when the agent itself goes and comes back: SIGKILL, upgrade,
a disk that is full, read-only or rotten. Within the lease's life it costs etcd no write and no client
sees a flap."""
import os
import random
import re
import signal
import subprocess
import time
import unittest

from fault_case import FaultCase, figure
from harness import BINARY, Agent, Process, free_port, request, wait_for
from single import check_run, sum_metric


class DaemonCase(FaultCase):
    members = 1
    lease_ttl = 6

    def state(self, agent, instance):
        return agent.try_get("/agent/services/" + instance)[2] or {}

    def await_registered(self, agent, instance, seconds=10):
        wait_for(lambda: self.state(agent, instance).get("registered")
                 and self.state(agent, instance).get("state") == "passing",
                 lambda: f"{instance} to be passing and registered: {self.state(agent, instance)}\n{agent.log()}",
                 seconds)


class Restart(DaemonCase):
    """Agent node-1 goes and comes back while a client of node-2 and one of its own watch."""

    def go_and_come_back(self, figure_name, number, on_stop):
        data_dir = os.path.join(self.folder, "data")
        web = self.http_service()
        services = [self.service(web.port, id="web-1"), {"name": "plain", "port": 9, "id": "plain-1", "check": "none"}]
        http = {"listen": [f"127.0.0.1:{free_port()}"]}
        agent = self.start_agent("node-1", services, data_dir=data_dir, on_stop=on_stop, http=http)
        watching = self.start_agent("node-2", [])
        for name, ids in (("web", ["web-1"]), ("plain", ["plain-1"])):
            for one in (agent, watching):
                one.await_instances(name, ids)
        pollers = [self.poll(one, ["web", "plain"]) for one in (agent, watching)]
        for poller in pollers:
            poller.await_answer(lambda a: a.status == 200, "an answer")
        time.sleep(1.2)  # the state on disk is at most a second old
        revision, before, began = self.cluster.revision(), self.cluster.keys(), time.monotonic()
        lease = agent.get("/agent")[2]["etcd"]["lease"]

        with pollers[0].agent_down(slack=3):
            agent.send(number)
            code = agent.process.wait(5)
            self.assertEqual(code, 0 if number != signal.SIGKILL else -signal.SIGKILL, agent.log())
            stopped = time.monotonic()
            successor = self.start_agent("node-1", services, data_dir=data_dir, on_stop=on_stop, http=http)
            wait_for(lambda: successor.instances("web") == ["web-1"],
                     lambda: "the successor to answer:\n" + successor.log())
        figure(f"{figure_name}.answers_again_s", time.monotonic() - stopped)
        for instance in ("web-1", "plain-1"):
            self.await_registered(successor, instance)
        figure(f"{figure_name}.registered_again_s", time.monotonic() - stopped)
        # It goes on: a keepalive of the successor's own, and the lease outlives the predecessor's last one.
        until = stopped + self.lease_ttl + 1
        while time.monotonic() < until:
            self.assertEqual(self.cluster.revision(), revision, successor.log())
            time.sleep(0.1)
        self.assertEqual(self.cluster.keys(), before)
        self.assertEqual(successor.get("/agent")[2]["etcd"]["lease"], lease)
        figure(f"{figure_name}.etcd_writes", self.cluster.revision() - revision)
        # No client saw less, neither there nor, once it answered at all, here.
        for poller in pollers:
            for service, instance in (("web", "web-1"), ("plain", "plain-1")):
                lacking = [a for a in poller.answers() if a.service == service and a.sent >= began
                           and a.status in (200, 404) and [i["id"] for i in a.instances] != [instance]]
                self.assertEqual(lacking[:3], [], f"{poller.name}\n{successor.log()}")
        check_run(self)
        return successor

    def test_sigkill_and_restart_with_on_stop_deregister_writes_nothing(self):
        self.go_and_come_back("sigkill_deregister", signal.SIGKILL, "deregister")

    def test_sigkill_and_restart_with_on_stop_keep_writes_nothing(self):
        self.go_and_come_back("sigkill_keep", signal.SIGKILL, "keep")

    def test_upgrade_by_sigusr2_writes_nothing_whatever_on_stop_says(self):
        self.go_and_come_back("sigusr2", signal.SIGUSR2, "deregister")

    def test_upgrade_with_on_stop_keep_writes_nothing(self):
        self.go_and_come_back("sigterm_keep", signal.SIGTERM, "keep")

    def test_a_clean_stop_with_deregister_still_takes_everything_out(self):
        agent = self.start_agent("node-1", [{"name": "plain", "port": 9, "id": "plain-1", "check": "none"}],
                                 data_dir=os.path.join(self.folder, "data"))
        agent.await_instances("plain", ["plain-1"])
        self.assertEqual(agent.stop(), 0)
        self.assertEqual(self.cluster.keys(), {})

    def test_a_service_that_died_meanwhile_is_taken_out_after_the_restart(self):
        data_dir = os.path.join(self.folder, "data")
        web = self.http_service()
        services = [self.service(web.port, id="web-1")]
        agent = self.start_agent("node-1", services, data_dir=data_dir)
        agent.await_instances("web", ["web-1"])
        agent.kill()
        web.status = 500
        self.assertIn("/services/web/web-1", self.cluster.keys())
        successor = self.start_agent("node-1", services, data_dir=data_dir)
        began = time.monotonic()
        wait_for(lambda: "/services/web/web-1" not in self.cluster.keys(),
                 lambda: "the dead service to be taken out:\n" + successor.log(), 5)
        figure("restart.dead_service_out_s", time.monotonic() - began)


class NamespacedAgent(Agent):
    """An agent in a mount namespace of its own, where data_dir is a small tmpfs."""

    def __init__(self, folder, config, name, before="true"):
        self.config_path = os.path.join(folder, name + ".yaml")
        self.write(config)
        self.port = int(config["http"]["listen"][0].rsplit(":", 1)[1])
        self.data_dir = config["data_dir"]
        os.makedirs(self.data_dir, exist_ok=True)
        script = f"mount -t tmpfs -o size=64k none '{self.data_dir}' && {{ {before}; }}; exec \"$@\""
        Process.__init__(self, ["unshare", "-m", "sh", "-c", script, "sh", BINARY, "--config",
                                self.config_path], os.path.join(folder, name + ".log"))

    def inside(self, *argv):
        done = subprocess.run(["nsenter", "-t", str(self.process.pid), "-m", *argv], capture_output=True, text=True,
                              timeout=20, check=False)
        return done.returncode, done.stdout + done.stderr


def can_mount():
    return subprocess.run(["unshare", "-m", "mount", "-t", "tmpfs", "none", "/mnt"], capture_output=True,
                          check=False).returncode == 0


FILL = "dd if=/dev/zero of='{0}/filler' bs=1k count=100 2>/dev/null; true"


@unittest.skipUnless(can_mount(), "needs the right to mount in a namespace of its own")
class SickDisk(DaemonCase):
    lease_ttl = 4

    def start_on(self, name, before="true"):
        self.web = self.http_service()
        config = self.config([self.service(self.web.port, id="web-1")], data_dir=os.path.join(self.folder, "data"),
                             etcd={"endpoints": self.cluster.urls, "lease_ttl": f"{self.lease_ttl}s"})
        agent = NamespacedAgent(self.folder, config, name, before.format(os.path.join(self.folder, "data")))
        self.addCleanup(agent.kill)
        return agent

    def failures(self, agent):
        """Of writing what is kept on disk, as the metrics count them."""
        text = request(agent.port, "GET", "/metrics")[2].decode()
        names = set(re.findall(r"^(rosterd_\w*(?:state|lease|catalog|health)\w*fail\w*_total)", text, re.M))
        return sum(sum_metric(text, n) for n in names if "keepalive" not in n and "requests" not in n)

    def runs_and_says_so(self, agent, figure_name):
        """It registers, answers, loses a lease and recovers; the log names data_dir in a warning, and not
        over and over."""
        agent.await_instances("web", ["web-1"])
        self.await_registered(agent, "web-1")
        lease = self.cluster.keys()["/services/web/web-1"]["lease"]
        self.cluster.revoke(lease)  # a new lease is to be remembered, which the disk refuses
        wait_for(lambda: self.cluster.keys().get("/services/web/web-1", {}).get("lease", lease) != lease,
                 lambda: "a new lease:\n" + agent.log(), 5)
        agent.await_instances("web", ["web-1"])
        self.await_registered(agent, "web-1")
        wait_for(lambda: self.warnings(agent), lambda: "a warning that names data_dir:\n" + agent.log(), 5)
        wait_for(lambda: self.failures(agent) > 0, "the failures to be counted", 5)
        self.assertEqual(agent.get("/readyz")[0], 200)
        self.assertEqual(agent.get("/livez")[0], 200)
        # Repetitions are not logged.
        for _ in range(5):
            self.cluster.put("/services/other/x", f"10.0.0.1:{random.randrange(1, 60000)}")
            time.sleep(0.3)
        figure(f"{figure_name}.warnings", len(self.warnings(agent)))
        self.assertLessEqual(len(self.warnings(agent)), 6, agent.log())

    def warnings(self, agent):
        return [line for line in agent.log().splitlines()
                if agent.data_dir in line and (" warn " in line or " error " in line)]

    def test_a_full_disk_at_start_costs_a_warning(self):
        agent = self.start_on("full", FILL)
        self.runs_and_says_so(agent, "disk_full_at_start")
        self.assertEqual(agent.stop(), 0)

    def test_a_disk_that_fills_up_costs_a_warning_and_is_used_again(self):
        agent = self.start_on("fills")
        agent.await_instances("web", ["web-1"])
        agent.inside("sh", "-c", FILL.format(agent.data_dir))
        self.runs_and_says_so(agent, "disk_fills_up")
        self.assertEqual(agent.inside("rm", f"{agent.data_dir}/filler")[0], 0)
        lease = self.cluster.keys()["/services/web/web-1"]["lease"]
        self.cluster.revoke(lease)
        wait_for(lambda: self.cluster.keys().get("/services/web/web-1", {}).get("lease", lease) != lease,
                 "a new lease", 5)
        now = f"{self.cluster.keys()['/services/web/web-1']['lease']:016x}"
        wait_for(lambda: now in agent.inside("cat", f"{agent.data_dir}/lease")[1],
                 lambda: f"lease {now} on disk: {agent.inside('cat', agent.data_dir + '/lease')}", 10)
        self.assertEqual(agent.stop(), 0)

    def test_a_disk_that_turns_read_only_costs_a_warning(self):
        agent = self.start_on("readonly")
        agent.await_instances("web", ["web-1"])
        # A read-only view of the same files on top: a plain remount waits for files that are open to write.
        code, said = agent.inside("sh", "-c", f"mount --bind '{agent.data_dir}' '{agent.data_dir}' && "
                                  f"mount -o remount,bind,ro '{agent.data_dir}'")
        self.assertEqual(code, 0, said)
        self.runs_and_says_so(agent, "disk_turns_read_only")
        self.assertEqual(agent.stop(), 0)

    def test_a_read_only_disk_at_start_costs_a_warning(self):
        agent = self.start_on("readonly", "mount -o remount,ro '{0}'")
        self.runs_and_says_so(agent, "disk_read_only_at_start")
        self.assertEqual(agent.stop(), 0)


class RottenDisk(DaemonCase):
    lease_ttl = 3

    def setUp(self):
        super().setUp()
        self.data_dir = os.path.join(self.folder, "data")
        self.web = self.http_service()
        self.seed = int(os.environ.get("ROSTERD_SEED", random.randrange(1 << 30)))
        self.random = random.Random(self.seed)
        print(f"ROSTERD_SEED={self.seed}", flush=True)

    def run_once(self, name, **changes):
        agent = self.start_agent(name, [self.service(self.web.port, id="web-1")], data_dir=self.data_dir,
                                 on_stop="keep", node={"name": "node-1"}, **changes)
        # The lease of one whose file is lost must first end.
        agent.await_instances("web", ["web-1"], self.lease_ttl + 8)
        self.await_registered(agent, "web-1", self.lease_ttl + 8)
        return agent

    def files(self):
        return sorted(f for f in os.listdir(self.data_dir)
                      if os.path.isfile(os.path.join(self.data_dir, f)) and f != "lock"
                      and os.path.getsize(os.path.join(self.data_dir, f)) > 0)

    def leave_state(self):
        agent = self.run_once("first")
        time.sleep(1.2)
        self.assertEqual(agent.stop(), 0)
        self.assertIn("lease", self.files())

    def spoil_each(self, what, spoil):
        """Spoils one file after the other; each time the agent runs and its log names the file."""
        self.leave_state()
        for name in self.files():
            path = os.path.join(self.data_dir, name)
            with open(path, "rb") as old:
                content = old.read()
            spoil(path, content)
            agent = self.run_once(f"{what}-{name}")
            naming = [line for line in agent.log().splitlines() if path in line and " warn " in line]
            self.assertEqual(len(naming), 1, f"{what} of {name}, seed {self.seed}: one warning that names it:\n"
                             + agent.log())
            time.sleep(1.2)
            self.assertEqual(agent.stop(), 0)
            # It was replaced by a good one.
            again = self.run_once(f"{what}-{name}-again")
            self.assertNotIn(path, again.log(), again.log())
            self.assertEqual(again.stop(), 0)
        figure(f"disk_{what}.files", len(self.files()))

    def write(self, path, content):
        with open(path, "wb") as out:
            out.write(content)

    def test_a_flipped_bit_is_noticed_and_the_file_ignored(self):
        def flip(path, content):
            spoilt = bytearray(content)
            spoilt[self.random.randrange(len(spoilt))] ^= 1 << self.random.randrange(8)
            self.write(path, bytes(spoilt))
        self.spoil_each("bit_flip", flip)

    def test_a_truncated_file_is_noticed_and_ignored(self):
        self.spoil_each("truncated", lambda path, content:
                        self.write(path, content[:self.random.randrange(1, len(content))]))

    def test_an_empty_file_is_noticed_and_ignored(self):
        self.spoil_each("emptied", lambda path, content: self.write(path, b""))

    def test_random_bytes_are_noticed_and_ignored(self):
        self.spoil_each("noise", lambda path, content: self.write(path, self.random.randbytes(100_000)))

    def test_files_of_another_node_or_prefix_are_ignored(self):
        self.leave_state()
        before = self.cluster.keys()["/services/web/web-1"]
        other = self.start_agent("node-2", [self.service(self.web.port, id="web-2")], data_dir=self.data_dir)
        self.await_registered(other, "web-2")
        wait_for(lambda: " warn " in other.log() and self.data_dir in other.log(), "the foreign files to be named", 5)
        # It must not renew a lease that is another node's.
        self.assertNotEqual(self.cluster.keys()["/services/web/web-2"]["lease"], before["lease"])
        self.assertEqual(other.stop(), 0)

    def test_a_second_agent_on_one_data_dir_refuses_to_start(self):
        agent = self.run_once("first")
        config = {**agent.config, "http": {"listen": [f"127.0.0.1:{free_port()}"]}}
        second = self.agent(config, "second")
        self.assertEqual(second.process.wait(5), 1, second.log())
        self.assertIn(self.data_dir, second.log())
        self.assertIn("in use", second.log())
        self.assertEqual(agent.instances("web"), ["web-1"])
        # A folder that went with its agent is free again, however that agent ended.
        agent.kill()
        third = self.run_once("third")
        self.assertEqual(third.stop(), 0)


if __name__ == "__main__":
    unittest.main()
