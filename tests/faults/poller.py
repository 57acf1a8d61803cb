# SPDX-License-Identifier: Apache-2.0
"""A client that asks one agent for its services every few milliseconds on one kept-alive connection and
records every answer. It runs as a process of its own (this file as a program), so that what it measures
is the agent and not the tests' Python.

    poller = Poller(folder, agent.port, ["web", "db"])
    poller.await_answer(lambda a: a.state == "stale", "a stale answer", since=began)
    with poller.agent_down(): ...         # here the agent may be silent
    poller.close()
"""
import collections
import contextlib
import http.client
import json
import os
import select
import socket
import subprocess
import sys
import tempfile
import threading
import time

# sent, at: time.monotonic() before the request and after the answer. status 0: no answer, `error` says why.
# instances: the parsed list, shared between equal answers. held: ids marked as held.
# held_header: X-Rosterd-Held or 0. body_index: the index inside the body.
Answer = collections.namedtuple(
    "Answer", "sent at service status index state age instances held held_header body_index error")


class Poller:
    """One agent's poller. `name` is for error texts. With `pid`, the agent's, `late` also tells when the agent was
    ready to run and this machine had no processor for it; see follow()."""

    def __init__(self, folder, port, services, interval=0.015, name="agent", pid=0):
        self.name = name
        self.services = list(services)
        self.down = []  # [from, until] when the agent may be silent
        self.late = []  # [from, until] when the poller or the agent waited for a processor
        self.lock = threading.Lock()
        self.records = []
        self.bodies = {}
        self.partial = b""
        handle, path = tempfile.mkstemp(prefix=f"poll-{name}-", dir=folder)
        os.close(handle)
        self.file = open(path, "rb")  # pylint: disable=consider-using-with
        self.process = subprocess.Popen(
            [sys.executable, os.path.abspath(__file__), str(port), str(interval), path, *services],
            stdin=subprocess.PIPE, start_new_session=True)
        self.follow(pid)

    def follow(self, pid):
        """The agent's successor has another pid."""
        self.process.stdin.write(b"%d\n" % pid)
        self.process.stdin.flush()

    def close(self):
        """Ends the process; what it recorded stays readable. May be called again."""
        if self.process.stdin.closed:
            return
        self.process.stdin.close()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(5)
        self.answers()
        self.file.close()

    def answers(self):
        """Everything so far, in order: [Answer]."""
        with self.lock:
            if not self.file.closed:
                self._read()
            return self.records

    def last(self, service):
        """The newest answer of one service, or None."""
        return next((a for a in reversed(self.answers()) if a.service == service and a.status), None)

    def await_answer(self, wanted, what, since=0.0, seconds=10.0):
        """The first answer sent after `since` (time.monotonic()) for which wanted(answer)."""
        deadline = time.monotonic() + seconds
        seen = 0
        while True:
            records = self.answers()
            for answer in records[seen:]:
                if answer.sent >= since and wanted(answer):
                    return answer
            seen = len(records)
            if time.monotonic() > deadline:
                last = [self.last(s) for s in self.services]
                raise AssertionError(f"{self.name}: waited {seconds} s in vain for {what}; last answers: {last}")
            time.sleep(0.01)

    @contextlib.contextmanager
    def agent_down(self, slack=1.0):
        """From here on, and for `slack` seconds after, the agent need not answer."""
        window = [time.monotonic(), float("inf")]
        self.down.append(window)
        try:
            yield
        finally:
            window[1] = time.monotonic() + slack

    def _read(self):
        *lines, self.partial = (self.partial + self.file.read()).split(b"\n")
        for line in lines:
            record = json.loads(line)
            if "body" in record:
                body = json.loads(record["body"])
                instances = body.get("instances") or []
                held = frozenset(i["id"] for i in instances if i.pop("held", False))
                self.bodies[record["number"]] = (instances, held, body.get("index"))
            elif "late" in record:
                self.late.append(record["late"])
            else:
                instances, held, body_index = self.bodies.get(record.pop("number"), ([], frozenset(), None))
                self.records.append(Answer(instances=instances, held=held, body_index=body_index, **record))


class Waiting:
    """How long threads have waited for a processor: the second field of schedstat."""
    REFRESH_S = 0.05

    def __init__(self):
        self.pid = 0
        self.before = {}
        self.taken = 0.0

    def begin(self):
        """What is compared with, at most REFRESH_S old."""
        now = time.monotonic()
        if now - self.taken > self.REFRESH_S:
            self.before = self._read()
            self.taken = now

    def seconds(self):
        """Since begin(): the poller's own and the longest of the agent's threads."""
        now = self._read()
        waited = {who: now[who] - self.before.get(who, now[who]) for who in now}
        own = waited.pop("own", 0)
        self.taken = 0.0
        return (own + max(waited.values(), default=0)) / 1e9

    def _read(self):
        waited = {"own": self._of("/proc/self/schedstat")}
        if self.pid:
            try:
                for task in os.listdir(f"/proc/{self.pid}/task"):
                    waited[task] = self._of(f"/proc/{self.pid}/task/{task}/schedstat")
            except OSError:
                pass
        return waited

    @staticmethod
    def _of(path):
        try:
            with open(path, "rb", buffering=0) as stat:
                return int(stat.read(100).split()[1])
        except (OSError, IndexError):
            return 0


def poll(port, interval, path, services):
    connection = None
    numbers = {}  # body: number
    waiting = Waiting()
    with open(path, "ab", buffering=1 << 20) as out:
        def write(record):
            out.write(json.dumps(record).encode() + b"\n")

        while True:
            for service in services:
                waiting.begin()
                sent = time.monotonic()
                record = {"sent": sent, "service": service, "status": 0, "index": 0, "state": "", "age": -1,
                          "held_header": 0, "error": "", "number": -1}
                try:
                    if connection is None:
                        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
                        connection.connect()
                        connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    connection.request("GET", "/services/" + service)
                    answer = connection.getresponse()
                    body = answer.read()
                    if answer.will_close:
                        connection.close()
                        connection = None
                    record.update(
                        at=time.monotonic(), status=answer.status, state=answer.getheader("X-Rosterd-State", ""),
                        index=int(answer.getheader("X-Rosterd-Index", "0")), age=int(answer.getheader("Age", "-1")),
                        held_header=int(answer.getheader("X-Rosterd-Held", "0")))
                    number = numbers.get(body)
                    if number is None:
                        if len(numbers) > 20_000:
                            numbers.clear()
                        number = numbers[body] = int(time.monotonic_ns())
                        write({"number": number, "body": body.decode("utf-8", "replace")})
                    record["number"] = number
                except (OSError, http.client.HTTPException) as error:
                    record.update(at=time.monotonic(), error=repr(error))
                    if connection is not None:
                        connection.close()
                        connection = None
                write(record)
                if record["at"] - sent > 0.1:
                    waited = min(waiting.seconds(), record["at"] - sent)
                    write({"late": [record["at"] - waited, record["at"]]})
            out.flush()
            before = time.monotonic()
            if select.select([sys.stdin.fileno()], [], [], interval)[0]:
                told = os.read(sys.stdin.fileno(), 1000).split()
                if not told:
                    return  # its other end was closed
                waiting.pid = int(told[-1])
            overslept = time.monotonic() - before - interval
            if overslept > 0.1:
                write({"late": [before, time.monotonic()]})


if __name__ == "__main__":
    poll(int(sys.argv[1]), float(sys.argv[2]), sys.argv[3], sys.argv[4:])
