"""
test_listen: every form of address is served, and what cannot be served is refused in a sentence.
Addresses that are wrong already as text are in test_usage; "stdio:" is in test_stdio.
Run by `run`, by automake, or alone.
"""

import contextlib
import os
import signal
import socket
import stat
import tempfile

import harness
from harness import MIB, Echod
from test_udp_passed import SO_TIMESTAMPING, SOF_TIMESTAMPING_TX_SOFTWARE


def addresses_of_localhost():
    """What this machine has under the name localhost, without doubles."""
    infos = socket.getaddrinfo("localhost", 0, type=socket.SOCK_STREAM)
    return sorted({info[4][0] for info in infos})


class TcpTest(harness.TestCase):

    def expect_echo(self, server, index=0):
        """Check that the index-th address echoes."""
        data = harness.random_bytes(100000)
        self.assert_echo(harness.finish(server.connect(index), data), data)

    def test_ipv4(self):
        """A numeric IPv4 address is served, and port 0 gives a free port, which is logged."""
        with Echod(listen="tcp://127.0.0.1:0") as server:
            self.assertRegex(server.addresses[0], r"^tcp://127\.0\.0\.1:[1-9]\d*$")
            self.expect_echo(server)

    def test_ipv6(self):
        """A numeric IPv6 address is served; it stands in brackets in the log too."""
        self.need_ipv6()
        with Echod(listen="tcp://[::1]:0") as server:
            self.assertRegex(server.addresses[0], r"^tcp://\[::1\]:[1-9]\d*$")
            client = server.connect()
            self.assertEqual(harness.finish(client, b"over IPv6"), b"over IPv6")
            self.assertEqual(server.wait_for_closed().peer,
                             f"[::1]:{client.getsockname()[1]}")

    def test_ipv6_wildcard_is_ipv6_only(self):
        """[::] does not take IPv4 clients, so that 0.0.0.0 may have the same port."""
        self.need_ipv6()
        with Echod(listen="tcp://[::]:0") as server:
            port = harness.port_of(server.addresses[0])
            self.expect_echo(server)
            with self.assertRaises(ConnectionRefusedError):
                harness.connect(f"tcp://127.0.0.1:{port}")
            with Echod(listen=f"tcp://0.0.0.0:{port}") as other:
                self.expect_echo(other)

    def test_host_and_port_are_short_for_tcp(self):
        """HOST:PORT without a scheme is a TCP address."""
        with Echod(listen="127.0.0.1:0") as server:
            self.assertRegex(server.addresses[0], r"^tcp://127\.0\.0\.1:\d+$")
            self.expect_echo(server)

    def test_the_given_port_is_used(self):
        """A port that is not 0 is the one that is bound."""
        port = harness.free_port()
        with Echod(listen=f"tcp://127.0.0.1:{port}") as server:
            self.assertEqual(server.addresses, [f"tcp://127.0.0.1:{port}"])

    def test_default_address(self):
        """Without --listen echod serves tcp://127.0.0.1:13265."""
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", 13265))
            except OSError as error:
                self.skipTest(f"another program has the default port: {error}")
        with Echod(listen=None) as server:
            self.assertEqual(server.addresses, ["tcp://127.0.0.1:13265"])
            self.expect_echo(server)

    def test_several_addresses(self):
        """Each --listen adds an address, TCP and Unix alike."""
        path = f"{self.temporary_directory()}/echod.sock"
        with Echod(listen=["127.0.0.1:0", "127.0.0.1:0", f"unix://{path}"]) as server:
            self.assertEqual(len(set(server.addresses)), 3)
            for index in range(3):
                self.expect_echo(server, index)

    def test_localhost_serves_all_its_addresses(self):
        """A name stands for every address that it has."""
        hosts = addresses_of_localhost()
        with Echod(listen="tcp://localhost:0", ready=len(hosts)) as server:
            bound = {harness.socket_address(address)[1][0] for address in server.addresses}
            self.assertEqual(sorted(bound), hosts)
            for index in range(len(hosts)):
                self.expect_echo(server, index)
            self.assertEqual(len(server.log.find(harness.LISTENING_LINE)), len(hosts))

    def test_a_name_with_doubles_and_foreign_addresses(self):
        """A name's doubles are bound once, and an address of another machine is only a warning."""
        self.need_ipv6()
        prefix = self.with_file("/etc/hosts", "127.0.0.1 many.test\n127.0.0.1 many.test\n"
                                              "::1 many.test\n192.0.2.1 many.test\n")
        with Echod(listen=f"many.test:{harness.free_port()}", ready=2, prefix=prefix) as server:
            bound = {harness.socket_address(address)[1][0] for address in server.addresses}
            self.assertEqual(bound, {"127.0.0.1", "::1"})
            server.log.wait_for(r"warning: .*192\.0\.2\.1")
            for index in range(2):
                self.expect_echo(server, index)

    def test_a_port_is_served_again_at_once(self):
        """Connections of an echod that has ended do not keep the next one from its address."""
        with Echod("--drain-timeout", "0") as server:
            address = server.addresses[0]
            client = server.connect()
            harness.round_trip(client)
            server.signal(signal.SIGTERM)  # echod says FIN first: TIME_WAIT is its own
            self.assertEqual(harness.receive_all(client), b"")
            client.close()
            server.wait_for_exit(0)
        with Echod(listen=address) as server:
            self.assertEqual(server.addresses, [address])
            self.expect_echo(server)

    def test_an_unknown_name_is_refused(self):
        """A name that nobody knows ends echod with status 71."""
        self.assert_refused(harness.run_echod("--listen", "tcp://no-such-host.invalid:7"),
                            "no-such-host.invalid")

    def test_an_address_of_another_machine_is_refused(self):
        """An address that this machine does not have ends echod with status 71."""
        self.assert_refused(harness.run_echod("--listen", "tcp://192.0.2.1:13265"),
                            "tcp://192.0.2.1:13265")


