"""
test_signals: TERM and INT drain, a second one or QUIT ends at once, USR1 reports.
What a supervisor makes of that is in test_supervisor.
Run by `run`, by automake, or alone.
"""

import collections
import os
import resource
import signal
import socket
import subprocess

import harness
from harness import KIB, Echod, Heartbeat, Stream, scaled_ms


def name_of(client):
    """A TCP client's address as echod logs it."""
    return "%s:%d" % client.getsockname()


class DrainTest(harness.TestCase):

    def test_stop_with_nobody_connected_is_immediate(self):
        """TERM or INT ends an echod without clients at once, with status 0."""
        for number in (signal.SIGTERM, signal.SIGINT):
            with self.subTest(number), Echod("--drain-timeout", "1h") as server:
                harness.finish(server.connect(), b"somebody was here before")
                server.close_clients()
                server.wait_for_closed()
                server.signal(number)
                server.wait_for_exit(0)
                server.log.wait_for("info: totals: open=0 ")
                server.log.wait_for("info: stopped$")

    def test_drain_echoes_on_until_the_clients_leave(self):
        """After TERM nobody new comes in, and who is there is served until he leaves."""
        for number in (signal.SIGTERM, signal.SIGINT):
            with self.subTest(number), Echod("--drain-timeout", "1h") as server:
                clients = [server.connect() for _ in range(2)]
                for client in clients:
                    harness.round_trip(client)
                server.signal(number)
                server.log.wait_for("info: draining: 2 connections, at most 1h$")
                harness.wait_until(lambda: harness.is_refused(server.addresses[0]),
                                   "the door closes")
                for client in clients:
                    harness.round_trip(client, b"still here")
                    data = harness.random_bytes(3 * harness.MIB)
                    self.assert_echo(harness.finish(client, data), data)
                    client.close()
                server.wait_for_exit(0)
                server.wait_for_closed("client closed", count=2)

    def test_drain_serves_who_waits_at_the_limit(self):
        """The kernel has connected these clients already, one more than the backlog says."""
        for count in (1, 2):
            path = f"unix://{self.temporary_directory()}/echod.sock"
            with self.subTest(workers=count), \
                    Echod("--max-connections", str(count), "--workers", str(count),
                          "--backlog", "5", "--drain-timeout", "1h", listen=path) as server:
                clients = [server.connect() for _ in range(count)]
                for client in clients:
                    harness.round_trip(client)
                clients += [server.connect() for _ in range(6)]
                server.signal(signal.SIGTERM)
                for client in clients:
                    harness.round_trip(client)
                server.close_clients()
                server.wait_for_exit(0)

    def test_a_unix_path_is_free_while_echod_drains(self):
        """A successor can bind the path of an echod that still drains, and keeps it."""
        path = f"{self.temporary_directory()}/echod.sock"
        address = f"unix://{path}"
        for place in (0, 1):  # who is connected by the path keeps its inode
            with Echod("--drain-timeout", "1h", listen=[address, harness.LOOPBACK]) as server:
                client = server.connect(place)
                harness.round_trip(client)
                server.signal(signal.SIGTERM)
                harness.wait_until(lambda: not os.path.exists(path), "the door closes")
                with Echod(listen=address) as successor:
                    harness.round_trip(client)
                    client.close()
                    server.wait_for_exit(0)
                    harness.round_trip(successor.connect())

    def test_drain_timeout_ends_a_client_that_stays(self):
        """When the drain time is over, a client that does not leave gets FIN."""
        with Echod("--drain-timeout", scaled_ms(300)) as server:
            client = server.connect()
            harness.round_trip(client)
            server.signal(signal.SIGTERM)
            self.assertEqual(harness.receive_all(client), b"")
            client.close()
            server.wait_for_exit(0)
            server.wait_for_closed("drained")

    def test_a_client_that_never_closes_does_not_hold_up_the_stop(self):
        """Drain and linger time-outs together bound how long a stop takes."""
        with Echod("--drain-timeout", scaled_ms(100), "--linger-timeout", scaled_ms(300)) as server:
            silent, stuck = server.connect(), server.connect()
            harness.round_trip(silent)
            harness.fill([stuck], quiet_seconds=0.1)
            server.signal(signal.SIGTERM)
            server.wait_for_exit(0)
            server.wait_for_closed("drained", count=2)

    def test_drain_under_load_accounts_for_every_byte(self):
        """What echod counts as received went out and arrived, though nobody stops sending."""
        for workers in ("1", "2"):
            with self.subTest(workers=workers), \
                    Echod("--drain-timeout", scaled_ms(300), "--workers", workers) as server:
                clients = [server.connect() for _ in range(8)]
                streams = {name_of(client): Stream(client, seed)
                           for seed, client in enumerate(clients)}
                harness.wait_until(
                    lambda: all(stream.received > harness.MIB for stream in streams.values()),
                    "every stream flows")
                server.signal(signal.SIGTERM)
                received = {name: stream.wait_for_fin() for name, stream in streams.items()}
                server.wait_for_exit(0)

                closed = server.wait_for_closed("drained", count=len(clients))
                self.assertEqual({line.peer: line.bytes_in for line in closed}, received)
                self.assertEqual({line.peer: line.bytes_out for line in closed}, received)
                totals = harness.facts(server.log.wait_for(harness.TOTALS_LINE))
                self.assertEqual((totals.open, totals.bytes_in, totals.bytes_out),
                                 (0, sum(received.values()), sum(received.values())))

    def test_drain_under_load_lets_clients_finish(self):
        """Clients that finish in time lose nothing to a stop in their middle."""
        with Echod("--drain-timeout", "1h") as server:
            streams = [Stream(server.connect(), seed) for seed in range(4)]
            harness.wait_until(lambda: all(stream.received > harness.MIB for stream in streams),
                               "every stream flows")
            server.signal(signal.SIGTERM)
            server.log.wait_for("draining: 4 connections")
            for stream in streams:
                stream.finish()
            server.wait_for_exit(0)
            server.wait_for_closed("client closed", count=4)


