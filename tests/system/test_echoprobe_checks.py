"""
test_echoprobe_checks: what echoprobe's checks of a path find: half-close, silence, datagram sizes.
Pings and loads are test_echoprobe's; how a monitoring system is told is test_echoprobe_plugin's.
Run by `run`, by automake, or alone.
"""

import contextlib
import os
import signal
import socket
import subprocess
import threading
import time

import broken_servers
import harness
from broken_servers import TcpServer, answer_changed
from harness import Echod, probe

KIB = 1024
SHORT = ("-W", harness.scaled_ms(300))


class CheckTestCase(harness.ProbeTestCase):

    def figures(self, *arguments, status=0):
        """Run a check with --json and return the object, whose status is the exit status."""
        result = probe("--json", *arguments)
        self.assertEqual((result.status, result.errors), (status, ""), result.text)
        figures = result.json()
        self.assertEqual(figures["status"], status)
        return figures


class HalfCloseTest(CheckTestCase):

    def test_echod_returns_all_and_fin(self):
        path = f"unix://{self.temporary_directory()}/echod.sock"
        with Echod(listen=[harness.LOOPBACK, path]) as server:
            for address in (server.addresses[0], path):
                for size in (1, 64, 65537, 5 * KIB * KIB):
                    with self.subTest(address=address, size=size):
                        figures = self.figures("--half-close", "-s", str(size), address)
                        self.assertEqual(figures["check"], "half-close")
                        self.assertEqual(figures["size_bytes"], size)
                        self.assertEqual(figures["returned_bytes"], size)

    def test_quiet_is_the_verdict_alone(self):
        with Echod() as server:
            for arguments in (("--half-close",), ("--hold", "50ms"), ("--find-idle-timeout=100ms",)):
                result = probe("-q", *arguments, server.addresses[0])
                self.assertEqual((result.status, result.output.count("\n")), (0, 2), result.text)

    def test_a_full_disk_is_an_error(self):
        with Echod() as server, open("/dev/full", "w", encoding="ascii") as full:
            for option, status in (("--json", 71), ("--quiet", 71), ("--plugin", 3)):
                with self.subTest(option=option):
                    result = subprocess.run(
                        [harness.ECHOPROBE, option, "--half-close", server.addresses[0]],
                        stdout=full, stderr=subprocess.PIPE, check=False)
                    self.assertEqual(result.returncode, status)

    def test_a_line_for_people(self):
        with Echod() as server:
            result = probe("--half-close", "-s", "1", server.addresses[0])
        self.assertEqual((result.status, result.errors), (0, ""))
        self.assertRegex(result.output, r"^echoprobe tcp://\S+ \(\S+\), 1 byte, half-close\n"
                                        r"1 byte came back, then FIN, in \d+\.\d{3} ms\n$")

    def test_a_server_that_ends_at_fin(self):
        """The classic fault: FIN from the client ends the connection, and with it the echo."""
        def serve(connection, _):
            connection.sendall(broken_servers.read_exactly(connection, 1000))
            while connection.recv(65536):
                pass

        result = self.expect(TcpServer(serve), ("--half-close", "-s", "100000", *SHORT),
                             r"truncated: the connection ended after 1000 of 100000 bytes")
        self.assertEqual(result.errors, "")

    def test_a_server_that_ends_before_it_was_sent_everything(self):
        self.expect(broken_servers.ending_after(10), ("--half-close", "-s", "16MiB", *SHORT),
                    r"(truncated|reset): .* after \d+ of \d+ bytes")

    def test_a_server_that_never_sends_fin(self):
        def serve(connection, _):
            connection.sendall(broken_servers.read_exactly(connection, 64))
            threading.Event().wait(60)

        self.expect(TcpServer(serve), ("--half-close", *SHORT),
                    r"all 64 bytes came back, but no FIN followed for")

    def test_a_server_that_keeps_a_part(self):
        def serve(connection, _):
            connection.sendall(broken_servers.read_exactly(connection, 64)[:40])
            threading.Event().wait(60)

        self.expect(TcpServer(serve), ("--half-close", *SHORT),
                    r"lost: only 40 of 64 bytes came back, then nothing for")

    def test_changed_bytes(self):
        for server, word in ((broken_servers.with_changed_byte(63), "corrupted"),
                             (broken_servers.with_changed_byte(0), "corrupted"),
                             (broken_servers.without_byte(10), "lost"),
                             (broken_servers.with_banner(b"hello"), "inserted")):
            with self.subTest(word=word):
                self.expect(server, ("--half-close", *SHORT), rf"(?m)^{word}: ")

    def test_a_changed_byte_among_many(self):
        """More comes behind it than is kept to judge it by, and what is right goes on."""
        for place in (0, 50000, 1000000):
            with self.subTest(place=place):
                self.expect(broken_servers.with_changed_byte(place),
                            ("--half-close", "-s", "8MiB", "-W", "10s"),
                            rf"(?m)^corrupted: 1 byte differs at offset {place}: ")

    def test_a_slow_server(self):
        """What leaves our system is progress, also while nothing comes back yet."""
        def serve(connection, _):
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
            kept = bytearray()
            while data := connection.recv(65536):
                kept += data
                time.sleep(0.03 * harness.SLOWNESS)
            connection.sendall(kept)

        self.expect(TcpServer(serve),
                    ("--half-close", "-s", "16MiB", "-W", harness.scaled_ms(4000)),
                    r"(?m)^all 16777216 bytes came back, then FIN", status=0)

    def test_an_interrupt_and_a_deadline_prove_nothing(self):
        with TcpServer(lambda connection, _: threading.Event().wait(60)) as server:
            result = probe("--half-close", "-W", "1h", "--deadline", "300ms", server.address)
            self.assertEqual(result.status, 1)
            self.assertIn("--deadline reached after 0 of 64 bytes", result.output)

    def test_a_deadline_before_the_first_echo(self):
        """It did not come to its end; only where nobody took the connection nobody is there."""
        checks = (("--hold", "1h"), ("--find-idle-timeout",), ("--half-close",))
        early = ("-W", "1h", "--deadline", harness.scaled_ms(500))
        with TcpServer(lambda connection, _: threading.Event().wait(60)) as server:
            for check in checks:
                with self.subTest(check=check):
                    result = probe(*check, *early, server.address)
                    self.assertEqual(result.status, 1, result.text)
                    self.assertIn("--deadline reached", result.output)
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            listener.listen(0)
            address = listener.getsockname()
            with socket.create_connection(address):
                for check in checks:
                    with self.subTest(check=check, full=True):
                        result = probe(*check, *early, f"127.0.0.1:{address[1]}")
                        self.assertEqual(result.status, 2, result.text)
                        self.assertIn("--deadline reached", result.errors)

    def test_a_reset_behind_a_changed_byte(self):
        def serve(connection, _):
            data = broken_servers.read_exactly(connection, 64)[:40]
            connection.sendall(data[:-1] + bytes([data[-1] ^ 1]))
            broken_servers.reset(connection)

        self.expect(TcpServer(serve), ("--half-close", "-W", "1m"),
                    r"(?m)^(corrupted: 1 byte differs at offset 39|reset: )")

    def test_a_reset(self):
        def serve(connection, _):
            broken_servers.read_exactly(connection, 64)
            broken_servers.reset(connection)

        self.expect(TcpServer(serve), ("--half-close", *SHORT), r"(?m)^reset: .* after 0 of 64 bytes$")

    def test_nobody_there(self):
        result = probe("--half-close", f"127.0.0.1:{harness.free_port()}")
        self.assertEqual((result.status, result.output.count("\n")), (2, 1))
        self.assertRegex(result.errors, r"^echoprobe: 127\.0\.0\.1:\d+: Connection refused\n$")

    def test_a_server_that_does_not_answer_the_connection(self):
        """The second client of a full backlog of one waits, and is given up."""
        with contextlib.ExitStack() as stack:
            listener = stack.enter_context(socket.socket())
            listener.bind(("127.0.0.1", 0))
            listener.listen(0)
            address = listener.getsockname()
            stack.enter_context(socket.create_connection(address))
            result = probe("--half-close", *SHORT, f"127.0.0.1:{address[1]}")
        self.assertEqual(result.status, 2, result.text)
        self.assertIn(os.strerror(110), result.errors)