class AddressInUseTest(harness.TestCase):

    def test_a_second_instance_is_refused(self):
        """An address has one echod, however many workers each of both has."""
        for first, second in (("1", "1"), ("2", "2"), ("1", "2"), ("2", "1")):
            with self.subTest(first=first, second=second), Echod("--workers", first) as server:
                address = server.addresses[0]
                self.assert_refused(
                    harness.run_echod("--listen", address, "--workers", second), address)
                for _ in range(20):
                    client = server.connect()
                    harness.round_trip(client, b"the first one still serves alone")

    def test_of_two_that_start_at_once_one_serves(self):
        """When two race for an address, one gets it and the other one is refused."""
        for kind in ("tcp", "unix"):
            for workers in ("1", "2"):
                with self.subTest(kind=kind, workers=workers):
                    for _ in range(10):
                        self.race(kind, workers)

    def race(self, kind, workers):
        """Start two echods at once on one new address and check how they end."""
        address = (f"tcp://127.0.0.1:{harness.free_port()}" if kind == "tcp" else
                   f"unix://{self.temporary_directory()}/echod.sock")
        with contextlib.ExitStack() as stack:
            both = [stack.enter_context(Echod("--workers", workers, listen=address, ready=0,
                                              may_log=address)) for _ in range(2)]
            losers = harness.wait_until(
                lambda: [server for server in both if server.status is not None], "one is refused")
            self.assertEqual(len(losers), 1)
            losers[0].wait_for_exit(harness.STATUS_SYSTEM)
            both.remove(losers[0])
            both[0].log.wait_for(harness.LISTENING_LINE)
            with harness.connect(address) as client:
                harness.round_trip(client)

    def test_an_address_of_another_program_is_refused(self):
        """Where another program listens, with SO_REUSEPORT or without, echod does not start."""
        for option in (socket.SO_REUSEADDR, socket.SO_REUSEPORT):
            for workers in ("1", "2"):
                with self.subTest(option=option, workers=workers), socket.socket() as other:
                    other.setsockopt(socket.SOL_SOCKET, option, 1)
                    other.bind(("127.0.0.1", 0))
                    other.listen()
                    address = f"tcp://127.0.0.1:{other.getsockname()[1]}"
                    self.assert_refused(
                        harness.run_echod("--listen", address, "--workers", workers), address)

    def test_the_same_address_twice_is_refused(self):
        """Two --listen with one address are a mistake, and not two halves of the clients."""
        self.need_ipv6()
        for host in ("127.0.0.1", "[::1]"):
            address = f"tcp://{host}:{harness.free_port()}"
            for workers in ("1", "2"):
                with self.subTest(workers=workers, host=host):
                    result = harness.run_echod("--listen", address, "--listen", address,
                                               "--workers", workers)
                    self.assertEqual(result.returncode, harness.STATUS_USAGE)
                    self.assertIn(f"{address} is served already by another --listen", result.stderr)

    def test_an_address_within_another_is_refused(self):
        """What cannot be told from the words, the system tells: 0.0.0.0 has all addresses."""
        port = harness.free_port()
        self.assert_refused(harness.run_echod("--listen", f"127.0.0.1:{port}",
                                              "--listen", f"0.0.0.0:{port}"),
                            f"echod itself listens on tcp://127.0.0.1:{port}: ")

    def test_after_a_refusal_nothing_is_left(self):
        """When the second address cannot be had, the first one is given back."""
        path = f"{self.temporary_directory()}/echod.sock"
        with Echod() as server:
            self.assert_refused(harness.run_echod("--listen", f"unix://{path}",
                                                  "--listen", server.addresses[0]),
                                server.addresses[0])
        self.assertFalse(os.path.lexists(path))