class StopAtOnceTest(harness.TestCase):

    def test_a_second_signal_or_quit_ends_at_once(self):
        """Whoever is in a hurry does not wait for clients, and still sees status 0."""
        for signals in ("TERM TERM", "TERM INT", "INT INT", "INT TERM", "TERM QUIT", "QUIT"):
            with self.subTest(signals), \
                    Echod("--drain-timeout", "1h", "--linger-timeout", "1h") as server:
                idle, stuck = server.connect(), server.connect()
                harness.round_trip(idle)
                harness.fill([stuck], quiet_seconds=0.1)
                first, *second = signals.split()
                server.signal(getattr(signal, f"SIG{first}"))
                if second:
                    server.log.wait_for("draining: 2 connections")
                    harness.round_trip(idle)
                    server.signal(getattr(signal, f"SIG{second[0]}"))
                server.wait_for_exit(0)
                server.wait_for_closed("stopped", count=2)
                server.log.wait_for("info: stopped$")

    def test_a_second_signal_cuts_lingering_short(self):
        """It also ends clients that are on their way out already."""
        with Echod("--drain-timeout", "0", "--linger-timeout", "1h") as server:
            client = server.connect()
            harness.round_trip(client)
            server.signal(signal.SIGTERM)
            self.assertEqual(harness.receive_all(client), b"")
            server.signal(signal.SIGTERM)
            server.wait_for_exit(0)

    def test_signals_before_the_first_client_come_through(self):
        """A stop that comes as soon as echod listens is not lost."""
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT):
            with self.subTest(number), Echod() as server:
                server.signal(number)
                server.wait_for_exit(0)

    def test_sigpipe_is_survived(self):
        """A pipe that nobody reads is no reason to end."""
        with Echod() as server:
            client = server.connect()
            server.signal(signal.SIGPIPE)
            harness.round_trip(client)