class HoldTest(CheckTestCase):

    def test_the_first_round_trip_is_measured(self):
        def serve(connection, _):
            while data := connection.recv(65536):
                time.sleep(0.1)
                connection.sendall(data)

        with TcpServer(serve) as server:
            result = probe("--hold", "50ms", "-W", "1m", server.address)
        self.assertEqual(result.status, 0, result.text)
        self.assertRegex(result.output, r"(?m)^echo in [1-9]\d\d\.\d{3} ms; silent for 50ms$")

    def test_a_connection_that_lives(self):
        with Echod() as server:
            figures = self.figures("--hold", "300ms", server.addresses[0])
        self.assertGreaterEqual(figures["silence_seconds"], 0.3)
        self.assertGreater(figures["rtt_seconds"], 0)

    def test_lines_for_people(self):
        with Echod() as server:
            result = probe("--hold", "200ms", server.addresses[0])
        self.assertRegex(result.output, r"(?m)^echo in \d+\.\d{3} ms; silent for 200ms$")
        self.assertRegex(result.output,
                         r"(?m)^the connection lives after 200ms of silence, echo in \d+\.\d{3} ms$")

    def test_an_idle_timeout_of_echod(self):
        timeout = harness.scaled_ms(300)
        with Echod("--idle-timeout", timeout) as server:
            result = probe("--hold", "1h", server.addresses[0])
        self.assertEqual(result.status, 1)
        self.assertRegex(result.output, r"(?m)^the connection ended after \d+\.\d{3} s of silence: "
                                        r"the other end closed the connection$")

    def test_a_path_that_forgets(self):
        self.expect(broken_servers.forgetting_after(0.2), ("--hold", "300ms", *SHORT),
                    r"(?m)^no echo after 0\.3\d\d s of silence: no answer within")
        self.expect(broken_servers.forgetting_after(0.2, forget=broken_servers.reset),
                    ("--hold", "300ms", "-W", "1m"),
                    r"(?m)^no echo after 0\.3\d\d s of silence: Connection reset by peer")

    def test_no_echo_at_all(self):
        self.expect(broken_servers.silent_after(0), ("--hold", "1h", *SHORT),
                    r"(?m)^no echo before the silence: no answer within")

    def test_a_changed_echo_after_the_silence(self):
        self.expect(broken_servers.with_changed_byte(64), ("--hold", "100ms"),
                    r"(?m)^corrupted after 0\.1\d\d s of silence: 1 byte differs at offset 64")

    def test_nobody_there(self):
        result = probe("--hold", "1s", f"127.0.0.1:{harness.free_port()}")
        self.assertEqual(result.status, 2)
        self.assertIn("Connection refused", result.errors)

    def test_an_interrupt_and_a_deadline_prove_nothing(self):
        with Echod() as server:
            result = probe("--hold", "1h", "--deadline", "300ms", server.addresses[0])
            self.assertEqual(result.status, 1)
            self.assertIn("--deadline reached after 0.", result.output)
            for number in (signal.SIGINT, signal.SIGTERM):
                with subprocess.Popen([harness.ECHOPROBE, "--hold", "1h", server.addresses[0]],
                                      stdout=subprocess.PIPE, text=True) as client:
                    client.stdout.readline()
                    self.assertIn("silent for 1h", client.stdout.readline())
                    client.send_signal(number)
                    rest = client.stdout.read()
                self.assertEqual(client.returncode, 1)
                self.assertIn("interrupted after", rest)

    def test_many_interrupts_keep_no_verdict_from_being_told(self):
        with Echod() as server:
            for number in (signal.SIGINT, signal.SIGTERM):
                with subprocess.Popen([harness.ECHOPROBE, "--hold", "1h", server.addresses[0]],
                                      stdout=subprocess.PIPE, text=True) as client:
                    client.stdout.readline()
                    self.assertIn("silent for 1h", client.stdout.readline())
                    harness.signal_until_ended(client, number)
                    rest = client.stdout.read()
                self.assertEqual(client.returncode, 1)
                self.assertIn("interrupted after", rest)


