# SPDX-License-Identifier: Apache-2.0
"""What the end-to-end tests stand on: the real binary, a real etcd, real HTTP services.

Every process is ended by its pid; ports are below the ephemeral range and free when picked; waiting
means polling a condition up to a deadline.
"""
import base64
import http.client
import http.server
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
import unittest

BINARY = os.environ.get("ROSTERD", "build/dev/agent/rosterd")
ETCD = os.environ.get("ROSTERD_ETCD", "etcd")
TTL_S = 2  # the shortest lease that etcd grants; keeps the tests quick


def free_port():
    for _ in range(200):
        port = random.randrange(20000, 32000)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue
    raise RuntimeError("no free port below the ephemeral range")


def wait_for(condition, what, seconds=10.0):
    """Polls until condition() is true; its last value is returned."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {seconds} s in vain: {what() if callable(what) else what}")
        time.sleep(0.02)


class Process:
    """One program with its output in a file."""

    def __init__(self, argv, log_path, env=None):
        self.log_path = log_path
        with open(log_path, "ab") as log:
            self.process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            env=env, start_new_session=True)

    def log(self):
        with open(self.log_path, encoding="utf-8", errors="replace") as log:
            return log.read()

    def send(self, number):
        self.process.send_signal(number)

    def running(self):
        return self.process.poll() is None

    def stop(self, number=signal.SIGTERM, seconds=10):
        if self.running():
            self.process.send_signal(number)
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"did not end within {seconds} s after signal {number}:\n{self.log()}")

    def kill(self):
        if self.running():
            self.process.send_signal(signal.SIGKILL)
            self.process.send_signal(signal.SIGCONT)
        self.process.wait(10)


class Etcd(Process):
    def __init__(self, folder, port=None):
        self.folder = folder
        self.port = port or free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        peer = f"http://127.0.0.1:{free_port()}"
        super().__init__(
            [ETCD, "--name", "e2e", "--data-dir", os.path.join(folder, "etcd"), "--listen-client-urls", self.url,
             "--advertise-client-urls", self.url, "--listen-peer-urls", peer,
             "--initial-advertise-peer-urls", peer, "--initial-cluster", f"e2e={peer}",
             "--heartbeat-interval", "50", "--election-timeout", "500", "--log-level", "error"],
            os.path.join(folder, "etcd.log"))
        wait_for(self.healthy, "etcd to answer")

    def healthy(self):
        try:
            return b"true" in request(self.port, "GET", "/health")[2]
        except OSError:
            return False

    def call(self, path, body):
        """The JSON gateway: an eye of its own on what rosterd wrote."""
        status, _, answer = request(self.port, "POST", path, json.dumps(body).encode())
        if status != 200:
            raise AssertionError(f"etcd {path}: {status} {answer!r}")
        return json.loads(answer)

    def put(self, key, value, lease=0):
        self.call("/v3/kv/put", {"key": b64(key), "value": b64(value), "lease": str(lease)})

    def delete(self, key):
        self.call("/v3/kv/deleterange", {"key": b64(key)})

    def grant(self, ttl):
        return int(self.call("/v3/lease/grant", {"TTL": str(ttl)})["ID"])

    def revoke(self, lease):
        self.call("/v3/lease/revoke", {"ID": str(lease)})

    def keys(self, prefix="/services/"):
        """{key: {"value": text, "lease": int, "mod_revision": int}}"""
        end = prefix[:-1] + chr(ord(prefix[-1]) + 1)
        answer = self.call("/v3/kv/range", {"key": b64(prefix), "range_end": b64(end)})
        return {
            base64.b64decode(kv["key"]).decode(): {
                "value": base64.b64decode(kv.get("value", "")).decode("utf-8", "replace"),
                "lease": int(kv.get("lease", 0)),
                "mod_revision": int(kv["mod_revision"]),
            } for kv in answer.get("kvs", [])
        }

    def revision(self):
        return int(self.call("/v3/kv/range", {"key": b64("x")})["header"]["revision"])


def b64(text):
    return base64.b64encode(text if isinstance(text, bytes) else text.encode()).decode()


def request(port, method, path, body=None, headers=None, timeout=5):
    """(status, headers with lower-case names, body) of one request on a connection of its own."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        connection.request(method, path, body, headers or {})
        answer = connection.getresponse()
        return answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read()
    finally:
        connection.close()


class HttpService:
    """A service on a port of its own whose answer a test can change."""

    def __init__(self, port=None):
        service = self
        self.status = 200
        self.hits = 0

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                service.hits += 1
                self.send_response(service.status)
                self.send_header("Content-Length", "3")
                self.end_headers()
                self.wfile.write(b"ok\n")

            def log_message(self, *args):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", port or free_port()), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True)
        self.thread.start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join(5)


class Agent(Process):
    def __init__(self, folder, config, name="agent", arguments=(), env=None):
        self.port = None
        self.config_path = os.path.join(folder, name + ".yaml")
        self.write(config)
        self.port = config["http"]["listen"][0].rsplit(":", 1)[1]
        self.port = int(self.port)
        super().__init__([BINARY, "--config", self.config_path, *arguments], os.path.join(folder, name + ".log"),
                         env=env)

    def write(self, config):
        with open(self.config_path, "w", encoding="utf-8") as out:
            json.dump(config, out)  # JSON is YAML

    def get(self, path, headers=None):
        status, answer_headers, body = request(self.port, "GET", path, headers=headers)
        return status, answer_headers, json.loads(body) if body else None

    def try_get(self, path):
        """As get(), but (0, {}, None) while nothing listens."""
        try:
            return self.get(path)
        except OSError:
            return 0, {}, None

    def instances(self, service):
        """Ids that GET /services/NAME answers; None while there is no answer."""
        status, _, body = self.try_get("/services/" + service)
        return [i["id"] for i in body["instances"]] if status in (200, 404) else None

    def await_instances(self, service, ids, seconds=10.0):
        wait_for(lambda: self.instances(service) == sorted(ids),
                 lambda: f"{service} to be {ids}, is {self.instances(service)}; log:\n{self.log()}", seconds)

    def await_listening(self):
        wait_for(lambda: self.try_get("/livez")[0] != 0, "rosterd to listen:\n" + self.log())


class Case(unittest.TestCase):
    """A folder, an etcd of its own, and everything ended at the end."""
    needs_etcd = True

    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="rosterd-e2e-")
        self.addCleanup(shutil.rmtree, self.folder, True)
        if self.needs_etcd:
            self.etcd = Etcd(self.folder)
            self.addCleanup(self.etcd.kill)

    def http_service(self, port=None):
        service = HttpService(port)
        self.addCleanup(service.close)
        return service

    def config(self, services=(), **changes):
        config = {
            "node": {"name": "node-a", "advertise": "127.0.0.1"},
            "etcd": {"endpoints": [self.etcd.url] if self.needs_etcd else [], "lease_ttl": f"{TTL_S}s"},
            "http": {"listen": [f"127.0.0.1:{free_port()}"]},
            "services": list(services),
        }
        for key, value in changes.items():
            if isinstance(value, dict) and isinstance(config.get(key), dict):
                config[key] = {**config[key], **value}
            else:
                config[key] = value
        return config

    def service(self, port, name="web", **changes):
        return {
            "name": name, "port": port,
            "check": {"http": "/healthz", "interval": "200ms", "fast_interval": "50ms", "timeout": "200ms"},
            **changes,
        }

    def agent(self, config, name="agent", arguments=(), env=None):
        agent = Agent(self.folder, config, name, arguments, env)
        self.addCleanup(agent.kill)
        return agent
