"""
test_impair_udp: datagram sockets misbehave as they were told, and echoprobe names it and counts as
much.
The bounds and the order of one socket are check_datagram_impair's; connections test_impair's.
Run by `run`, by automake, or alone.
"""

import signal

import harness
from harness import Echod, probe
from test_impair import ONE_WORKER, misbehaved
from test_udp import client_of, wait_for_totals

UDP = "udp://127.0.0.1:0"
COUNT = 400

# What is asked of a socket, and how many of 400 that are: the seeds make them the same each time.
SHARES = {"drop": "10%", "duplicate": "10%", "reorder": "10%", "truncate": "10%"}


class ProbeTest(harness.TestCase):

    def load(self, address):
        """Send datagrams, no more at a time than any buffer holds."""
        return probe("--json", "-c", str(COUNT), "-i", "0", "--window", "32", "--timeout",
                     harness.scaled_ms(500), address).json()

    def test_each_fault_has_its_name_and_its_count(self):
        """echoprobe finds as many as echod has made, and that is what was asked for."""
        listen = [f"{UDP},{name}={share},seed=1" for name, share in SHARES.items()]
        with Echod(*ONE_WORKER, listen=(*listen, f"{UDP},corrupt=0.1%,seed=1")) as server:
            drop, duplicate, reorder, truncate, corrupt = map(self.load, server.addresses)
            totals = misbehaved(server)
        self.assertEqual(drop["lost"], totals["dropped"])
        self.assertEqual(drop["faults"]["lost"], totals["dropped"])
        self.assertEqual(duplicate["duplicated"], totals["duplicated"])
        self.assertEqual(truncate["faults"]["truncated"], totals["truncated"])
        self.assertTrue(0 < reorder["reordered"] <= totals["reordered"], reorder)
        self.assertGreater(corrupt["faults"]["corrupted"], 0)
        self.assertGreaterEqual(totals["datagram_corrupted"], corrupt["faults"]["corrupted"])
        self.assertEqual(corrupt["received"] + corrupt["corrupted"], COUNT)
        for name in ("dropped", "duplicated", "truncated"):
            self.assertTrue(20 < totals[name] < 60, totals)  # 40 on average
        self.assertEqual(totals["overflowed"], 0)

    def test_a_fault_is_told_with_its_place(self):
        """Where a byte was changed, and how much of an answer was left."""
        with Echod(*ONE_WORKER, listen=(f"{UDP},corrupt=100%", f"{UDP},truncate=100%")) as server:
            corrupt, truncate = server.addresses
            self.assertRegex(probe("-c", "1", "-s", "100", corrupt).text,
                             r"corrupted: 100 bytes differ, the first at offset 0")
            self.assertRegex(probe("-c", "1", "-s", "100", truncate).text,
                             r"truncated: only \d+ of 100 bytes came back")

    def test_delays_are_those_that_were_asked_for(self):
        """No answer is earlier than the delay less the jitter; half of them are not much later."""
        with Echod(listen=(f"{UDP},delay=50ms", f"{UDP},delay=50ms,jitter=30ms")) as server:
            for address, least_ms in zip(server.addresses, (50, 20)):
                times = probe("--json", "-c", "9", "-i", "0", address).json()["rtt_us"]
                self.assertGreaterEqual(times["min"], least_ms * 1000)
                self.assertLess(times["p50"], 500_000 * harness.SLOWNESS)


class LifeTest(harness.TestCase):

    def answers(self, seed):
        """Which of 200 questions are answered, and how."""
        with Echod(*ONE_WORKER,
                   listen=f"{UDP},drop=20%,truncate=20%,corrupt=1%,seed={seed}") as server:
            with client_of(server.addresses[0]) as client:
                for number in range(200):
                    client.send(number.to_bytes(2, "big") * 20)
                wait_for_totals(server, lambda totals: totals["datagrams_in"] == 200, "all came")
                client.setblocking(False)
                found = []
                try:
                    while True:
                        found.append(client.recv(100))
                except BlockingIOError:
                    return found

    def test_a_seed_repeats_a_run(self):
        """The same datagrams meet the same faults; another seed has others."""
        one = self.answers(1)
        self.assertTrue(120 < len(one) < 190, len(one))
        self.assertEqual(self.answers(1), one)
        self.assertNotEqual(self.answers(2), one)

    def test_what_is_held_counts_as_queued(self):
        """Above --max-queued there is no answer, and that is counted."""
        with Echod(*ONE_WORKER, "--max-queued", "200000", "--drain-timeout", "10ms",
                   listen=f"{UDP},delay=1h") as server:
            with client_of(server.addresses[0]) as client:
                for number in range(5):
                    client.send(bytes(60000))
                    wait_for_totals(server, lambda totals, count=number + 1:
                                    totals["datagrams_in"] == count, "it came")
            self.assertEqual(misbehaved(server)["overflowed"], 2)

    def test_a_drain_and_a_reload_let_leave_what_is_held(self):
        """Neither TERM nor an end of the misbehaviour loses an answer."""
        path = f"{self.temporary_directory()}/echod.conf"

        def write(delay):
            with open(path, "w", encoding="ascii") as file:
                file.write(f"listen {address},delay={delay}\n")

        address = f"udp://127.0.0.1:{harness.free_port()}"
        write("1h")
        with Echod(*ONE_WORKER, "--drain-timeout", "1h", config=path, listen=(),
                   ready=1) as server, client_of(address) as client:
            client.send(b"one")
            server.log.wait_for("misbehaves on purpose: delay=1h$")
            wait_for_totals(server, lambda totals: totals["datagrams_in"] == 1, "it came")
            write("0")
            server.signal(signal.SIGHUP)
            self.assertEqual(client.recv(100), b"one")
            write("300ms")
            server.signal(signal.SIGHUP)
            server.log.wait_for("misbehaves on purpose: delay=300ms$")
            client.send(b"two")
            wait_for_totals(server, lambda totals: totals["datagrams_in"] == 2, "it came")
            server.signal(signal.SIGTERM)
            self.assertEqual(client.recv(100), b"two")
            server.wait_for_exit(harness.STATUS_STOPPED)


if __name__ == "__main__":
    harness.main()
