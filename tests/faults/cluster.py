# SPDX-License-Identifier: Apache-2.0
"""A real etcd cluster on loopback whose members can be killed, started again on their data, frozen
and thawed; its snapshots. Every process is ended by its pid."""
import base64
import json
import os
import signal
import subprocess
import sys
import time

sys.path.append(os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "e2e"))
from harness import ETCD, Process, b64, free_port, request, wait_for  # noqa: E402

ETCDCTL = os.environ.get("ROSTERD_ETCDCTL", "etcdctl")
PREFIX = "/services/"


class Member:
    """One etcd server. `process` is None until start()."""

    def __init__(self, folder, name, arguments=()):
        self.folder = folder
        self.name = name
        self.arguments = list(arguments)
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.peer_url = f"http://127.0.0.1:{free_port()}"
        self.data = os.path.join(folder, name + ".etcd")
        self.log_path = os.path.join(folder, name + ".log")
        self.process = None
        self.frozen = False

    def start(self, initial_cluster):
        """Returns at once; Cluster.await_healthy() waits."""
        self.frozen = False
        self.process = Process(
            [ETCD, "--name", self.name, "--data-dir", self.data,
             "--listen-client-urls", self.url, "--advertise-client-urls", self.url,
             "--listen-peer-urls", self.peer_url, "--initial-advertise-peer-urls", self.peer_url,
             "--initial-cluster", initial_cluster, "--initial-cluster-token", "faults",
             "--heartbeat-interval", "100", "--election-timeout", "1000", "--log-level", "warn",
             *self.arguments], self.log_path)

    def running(self):
        return self.process is not None and self.process.running()

    def kill(self):
        """SIGKILL; returns when it has ended."""
        if self.process is not None:
            self.process.kill()
        self.frozen = False

    def freeze(self):
        """SIGSTOP; returns when every thread stands still."""
        pid = self.process.process.pid
        os.kill(pid, signal.SIGSTOP)
        wait_for(lambda: all_stopped(pid), f"{self.name} to stand still", 5)
        self.frozen = True

    def thaw(self):
        if self.running():
            self.process.send(signal.SIGCONT)
        self.frozen = False

    def call(self, path, body, timeout=3):
        """The JSON gateway of this member. OSError where it does not answer, EtcdError where it refuses."""
        status, _, answer = request(self.port, "POST", path, json.dumps(body).encode(), timeout=timeout)
        if status != 200:
            raise EtcdError(f"{self.name} {path}: {status} {answer!r}")
        return json.loads(answer)

    def status(self, timeout=1):
        """Maintenance.Status, or None while there is no answer."""
        try:
            return self.call("/v3/maintenance/status", {}, timeout)
        except (OSError, EtcdError, ValueError):
            return None

    def is_leader(self):
        status = self.status()
        return bool(status) and status.get("leader") == status["header"]["member_id"]

    def log(self):
        return self.process.log() if self.process else ""


class EtcdError(Exception):
    pass


