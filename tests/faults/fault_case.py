# SPDX-License-Identifier: Apache-2.0
"""What every fault test stands on: a cluster, agents with services behind links that can be cut, clients
that poll them, the record of etcd, and at the end the checker over all of it."""
import time

import checker
from cluster import Cluster
from harness import Case, free_port, wait_for
from poller import Poller
from proxy import Proxies
from recorder import Recorder

TTL_S = 15


def figure(name, value):
    """One measured figure: a line that a script can find."""
    if isinstance(value, float):
        value = f"{value:.3f}"
    print(f"FIGURE {name} {value}", flush=True)


class FaultCase(Case):
    needs_etcd = False
    members = 3
    etcd_arguments = ()
    lease_ttl = TTL_S

    def setUp(self):
        super().setUp()
        self.pollers = []
        self.agents = []
        self.cluster = Cluster(self.folder, self.members, self.etcd_arguments)
        self.addCleanup(self.cluster.kill)
        self.cluster.start()
        self.recorder = Recorder(self.cluster)
        self.addCleanup(self.recorder.close)
        self.proxies = None

    def http_service(self, port=None):
        service = super().http_service(port)
        service.server.handle_error = lambda *_: None  # agents that are killed end connections as they like
        return service

    def links(self):
        """One link to each member, for one agent."""
        if self.proxies is None:
            self.proxies = Proxies()
            self.addCleanup(self.proxies.close)
        return [self.proxies.link(member.port) for member in self.cluster.members]

    def start_agent(self, name, services, endpoints=None, arguments=(), env=None, **changes):
        """`services`: the list for the configuration, see service()."""
        config = self.config(services, **{**changes, "node": {"name": name, **changes.get("node", {})}})
        config["etcd"] = {"endpoints": endpoints or self.cluster.urls, "lease_ttl": f"{self.lease_ttl}s",
                          **changes.get("etcd", {})}
        agent = self.agent(config, name, arguments, env)
        agent.name = name
        agent.config = config
        self.agents.append(agent)
        return agent

    def service(self, port, name="web", **changes):
        """Checked patiently: what fails here is etcd, not a service on a busy machine."""
        check = {"http": "/healthz", "interval": "1s", "fast_interval": "100ms", "timeout": "1s", "fall": 5}
        return {"name": name, "port": port, "check": check, **changes}

    def poll(self, agent, services, interval=0.015):
        poller = Poller(self.folder, agent.port, services, interval, getattr(agent, "name", "agent"),
                        agent.process.pid)
        self.pollers.append(poller)
        self.addCleanup(poller.close)
        return poller

    def fleet(self, count=3, names=("web", "db"), linked=False):
        """`count` agents with one instance of each name, two foreign instances, and a poller each. Returns when
        every agent shows everything, with the keys as {key: {"lease", "mod_revision", "value"}}."""
        self.cluster.put("/services/web/foreign-plain", "10.9.9.1:81")
        self.cluster.put("/services/cache/foreign-json", '{"host":"10.9.9.2","port":82,"weight":7,"tags":["x"]}')
        backend = self.http_service()
        self.ids = {name: [] for name in names}
        self.ids.setdefault("web", []).append("foreign-plain")
        self.ids.setdefault("cache", []).append("foreign-json")
        links = []
        for number in range(count):
            node = f"node-{number + 1}"
            services = []
            for name in names:
                identity = f"{name}-{node}"
                # One backend answers all checks; the ports registered differ.
                services.append(self.service(free_port(), name, id=identity))
                services[-1]["check"]["http"] = f"http://127.0.0.1:{backend.port}/healthz"
                self.ids[name].append(identity)
            own = self.links() if linked else None
            links.append(own)
            self.start_agent(node, services, [link.url for link in own] if own else None)
        self.ids = {name: sorted(ids) for name, ids in self.ids.items()}
        for agent in self.agents:
            for name, ids in self.ids.items():
                wait_for(lambda a=agent, n=name, i=ids: a.instances(n) == i,
                         lambda a=agent, n=name, i=ids: f"{a.name} to show {i}, shows {a.instances(n)}\n{self.logs()}",
                         20)
        for agent in self.agents:
            self.poll(agent, sorted(self.ids))
        for poller in self.pollers:
            for name in self.ids:
                poller.await_answer(lambda a, n=name: a.service == n and a.status == 200, f"an answer for {name}")
        self.links_of = dict(zip([a.name for a in self.agents], links))
        return self.cluster.keys()

    def etcd_state(self, agent):
        """The `etcd` part of GET /agent, {} while there is no answer."""
        return (agent.try_get("/agent")[2] or {}).get("etcd", {})

    def catalog_state(self, agent):
        return (agent.try_get("/agent")[2] or {}).get("catalog", {})

    def await_live(self, agents=None, since=None, seconds=20, avoiding=()):
        """Until each agent is connected to a member, not one of the URLs `avoiding`, that gave a sign of life
        after `since`, and its catalog is live; returns the moment when the last of them was."""
        since = time.monotonic() if since is None else since
        live_at = {}

        def all_live():
            for agent in agents or self.agents:
                if agent.name in live_at:
                    continue
                asked = time.monotonic()
                state = agent.try_get("/agent")[2] or {"etcd": {}, "catalog": {}}
                if (state["etcd"].get("state") == "connected" and state["etcd"]["endpoint"].rstrip("/") not in avoiding
                        and state["catalog"]["state"] == "live"
                        and asked - state["catalog"]["age_ms"] / 1000 >= since):
                    live_at[agent.name] = time.monotonic()
            return len(live_at) == len(agents or self.agents)

        wait_for(all_live, lambda: "live and connected: " + ", ".join(
            f"{a.name}: {self.etcd_state(a)} {self.catalog_state(a)}" for a in agents or self.agents
            if a.name not in live_at) + "\n" + self.logs(), seconds)
        return max(live_at.values())

    def assert_same_leases(self, before):
        """No key was written and none changed its lease."""
        after = self.cluster.keys()
        self.assertEqual({k: (v["lease"], v["mod_revision"]) for k, v in after.items()},
                         {k: (v["lease"], v["mod_revision"]) for k, v in before.items()})

    def assert_no_errors(self, errors):
        if errors:
            shown = "\n  ".join(errors[:8])
            self.fail(f"{len(errors)} errors, the first of them:\n  {shown}\n{self.logs()}")

    def logs(self):
        """The ends of the agents' logs and what they say of their services."""
        parts = []
        for agent in self.agents:
            parts.append(f"--- {agent.name}\n{agent.log()[-2500:]}")
            for service in agent.config["services"]:
                parts.append(str(agent.try_get("/agent/services/" + service.get("id", "?"))[2]))
        return "\n".join(parts)

    def check_everything(self, seconds=10):
        """The checker over the whole run: call it last, when every fault is healed."""
        self.assert_no_errors(checker.await_final(self.recorder, self.pollers, seconds))
        for poller in self.pollers:
            poller.close()
        self.recorder.sync()
        figure(f"{self._testMethodName}.longest_gap_s", checker.longest_gap(self.pollers))
        figure(f"{self._testMethodName}.answers_checked", sum(len(p.answers()) for p in self.pollers))
        self.assert_no_errors(checker.check(self.recorder, self.pollers))


def wait_until(condition, what, seconds=10.0):
    """As harness.wait_for, but returns the moment (time.monotonic()) when it became true."""
    wait_for(condition, what, seconds)
    return time.monotonic()
