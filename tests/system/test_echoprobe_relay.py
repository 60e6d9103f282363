"""
test_echoprobe_relay: datagrams through a path that loses, doubles, reorders, delays, cuts and
changes them, to echod and back: what echoprobe reports is what the path counted.
Single faults of a service are in test_echoprobe_faults.
Run by `run`, by automake, or alone.
"""

import harness
from harness import Echod, probe
from relay import (Relay, changing, cutting, delaying, doubling, first_of, losing, swapping)

COUNT = 100
RUN = ("--json", "-c", str(COUNT), "-i", f"{int(10 * harness.SLOWNESS)}ms")
PATIENT = ("-W", harness.scaled_ms(5000))  # nothing is lost by a busy machine


def every(step, offset=0, before=COUNT):
    """The numbers that are `offset` modulo `step`, up to some number."""
    return lambda number: number % step == offset and number < before


class RelayTest(harness.TestCase):

    def figures(self, status, *arguments, forth=None, back=None):
        """Run through a relay; return the figures, with the relay's counts."""
        with Echod(listen="udp://127.0.0.1:0") as server, \
                Relay(server.addresses[0], forth, back) as relay:
            result = probe(*RUN, *arguments, relay.address)
        self.assertEqual(result.status, status, result.text)
        figures = result.json()
        self.assertEqual(figures["sent"], COUNT)
        self.assertEqual(figures["sent"],
                         figures["received"] + figures["lost"] + figures["corrupted"])
        return figures, relay.counts

    def check(self, figures, **expected):
        """Check these counts, and that the others of what may go wrong are 0."""
        names = ("lost", "unsent", "late", "corrupted", "duplicated", "reordered")
        self.assertEqual({name: figures[name] for name in names},
                         {name: expected.get(name, 0) for name in names})

    def test_a_clean_path(self):
        figures, _ = self.figures(0, *PATIENT)
        self.check(figures)
        self.assertEqual((figures["received"], figures["outages"]), (COUNT, 0))

    def test_losses_there_and_back(self):
        for way in ("forth", "back"):
            with self.subTest(way=way):
                figures, counts = self.figures(1, "-W", harness.scaled_ms(1000),
                                               **{way: losing(every(7))})
                self.assertEqual(counts["lost"], 15)
                self.check(figures, lost=counts["lost"])
                self.assertEqual(figures["faults"]["lost"], counts["lost"])
                self.assertEqual(figures["outages"], counts["lost"])

    def test_a_burst_of_losses_is_one_outage(self):
        figures, counts = self.figures(1, "-W", harness.scaled_ms(1000),
                                       forth=losing(lambda number: 30 <= number < 50))
        self.check(figures, lost=counts["lost"])
        self.assertEqual(figures["outages"], 1)
        self.assertGreaterEqual(figures["downtime_seconds"], 0.19 * harness.SLOWNESS)

    def test_doubled_there_and_back(self):
        """The last ones are not doubled: their copies might come after the end."""
        for way in ("forth", "back"):
            with self.subTest(way=way):
                figures, counts = self.figures(0, *PATIENT,
                                               **{way: doubling(every(3, before=COUNT - 5))})
                self.check(figures, duplicated=counts["doubled"])

    def test_reordered_there_and_back(self):
        for way in ("forth", "back"):
            with self.subTest(way=way):
                figures, counts = self.figures(0, *PATIENT, **{way: swapping(every(5))})
                self.assertEqual(counts["swapped"], 20)
                self.check(figures, reordered=counts["swapped"])

    def test_delayed_beyond_the_timeout(self):
        """They are lost, and come late; those behind them overtake them."""
        figures, counts = self.figures(
            1, "-W", harness.scaled_ms(200),
            back=delaying(0.4 * harness.SLOWNESS, every(10, before=COUNT // 2)))
        self.assertEqual(counts["delayed"], 5)
        self.check(figures, lost=5, late=5, reordered=5)

    def test_delayed_within_the_timeout(self):
        figures, counts = self.figures(0, *PATIENT,
                                       back=delaying(0.05 * harness.SLOWNESS, every(10)))
        self.check(figures, reordered=counts["delayed"])
        self.assertGreaterEqual(figures["rtt_us"]["max"], 50000 * harness.SLOWNESS)

    def test_cut_there_and_back(self):
        for way in ("forth", "back"):
            for length in (0, 1, 40, 63):
                with self.subTest(way=way, length=length):
                    figures, counts = self.figures(1, *PATIENT, **{way: cutting(length, every(9))})
                    self.check(figures, corrupted=counts["cut"])
                    self.assertEqual(figures["faults"]["truncated"], counts["cut"])

    def test_changed(self):
        figures, counts = self.figures(1, *PATIENT, forth=changing(33, every(8)))
        self.check(figures, corrupted=counts["changed"])
        self.assertEqual(figures["faults"]["corrupted"], counts["changed"])

    def test_all_of_it(self):
        figures, counts = self.figures(
            1, "-W", harness.scaled_ms(1000),
            forth=first_of(losing(every(10, 1)), cutting(20, every(10, 2)),
                           doubling(every(10, 3)), changing(20, every(10, 4)),
                           swapping(every(10, 6))))
        self.assertEqual(set(counts.values()), {10})
        self.check(figures, lost=10, corrupted=20, duplicated=10, reordered=10)

    def test_a_load_of_all_sizes(self):
        """Windows and sizes of every kind lose nothing on the way through a clean path."""
        for size, window in (("1", "1"), ("8", "4"), ("1472", "16"), ("8192", "4"),
                             ("65507", "2")):
            with self.subTest(size=size, window=window):
                with Echod(listen="udp://127.0.0.1:0") as server, \
                        Relay(server.addresses[0]) as relay:
                    result = probe("-q", "-c", "200", "-s", size, "--window", window, *PATIENT,
                                   relay.address)
                self.assertEqual(result.status, 0, result.text)
                self.assertIn("200 sent, 200 received, 0 lost (0.0%), 0 corrupted\n",
                              result.output)


if __name__ == "__main__":
    harness.main()
