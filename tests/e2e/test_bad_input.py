# SPDX-License-Identifier: Apache-2.0
"""A broken configuration, value, request or surrounding gets one clear error and costs nobody else."""
import os
import socket
import subprocess
import threading
import unittest

from harness import BINARY, Case, free_port, wait_for


class BadStart(Case):
    needs_etcd = False

    def run_binary(self, *arguments, config=None):
        argv = [BINARY, *arguments]
        if config is not None:
            path = os.path.join(self.folder, "c.yaml")
            with open(path, "w", encoding="utf-8") as out:
                out.write(config)
            argv += ["--config", path]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=20, stdin=subprocess.DEVNULL)
        return done.returncode, done.stdout, done.stderr

    def test_wrong_usage_is_2(self):
        for arguments in ([], ["--no-such-flag"], ["--config"], ["--print", "--dev"]):
            self.assertEqual(self.run_binary(*arguments)[0], 2, arguments)

    def test_version_and_help_are_0(self):
        code, out, _ = self.run_binary("--version")
        self.assertEqual(code, 0)
        self.assertRegex(out, r"^rosterd \d+\.\d+\.\d+\n$")
        self.assertEqual(self.run_binary("--help")[0], 0)

    def test_all_problems_of_a_configuration_are_named_with_their_places(self):
        code, _, err = self.run_binary("--check-config", config=(
            "etcd: {lease_ttl: 1s, endpoints: [ftp://x:1]}\n"
            "services:\n"
            "  - name: web\n"
            "    port: 70000\n"
            "    check: {http: /}\n"
            "  - name: web\n"
            "    name: web2\n"
            "    port: 010\n"))
        self.assertEqual(code, 1)
        lines = err.splitlines()
        path = os.path.join(self.folder, "c.yaml")
        for place in (":1:", ":4:11:", ":7:5:"):
            self.assertTrue(any(line.startswith(path + place) for line in lines), (place, err))
        self.assertGreaterEqual(len(lines), 5, err)

    def test_check_config_print_is_a_configuration(self):
        config = "node: {name: n, advertise: 10.0.0.1}\nservices: [{name: a, port: 010, check: none}]\n"
        code, out, err = self.run_binary("--check-config", "--print", config=config)
        self.assertEqual(code, 0, err)
        self.assertIn("a-n-10", out)
        self.assertEqual(self.run_binary("--check-config", config=out)[0], 0)

    def test_warnings_are_no_problems(self):
        config = "node: {name: n, advertise: 127.0.0.1}\n"
        code, out, err = self.run_binary("--check-config", "--print", config=config)
        self.assertEqual((code, err), (0, ""))
        self.assertIn("# warning: ", out)
        code, _, err = self.run_binary("--check-config", config=config + "foo: 1\n")
        self.assertEqual((code, len(err.splitlines())), (1, 1), err)

    def test_a_missing_file_is_named(self):
        code, _, err = self.run_binary("--check-config", "--config", "/no/such/file.yaml")
        self.assertEqual(code, 1)
        self.assertIn("/no/such/file.yaml", err)

    def test_a_taken_port_ends_the_start_with_a_clear_line(self):
        port = free_port()
        with socket.socket() as taken:
            taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            taken.bind(("127.0.0.1", port))
            taken.listen()
            code, _, err = self.run_binary(
                config=f"node: {{name: n, advertise: 127.0.0.1}}\nhttp: {{listen: [127.0.0.1:{port}]}}\n")
        self.assertEqual(code, 1)
        self.assertIn(f"127.0.0.1:{port}", err)
        self.assertIn("in use", err)


class BadPeers(Case):
    def raw(self, port, data):
        with socket.create_connection(("127.0.0.1", port), 5) as client:
            client.sendall(data)
            answer = b""
            try:
                while chunk := client.recv(65536):
                    answer += chunk
                    if len(answer) > 1_000_000:
                        break
            except (ConnectionResetError, socket.timeout):
                pass
            return answer

    def test_bad_requests_are_refused_and_the_next_client_is_served(self):
        agent = self.agent(self.config())
        wait_for(lambda: agent.try_get("/readyz")[0] == 200, "the catalog")
        head = b"GET /services HTTP/1.1\r\nHost: localhost\r\n"
        cases = {
            b"400": [head + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
                     head + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n",
                     head + b"Bad Header: x\r\n\r\n",
                     b"GET /services HTTP/1.1\r\n\r\n",
                     b"GET / HTTP/1.1\r\nHost: localhost\r\n X: folded\r\n\r\n"],
            b"403": [b"GET /services HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n",
                     head + b"Origin: http://evil.example\r\nConnection: close\r\n\r\n"],
            b"413": [head + b"Content-Length: 1048577\r\n\r\n"],
            b"414": [b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n"],
            b"431": [head + b"".join(b"X-%d: y\r\n" % i for i in range(20000)) + b"\r\n",
                     head + b"X: " + b"y" * 100_000 + b"\r\n\r\n"],
            b"501": [head + b"Transfer-Encoding: gzip, chunked\r\n\r\n"],
        }
        for status, requests in cases.items():
            for data in requests:
                answer = self.raw(agent.port, data)
                self.assertTrue(answer.startswith(b"HTTP/1.1 " + status), (status, data[:80], answer[:200]))
                self.assertEqual(agent.get("/services")[0], 200)

    def test_a_target_with_endless_headers_or_garbage_fails_and_the_neighbour_stays(self):
        def serve(listener, chunk):
            while True:
                try:
                    client, _ = listener.accept()
                except OSError:
                    return
                try:
                    client.recv(65536)
                    while True:
                        client.sendall(chunk)
                except OSError:
                    client.close()

        services = []
        for name, chunk in (("endless", b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 1000), ("garbage", b"\0garbage" * 999)):
            listener = socket.create_server(("127.0.0.1", free_port()))
            self.addCleanup(listener.close)
            threading.Thread(target=serve, args=(listener, chunk), daemon=True).start()
            services.append(self.service(listener.getsockname()[1], name))
        web = self.http_service()
        agent = self.agent(self.config([self.service(web.port), *services]))
        agent.await_instances("web", [f"web-node-a-{web.port}"])
        for service in services:
            instance = f"{service['name']}-node-a-{service['port']}"
            wait_for(lambda: agent.get(f"/agent/services/{instance}")[2]["checks"][0]["state"] == "failing", instance + " to fail")
        self.assertEqual(agent.instances("web"), [f"web-node-a-{web.port}"])


if __name__ == "__main__":
    unittest.main()
