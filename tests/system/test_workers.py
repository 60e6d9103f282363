"""
test_workers: several threads serve one address as if they were one.
That a second echod is refused all the same is in test_listen.
Run by `run`, by automake, or alone.
"""

import os
import re
import signal
import socket

import harness
from harness import MIB, Echod, Stream

SO_INCOMING_CPU = 49  # socket(7); python has it from 3.11 on


def workers_of(lines, count):
    """Which of so many workers served the connections of these log lines."""
    return {(line.id - 1) % count for line in lines}


class WorkersTest(harness.TestCase):

    def test_clients_are_spread(self):
        """Each of two workers gets some of 64 clients, and every client an id of its own."""
        with Echod("--workers", "2") as server:
            clients = [server.connect() for _ in range(64)]
            for client in clients:
                harness.round_trip(client)
            # A byte comes back before it is counted.
            harness.wait_until(lambda: server.report()[0].bytes_in == 4 * 64, "all bytes are counted")
            totals, lines = server.report()
            self.assertEqual((totals.open, totals.bytes_in), (64, 4 * 64))
            self.assertEqual(len({line.id for line in lines}), 64)
            self.assertEqual(workers_of(lines, 2), {0, 1})

    def test_ids_are_small(self):
        """The first clients have the ids 1, 2, 3, and those who follow one another are counted."""
        with Echod() as server:
            clients = [server.connect() for _ in range(3)]
            for client in clients:
                harness.round_trip(client)
            self.assertEqual(sorted(line.id for line in server.report()[1]), [1, 2, 3])
        with Echod() as server:
            for expected in range(1, 6):
                since = len(server.log.lines)
                with harness.connect(server.addresses[0]) as client:
                    harness.round_trip(client)
                self.assertEqual(server.wait_for_closed(since=since).id, expected)

    def test_ids_never_come_back(self):
        """Over thousands of connections no worker gives out an id twice."""
        with Echod("--workers", "3") as server:
            for _ in range(20):
                clients = [harness.connect(server.addresses[0]) for _ in range(50)]
                for client in clients:
                    harness.round_trip(client)
                    client.close()
            closed = server.wait_for_closed(count=1000)
            self.assertEqual(len({line.id for line in closed}), 1000)

    def test_auto_is_one_for_each_cpu(self):
        """--workers auto starts a thread for each CPU that the process may use."""
        threads = {}
        for workers in ("1", "auto"):
            with Echod("--workers", workers) as server:
                threads[workers] = server.thread_count()
        self.assertEqual(threads["auto"] - threads["1"], len(os.sched_getaffinity(0)) - 1)

    def test_auto_respects_a_cpu_set(self):
        """Bound to one CPU, --workers auto is one worker."""
        taskset = self.need_program("taskset")
        cpu = str(min(os.sched_getaffinity(0)))
        threads = {}
        for workers in ("1", "auto"):
            with Echod("--workers", workers, prefix=(taskset, "-c", cpu)) as server:
                threads[workers] = server.thread_count()
        self.assertEqual(threads["1"], threads["auto"])

    def thread_cpus(self, server):
        """The CPUs that each of echod's threads may use."""
        return [os.sched_getaffinity(int(thread))
                for thread in os.listdir(f"/proc/{server.pid}/task")]

    def test_pinned_workers_take_turns_at_the_cpus(self):
        """Each of --pin-workers stays on one CPU; those that are too many begin anew."""
        if harness.PREFIX:
            self.skipTest("a unit lets --pin-workers be by another line, as it says")
        cpus = sorted(os.sched_getaffinity(0))
        count = len(cpus) + 1
        with Echod("--pin-workers", "--workers", str(count)) as server:
            harness.wait_until(
                lambda: sorted(min(usable) for usable in self.thread_cpus(server)
                               if len(usable) == 1)
                == sorted([*cpus, cpus[0]]) or len(cpus) == 1, "each worker is on its CPU")
            harness.round_trip(server.connect())

    def test_pinned_workers_get_the_clients_of_their_cpus(self):
        """A client is served on the CPU where its packets arrive."""
        cpus = sorted(os.sched_getaffinity(0))
        release = tuple(int(part) for part in re.findall(r"\d+", os.uname().release)[:2])
        if len(cpus) < 2 or release < (6, 2):
            self.skipTest("needs two CPUs and Linux 6.2")
        with Echod("--pin-workers", "--workers", "2") as server:
            try:
                for worker, cpu in enumerate(cpus[:2]):
                    os.sched_setaffinity(0, {cpu})
                    clients = [server.connect() for _ in range(20)]
                    for client in clients:
                        harness.round_trip(client)
                    _, lines = server.report()
                    self.assertEqual(workers_of(lines, 2), {worker})
                    for client in clients:
                        client.close()
                    server.wait_for_closed(count=20 * (worker + 1))
            finally:
                os.sched_setaffinity(0, cpus)

    def test_pinned_workers_leave_a_passed_socket_alone(self):
        """Which CPU's clients a passed socket prefers stays as its owner has it."""
        with harness.listening_socket() as passed:
            before = passed.getsockopt(socket.SOL_SOCKET, SO_INCOMING_CPU)
            with Echod("--pin-workers", "--workers", "2", listen=passed) as server:
                harness.round_trip(server.connect())
            self.assertEqual(passed.getsockopt(socket.SOL_SOCKET, SO_INCOMING_CPU), before)

    def test_workers_share_a_passed_socket(self):
        """All workers accept from the one socket that was passed."""
        with harness.listening_socket() as passed, Echod("--workers", "2", listen=passed) as server:
            clients = [server.connect() for _ in range(200)]
            for client in clients:
                harness.round_trip(client)
            _, lines = server.report()
            self.assertEqual(len({line.id for line in lines}), 200)

    def test_the_limit_of_connections_is_that_of_all_workers(self):
        """Workers together serve --max-connections clients, and all in the end."""
        with Echod("--workers", "2", "--max-connections", "4") as server:
            clients = [server.connect() for _ in range(40)]
            # Both may accept at one instant below the limit: one more for the second worker.
            self.assertLessEqual(server.report()[0].open, 4 + 1)
            for client in clients:
                client.sendall(b"x")
            # Which worker serves a client is the kernel's choice, so ask who has been served.
            while clients:
                for client in [client for client in clients if self.has_echo(client)]:
                    clients.remove(client)
                    client.close()
            self.assertEqual(server.stop().accepted, 40)

    def has_echo(self, client):
        """Tell whether the echo of one byte is there, and wait for it a little."""
        client.settimeout(0.005)
        try:
            return client.recv(1) == b"x"
        except TimeoutError:
            return False

    def test_drain_waits_for_all_workers(self):
        """TERM reaches every worker, and echod ends when the last client has left."""
        with Echod("--workers", "2", "--drain-timeout", "1h") as server:
            streams = [Stream(server.connect(), seed) for seed in range(8)]
            harness.wait_until(lambda: all(stream.received > MIB for stream in streams),
                               "every stream flows")
            server.signal(signal.SIGTERM)
            server.log.wait_for("draining: 8 connections")
            harness.wait_until(lambda: harness.is_refused(server.addresses[0]), "the door closes")
            for stream in streams:
                self.assertIsNone(server.status)
                stream.finish()
            server.wait_for_exit(0)


if __name__ == "__main__":
    harness.main()
