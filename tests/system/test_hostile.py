"""
test_hostile: a tenth of what `make check-hostile` tries: beside hostile clients of every kind the polite
ones lose nothing, memory stays below its bound, and echod counts what they saw.
Runs in a network namespace of its own. How fast the polite ones are served is not looked at.
Run alone, by `run` or by make check.
"""

import tempfile

import admin_client
import forgery
import harness
import hostile

SHARE, SECONDS = 0.1, 2


class Hostile(harness.TestCase):

    def test_a_tenth_of_them_disturbs_nobody(self):
        if not admin_client.can_serve():
            self.skipTest("this echod was built without an admin endpoint")
        with tempfile.TemporaryDirectory(prefix="echod-") as directory, \
                hostile.Target(directory) as target:
            hostile.Outcome(target, SHARE, SECONDS).show()


if __name__ == "__main__":
    forgery.run_inside(hostile.SETUP, harness.main)
