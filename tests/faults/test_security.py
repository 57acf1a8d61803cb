# SPDX-License-Identifier: Apache-2.0
"""Users, tokens, passwords and certificates of etcd change while agents run: no registration is lost, etcd is
not asked in a hot loop, and what a person must do is said in words."""
import os
import signal
import ssl
import subprocess
import time
import unittest

from proxy import Proxies
from single import Member, SingleCase, wait_for
from harness import b64  # after single, which knows where it is

PREFIX, PREFIX_END = "/services/", "/services0"
# Of calls that etcd refuses, while a person mends what is wrong.
REFUSED_PER_SECOND = 10


class SecurityCase(SingleCase):
    lease_ttl = 8

    def setUp(self):
        super().setUp()
        self.password_file = os.path.join(self.folder, "password")
        self.write_password("secret")
        self.web = self.http_service()
        self.instance = "web-1"
        self.key = "/services/web/web-1"

    def write_password(self, password):
        aside = self.password_file + ".new"
        with open(aside, "w", encoding="utf-8") as out:
            out.write(password + "\n")
        os.replace(aside, self.password_file)

    def start_agent(self, name="agent", user=True, url=None, tls=None, **changes):
        etcd = {"endpoints": [url or self.etcd.url], "lease_ttl": f"{self.lease_ttl}s"}
        if user:
            etcd |= {"username": "agent", "password_file": self.password_file}
        if tls:
            etcd["tls"] = tls
        return self.agent(self.config([self.service(self.web.port, id=self.instance)], etcd=etcd, **changes), name)

    def etcd_part(self, agent):
        return (agent.try_get("/agent")[2] or {}).get("etcd", {})

    def await_registered(self, agent, seconds=15):
        wait_for(lambda: self.own(agent, self.instance).get("registered"),
                 lambda: f"{self.instance} to be registered: {self.own(agent, self.instance)}\n{agent.log()}", seconds)

    def await_works(self, agent, number, seconds=10):
        """A change is seen, the agent is connected and live."""
        began = time.monotonic()
        self.etcd.put(f"/services/seen/s{number}", f"10.0.0.1:{1000 + number}")
        wait_for(lambda: f"s{number}" in (agent.instances("seen") or []),
                 lambda: f"a change to be seen; /agent says {self.etcd_part(agent)}\n{agent.log()}", seconds)
        wait_for(lambda: self.etcd_part(agent).get("state") == "connected"
                 and agent.get("/services/seen")[1]["x-rosterd-state"] == "live",
                 lambda: f"to be live: {self.etcd_part(agent)}\n{agent.log()}", seconds)
        return time.monotonic() - began

    def assert_stands(self, before, agent, seconds=0.0):
        """For so long, the key is as it was: the lease lives and nobody wrote it."""
        until = time.monotonic() + seconds
        while True:
            found = self.etcd.keys().get(self.key, {})
            self.assertEqual((found.get("lease"), found.get("mod_revision")), (before["lease"], before["mod_revision"]),
                             agent.log())
            if time.monotonic() > until:
                return
            time.sleep(0.2)

    def authentications(self):
        """Successful or not, without this test's own."""
        return self.etcd.metric("grpc_server_handled_total", grpc_method="Authenticate") - self.etcd.authentications

    def refused(self):
        total = self.etcd.metric("grpc_server_handled_total")
        return total - self.etcd.metric("grpc_server_handled_total", grpc_code="OK")

    def assert_calm(self, name, agent, seconds):
        """For so long at most one Authenticate per second, and few refused calls of any kind."""
        began, asked, refused = time.monotonic(), self.authentications(), self.refused()
        while time.monotonic() < began + seconds:
            time.sleep(0.1)
        took = time.monotonic() - began
        asked, refused = self.authentications() - asked, self.refused() - refused
        self.figure(f"{name}.authenticate_per_s", round(asked / took, 2))
        self.figure(f"{name}.refused_calls_per_s", round(refused / took, 2))
        self.assertLessEqual(asked, took + 1, agent.log())
        self.assertLess(refused / took, REFUSED_PER_SECOND, agent.log())
        self.assertLess(agent.log().count("\n"), 40, agent.log())

    def assert_says(self, agent, *words):
        """In /agent, in the log, and in /readyz where the agent is not ready."""
        def said(text):
            return all(word in text for word in words)
        wait_for(lambda: said(self.etcd_part(agent).get("error", "")),
                 lambda: f"/agent to say {words}: {self.etcd_part(agent)}\n{agent.log()}", 15)
        wait_for(lambda: said(agent.log()), lambda: f"the log to say {words}:\n{agent.log()}", 5)
        status, _, body = agent.get("/readyz")
        if status == 503:
            self.assertTrue(said(str(body["reasons"])), body)
        self.assertNotIn("secret", agent.log())
        self.assertNotIn("secret", str(agent.get("/agent")[2]))