class Cluster:
    """`size` members with one history. Calls go to any member that runs and is not frozen."""

    def __init__(self, folder, size=3, arguments=()):
        self.folder = folder
        self.members = [Member(folder, f"m{i + 1}", arguments) for i in range(size)]
        self.initial_cluster = ",".join(f"{m.name}={m.peer_url}" for m in self.members)

    def start(self, seconds=30):
        for member in self.members:
            if not member.running():
                member.start(self.initial_cluster)
        self.await_healthy(seconds)
        return self

    def restart(self, *members):
        """Starts killed members again on their data; does not wait for them."""
        for member in members:
            member.start(self.initial_cluster)

    def kill(self):
        for member in self.members:
            member.kill()

    @property
    def urls(self):
        return [member.url for member in self.members]

    def await_healthy(self, seconds=30):
        """Until every member that runs and is not frozen answers a linearizable read."""
        def healthy(member):
            try:
                member.call("/v3/kv/range", {"key": b64("health")}, 2)
                return True
            except (OSError, EtcdError, ValueError):
                return False
        for member in self.answering():
            wait_for(lambda: healthy(member), lambda: f"{member.name} to answer; log:\n{member.log()[-3000:]}",
                     seconds)

    def await_quorum(self, seconds=30):
        """Until a write would be taken; returns the moment on time.monotonic()."""
        def quorum():
            for member in self.answering():
                try:
                    member.call("/v3/kv/range", {"key": b64("health")}, 0.5)
                    return True
                except (OSError, EtcdError, ValueError):
                    continue
            return False
        wait_for(quorum, "the cluster to have a quorum", seconds)
        return time.monotonic()

    def answering(self):
        return [m for m in self.members if m.running() and not m.frozen]

    def leader(self, seconds=15):
        """The member that all who answer call the leader."""
        def find():
            answers = [(m, m.status()) for m in self.answering()]
            leaders = {s.get("leader") for _, s in answers if s}
            if len(leaders) != 1 or not all(s for _, s in answers):
                return None
            return next((m for m, s in answers if s["header"]["member_id"] in leaders), None)
        return wait_for(find, "one leader", seconds)

    def by_url(self, url):
        return next(m for m in self.members if m.url == url.rstrip("/"))

    def call(self, path, body, timeout=3, seconds=15):
        """The answer of the first member that gives one; tried again until `seconds` are over."""
        deadline = time.monotonic() + seconds
        while True:
            for member in self.answering():
                try:
                    return member.call(path, body, timeout)
                except (OSError, EtcdError, ValueError) as error:
                    last = error
            if time.monotonic() > deadline:
                raise EtcdError(f"no member answered {path} for {seconds} s: {last}")
            time.sleep(0.05)

    def put(self, key, value, lease=0):
        return int(self.call("/v3/kv/put", put_request(key, value, lease))["header"]["revision"])

    def delete(self, key, range_end=None):
        body = {"key": b64(key)}
        if range_end is not None:
            body["range_end"] = b64(range_end)
        return int(self.call("/v3/kv/deleterange", body)["header"]["revision"])

    def delete_prefix(self, prefix):
        """Everything below the prefix, in one revision."""
        return self.delete(prefix, prefix_end(prefix))

    def txn(self, puts=(), deletes=(), timeout=10):
        """[(key, value) or (key, value, lease)] and [key] in one revision, which is returned."""
        operations = [{"requestPut": put_request(*p)} for p in puts]
        operations += [{"requestDeleteRange": {"key": b64(k)}} for k in deletes]
        return int(self.call("/v3/kv/txn", {"success": operations}, timeout)["header"]["revision"])

    def grant(self, ttl):
        return int(self.call("/v3/lease/grant", {"TTL": str(ttl)})["ID"])

    def revoke(self, lease):
        self.call("/v3/lease/revoke", {"ID": str(lease)})

    def compact(self, revision, physical=True):
        self.call("/v3/kv/compaction", {"revision": str(revision), "physical": physical}, 10)

    def keys(self, prefix=PREFIX):
        """{key: {"value": text, "lease": int, "mod_revision": int}}"""
        answer = self.call("/v3/kv/range", {"key": b64(prefix), "range_end": b64(prefix_end(prefix))})
        return {
            base64.b64decode(kv["key"]).decode(): {
                "value": base64.b64decode(kv.get("value", "")).decode("utf-8", "replace"),
                "lease": int(kv.get("lease", 0)),
                "mod_revision": int(kv["mod_revision"]),
            } for kv in answer.get("kvs", [])
        }

    def revision(self):
        return int(self.call("/v3/kv/range", {"key": b64("x")})["header"]["revision"])

    def snapshot(self, path):
        """What `etcdctl snapshot save` takes from a member that answers."""
        self.etcdctl("--endpoints", self.answering()[0].url, "snapshot", "save", path)

    def restore(self, path, start=True):
        """Kills all members and gives each the snapshot: same names, URLs and token."""
        self.kill()
        for number, member in enumerate(self.members):
            member.data = os.path.join(self.folder, f"{member.name}-restored-{time.monotonic_ns()}-{number}.etcd")
            self.etcdctl("snapshot", "restore", path, "--name", member.name, "--data-dir", member.data,
                         "--initial-cluster", self.initial_cluster, "--initial-cluster-token", "faults",
                         "--initial-advertise-peer-urls", member.peer_url)
        if start:
            self.start()

    def etcdctl(self, *arguments):
        run = subprocess.run([ETCDCTL, *arguments], env={**os.environ, "ETCDCTL_API": "3"}, capture_output=True,
                             text=True, timeout=60, check=False)
        if run.returncode != 0:
            raise EtcdError(f"etcdctl {' '.join(arguments)}: {run.stderr or run.stdout}")
        return run.stdout


def put_request(key, value, lease=0):
    return {"key": b64(key), "value": b64(value), "lease": str(lease)}


def prefix_end(prefix):
    return prefix[:-1] + chr(ord(prefix[-1]) + 1)


def all_stopped(pid):
    for task in os.listdir(f"/proc/{pid}/task"):
        try:
            with open(f"/proc/{pid}/task/{task}/stat", encoding="utf-8", errors="replace") as stat:
                if stat.read().rpartition(") ")[2][0] not in "Tt":
                    return False
        except FileNotFoundError:
            continue
    return True
