# SPDX-License-Identifier: Apache-2.0
"""SIGHUP: services come and go without touching the others."""
import json
import signal
import unittest

from harness import Case, wait_for


class Reload(Case):
    def setUp(self):
        super().setUp()
        self.web, self.db = self.http_service(), self.http_service()

    def started(self, services):
        self.running_config = self.config(services)
        agent = self.agent(self.running_config)
        for service in services:
            agent.await_instances(service["name"], [f"{service['name']}-node-a-{service['port']}"])
        return agent

    def reload(self, agent, services=None, **changes):
        config = {**self.running_config, **changes}
        if services is not None:
            config["services"] = services
        agent.write(config)
        agent.send(signal.SIGHUP)

    def test_an_added_service_is_registered_and_the_others_are_not_touched(self):
        agent = self.started([self.service(self.web.port)])
        before = self.etcd.keys()
        self.reload(agent, [self.service(self.web.port), self.service(self.db.port, "db")])
        agent.await_instances("db", [f"db-node-a-{self.db.port}"])
        after = self.etcd.keys()
        for key, entry in before.items():
            self.assertEqual(after[key], entry)

    def test_a_removed_service_is_deregistered_and_the_others_are_not_touched(self):
        agent = self.started([self.service(self.web.port), self.service(self.db.port, "db")])
        before = self.etcd.keys()
        self.reload(agent, [self.service(self.web.port)])
        agent.await_instances("db", [])
        key = f"/services/web/web-node-a-{self.web.port}"
        self.assertEqual(self.etcd.keys(), {key: before[key]})

    def test_changed_tags_are_one_put_and_keep_the_check_state(self):
        agent = self.started([self.service(self.web.port)])
        instance = f"web-node-a-{self.web.port}"
        since = agent.get(f"/agent/services/{instance}")[2]["since"]
        revision = self.etcd.revision()
        self.reload(agent, [self.service(self.web.port, tags=["v2"], weight=50)])
        wait_for(lambda: agent.get("/services/web")[2]["instances"][0]["tags"] == ["v2"], "the new tag")
        self.assertEqual(self.etcd.revision(), revision + 1)
        self.assertEqual(agent.get(f"/agent/services/{instance}")[2]["since"], since)

    def test_a_bad_file_keeps_the_old_configuration_and_says_so(self):
        agent = self.started([self.service(self.web.port)])
        with open(agent.config_path, "w", encoding="utf-8") as out:
            out.write("services:\n  - name: web\n    prot: 80\n")
        agent.send(signal.SIGHUP)
        wait_for(lambda: f"{agent.config_path}:3:5" in agent.log(), "the place of the problem in the log")
        agent.await_instances("web", [f"web-node-a-{self.web.port}"])

    def test_a_setting_that_needs_a_restart_is_named(self):
        agent = self.started([self.service(self.web.port)])
        self.reload(agent, node={"name": "node-z", "advertise": "127.0.0.1"})
        wait_for(lambda: "needs restart" in agent.log() and "node.name" in agent.log(), "needs restart")
        keys = self.etcd.keys()
        self.assertEqual(list(keys), [f"/services/web/web-node-a-{self.web.port}"])
        self.assertEqual(json.loads(next(iter(keys.values()))["value"])["node"], "node-a")

    def test_the_log_level_changes(self):
        agent = self.started([self.service(self.web.port)])
        self.reload(agent, log={"format": "json"})
        wait_for(lambda: any(line.startswith("{") for line in agent.log().splitlines()), "JSON lines")
        json.loads([line for line in agent.log().splitlines() if line.startswith("{")][0])


if __name__ == "__main__":
    unittest.main()