class FindIdleTimeoutTest(CheckTestCase):
    """How exact the search is, and how soon over, is check_idle_timeout's."""

    def expect_timeout(self, seconds, maximum, address, *arguments):
        """Search, and fail unless what is found lies around a time-out of the server's."""
        figures = self.figures(f"--find-idle-timeout={maximum}", *arguments, address)
        survived, lost = figures["survived_seconds"], figures["lost_seconds"]
        self.assertLess(survived, lost)
        self.assertGreaterEqual(lost, seconds / 2, figures)  # the other's clock begins before ours
        return figures

    def test_echod(self):
        with Echod("--idle-timeout", "700ms") as server:
            figures = self.expect_timeout(0.7, "10s", server.addresses[0])
        self.assertRegex(figures["verdict"], "the other end closed the connection|"
                         "the connection ended after")  # before what was sent arrived, or then

    def test_a_path_that_forgets(self):
        with broken_servers.forgetting_after(0.6) as server:
            figures = self.expect_timeout(0.6, "5s", server.address, *SHORT)
        self.assertIn("no answer within", figures["verdict"])

    def test_a_path_that_forgets_and_resets(self):
        with broken_servers.forgetting_after(0.6, forget=broken_servers.reset) as server:
            figures = self.expect_timeout(0.6, "5s", server.address)
        self.assertIn("Connection reset by peer", figures["verdict"])

    def test_a_time_shorter_than_the_first_silence(self):
        with broken_servers.forgetting_after(0.05, forget=broken_servers.reset) as server:
            figures = self.figures("--find-idle-timeout=5s", server.address)
        self.assertLess(figures["survived_seconds"], figures["lost_seconds"])

    def test_one_loss_by_coincidence(self):
        """One connection is lost early; what comes after shows that it was no time-out."""
        with broken_servers.forgetting_after(0.3, 1, forget=broken_servers.reset) as server:
            figures = self.figures("--find-idle-timeout=1500ms", server.address)
        self.assertGreaterEqual(figures["survived_seconds"], 1.5)
        self.assertNotIn("lost_seconds", figures)

    def test_no_timeout(self):
        with Echod() as server:
            result = probe("--find-idle-timeout=400ms", server.addresses[0])
        self.assertEqual(result.status, 0, result.text)
        self.assertRegex(result.output, r"(?m)^\d+ connections are silent$")
        self.assertRegex(result.output, r"(?m)^silent for 0\.\d{3} s: lives, echo in ")
        self.assertRegex(result.output, r"(?m)^connections live after \d+\.\d{3} s of silence; "
                                        r"longer was not tried$")

    def test_changed_bytes_are_no_timeout(self):
        """Neither wrong bytes in an echo nor bytes in the silence are a silence that is too long."""
        def greet(connection, _):
            connection.sendall(connection.recv(64))
            time.sleep(0.3)
            connection.sendall(b"are you there?")
            while connection.recv(65536):
                pass

        for server, words in ((broken_servers.with_changed_byte(64), "1 byte differs at offset 64"),
                              (TcpServer(greet), "14 bytes that nobody sent")):
            with self.subTest(words=words):
                self.expect(server, ("--find-idle-timeout=2s", "-W", "1m"),
                            rf"(?m)^a silent connection brought something else: {words}")

    def test_a_process_that_was_stopped(self):
        """All connections are older than what is wanted next: the search begins anew with others."""
        with broken_servers.forgetting_after(0.2, forget=broken_servers.reset) as server, \
                subprocess.Popen([harness.ECHOPROBE, "--find-idle-timeout=5s", server.address],
                                 stdout=subprocess.PIPE, text=True) as client:
            for line in client.stdout:
                if ": lost" in line:
                    client.send_signal(signal.SIGSTOP)
                    time.sleep(0.5)
                    client.send_signal(signal.SIGCONT)
                    break
            rest = client.stdout.read()
        self.assertEqual(client.returncode, 0, rest)
        self.assertRegex(rest, r"(?m)^connections live after 0\.\d{3} s of silence, and are lost")

    def test_the_bounds_are_apart(self):
        with broken_servers.forgetting_after(0.1, forget=broken_servers.reset) as server:
            figures = self.figures("--find-idle-timeout=2s", server.address)
        self.assertGreater(figures["lost_seconds"] - figures["survived_seconds"], 0.0001)

    def test_a_server_that_takes_few_connections(self):
        """A limit on connections leaves some of them, and these are enough."""
        left = threading.Semaphore(3)

        def serve(connection, _):
            if left.acquire(blocking=False):
                while data := connection.recv(65536):
                    connection.sendall(data)

        with TcpServer(serve) as server:
            figures = self.figures("--find-idle-timeout=500ms", server.address)
        self.assertGreaterEqual(figures["survived_seconds"], 0.5)

    def test_nobody_there(self):
        result = probe("--find-idle-timeout", f"127.0.0.1:{harness.free_port()}")
        self.assertEqual(result.status, 2, result.text)
        self.assertIn("Connection refused", result.errors)

    def test_no_echo_at_all(self):
        self.expect(broken_servers.silent_after(0), ("--find-idle-timeout", *SHORT),
                    r"(?m)^no echo before the silence: no answer within")

    def test_a_server_that_ends_each_connection(self):
        server = TcpServer(lambda connection, _: connection.sendall(connection.recv(64)))
        result = self.expect(server, ("--find-idle-timeout=1s",),
                             r"(?m)^no silence is survived; connections are lost after 0\.0\d\d s: ",
                             status=0)
        self.assertEqual(result.errors, "")

    def test_a_server_that_goes_away(self):
        """The search is given up when no new connection can be made."""
        with contextlib.ExitStack() as stack:
            server = stack.enter_context(broken_servers.forgetting_after(60))
            client = stack.enter_context(subprocess.Popen(
                [harness.ECHOPROBE, "--find-idle-timeout", server.address],
                stdout=subprocess.PIPE, text=True))
            for line in client.stdout:
                if line.startswith("silent for"):
                    server.__exit__()
                    break
            output = client.stdout.read()
        self.assertEqual(client.returncode, 1, output)
        # Those whose silence began while the server went may throw doubt on what was survived.
        self.assertRegex(output, r"(?m)^too many connections were lost, the last: .* refused; "
                                 r"(connections live after \d+\.\d{3} s of silence|"
                                 r"no silence was survived yet)$")

    def test_an_interrupt_says_what_is_known(self):
        with Echod() as server, subprocess.Popen(
                [harness.ECHOPROBE, "--find-idle-timeout", server.addresses[0]],
                stdout=subprocess.PIPE, text=True) as client:
            for line in client.stdout:
                if line.startswith("silent for"):
                    client.send_signal(signal.SIGINT)
                    break
            rest = client.stdout.read()
        self.assertEqual(client.returncode, 1)
        self.assertRegex(rest, r"(?m)^interrupted; connections live after \d+\.\d{3} s of silence$")


