"""
test_clocks: clocks that are set, and a machine that was suspended, end nobody whose time is not over.
That a process may be stopped is in test_pause.
Run by `run`, by automake, or alone.
"""

import time

import harness
import moving_clocks
from harness import Echod, probe
from moving_clocks import ENDED, MONOTONIC, WALL

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

    def test_the_wall_clock_may_end(self):
        """As from 2038 on where time_t has 32 bits: the date is that of 1970, and all else as it was."""
        record = f"{self.temporary_directory()}/record"
        with Echod("--idle-timeout", "1h", "--rate-limit", "1MiB/s", prefix=self.clocks.prefix) as server:
            client = server.connect()
            harness.round_trip(client)
            self.clocks.step(WALL, ENDED)
            since = len(server.log.lines)
            for _ in range(3):
                harness.round_trip(client, bytes(10000))
                harness.round_trip(server.connect())
            server.report()
            for line in server.log.lines[since:]:
                self.assertTrue(line.startswith("1970-01-01T00:00:00.000Z "), line)
            found = probe("-c", "2", "-D", "--csv", record, server.addresses[0], prefix=self.clocks.prefix)
            self.assertEqual(found.status, 0, found)
            self.assertRegex(found.output, r"(?m)^\[0\.000000\] 64 bytes from .* seq=2 ")
            self.expect_rest(server)
        with open(record, encoding="utf-8") as file:
            rows = file.read().splitlines()[1:]
        self.assertEqual([row.split(",")[0] for row in rows], ["0.000000"] * 2)

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
