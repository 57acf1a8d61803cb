# SPDX-License-Identifier: Apache-2.0
"""The truth: every revision of etcd since the first, from a watch of the whole key space through the
JSON gateway. It goes to another member when its own falls behind, and resumes at the next revision."""
import base64
import collections
import json
import socket
import threading
import time

SILENCE_S = 0.5  # after so long without a byte the recorder asks the others where etcd is

# kind: "put" or "delete"; value: bytes. A deletion has neither value nor lease.
Event = collections.namedtuple("Event", "kind key value lease create_revision")
# at: time.monotonic() when the recorder saw it.
Revision = collections.namedtuple("Revision", "number at events")


class Recorder:
    """One thread watches; the methods may be called from any other."""

    def __init__(self, cluster, prefix="/services/"):
        self.cluster = cluster
        self.prefix = prefix
        self.problems = []  # what must never happen to a record: gaps, compaction
        self.lock = threading.Condition()
        self.revisions = []  # whole ones, ascending
        self.last = 1        # etcd's first write is revision 2
        self.stopping = False
        self.member = 0
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def close(self):
        self.stopping = True
        self.thread.join(10)

    def sync(self, seconds=20):
        """Waits until everything that etcd has now is recorded; returns that revision."""
        target = self.cluster.revision()
        with self.lock:
            if not self.lock.wait_for(lambda: self.last >= target or self.problems, seconds):
                raise AssertionError(f"the recorder is at {self.last}, etcd at {target}")
        if self.problems:
            raise AssertionError("; ".join(self.problems))
        return target

    def history(self):
        """The revisions so far: a copy of the list."""
        with self.lock:
            return list(self.revisions)

    def events_of(self, key):
        """[(Revision, Event)] of one key, in order."""
        return [(r, e) for r in self.history() for e in r.events if e.key == key]

    def await_event(self, wanted, what, since=0, seconds=10):
        """The first (Revision, Event) after revision `since` for which wanted(event)."""
        deadline = time.monotonic() + seconds
        seen = 0
        while True:
            with self.lock:
                fresh, seen = self.revisions[seen:], len(self.revisions)
            for revision in fresh:
                if revision.number > since:
                    for event in revision.events:
                        if wanted(event):
                            return revision, event
            if time.monotonic() > deadline:
                raise AssertionError(f"waited {seconds} s in vain for {what} in etcd's history")
            with self.lock:
                self.lock.wait_for(lambda: len(self.revisions) > seen, 0.05)

    def truth_at(self, service, revision):
        """{id: instance} that a reader of the contract serves at that revision."""
        timeline = Timeline(self.history(), service, self.prefix)
        return timeline.at(revision)

    def _run(self):
        while not self.stopping:
            members = self.cluster.members
            member = members[self.member % len(members)]
            try:
                self._watch(member)
            except (OSError, ValueError):
                pass
            self.member += 1
            if not self.stopping:
                time.sleep(0.05)

    def _watch(self, member):
        start = self.last + 1
        body = json.dumps({"create_request": {"key": "AA==", "range_end": "AA==",
                                              "start_revision": str(start)}}).encode()
        with socket.create_connection(("127.0.0.1", member.port), timeout=1) as sock:
            # HTTP/1.0: the answer is plain lines, not chunks.
            sock.sendall(b"POST /v3/watch HTTP/1.0\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
                         b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
            sock.settimeout(SILENCE_S)
            pieces, in_body = [], False
            while not self.stopping:
                try:
                    data = sock.recv(1 << 18)
                except TimeoutError:
                    if self._behind(member):
                        return
                    continue
                if not data:
                    return
                pieces.append(data)
                if b"\n" not in data:
                    continue
                text = b"".join(pieces)
                if not in_body:
                    head, found, text = text.partition(b"\r\n\r\n")
                    if not found:
                        pieces = [head]
                        continue
                    in_body = True
                *lines, rest = text.split(b"\n")
                pieces = [rest]
                for line in lines:
                    if line.strip() and not self._take(json.loads(line), start):
                        return

    def _behind(self, own):
        """True when another member knows more."""
        for other in self.cluster.members:
            status = other.status(0.3) if other.running() and not other.frozen else None
            if status and other is not own and int(status["header"]["revision"]) > self.last:
                return True
        return False

    def _take(self, message, start):
        """False: this watch is over."""
        result = message.get("result")
        if result is None:
            return False
        if result.get("canceled"):
            if int(result.get("compact_revision", 0)) >= start:
                self._problem(f"compacted at {result['compact_revision']} before the recorder read {start}")
            return False
        at = time.monotonic()
        fresh = {}
        for event in result.get("events", []):
            kv = event["kv"]
            fresh.setdefault(int(kv["mod_revision"]), []).append(Event(
                "delete" if event.get("type") == "DELETE" else "put",
                base64.b64decode(kv["key"]).decode("utf-8", "replace"), base64.b64decode(kv.get("value", "")),
                int(kv.get("lease", 0)), int(kv.get("create_revision", 0))))
        with self.lock:
            for number in sorted(fresh):
                if number <= self.last:
                    continue
                if number != self.last + 1:
                    self._problem(f"etcd's watch went from revision {self.last} to {number}")
                self.revisions.append(Revision(number, at, fresh[number]))
                self.last = number
            self.lock.notify_all()
        return True

    def _problem(self, text):
        if text not in self.problems:
            self.problems.append(text)


class Timeline:
    """One service, revision by revision. at() is cheap when it is asked in ascending order."""

    def __init__(self, history, service, prefix="/services/"):
        start = prefix + service + "/"
        self.steps = []  # (revision, {id: instance or None})
        for revision in history:
            edits = {e.key[len(start):]: read_instance(e.key[len(start):], e.value) if e.kind == "put" else None
                     for e in revision.events if e.key.startswith(start) and len(e.key) > len(start)}
            if edits:
                self.steps.append((revision.number, edits))
        self._rewind()

    def _rewind(self):
        self.position = 0
        self.revision = 0
        self.now = {}

    def at(self, revision):
        """{id: instance}; do not change it, and ask again for another revision."""
        if revision < self.revision:
            self._rewind()
        while self.position < len(self.steps) and self.steps[self.position][0] <= revision:
            for identity, instance in self.steps[self.position][1].items():
                if instance is None:
                    self.now.pop(identity, None)
                else:
                    self.now[identity] = instance
            self.position += 1
        self.revision = revision
        return self.now

    def ever(self):
        """Every id that was ever served."""
        return {identity for _, edits in self.steps for identity, instance in edits.items() if instance}


def split_key(key, prefix="/services/"):
    """(service, id), or None where the key names no instance."""
    service, slash, identity = key[len(prefix):].partition("/")
    return (service, identity) if key.startswith(prefix) and slash and service and identity else None


def read_instance(identity, value):
    """What the API shows of a value (bytes), None where it is not served or cannot be read."""
    text = value.decode("utf-8", "replace").strip(" \t\r\n")
    if not text.startswith("{"):
        place = text.split(None, 1)[-1] if text else ""
        return _instance(identity, _host_port(place), {})
    try:
        fields = json.loads(value.decode("utf-8"))
    except ValueError:
        return None
    if fields.get("state") not in (None, "passing"):
        return None
    weight = fields.get("weight")
    if weight is not None and (type(weight) is not int or not 0 <= weight <= 65535):
        return None
    host, port = fields.get("host"), fields.get("port")
    if isinstance(host, str) and host and type(port) is int and 1 <= port <= 65535:
        return _instance(identity, (host, port), fields)
    return _instance(identity, _host_port(fields["Addr"]) if isinstance(fields.get("Addr"), str) else None, fields)


def _host_port(text):
    host, colon, port = text.strip().rpartition(":")
    if not colon or not host or not port.isascii() or not port.isdigit() or not 1 <= int(port) <= 65535:
        return None
    return host.strip("[]"), int(port)


def _instance(identity, place, fields):
    if place is None:
        return None
    meta = fields.get("Metadata") if isinstance(fields.get("Metadata"), dict) else fields.get("meta")
    meta = meta if isinstance(meta, dict) else {}
    weight, tags = fields.get("weight"), fields.get("tags")
    return {
        "id": identity, "address": place[0], "port": place[1],
        "weight": 100 if weight is None else weight,
        "tags": [t for t in tags if isinstance(t, str)] if isinstance(tags, list) else [],
        "meta": {k: v if isinstance(v, str) else json.dumps(v, separators=(",", ":")) for k, v in meta.items()},
        "node": fields.get("node") if isinstance(fields.get("node"), str) else "",
        "zone": fields.get("zone") if isinstance(fields.get("zone"), str) else "",
    }