class UnixTest(harness.TestCase):

    def setUp(self):
        self.path = f"{self.temporary_directory()}/echod.sock"
        self.address = f"unix://{self.path}"

    def test_unix_socket(self):
        """A Unix socket echoes like TCP, half-close included, and its file goes at the end."""
        data = harness.random_bytes(3 * MIB)
        with Echod(listen=self.address) as server:
            self.assertEqual(server.addresses, [self.address])
            self.assertTrue(stat.S_ISSOCK(os.stat(self.path).st_mode))
            self.assert_echo(harness.finish(server.connect(), data), data)
            closed = server.wait_for_closed("client closed")
            self.assertEqual((closed.peer, closed.bytes_in), ("unix", len(data)))
        self.assertFalse(os.path.lexists(self.path))

    def test_a_stale_socket_is_replaced(self):
        """A file that a dead echod left behind is no obstacle."""
        with Echod(listen=self.address) as server:
            server.kill()
            server.wait_for_exit(-signal.SIGKILL)
        self.assertTrue(os.path.exists(self.path))
        with Echod(listen=self.address) as server:
            harness.round_trip(server.connect())
        self.assertFalse(os.path.lexists(self.path))

    def test_a_live_socket_is_refused(self):
        """The path of a running echod is refused, and that one goes on."""
        with Echod(listen=self.address) as server:
            self.assert_refused(harness.run_echod("--listen", self.address), self.path)
            harness.round_trip(server.connect())

    def test_a_plain_file_is_refused_and_left_alone(self):
        """A path with something other than a socket is not touched."""
        with open(self.path, "w", encoding="ascii") as file:
            file.write("precious")
        self.assert_refused(harness.run_echod("--listen", self.address), self.path)
        with open(self.path, encoding="ascii") as file:
            self.assertEqual(file.read(), "precious")

    def test_a_missing_directory_is_refused(self):
        """A path whose directory does not exist ends echod with status 71."""
        address = f"unix://{os.path.dirname(self.path)}/missing/echod.sock"
        self.assert_refused(harness.run_echod("--listen", address), address)

    def test_a_file_that_took_its_place_is_left_alone(self):
        """At its end echod does not remove a socket that another program bound meanwhile."""
        with Echod(listen=self.address) as server:
            os.unlink(self.path)
            with Echod(listen=self.address) as other:
                server.signal(signal.SIGTERM)
                server.wait_for_exit(0)
                harness.round_trip(other.connect())

    def test_workers_share_a_unix_socket(self):
        """Several workers serve one path, which a second instance still cannot have."""
        with Echod("--workers", "2", listen=self.address) as server:
            for _ in range(20):
                harness.round_trip(server.connect())
            self.assert_refused(
                harness.run_echod("--listen", self.address, "--workers", "2"), self.path)
        self.assertFalse(os.path.lexists(self.path))