class MtuTest(CheckTestCase):

    def sizes(self, server, *arguments):
        with server:
            return self.figures("--mtu", *SHORT, *arguments, server.address)

    def test_everything_returns(self):
        figures = self.sizes(answer_changed(lambda data, _: [data]))
        self.assertEqual((figures["largest_bytes"], figures["largest_whole_bytes"]), (65507, 65507))

    def test_datagrams_above_a_limit_are_lost(self):
        for limit in (4096, 65506):
            with self.subTest(limit=limit):
                figures = self.sizes(
                    answer_changed(lambda d, _, limit=limit: [d] if len(d) <= limit else []))
                self.assertEqual(figures["largest_bytes"], limit)

    def test_answers_are_cut(self):
        figures = self.sizes(answer_changed(lambda data, _: [data[:2048]]))
        self.assertEqual(figures["largest_bytes"], 2048)
        self.assertEqual(figures["verdict"],
                         "datagrams of up to 2048 bytes return whole; the answers to larger ones "
                         "are cut; at least 2048 bytes go there in one piece")

    def test_every_third_datagram_is_lost(self):
        """Each size is tried again, so a loss by chance is no limit."""
        figures = self.sizes(
            answer_changed(lambda d, n: [d] if n % 3 != 1 and len(d) <= 9000 else []))
        self.assertEqual(figures["largest_bytes"], 9000)

    def test_a_line_for_each_size(self):
        with answer_changed(lambda d, _: [d] if len(d) <= 100 else []) as server:
            result = probe("--mtu", *SHORT, server.address)
        self.assertEqual(result.status, 0, result.text)
        self.assertRegex(result.output, r"(?m)^64 bytes: return$")
        self.assertRegex(result.output, r"(?m)^101 bytes: lost, no answer within ")
        self.assertRegex(result.output, r"(?m)^datagrams of up to 100 bytes return; "
                                        r"up to 100 bytes go there in one piece$")

    def test_nothing_returns(self):
        self.expect(answer_changed(lambda data, _: []), ("--mtu", *SHORT),
                    r"(?m)^no datagram of 64 bytes came back$")
        self.expect(answer_changed(lambda data, _: [data[:32]]), ("--mtu", *SHORT),
                    r"(?m)^no datagram of 64 bytes came back whole$")

    def test_a_datagram_of_a_stranger(self):
        """What comes from elsewhere, and is not ours, is not taken for the answer."""
        def answer(server, data, client, number):
            if number == 0:
                with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
                    stranger.sendto(b"something else", client)
            server.sendto(data, client)

        with broken_servers.UdpServer(answer) as server:
            self.assertEqual(self.figures("--mtu", *SHORT, server.address)["largest_bytes"], 65507)

    def test_a_socket_for_each_size_and_no_more(self):
        with answer_changed(lambda d, _: [d] if len(d) <= 100 else []) as server, \
                harness.Process([harness.ECHOPROBE, "--mtu", "-W", "150ms", server.address],
                                stdout=subprocess.PIPE) as client:
            counts = []
            for line in client.stdout:
                if line.startswith(b"64 bytes") or len(counts) > 0:
                    with contextlib.suppress(FileNotFoundError, PermissionError):  # it is over
                        counts.append(client.descriptor_count())
            client.wait_for_exit(0)
        self.assertGreater(len(counts), 10)
        self.assertLessEqual(max(counts), counts[0] + 1)

    def test_an_interrupt_proves_nothing(self):
        with answer_changed(lambda data, _: []) as server:
            result = probe("--mtu", "-W", "1h", "--deadline", "300ms", server.address)
        self.assertEqual(result.status, 1, result.text)
        self.assertIn("--deadline reached when 64 bytes were tried", result.output)

    def test_something_else_returns(self):
        self.expect(answer_changed(lambda data, _: [data[:-1] + b"!"]), ("--mtu", *SHORT),
                    r"(?m)^64 bytes: corrupted: ")

    def test_nobody_there(self):
        result = probe("--mtu", f"udp://127.0.0.1:{harness.free_port(socket.SOCK_DGRAM)}")
        self.assertEqual(result.status, 2, result.text)
        self.assertIn("Connection refused", result.errors)

    def test_a_path_with_a_narrow_part(self):
        """A router between two hosts has an MTU of 1400: larger datagrams go on in pieces."""
        with self.network() as (run_here, server_address):
            lines = run_here(harness.ECHOPROBE, "--mtu", *SHORT, f"udp://{server_address}").stdout
            result = run_here(harness.ECHOPROBE, "--mtu", "--json", *SHORT,
                              f"udp://{server_address}")
        self.assertEqual(result.returncode, 0, result.stdout + result.stderr)
        self.assertRegex(lines, r"(?m)^\d+ bytes in one piece: lost, Message too long$")
        self.assertNotRegex(lines, r"(?m)^\d+ bytes: lost")
        self.assertIn('"largest_bytes": 65507', result.stdout)
        self.assertIn(f'"largest_whole_bytes": {1400 - 28}', result.stdout)

    def test_a_path_that_is_narrower_than_the_first_size(self):
        """Where 64 bytes do not go in one piece, fewer are tried."""
        with self.network(mtu=80) as (run_here, server_address):
            result = run_here(harness.ECHOPROBE, "--mtu", "--json", *SHORT,
                              f"udp://{server_address}")
        self.assertEqual(result.returncode, 0, result.stdout + result.stderr)
        self.assertIn(f'"largest_whole_bytes": {80 - 28}', result.stdout)

    @contextlib.contextmanager
    def network(self, mtu=1400):
        """
        Three namespaces in a row, client, router and server, with a small MTU behind the router.
        Yields what runs a command at the client, and the address of a UDP echo at the server.
        """
        with harness.Network(self, "client", "router", "server") as network:
            network.link("client", "10.213.1.1/24", "router", "10.213.1.2/24")
            network.link("server", "10.213.2.1/24", "router", "10.213.2.2/24", mtu=mtu)
            network.route("client", "10.213.1.2")
            network.route("server", "10.213.2.2")
            subprocess.run([*network.inside("router"), "sysctl", "-qw", "net.ipv4.ip_forward=1"],
                           check=True)
            with harness.Process([*network.inside("server"), "python3", "-c", UDP_ECHO],
                                 stdout=subprocess.PIPE) as server:
                port = int(server.stdout.readline())

                def run_here(*command):
                    return subprocess.run([*network.inside("client"), *command],
                                          capture_output=True, check=False, text=True,
                                          timeout=3 * harness.PATIENCE_SECONDS)

                yield run_here, f"10.213.2.1:{port}"


