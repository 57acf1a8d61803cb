# SPDX-License-Identifier: Apache-2.0
"""A stranger who writes to etcd as fast as told, through the JSON gateway. It runs as a process of its own
(this file as a program) and ends with one line of JSON: writes and seconds.

Every write registers an instance of one service anew or, one in ten, takes one out. Each is a revision of its
own, unless a connection is behind its schedule: then what is due goes into one transaction."""
import base64
import json
import os
import random
import socket
import subprocess
import sys
import threading
import time

KEYS = 240
CONNECTIONS = 12
MOST_AT_ONCE = KEYS // CONNECTIONS


class Writer:
    def __init__(self, members, service, rate, seconds):
        self.process = subprocess.Popen(
            [sys.executable, os.path.abspath(__file__), service, str(rate), str(seconds),
             *(str(m.port) for m in members)], stdout=subprocess.PIPE, start_new_session=True)

    def running(self):
        return self.process.poll() is None

    def result(self, seconds=60):
        """{"writes", "seconds"} when it has ended."""
        try:
            return json.loads(self.process.communicate(timeout=seconds)[0])
        finally:
            self.close()

    def close(self):
        if self.running():
            self.process.kill()
        self.process.wait(5)
        self.process.stdout.close()


def encode(text):
    return base64.b64encode(text.encode()).decode()


def operation(rng, service, key, serial):
    name = f"/services/{service}/i{key}"
    if rng.random() < 0.1:
        return {"requestDeleteRange": {"key": encode(name)}}
    value = {"host": "10.8.0.1", "port": 1000 + key, "weight": serial % 65536, "Metadata": {"serial": str(serial)}}
    return {"requestPut": {"key": encode(name), "value": encode(json.dumps(value))}}


def request(operations):
    body = json.dumps({"success": operations}).encode()
    return b"POST /v3/kv/txn HTTP/1.1\r\nHost: etcd\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (
        len(body), body)


def read_answer(sock):
    data = b""
    while b"\r\n\r\n" not in data:
        data += receive(sock)
    head, _, rest = data.partition(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.1 200"):
        raise OSError(head.decode("latin-1"))
    length = next(int(line.split(b":")[1]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length"))
    while len(rest) < length:
        rest += receive(sock)
    return rest


def receive(sock):
    data = sock.recv(65536)
    if not data:
        raise OSError("etcd closed the connection")
    return data


def write(service, number, port, rate, began, seconds, counts):
    rng = random.Random(number)
    with socket.create_connection(("127.0.0.1", port), timeout=10) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        done = 0
        while (now := time.monotonic()) < began + seconds:
            due = began + done / rate
            if due > now:
                time.sleep(due - now)
            count = max(1, min(MOST_AT_ONCE, int((now - began) * rate) - done))
            keys = rng.sample(range(number, KEYS, CONNECTIONS), count)
            sock.sendall(request([operation(rng, service, key, done) for key in keys]))
            if b'"succeeded":true' not in read_answer(sock):
                raise OSError("etcd refused a write")
            done += count
            counts[number] = done


def main():
    service, rate, seconds, ports = sys.argv[1], float(sys.argv[2]), float(sys.argv[3]), sys.argv[4:]
    counts = [0] * CONNECTIONS
    began = time.monotonic()
    threads = [threading.Thread(target=write, args=(service, n, int(ports[n % len(ports)]), rate / CONNECTIONS, began,
                                                    seconds, counts)) for n in range(CONNECTIONS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(json.dumps({"writes": sum(counts), "seconds": time.monotonic() - began}))


if __name__ == "__main__":
    main()
