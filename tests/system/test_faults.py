"""
test_faults: a sample of what `make check-faults` tries: allocations and system calls of echod fail.
Run alone, by `run` or by make check.
"""

import os

import failing_calls
import failing_malloc
import faults
import harness

EVERY = 499  # a prime: it meets other places of each scene

# What once was a fault of echod.
MENDED = (
    faults.Fault("admin", "serve", "accept", "EPERM", 1, "on"),
    faults.Fault("reload", "serve", faults.ALLOCATION, "", 50, "on"),
    faults.Fault("tls", "serve", faults.ALLOCATION, "", 202, "once"),
)


class Faults(harness.TestCase):

    def test_a_sample_ends_in_order(self):
        failing_malloc.need(self)
        if not os.path.exists(failing_calls.LIBRARY):
            self.skip_without(failing_calls.LIBRARY)
        tally = faults.check(EVERY, also=MENDED)
        self.assertEqual(tally.failures, [])
        self.assertGreater(tally.outcomes[faults.fault_scenes.SERVED], 0)


if __name__ == "__main__":
    harness.main()
