"""
test_life_cycle: some rounds of `make check-life-cycle`: stopped, drained, reloaded and killed at random
moments under load, echod loses nothing but what its manual says.
Run by `run`, by automake, or alone. ECHOD_TEST_SEED repeats the moments of a run.
"""

import os
import random

import harness
import life_cycle

SEED = int(os.environ.get("ECHOD_TEST_SEED") or random.randrange(1 << 32))
ROUNDS = {"stop": 4, "drain": 4, "reload": 20, "kill": 4}


class LifeCycle(harness.TestCase):

    def test_nothing_else_is_lost(self):
        for way, rounds in ROUNDS.items():
            with self.subTest(way=way, seed=SEED):
                ended = life_cycle.check(rounds, SEED, [way])[way]
                self.assertGreater(ended[life_cycle.SERVED], 0)


if __name__ == "__main__":
    harness.main()
