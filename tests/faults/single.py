# SPDX-License-Identifier: Apache-2.0
"""One etcd member with the options that a fault needs: small quota, TLS, users, restart, restore.

It speaks to etcd through the JSON gateway, as root where users are on, and through etcdctl for what
the gateway does not do. Everything runs on loopback and is ended by its pid.
"""
import json
import os
import shutil
import signal
import ssl
import subprocess
import sys
import urllib.error
import urllib.request

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "e2e"))

import checker  # noqa: E402
import harness  # noqa: E402
from harness import ETCD, Case, Etcd, Process, free_port, wait_for  # noqa: E402


def etcdctl_program():
    """The one that belongs to the etcd under test, else the one in the path."""
    beside = os.path.join(os.path.dirname(shutil.which(ETCD) or ETCD), "etcdctl")
    return beside if os.path.exists(beside) else "etcdctl"


class Member(Etcd):
    """An Etcd that can be stopped, started again on its data, and restored from a snapshot."""

    def __init__(self, folder, extra=(), tls=None):
        self.folder = folder
        self.extra = list(extra)
        self.tls = tls  # a Certificates, see test_security
        self.user = None  # (name, password) once users are on
        self.token = None
        self.token_key = "127.0.0.1"
        self.port = free_port()
        self.peer = f"http://127.0.0.1:{free_port()}"
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self.port}"
        self.data = os.path.join(folder, "etcd")
        self.start()

    def start(self):
        argv = [ETCD, "--name", "single", "--data-dir", self.data, "--listen-client-urls", self.url,
                "--advertise-client-urls", self.url, "--listen-peer-urls", self.peer,
                "--initial-advertise-peer-urls", self.peer, "--initial-cluster", f"single={self.peer}",
                "--initial-cluster-token", "rosterd-faults", "--heartbeat-interval", "50",
                "--election-timeout", "500", "--log-level", "error", *self.extra]
        if self.tls:
            argv += ["--cert-file", self.tls.path("server.pem"), "--key-file", self.tls.path("server.key"),
                     "--trusted-ca-file", self.tls.path("ca.pem"), "--client-cert-auth"]
        Process.__init__(self, argv, os.path.join(self.folder, "etcd.log"))
        wait_for(self.healthy, lambda: "etcd to answer:\n" + self.log(), 20)

    def healthy(self):
        """True once it can write; an alarm makes /health say false although it answers."""
        try:
            return b"header" in self.raw("/v3/maintenance/status", {}) and self.revision() > 0
        except (OSError, AssertionError):
            return False

    def raw(self, path, body, token=None):
        headers = {"Authorization": token} if token else {}
        data = json.dumps(body).encode() if body is not None else None
        context = self.tls.client_context() if self.tls else None
        asked = urllib.request.Request(self.url + path, data, headers)
        try:
            with urllib.request.urlopen(asked, timeout=5, context=context) as answer:
                return answer.read()
        except urllib.error.HTTPError as error:
            raise AssertionError(f"etcd {path}: {error.code} {error.read()!r}") from None
        except ssl.SSLError as error:
            raise OSError(str(error)) from None

    def call(self, path, body):
        for last in (False, True):
            try:
                return json.loads(self.raw(path, body, self.token))
            except AssertionError:
                if self.user is None or last:
                    raise
                self.authenticate()
        return None

    def authenticate(self):
        name, password = self.user
        answer = json.loads(self.raw("/v3/auth/authenticate", {"name": name, "password": password}))
        self.token = answer["token"]

    def control(self, *arguments, check=True):
        """etcdctl; what it said."""
        argv = [etcdctl_program(), "--endpoints", self.url, "--command-timeout", "20s"]
        if self.tls:
            argv += ["--cacert", self.tls.path("ca.pem"), "--cert", self.tls.path("client.pem"),
                     "--key", self.tls.path("client.key")]
        if self.user:
            argv += ["--user", ":".join(self.user)]
        done = subprocess.run([*argv, *arguments], env={**os.environ, "ETCDCTL_API": "3"}, capture_output=True,
                              text=True, timeout=60, check=False)
        if check and done.returncode != 0:
            raise AssertionError(f"etcdctl {' '.join(arguments)}: {done.stdout}{done.stderr}")
        return done.stdout + done.stderr

    def metric(self, name, **labels):
        """The sum of a Prometheus counter of etcd over the lines that carry these labels."""
        return sum_metric(self.raw("/metrics", None).decode(), name, labels)

    def term_stop(self):
        """Clean end, as systemd would do it."""
        if self.running():
            self.send(signal.SIGTERM)
            self.process.wait(20)

    def save_snapshot(self, path):
        self.control("snapshot", "save", path)

    def restore(self, path):
        """Stops, and starts on the snapshot with the same name, token and addresses."""
        if self.running():
            self.kill()
        shutil.rmtree(self.data)
        done = subprocess.run(
            [etcdctl_program(), "snapshot", "restore", path, "--name", "single", "--data-dir", self.data,
             "--initial-cluster", f"single={self.peer}", "--initial-cluster-token", "rosterd-faults",
             "--initial-advertise-peer-urls", self.peer, "--skip-hash-check"],
            env={**os.environ, "ETCDCTL_API": "3"}, capture_output=True, text=True, timeout=60, check=False)
        if done.returncode != 0:
            raise AssertionError(f"etcdctl snapshot restore: {done.stdout}{done.stderr}")
        self.start()


def sum_metric(text, name, labels=None):
    total = 0.0
    for line in text.splitlines():
        if line.split("{")[0].split(" ")[0] != name:
            continue
        if all(f'{k}="{v}"' in line for k, v in (labels or {}).items()):
            total += float(line.rsplit(" ", 1)[1])
    return total


class SingleCase(Case):
    """A Case whose etcd is a Member. Tests start it themselves when they need options."""
    needs_etcd = False
    member_options = ()

    def setUp(self):
        super().setUp()
        self.needs_etcd = True  # config() writes its address
        self.etcd = self.make_member()
        self.addCleanup(lambda: self.etcd.kill())

    def make_member(self):
        return Member(self.folder, self.member_options)

    def figure(self, name, value):
        print(f"FIGURE {name} {value}", flush=True)

    def agent_metric(self, agent, name, **labels):
        _, _, body = harness.request(agent.port, "GET", "/metrics")
        return sum_metric(body.decode(), name, labels)

    def own(self, agent, instance):
        return agent.try_get("/agent/services/" + instance)[2] or {}

    def await_state(self, agent, instance, state, seconds=10.0):
        wait_for(lambda: self.own(agent, instance).get("state") == state,
                 lambda: f"{instance} to be {state}: {self.own(agent, instance)}\n{agent.log()}", seconds)


def check_run(case, longest_gap=2.0):
    """What FaultCase.check_everything() checks, for tests that are not about speed: a gap in the answers that a
    loaded machine may make is no error. Ends the pollers; call it last."""
    case.assert_no_errors(checker.await_final(case.recorder, case.pollers))
    for poller in case.pollers:
        poller.close()
    case.recorder.sync()
    case.assert_no_errors(
        case.recorder.problems + checker.answers_equal_truth(case.recorder, case.pollers)
        + checker.index_never_back(case.pollers) + checker.answers_never_stopped(case.pollers, longest_gap)
        + checker.one_key_per_instance(case.recorder) + checker.final_equals_truth(case.recorder, case.pollers))