class AuthCase(SecurityCase):
    member_options = ("--auth-token", "simple")

    def make_member(self):
        class Counting(Member):
            authentications = 0

            def authenticate(self):
                self.authentications += 1
                super().authenticate()
        return Counting(self.folder, self.member_options)

    def enable_auth(self):
        for name, password in (("root", "rootpw"), ("agent", "secret")):
            self.etcd.call("/v3/auth/user/add", {"name": name, "password": password})
        self.etcd.call("/v3/auth/role/add", {"name": "rosterd"})
        self.etcd.call("/v3/auth/role/grant", {"name": "rosterd", "perm": {
            "permType": "READWRITE", "key": b64(PREFIX), "range_end": b64(PREFIX_END)}})
        self.etcd.call("/v3/auth/user/grant", {"user": "agent", "role": "rosterd"})
        self.etcd.call("/v3/auth/role/add", {"name": "root"})
        self.etcd.call("/v3/auth/user/grant", {"user": "root", "role": "root"})
        self.etcd.call("/v3/auth/enable", {})
        self.etcd.user = ("root", "rootpw")

    def change_password(self, password):
        self.etcd.call("/v3/auth/user/changepw", {"name": "agent", "password": password})


class Auth(AuthCase):
    def test_auth_enabled_while_an_agent_with_a_user_runs(self):
        agent = self.start_agent()
        self.await_registered(agent)
        before = self.etcd.keys()[self.key]
        self.enable_auth()
        self.figure("auth_enabled.change_seen_s", round(self.await_works(agent, 1), 3))
        self.assert_calm("auth_enabled", agent, 2)
        self.assert_stands(before, agent, self.lease_ttl + 2)
        # Writes carry the token too.
        self.web.status = 500
        wait_for(lambda: self.key not in self.etcd.keys(), "the failing service to be taken out", 5)
        self.web.status = 200
        wait_for(lambda: self.key in self.etcd.keys(), "the service to come back", 5)
        self.assertEqual(self.etcd.keys()[self.key]["lease"], before["lease"])

    def test_auth_enabled_while_an_agent_without_a_user_runs(self):
        agent = self.start_agent(user=False)
        self.await_registered(agent)
        before = self.etcd.keys()[self.key]
        self.enable_auth()
        self.assert_says(agent, "etcd.username")
        self.assertEqual(self.etcd_part(agent)["state"], "denied")
        self.assert_calm("auth_without_user", agent, 5)
        # etcd before 3.4.42 and 3.5.28 renews leases without asking who it is.
        self.assert_stands(before, agent, self.lease_ttl + 2)
        self.assertEqual(agent.instances("web"), [self.instance])
        # What a person does: write the user into the configuration and restart within the lease's life.
        agent.stop(signal.SIGUSR2)
        successor = self.start_agent("successor")
        wait_for(lambda: self.own(successor, self.instance).get("registered"),
                 lambda: "the successor to be registered:\n" + successor.log(), self.lease_ttl + 10)
        self.await_works(successor, 1)

    def test_wrong_password_at_start_is_said_and_mended(self):
        self.enable_auth()
        self.write_password("wrong")
        agent = self.start_agent()
        self.assert_says(agent, "etcd.password_file")
        self.assertEqual(self.etcd_part(agent)["state"], "denied")
        self.assertEqual(agent.get("/readyz")[0], 503)
        self.assertNotIn("wrong\n", agent.log())
        self.assert_calm("wrong_password", agent, 6)
        self.write_password("secret")
        mended = time.monotonic()
        wait_for(lambda: self.etcd_part(agent)["state"] == "connected",
                 lambda: f"the new password to be used: {self.etcd_part(agent)}\n{agent.log()}", 10)
        self.figure("wrong_password.connected_after_mending_s", round(time.monotonic() - mended, 3))
        self.assertLess(time.monotonic() - mended, 6)
        self.await_registered(agent)
        self.await_works(agent, 1)

    def test_password_replaced_while_running(self):
        self.enable_auth()
        agent = self.start_agent()
        self.await_registered(agent)
        self.await_works(agent, 1)
        before = self.etcd.keys()[self.key]
        self.change_password("secret2")
        self.assert_says(agent, "etcd.password_file")
        self.assert_calm("password_replaced", agent, 5)
        self.assert_stands(before, agent, self.lease_ttl + 2)
        self.assertEqual(agent.instances("web"), [self.instance])
        self.write_password("secret2")
        mended = time.monotonic()
        self.await_works(agent, 2)
        self.figure("password_replaced.works_after_mending_s", round(time.monotonic() - mended, 3))
        self.assert_stands(before, agent)

    def test_password_file_replaced_first(self):
        self.enable_auth()
        agent = self.start_agent()
        self.await_registered(agent)
        before = self.etcd.keys()[self.key]
        self.write_password("secret2")
        self.await_works(agent, 1)
        self.change_password("secret2")
        self.figure("password_file_first.change_seen_s", round(self.await_works(agent, 2), 3))
        self.assert_stands(before, agent, self.lease_ttl)