class PassedSocketTest(harness.TestCase):

    def expect_echo(self, address, count=20):
        """Check several clients one after the other, and several at once."""
        for _ in range(count):
            with harness.connect(address) as client:
                self.assertEqual(harness.finish(client, b"passed"), b"passed")
        clients = [harness.connect(address) for _ in range(count)]
        for client in clients:
            harness.round_trip(client)
            client.close()

    def test_passed_listening_socket(self):
        """fd://N serves a listening socket that a parent passed, though it is blocking."""
        with harness.listening_socket() as passed:
            with Echod(listen=passed) as server:
                self.expect_echo(server.addresses[0])
                server.stop()
            # The parent's socket lives on: a successor finds the clients that came meanwhile.
            client = harness.connect(harness.address_of(passed))
            client.sendall(b"meanwhile")
            with Echod(listen=passed) as server:
                server.adopt(client)
                self.assertEqual(harness.receive_exactly(client, 9), b"meanwhile")

    def test_passed_ipv6_socket(self):
        """A socket that was passed may be of any family."""
        self.need_ipv6()
        with harness.listening_socket(socket.AF_INET6, ("::1", 0)) as passed, \
                Echod(listen=passed) as server:
            self.expect_echo(server.addresses[0])

    def test_passed_socket_as_standard_input(self):
        """fd://0 is the form in which supervisord passes a socket."""
        with harness.listening_socket() as passed, Echod(listen="fd://0", stdin=passed):
            self.expect_echo(harness.address_of(passed))

    def test_reports_that_its_opener_asked_for_wake_nobody(self):
        """A listener's connections inherit the wish for them, and echod does not read them."""
        with harness.listening_socket() as passed:
            passed.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPING, SOF_TIMESTAMPING_TX_SOFTWARE)
            with Echod(listen=passed) as server:
                harness.round_trip(server.adopt(harness.connect(server.addresses[0])))
                server.expect_little_work()

    def test_reports_to_a_connected_socket_wake_nobody(self):
        """Nor does it where a client was passed, also as standard input and output."""
        for name in ("fd://0", "stdio:"):
            ours, theirs = harness.tcp_pair()
            with self.subTest(name), ours, theirs:
                theirs.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPING,
                                  SOF_TIMESTAMPING_TX_SOFTWARE)
                theirs.send(b"before")
                with Echod(listen=name, ready=0, stdin=theirs, stdout=theirs) as server:
                    self.assertEqual(harness.receive_exactly(ours, 6), b"before")
                    harness.round_trip(ours)
                    server.expect_little_work()
                    ours.close()
                    server.wait_for_exit(0)

    def test_passed_unix_socket(self):
        """A Unix socket that was passed is served, and its file is not ours to remove."""
        path = f"{self.temporary_directory()}/passed.sock"
        with harness.listening_socket(socket.AF_UNIX, path) as passed:
            with Echod(listen=passed) as server:
                self.expect_echo(server.addresses[0])
            self.assertTrue(os.path.exists(path))

    def test_connected_socket_serves_one_client(self):
        """fd://N with a connected socket serves that client and ends with status 0."""
        data = harness.random_bytes(3 * MIB)
        ours, theirs = socket.socketpair()
        with ours, theirs:
            ours.settimeout(harness.PATIENCE_SECONDS)
            with Echod(listen=f"fd://{theirs.fileno()}", ready=0,
                       pass_fds=(theirs.fileno(),)) as server:
                theirs.close()
                self.assert_echo(harness.finish(ours, data), data)
                server.wait_for_exit(0)
                closed = server.wait_for_closed("client closed")
                self.assertEqual((closed.bytes_in, closed.bytes_out), (len(data), len(data)))

    def test_connected_tcp_socket_serves_one_client(self):
        """The same with TCP, as inetd's nowait passes it."""
        data = harness.random_bytes(3 * MIB)
        client, theirs = harness.tcp_pair()
        with client, theirs, Echod(listen="fd://0", ready=0, stdin=theirs) as server:
            theirs.close()
            self.assert_echo(harness.finish(client, data), data)
            server.wait_for_exit(0)
            self.assertEqual(server.wait_for_closed().peer,
                             f"127.0.0.1:{client.getsockname()[1]}")

    def test_connected_socket_that_is_reset_ends_with_71(self):
        """When the one client does not get everything back, the exit status says so."""
        client, theirs = harness.tcp_pair()
        with client, theirs, Echod(listen="fd://0", ready=0, stdin=theirs, may_log=".") as server:
            theirs.close()
            server.log.wait_for(" serving ")  # of a client that is gone before, it is no socket
            harness.fill([client], quiet_seconds=0.1)
            harness.reset(client)
            server.wait_for_exit(harness.STATUS_SYSTEM)
            server.wait_for_closed("reset by client")

    def test_what_is_no_stream_socket_is_refused(self):
        """A descriptor that cannot be served ends echod with one sentence and status 71."""
        useless = {
            "datagram socket": lambda: socket.socket(type=socket.SOCK_DGRAM),
            "plain file": tempfile.TemporaryFile,
            "device": lambda: open("/dev/null", "rb"),
        }
        for name, make in useless.items():
            with self.subTest(name), make() as file:
                number = file.fileno()
                self.assert_refused(
                    harness.run_echod("--listen", f"fd://{number}", pass_fds=(number,)),
                    f"fd://{number}")

    def test_a_closed_descriptor_is_refused(self):
        """A number under which nothing was passed ends echod with status 71."""
        self.assert_refused(harness.run_echod("--listen", "fd://97"), "fd://97")

    def test_a_bound_socket_that_does_not_listen_is_refused(self):
        """A stream socket that neither listens nor is connected cannot be served."""
        with socket.socket() as idle:
            idle.bind(("127.0.0.1", 0))
            number = idle.fileno()
            self.assert_refused(
                harness.run_echod("--listen", f"fd://{number}", pass_fds=(number,)),
                f"fd://{number}")


if __name__ == "__main__":
    harness.main()