UDP_ECHO = """
import socket
server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind(("10.213.2.1", 0))
print(server.getsockname()[1], flush=True)
while True:
    data, client = server.recvfrom(65536)
    try:
        server.sendto(data, client)
    except OSError:  # ENOBUFS: more pieces than a small MTU's queue has room for
        pass
"""


class UsageTest(harness.TestCase):

    def test_mistakes_are_named_in_one_sentence(self):
        for arguments, word in (
                (("--half-close", "--hold", "1s", "a"), "exclude each other"),
                (("--mtu", "a"), "--mtu: needs datagrams"),
                (("--mtu", "-s", "9", "udp://a"), "--mtu: searches the size"),
                (("--hold", "1s", "udp://a"), "--hold: UDP has no connections"),
                (("--half-close", "udp://a"), "--half-close: UDP"),
                (("--find-idle-timeout", "udp://a"), "--find-idle-timeout: UDP"),
                (("--half-close", "-c", "1", "a"), "--half-close: is neither ping nor load"),
                (("--half-close", "-P", "2", "a"), "--half-close: is neither ping nor load"),
                (("--hold", "1s", "-i", "1", "a"), "--hold: is neither ping nor load"),
                (("--hold", "0", "a"), "--hold"),
                (("--find-idle-timeout=99ms", "a"), "--find-idle-timeout"),
                (("--find-idle-timeout=x", "a"), "--find-idle-timeout")):
            with self.subTest(arguments=arguments):
                result = probe(*arguments)
                self.assertEqual((result.status, result.output), (64, ""), result.text)
                self.assertRegex(result.errors, r"^echoprobe: .+\n$")
                self.assertIn(word, result.errors)


if __name__ == "__main__":
    harness.main()
