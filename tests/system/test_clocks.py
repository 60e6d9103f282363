"""
test_clocks: clocks that are set, and a machine that was suspended, end nobody whose time is not over.
That a process may be stopped is in test_pause.
Run by `run`, by automake, or alone.
"""

import time

import harness
import moving_clocks
from harness import Echod
from moving_clocks import MONOTONIC, WALL

HOUR, DAY, YEARS = 3600, 86400, 10 * 365 * 86400


class ClockTest(harness.TestCase):

    def setUp(self):
        self.clocks = moving_clocks.need(self)

    def expect_rest(self, server):
        """It does not spin."""
        before, begin = server.cpu_seconds(), time.monotonic()
        time.sleep(0.3)
        self.assertLess(server.cpu_seconds() - before, 0.5 * (time.monotonic() - begin))

    def test_the_wall_clock_may_step(self):
        """To either side: deadlines, ages and rates do not depend on it; the log tells what it shows."""
        with Echod("--idle-timeout", "1h", "--lifetime", "12h", "--rate-limit", "1MiB/s",
                   "--accept-rate", "1000/s", prefix=self.clocks.prefix) as server:
            client, silent = server.connect(), server.connect()
            harness.round_trip(silent)
            for step in (HOUR, -HOUR, YEARS, -YEARS, DAY):
                self.clocks.step(WALL, step)
                harness.round_trip(client, bytes(10000))
                harness.round_trip(server.connect())
                year = time.gmtime(time.time() + step).tm_year
                since = len(server.log.lines)
                totals, connections = server.report()
                self.assertTrue(server.log.lines[since].startswith(str(year)))
                self.assertLess(max(float(one.age) for one in connections), HOUR)
            self.assertEqual(totals.open, 7)
            harness.round_trip(silent)
            self.expect_rest(server)

    def test_a_clock_that_leapt_ends_who_was_silent(self):
        """
        Where the monotonic clock goes on while a machine is suspended: what was due meanwhile comes at
        once, to those alone whom it concerns.
        """
        with Echod("--idle-timeout", "1h", prefix=self.clocks.prefix) as server:
            silent = server.connect()
            harness.round_trip(silent)
            harness.round_trip(server.connect())  # so echod has noted when it sent the echo before
            self.clocks.step(MONOTONIC, 2 * HOUR)
            newcomer = server.connect()  # lets the loop turn
            harness.round_trip(newcomer)
            self.assertEqual(harness.receive_all(silent), b"")
            silent.close()
            closed = server.wait_for_closed("idle timeout")
            self.assertGreaterEqual(float(closed.age), 2 * HOUR)
            self.clocks.step(MONOTONIC, 2 * HOUR + HOUR // 2)
            for _ in range(3):
                harness.round_trip(newcomer)
            self.expect_rest(server)

    def test_rates_after_a_leap_are_what_they_were(self):
        """No more than a second's worth is given at once, however long the clock leapt."""
        with Echod("--accept-rate", "5/m", prefix=self.clocks.prefix) as server:
            harness.round_trip(server.connect())
            self.clocks.step(MONOTONIC, DAY)
            outcomes = []
            for _ in range(5):
                try:
                    harness.round_trip(server.connect())
                    outcomes.append("served")
                except (ConnectionError, AssertionError):
                    outcomes.append("refused")
            self.assertEqual(outcomes, ["served"] + ["refused"] * 4)


if __name__ == "__main__":
    harness.main()
