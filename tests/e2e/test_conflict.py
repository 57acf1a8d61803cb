# SPDX-License-Identifier: Apache-2.0
"""Two agents with one id end in `conflict`, not in a war."""
import time
import unittest

from harness import TTL_S, Case, wait_for


class Conflict(Case):
    def test_the_live_lease_wins_the_loser_says_so_and_takes_the_key_when_it_is_free(self):
        web = self.http_service()
        first = self.agent(self.config([self.service(web.port)]), "first")
        instance = f"web-node-a-{web.port}"
        key = f"/services/web/{instance}"
        first.await_instances("web", [instance])
        second = self.agent(self.config([self.service(web.port)]), "second")
        state = wait_for(lambda: (lambda s: s if s and s["state"] == "conflict" else None)(
            second.try_get(f"/agent/services/{instance}")[2]), "conflict")
        self.assertFalse(state["registered"])
        self.assertTrue(state["reason"])
        self.assertIn("conflict", second.log())

        before, revision = self.etcd.keys()[key], self.etcd.revision()
        time.sleep(2 * TTL_S)  # time for a war, if there were one
        self.assertEqual(self.etcd.keys()[key], before)
        self.assertEqual(self.etcd.revision(), revision)

        first.stop()
        wait_for(lambda: second.get(f"/agent/services/{instance}")[2]["registered"], "the key to be taken", 3)
        self.assertNotEqual(self.etcd.keys()[key]["lease"], before["lease"])


if __name__ == "__main__":
    unittest.main()