class TokenExpiry(AuthCase):
    member_options = ("--auth-token", "simple", "--auth-token-ttl", "3")
    lease_ttl = 15

    def test_expired_tokens_are_renewed(self):
        self.enable_auth()
        agent = self.start_agent()
        self.await_registered(agent)
        before = self.etcd.keys()[self.key]
        asked = self.authentications()
        for turn in (1, 2):
            # Each use prolongs a token: only an agent that stands still loses it.
            agent.send(signal.SIGSTOP)
            until = time.monotonic() + 5
            while time.monotonic() < until:
                time.sleep(0.1)
            agent.send(signal.SIGCONT)
            self.figure(f"token_expired.{turn}.change_seen_s", round(self.await_works(agent, turn), 3))
        self.assert_calm("token_expired", agent, 4)
        self.assert_stands(before, agent)
        self.figure("token_expired.authentications", self.authentications() - asked)
        self.assertLessEqual(self.authentications() - asked, 8)
        # A write with a token of which nothing was heard for long.
        self.web.status = 500
        wait_for(lambda: self.key not in self.etcd.keys(), "the failing service to be taken out", 8)


class Certificates:
    """A CA, a server and clients, made by openssl in a folder; all can be made anew."""

    def __init__(self, folder):
        self.folder = os.path.join(folder, "tls")
        os.makedirs(self.folder)
        self.make_ca("ca")
        for name in ("server", "client", "agent"):
            self.issue(name, "ca")
        self.copy(["ca.pem"], "agent-ca.pem")

    def path(self, name):
        return os.path.join(self.folder, name)

    def openssl(self, *arguments):
        subprocess.run(["openssl", *arguments], check=True, capture_output=True, timeout=60, cwd=self.folder)

    def make_ca(self, name):
        self.openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                     "-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.pem")

    def issue(self, name, authority):
        """NAME.pem and NAME.key, replaced by rename: first the key, so that for a moment they do not fit."""
        with open(self.path("extensions"), "w", encoding="utf-8") as out:
            out.write("subjectAltName=IP:127.0.0.1,DNS:localhost\nextendedKeyUsage=serverAuth,clientAuth\n")
        self.openssl("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                     "-subj", f"/CN={name}", "-keyout", "new.key", "-out", "new.csr")
        self.openssl("x509", "-req", "-in", "new.csr", "-CA", f"{authority}.pem", "-CAkey", f"{authority}.key",
                     "-CAcreateserial", "-days", "2", "-extfile", "extensions", "-out", "new.pem")
        os.replace(self.path("new.key"), self.path(name + ".key"))
        os.replace(self.path("new.pem"), self.path(name + ".pem"))

    def copy(self, sources, target):
        """The concatenation of some files, put in place by rename."""
        with open(self.path("joined"), "wb") as out:
            for source in sources:
                with open(self.path(source), "rb") as one:
                    out.write(one.read())
        os.replace(self.path("joined"), self.path(target))

    def client_context(self):
        context = ssl.create_default_context(cafile=self.path("test-ca.pem" if os.path.exists(
            self.path("test-ca.pem")) else "ca.pem"))
        context.load_cert_chain(self.path("client.pem"), self.path("client.key"))
        return context


class Tls(SecurityCase):
    lease_ttl = 10

    def make_member(self):
        self.certificates = Certificates(self.folder)
        return Member(self.folder, tls=self.certificates)

    def tls(self, **changes):
        files = {"ca": "agent-ca.pem", "cert": "agent.pem", "key": "agent.key"}
        return {**{k: self.certificates.path(v) for k, v in files.items()}, **changes}

    def test_certificates_replaced_while_running_cost_no_registration(self):
        proxies = Proxies()
        self.addCleanup(proxies.close)
        link = proxies.link(self.etcd.port)
        agent = self.start_agent(user=False, url=f"https://127.0.0.1:{link.port}", tls=self.tls())
        self.await_registered(agent)
        before = self.etcd.keys()[self.key]
        made = self.certificates

        # The client's is replaced by another of the same CA, by files that do not fit for a moment.
        made.issue("agent", "ca")
        self.await_works(agent, 1)
        link.reset()
        self.figure("client_certificate_replaced.change_seen_s", round(self.await_works(agent, 2), 3))
        self.assert_stands(before, agent)

        # The server's is replaced by one of another CA, which the agent was told before. etcd reads it at each
        # handshake.
        made.make_ca("ca2")
        made.copy(["ca.pem", "ca2.pem"], "agent-ca.pem")
        made.copy(["ca.pem", "ca2.pem"], "test-ca.pem")
        self.await_works(agent, 3)
        made.issue("server", "ca2")
        wait_for(self.agent_has_read(agent, 4), "the new CA to be read", 8)
        link.reset()
        self.figure("server_certificate_replaced.change_seen_s", round(self.await_works(agent, 5), 3))
        self.assert_stands(before, agent)

        # etcd is restarted and from then on asks for clients of the new CA.
        made.copy(["ca2.pem"], "ca.pem.next")
        for name in ("agent", "client"):
            made.issue(name, "ca2")
        os.replace(made.path("ca.pem.next"), made.path("ca.pem"))
        self.etcd.term_stop()
        self.etcd.start()
        self.figure("client_ca_replaced.change_seen_s", round(self.await_works(agent, 6, 15), 3))
        self.assert_stands(before, agent, self.lease_ttl + 1)
        self.assertLess(agent.log().count("\n"), 40, agent.log())

    def agent_has_read(self, agent, number):
        """Files are looked at about every 2 s, and a new connection follows within 2 s more."""
        began = time.monotonic()
        return lambda: time.monotonic() - began > 5 and self.await_works(agent, number) > 0

    def test_wrong_server_name_is_said(self):
        agent = self.start_agent(user=False, tls=self.tls(server_name="wrong.example"))
        self.assert_says(agent, "etcd.tls.server_name", "wrong.example")
        self.assertEqual(agent.get("/readyz")[0], 503)
        self.assert_few_handshakes(agent)

    def test_missing_client_certificate_is_said(self):
        tls = {"ca": self.certificates.path("agent-ca.pem")}
        agent = self.start_agent(user=False, tls=tls)
        self.assert_says(agent, "etcd.tls.cert")
        self.assertEqual(agent.get("/readyz")[0], 503)
        self.assert_few_handshakes(agent)

    def test_unknown_ca_is_said(self):
        self.certificates.make_ca("stranger")
        agent = self.start_agent(user=False, tls=self.tls(ca=self.certificates.path("stranger.pem")))
        self.assert_says(agent, "etcd.tls.ca")
        self.assertEqual(agent.get("/readyz")[0], 503)
        self.assert_few_handshakes(agent)

    def test_plain_http_to_a_tls_port_is_said(self):
        agent = self.start_agent(user=False, url=self.etcd.url.replace("https", "http"))
        self.assert_says(agent, "https")
        self.assertEqual(agent.get("/readyz")[0], 503)

    def assert_few_handshakes(self, agent):
        """No hot loop: the log does not grow, and the agent sleeps most of the time."""
        def cpu():
            with open(f"/proc/{agent.process.pid}/stat", encoding="ascii", errors="replace") as stat:
                fields = stat.read().rpartition(") ")[2].split()
            return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        used, began = cpu(), time.monotonic()
        while time.monotonic() < began + 3:
            time.sleep(0.1)
        self.figure(f"{self._testMethodName}.cpu_share", round((cpu() - used) / 3, 3))
        self.assertLess((cpu() - used) / 3, 0.2)
        self.assertLess(agent.log().count("\n"), 15, agent.log())


if __name__ == "__main__":
    unittest.main()
