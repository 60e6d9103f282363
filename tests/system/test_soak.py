"""
test_soak: two short rounds of `make check-soak`: after a busy time of clients of every kind, with reloads,
scrapes and an operator who ends some, each counter is what the clients counted; and what the long form
would call a leak, or a wrong counter.
Run by `run`, by automake, or alone.
"""

import random
from collections import Counter

import admin_client
import harness
import soak
from harness import KIB, MIB

ROUNDS, SECONDS = 2, 1


class SoakTest(harness.TestCase):

    limit_seconds = 300  # so many clients have little of a machine that has other work

    def test_every_counter_is_what_the_clients_counted(self):
        if not admin_client.can_serve():
            self.skipTest("this echod was built without an admin endpoint")
        rows = soak.soak(ROUNDS, SECONDS, random.randrange(1 << 32))
        self.assertEqual(ROUNDS, len(rows))
        self.assertGreater(rows[-1].reloads, ROUNDS)


class JudgementTest(harness.TestCase):

    @staticmethod
    def rows(grows_by, rounds=20):
        """Memory as it is measured, and a leak of so many bytes in each round."""
        rng = random.Random(1)
        return [soak.Row(0, 0, 0, 0, 16 * MIB + rng.randrange(-400, 400) * KIB + number * grows_by, 0, 0, 0)
                for number in range(rounds)]

    def test_a_leak_is_told_from_what_differs_by_chance(self):
        self.assertTrue(soak.is_flat(self.rows(0)))
        self.assertTrue(soak.is_flat([row._replace(loaded_bytes=row.loaded_bytes + min(number, 5) * MIB)
                                      for number, row in enumerate(self.rows(0))]))
        self.assertFalse(soak.is_flat(self.rows(300 * KIB)))
        self.assertFalse(soak.is_flat(self.rows(8 * KIB, rounds=1440)))
        self.assertTrue(soak.is_flat(self.rows(MIB, rounds=soak.LEAST_ROUNDS - 1)))

    def test_a_duration_has_a_unit(self):
        self.assertEqual([30, 1200, 86400], list(map(soak.seconds_of, ("30", "20m", "24h"))))

    def test_a_counter_that_is_wrong_is_named(self):
        """It and what was counted beyond what clients know, or is missing."""
        right = {"plain": Counter(accepted=3, in_bytes=300)}
        soak.check_counters(right, right)
        for counted, words in (({"accepted": 4, "in_bytes": 300}, "accepted"),
                               ({"accepted": 3, "in_bytes": 299}, "in_bytes"),
                               ({"accepted": 3, "in_bytes": 300, "ended_drained": 1}, "ended_drained")):
            with self.assertRaisesRegex(AssertionError, f"plain counted .*{words}"):
                soak.check_counters({"plain": Counter(counted)}, right)


if __name__ == "__main__":
    harness.main()
