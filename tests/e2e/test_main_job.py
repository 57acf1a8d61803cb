# SPDX-License-Identifier: Apache-2.0
"""Register what is healthy, discover what is registered."""
import json
import unittest

from harness import Case, free_port, request, wait_for


class MainJob(Case):
    def test_a_passing_service_is_registered_under_a_lease_and_answered(self):
        web = self.http_service()
        agent = self.agent(self.config([self.service(web.port, tags=["v1"], meta={"version": "1.4.2"})]))
        agent.await_instances("web", [f"web-node-a-{web.port}"])

        keys = self.etcd.keys()
        self.assertEqual(list(keys), [f"/services/web/web-node-a-{web.port}"])
        stored = keys[f"/services/web/web-node-a-{web.port}"]
        self.assertNotEqual(stored["lease"], 0)
        value = json.loads(stored["value"])
        agent_uuid = value.pop("agent")
        self.assertRegex(agent_uuid, r"^[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}$")
        self.assertEqual(value, {
            "id": f"web-node-a-{web.port}", "name": "web", "host": "127.0.0.1", "port": web.port, "weight": 100,
            "tags": ["v1"], "Addr": f"127.0.0.1:{web.port}", "Metadata": {"version": "1.4.2"},
            "endpoints": [f"http://127.0.0.1:{web.port}"], "node": "node-a", "zone": "", "state": "passing"})

        status, headers, body = agent.get("/services/web")
        self.assertEqual(status, 200)
        self.assertEqual(body, {
            "service": "web", "index": stored["mod_revision"], "instances": [{
                "id": f"web-node-a-{web.port}", "address": "127.0.0.1", "port": web.port, "weight": 100,
                "tags": ["v1"], "meta": {"version": "1.4.2"}, "node": "node-a", "zone": ""}]})
        self.assertEqual(headers["x-rosterd-index"], str(stored["mod_revision"]))
        self.assertEqual(headers["x-rosterd-state"], "live")
        self.assertEqual(headers["age"], "0")
        self.assertEqual(agent.get("/services/web", {"If-None-Match": headers["etag"]})[0], 304)
        self.assertEqual(agent.get("/services")[2]["services"], [{"name": "web", "instances": 1}])

    def test_a_failing_service_is_taken_out_and_comes_back(self):
        web = self.http_service()
        agent = self.agent(self.config([self.service(web.port)]))
        instance = f"web-node-a-{web.port}"
        agent.await_instances("web", [instance])
        web.status = 503
        agent.await_instances("web", [])
        self.assertEqual(self.etcd.keys(), {})
        status, _, body = agent.get("/services/web")
        self.assertEqual(status, 404)
        self.assertIn("503", body["error"])
        self.assertEqual(body["instances"], [])
        _, _, health = agent.get(f"/agent/services/{instance}")
        self.assertEqual((health["state"], health["registered"]), ("failing", False))
        self.assertEqual(health["checks"][0]["status"], 503)
        web.status = 200
        agent.await_instances("web", [instance])

    def test_a_service_that_never_answered_stays_starting_and_says_why(self):
        port = free_port()
        agent = self.agent(self.config([self.service(port)]))
        agent.await_listening()
        state = wait_for(lambda: (lambda s: s if s and s["checks"][0]["state"] == "failing" else None)(
            agent.try_get(f"/agent/services/web-node-a-{port}")[2]), "the check to fail")
        self.assertEqual((state["state"], state["registered"]), ("starting", False))
        self.assertIn("connection refused", state["reason"].lower())
        self.assertEqual(self.etcd.keys(), {})

    def test_two_hosts_see_each_other(self):
        web_a, web_b = self.http_service(), self.http_service()
        a = self.agent(self.config([self.service(web_a.port)]), "a")
        b = self.agent(self.config([self.service(web_b.port)], node={"name": "node-b", "zone": "eu-1b"}), "b")
        both = [f"web-node-a-{web_a.port}", f"web-node-b-{web_b.port}"]
        a.await_instances("web", both)
        b.await_instances("web", both)
        _, _, body = a.get("/services/web?zone=eu-1b")
        self.assertEqual([i["id"] for i in body["instances"]], both[1:])

    def test_foreign_values_are_served_and_garbage_costs_nobody_else(self):
        agent = self.agent(self.config())
        agent.await_listening()
        self.etcd.put("/services/seed/7587869134", "seed localhost:8080")
        self.etcd.put("/services/seed/plain", "10.0.0.7:81")
        self.etcd.put("/services/seed/grpc", '{"Op":0,"Addr":"10.0.0.8:82","Metadata":null}')
        self.etcd.put("/services/seed/garbage", b"\xff\xfe{not json")
        self.etcd.put("/services/no-slash", "10.0.0.9:83")
        agent.await_instances("seed", ["7587869134", "grpc", "plain"])
        addresses = {i["id"]: (i["address"], i["port"]) for i in agent.get("/services/seed")[2]["instances"]}
        self.assertEqual(addresses, {"7587869134": ("localhost", 8080), "grpc": ("10.0.0.8", 82),
                                     "plain": ("10.0.0.7", 81)})
        self.assertEqual(agent.log().count("/services/seed/garbage"), 1)
        self.assertIn("rosterd_catalog_unreadable_values 1",
                      request(agent.port, "GET", "/metrics")[2].decode())

    def test_check_none_registers_at_once(self):
        agent = self.agent(self.config([{"name": "db", "port": 5432, "protocol": "tcp", "check": "none"}]))
        agent.await_instances("db", ["db-node-a-5432"])


if __name__ == "__main__":
    unittest.main()