class EarlyStopTest(harness.TestCase):

    def name_server(self):
        """One that reads questions and never answers."""
        server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.addCleanup(server.close)
        server.settimeout(harness.PATIENCE_SECONDS)
        try:
            server.bind(("127.53.53.53", 53))
        except OSError as error:
            self.skipTest(f"no name server can be here: {error}")
        return server

    def test_a_stop_before_the_first_listener_is_immediate(self):
        """Nobody waits for a name server that does not answer: status 0, and nothing is said."""
        prefix = self.with_file("/etc/resolv.conf", "nameserver 127.53.53.53\n")
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT):
            with self.subTest(number), self.name_server() as server, subprocess.Popen(
                    [*prefix, harness.ECHOD, "--no-config", "--listen", "echo.example:7"],
                    stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
                server.recv(512)
                process.send_signal(number)
                self.assertEqual(process.communicate(timeout=harness.PATIENCE_SECONDS)[0], b"")
                self.assertEqual(process.returncode, 0)


class FirstProcessTest(harness.TestCase):

    def children(self, pid):
        with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
            return [int(child) for child in file.read().split()]

    def leave_orphan(self, nsenter, first):
        """Let a shell end before its child, which ends when the pipe does."""
        reader, writer = os.pipe()
        subprocess.run([nsenter, "-t", str(first), "-p", "sh", "-c", "exec 3<&0; cat <&3 &"], check=True,
                       stdin=reader, stdout=subprocess.DEVNULL)
        os.close(reader)
        harness.wait_until(lambda: self.children(first), "the orphan is echod's")
        os.close(writer)

    def test_orphans_leave_no_zombies(self):
        """As process 1 echod inherits what a health check leaves behind, and keeps none of it."""
        unshare, nsenter = self.need_program("unshare"), self.need_program("nsenter")
        if subprocess.run([unshare, "-p", "--fork", "true"], stderr=subprocess.DEVNULL,
                          check=False).returncode != 0:
            self.skipTest("process namespaces need root, and no container that forbids them")
        with Echod(prefix=(unshare, "-p", "--fork", "--kill-child")) as server:
            first, = self.children(server.pid)
            for _ in range(5):
                self.leave_orphan(nsenter, first)
            harness.wait_until(lambda: not self.children(first), "no child is left")
            os.kill(first, signal.SIGTERM)
            server.wait_for_exit(0)


class ReportTest(harness.TestCase):

    def test_usr1_logs_totals_and_connections(self):
        """Every client has its line, with its bytes, and the totals add them up."""
        with Echod() as server:
            gone = server.connect()
            self.assertEqual(harness.finish(gone, b"12345"), b"12345")
            gone.close()
            server.wait_for_closed()
            clients = [server.connect() for _ in range(3)]
            for number, client in enumerate(clients):
                harness.round_trip(client, bytes(10 * (number + 1)))

            # A worker counts a byte when it is out; the client may already have it then.
            harness.wait_until(lambda: server.report()[0].bytes_out == 65, "all bytes are counted")
            totals, connections = server.report()
            self.assertEqual((totals.open, totals.accepted, totals.refused), (3, 4, 0))
            self.assertEqual((totals.bytes_in, totals.bytes_out), (65, 65))
            self.assertEqual(totals.log_dropped, 0)
            self.assertEqual(
                {line.peer: (line.state, line.bytes_in, line.bytes_out) for line in connections},
                {name_of(client): ("open", 10 * (number + 1), 10 * (number + 1))
                 for number, client in enumerate(clients)})
            self.assertEqual(len({line.id for line in connections}), 3)

    def test_usr1_shows_what_is_queued_and_the_state(self):
        """The report tells a client that does not read from one that got our FIN."""
        with Echod("--no-shortcuts") as server:
            client = server.connect()
            harness.fill([client], quiet_seconds=0.1)
            (line,) = server.report()[1]
            self.assertEqual(line.state, "open")
            self.assertGreater(line.bytes_in - line.bytes_out, 64 * KIB)
        with Echod("--lifetime", scaled_ms(100), "--linger-timeout", "1h") as server:
            client = server.connect()
            self.assertEqual(harness.receive_all(client), b"")
            (line,) = server.report()[1]
            self.assertEqual(line.state, "lingering")

    def test_who_asks_during_a_report_gets_no_second_one(self):
        """It goes on, and does not begin anew: each client has as many lines as any other."""
        with Echod("--workers", "1") as server:
            clients = [server.connect() for _ in range(500)]
            for client in clients:
                harness.round_trip(client, b"1")
            server.signal(signal.SIGUSR1)
            server.log.wait_for(harness.REPORT_LINE, 50)
            server.signal(signal.SIGUSR1)
            server.log.wait_for(harness.TOTALS_LINE, 2)
            server.log.wait_for(harness.REPORT_LINE, len(clients))
            server.report()
            harness.wait_until(lambda: self.are_even(server), "each client has as many lines")

    @staticmethod
    def are_even(server):
        lines = collections.Counter(match["id"] for match in server.log.find(harness.REPORT_LINE))
        return len(set(lines.values())) == 1

    def test_usr1_with_thousands_of_connections_stalls_nobody(self):
        """A report on 10,000 connections (or what the system allows) does not stop the echo."""
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        count = min(10000, hard - 200) if hard != resource.RLIM_INFINITY else 10000
        # The log goes to a file, so that reading it takes no time from the client that is measured.
        path = f"{self.temporary_directory()}/log"
        with open(path, "wb") as log, harness.listening_socket() as passed, \
                Echod(listen=passed, log_to=log) as server:
            for _ in range(count - 1):
                server.connect()
            heartbeat = Heartbeat(server.connect())
            heartbeat.wait_for_beats(100)
            ordinary = heartbeat.slowest_seconds
            server.signal(signal.SIGUSR1)
            harness.wait_until(lambda: self.size_of_report(path) > 0, "the report begins")
            heartbeat.wait_for_beats(1000)
            heartbeat.stop()
            harness.wait_until(lambda: self.size_of_report(path) >= count, f"{count} lines")
            print(f"{count} connections, slowest echo {heartbeat.slowest_seconds * 1000:.1f} ms "
                  f"(without a report {ordinary * 1000:.1f} ms) ", end="", flush=True)
            self.assertLess(heartbeat.slowest_seconds, harness.PATIENCE_SECONDS / 4)

    def size_of_report(self, path):
        """How many connections are reported in a log file."""
        with open(path, encoding="ascii") as file:
            return file.read().count(" open, in=")


if __name__ == "__main__":
    harness.main()
