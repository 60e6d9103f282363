"""
test_echoprobe_proxy: the header of the PROXY protocol that echoprobe sends arrives in every mode, is
right for a decoder of the test's own and for a real haproxy, and is no part of the echo.
Where its bytes go and in which parts is check_stream_preface's.
Run by `run`, by automake, or alone.
"""

import collections
import ipaddress
import signal
import socket
import struct
import subprocess

import harness
from balancers import haproxy
from broken_servers import TcpServer, read_exactly
from harness import Echod, probe

SIGNATURE = bytes.fromhex("0d0a0d0a000d0a515549540a")  # the specification, 2.2
LONGEST_LINE = 107  # 2.1

# What a header says: who is the client ("host:port" or the path), and where it connected to.
Header = collections.namedtuple("Header", "version command family source destination")

RETURNED = "the PROXY header came back: the service does not expect one"


class NoHeader(Exception):
    """What came is not a header as the specification has it."""


def endpoint(host, port):
    return f"[{host}]:{port}" if ":" in str(host) else f"{host}:{port}"


def mapped(host, port):
    """An address of IPv4 as one of IPv6, as it stands in a header."""
    return endpoint(ipaddress.ip_address(f"::ffff:{host}"), port)


def read_line(connection, line):
    """Read version 1, byte by byte, of which the beginning has come."""
    while not line.endswith(b"\r\n"):
        if len(line) == LONGEST_LINE or not (byte := connection.recv(1)):
            raise NoHeader(line)
        line += byte
    words = line[:-2].decode("ascii").split(" ")
    if words == ["PROXY", "UNKNOWN"]:
        return Header(1, None, "UNKNOWN", None, None)
    _, family, *hosts, source_port, destination_port = words
    hosts = [{"TCP4": ipaddress.IPv4Address, "TCP6": ipaddress.IPv6Address}[family](host)
             for host in hosts]
    ports = [int(port) for port in (source_port, destination_port)]
    if "." in words[2] + words[3] and family == "TCP6" or [str(port) for port in ports] != words[4:]:
        raise NoHeader(line)  # groups of hexadecimal digits, and no leading zeros
    return Header(1, None, family, *map(endpoint, hosts, ports))


def read_binary(connection):
    """Read what follows the signature of version 2."""
    version_and_command, family, length = struct.unpack("!BBH", read_exactly(connection, 4))
    block = read_exactly(connection, length)
    if version_and_command >> 4 != 2 or len(block) != length:
        raise NoHeader(block)
    command = {0: "LOCAL", 1: "PROXY"}[version_and_command & 15]
    ends = (None, None)
    if family == 0x11:
        ends = block[:4], block[4:8], *struct.unpack("!HH", block[8:12])
    elif family == 0x21:
        ends = block[:16], block[16:32], *struct.unpack("!HH", block[32:36])
    elif family == 0x31:
        ends = [name.rstrip(b"\0").decode() for name in (block[:108], block[108:216])]
    elif family != 0:
        raise NoHeader(family)
    if len(ends) == 4:
        ends = map(endpoint, map(ipaddress.ip_address, ends[:2]), ends[2:])
    return Header(2, command, family, *ends)


def read_header(connection):
    """Read a header, and not one byte more."""
    begin = read_exactly(connection, len(SIGNATURE))
    if begin == SIGNATURE:
        return read_binary(connection)
    if begin.startswith(b"PROXY "):
        return read_line(connection, begin)
    raise NoHeader(begin)


def name_of(address):
    """An address of a socket as a header has it."""
    return address if isinstance(address, str) else endpoint(*address[:2])


class ProxiedServer(TcpServer):
    """
    An echo server behind a balancer: each connection begins with a header. `headers` has them, and
    `ends` the clients and servers of the same connections.
    """

    def __init__(self, listener=None, piece=65536, read=read_header):
        super().__init__(self._echo, listener)
        self._piece = piece
        self._read = read
        self._begun = []

    @property
    def headers(self):
        return [header for header, _ in self._begun]

    @property
    def ends(self):
        return [ends for _, ends in self._begun]

    def _echo(self, connection, _):
        ends = name_of(connection.getpeername()), name_of(connection.getsockname())
        self._begun.append((self._read(connection), ends))
        while data := connection.recv(self._piece):
            connection.sendall(data)


class ProxyTestCase(harness.ProbeTestCase):

    def unix_listener(self):
        return harness.listening_socket(socket.AF_UNIX, f"{self.temporary_directory()}/s")

    def probe_proxied(self, *arguments, server=None, status=0):
        """Probe a server, and return its headers and the ends of their connections."""
        with server or ProxiedServer() as server:
            result = probe(*arguments, server.address)
        self.assertEqual(result.status, status, result.text)
        self.assertGreater(len(server.headers), 0)
        return server.headers, server.ends


MODES = (("-c", "3", "-i", "0"),
         ("-c", "3", "-i", "0", "-s", "1"),
         ("-P", "3", "-c", "300"),
         ("-P", "4", "--threads", "2", "-c", "300"),
         ("-P", "2", "--rate", "500/s", "-c", "20"),
         ("--churn", "-P", "2", "-c", "30"),
         ("--stream", "-c", "100"),
         ("--half-close", "-s", "1MB"),
         ("--hold", "50ms"),
         ("--find-idle-timeout=100ms",),
         ("--plugin",),
         ("--plugin", "--hold", "50ms"),
         ("--json", "-c", "3", "-i", "0"),
         ("--json", "--half-close"))


class ModeTest(ProxyTestCase):

    def test_every_connection_begins_with_its_ends(self):
        for version, more in ((1, {"family": "TCP4"}), (2, {"family": 0x11, "command": "PROXY"})):
            for mode in MODES:
                with self.subTest(version=version, mode=mode):
                    headers, ends = self.probe_proxied(f"--proxy=v{version}", *mode)
                    for header, (client, server) in zip(headers, ends):
                        self.assertEqual(header, Header(version, more.get("command"),
                                                        more["family"], client, server))

    def test_churn_sends_one_for_each_message(self):
        headers, ends = self.probe_proxied("--proxy", "v2", "--churn", "-c", "20")
        self.assertEqual(len(headers), 20)
        self.assertEqual(len(set(ends)), 20)

    def test_it_comes_though_no_message_is_due(self):
        """The second connection has its first message in an hour."""
        with ProxiedServer() as server, subprocess.Popen(
                [harness.ECHOPROBE, "--proxy=v1", "-P", "2", "--rate", "1/h", server.address],
                stdout=subprocess.DEVNULL) as client:
            harness.wait_until(lambda: len(server.headers) == 2, "two headers came")
            harness.signal_until_ended(client, signal.SIGINT)

    def test_the_next_connection_has_one_as_well(self):
        """A connection that ends after a message is replaced."""
        def serve(connection, _):
            read_header(connection)
            connection.sendall(read_exactly(connection, 64))

        with TcpServer(serve) as server:
            result = probe("--proxy=v2", "--json", "--rate", "1/s", "-c", "3", server.address)
        self.assertEqual(result.status, 0, result.text)
        self.assertEqual(result.json()["connects"], 3)

    def test_ipv6(self):
        self.need_ipv6()
        for version, family in ((1, "TCP6"), (2, 0x21)):
            listener = harness.listening_socket(socket.AF_INET6, ("::1", 0))
            headers, ends = self.probe_proxied(f"--proxy=v{version}", "-c", "1",
                                               server=ProxiedServer(listener))
            self.assertEqual(headers[0][2:], (family, *ends[0]))

    def test_a_unix_socket(self):
        """A client of a Unix socket has no name; version 1 does not know Unix sockets at all."""
        listener = self.unix_listener()
        path = listener.getsockname()
        headers, _ = self.probe_proxied("--proxy=v2", "--half-close", "-s", "1MB",
                                        server=ProxiedServer(listener))
        self.assertEqual(headers, [Header(2, "PROXY", 0x31, "", path)])
        headers, _ = self.probe_proxied("--proxy=v1", "-c", "1",
                                        server=ProxiedServer(self.unix_listener()))
        self.assertEqual(headers, [Header(1, None, "UNKNOWN", None, None)])


class SourceTest(ProxyTestCase):

    def each_version(self, source, listen=harness.listening_socket):
        """For each version, yield whom its header names, and the ends of its connection."""
        for version in ("v1", "v2"):
            headers, ends = self.probe_proxied("--proxy", version, "--proxy-source", source, "-c", "1",
                                               server=ProxiedServer(listen()))
            yield headers[0].source, headers[0].destination, *ends[0]

    def test_an_address_and_a_port(self):
        for source, destination, _, server in self.each_version("192.0.2.1:5678"):
            self.assertEqual((source, destination), ("192.0.2.1:5678", server))

    def test_without_a_port_it_is_that_of_the_connection(self):
        for source, _, client, _ in self.each_version("192.0.2.1"):
            self.assertEqual(source, f"192.0.2.1:{harness.port_of(client)}")

    def test_another_family_than_that_of_the_connection(self):
        for source, destination, _, server in self.each_version("[2001:db8::1]:5678"):
            self.assertEqual(source, "[2001:db8::1]:5678")
            self.assertEqual(destination, mapped("127.0.0.1", harness.port_of(server)))

    def test_ipv4_over_ipv6(self):
        self.need_ipv6()
        for source, destination, _, server in self.each_version(
                "192.0.2.1:5678", lambda: harness.listening_socket(socket.AF_INET6, ("::1", 0))):
            self.assertEqual((source, destination), (mapped("192.0.2.1", 5678), server))

    def test_a_client_of_tcp_over_a_unix_socket(self):
        for given, unknown in (("192.0.2.1:5678", "0.0.0.0:0"), ("[2001:db8::1]:5678", "[::]:0")):
            for source, destination, *_ in self.each_version(given, self.unix_listener):
                self.assertEqual((source, destination), (given, unknown))

    def test_local_names_nobody(self):
        for version, header in (("v1", Header(1, None, "UNKNOWN", None, None)),
                                ("v2", Header(2, "LOCAL", 0, None, None))):
            for listener in (None, self.unix_listener()):
                headers, _ = self.probe_proxied("--proxy", version, "--proxy-source", "local", "-c",
                                                "1", server=ProxiedServer(listener))
                self.assertEqual(headers, [header])


class PiecesTest(ProxyTestCase):

    def test_a_service_that_reads_byte_by_byte(self):
        """It has little room for what follows, and takes that in small pieces as well."""
        def slowly(connection):
            class ByteByByte:  # pylint: disable=too-few-public-methods
                @staticmethod
                def recv(_):
                    return connection.recv(1)

            return read_header(ByteByByte)

        for version in ("v1", "v2"):
            for make in (harness.listening_socket, self.unix_listener):
                for mode in (("-c", "2", "-i", "0", "-s", "100kB"), ("--half-close", "-s", "300kB")):
                    with self.subTest(version=version, make=make.__name__, mode=mode):
                        listener = make()
                        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
                        self.probe_proxied("--proxy", version, "-W", "1m", *mode,
                                           server=ProxiedServer(listener, 4096, slowly))


class ReportTest(ProxyTestCase):

    def test_the_first_line_tells_it(self):
        for arguments, words in ((("v1",), "proxy v1"),
                                 (("v2", "--proxy-source", "192.0.2.1:5678"),
                                  "proxy v2 source 192.0.2.1:5678"),
                                 (("v2", "--proxy-source", "local"), "proxy v2 source local")):
            self.expect(ProxiedServer(), ("-c", "1", "--proxy", *arguments),
                        rf"^echoprobe tcp://\S+ \(\S+\), 64 bytes, {words}\n", 0)
            self.expect(ProxiedServer(), ("--half-close", "--proxy", *arguments),
                        rf"^echoprobe tcp://\S+ \(\S+\), 64 bytes, {words}, half-close\n", 0)

    def test_the_object_tells_it(self):
        for mode in (("-c", "1"), ("--half-close",)):
            with ProxiedServer() as server:
                plain = probe("--json", "--proxy=v1", *mode, server.address).json()
                given = probe("--json", "--proxy=v2", "--proxy-source=[2001:db8::1]:7", *mode,
                              server.address).json()
            self.assertEqual(plain["proxy"], "v1")
            self.assertNotIn("proxy_source", plain)
            self.assertEqual((given["proxy"], given["proxy_source"]), ("v2", "[2001:db8::1]:7"))
        with Echod() as server:
            self.assertNotIn("proxy", probe("--json", "-c1", server.addresses[0]).json())

    def test_a_service_that_expects_no_header(self):
        """It echoes the header: that is no riddle."""
        for version in ("v1", "v2"):
            for size in ("1", "20", "64", "1MB"):
                for mode, line in (
                        (("-c", "1", "-s", size), f"(?m)^seq=1 inserted: {RETURNED}$"),
                        (("--stream", "-c", "1", "-s", size), f"seq=1 inserted: {RETURNED}\n"),
                        (("--half-close", "-s", size), f"(?m)^inserted: {RETURNED}$"),
                        (("--hold", "1s", "-s", size), RETURNED),
                        (("--json", "-c", "1", "-s", size), f'"inserted: {RETURNED}"')):
                    with self.subTest(version=version, mode=mode), Echod() as server:
                        result = probe("--proxy", version, *mode, server.addresses[0])
                        self.assertEqual(result.status, 1, result.text)
                        self.assertRegex(result.text, line)


class EchodTest(ProxyTestCase):

    def test_it_takes_what_it_asks_for(self):
        for option, version in (("v1", "v1"), ("v2", "v2"), ("any", "v1"), ("any", "v2")):
            with Echod(listen=f"{harness.LOOPBACK},proxy={option}") as server:
                for mode in MODES:
                    with self.subTest(option=option, version=version, mode=mode):
                        result = probe("--proxy", version, *mode, server.addresses[0])
                        self.assertEqual(result.status, 0, result.text)

    def test_it_names_the_source(self):
        for source in ("192.0.2.1:5678", "[2001:db8::1]:5678"):
            for version in ("v1", "v2"):
                with Echod(listen=f"{harness.LOOPBACK},proxy=any") as server:
                    result = probe("--proxy", version, "--proxy-source", source, "-c", "1",
                                   server.addresses[0])
                    self.assertEqual(result.status, 0, result.text)
                    closed = server.wait_for_closed("client closed")
                self.assertEqual((closed.peer, closed.bytes_in), (source, 64))

    def test_it_refuses_what_it_does_not_ask_for(self):
        for option, arguments in (("v1", ("--proxy=v2",)), ("v2", ("--proxy=v1",)), ("any", ())):
            with Echod(listen=f"{harness.LOOPBACK},proxy={option}") as server:
                result = probe(*arguments, "-c", "1", server.addresses[0])
            self.assertEqual(result.status, 1, result.text)
            self.assertRegex(result.text, r"seq=1 (reset|truncated): ")


class HaproxyTest(ProxyTestCase):
    """A real haproxy reads our header, and tells the one behind it what it read."""

    def balanced(self, behind):
        """A haproxy in front of a server."""
        return haproxy(self, behind.address, front="accept-proxy", back="send-proxy-v2")

    def names(self, *arguments):
        """Probe through it, and return whom it names, our end of the connection, and its own."""
        with ProxiedServer() as behind, self.balanced(behind) as address:
            result = probe(*arguments, "-W", "1m", address)
        self.assertEqual(result.status, 0, result.text)
        self.assertGreater(len(behind.headers), 0)
        return [(header.source, header.destination) for header in behind.headers], address

    def test_it_takes_both_versions(self):
        for version in ("v1", "v2"):
            for source in ("192.0.2.1:5678", "[2001:db8::1]:5678"):
                with self.subTest(version=version, source=source):
                    names, address = self.names("--proxy", version, "--proxy-source", source, "-P",
                                                "3", "-c", "100")
                    port = harness.port_of(address)
                    ours = (mapped if "[" in source else endpoint)("127.0.0.1", port)
                    self.assertEqual(names, 3 * [(source, ours)])

    def test_it_believes_that_nobody_is_named(self):
        for version in ("v1", "v2"):
            names, address = self.names("--proxy", version, "--proxy-source", "local", "-c", "1")
            self.assertEqual(len(names), 1)
            self.assertRegex(names[0][0], r"^127\.0\.0\.1:\d+$")
            self.assertEqual(names[0][1], f"127.0.0.1:{harness.port_of(address)}")

    def test_it_passes_all_modes(self):
        for mode in MODES:
            with self.subTest(mode=mode):
                self.names("--proxy=v2", *mode)

    def test_it_refuses_who_sends_none(self):
        with ProxiedServer() as behind, self.balanced(behind) as address:
            result = probe("-c", "1", "-W", "1m", address)
        self.assertEqual(result.status, 1, result.text)
        self.assertRegex(result.text, r"seq=1 (reset|truncated): ")
        self.assertEqual(behind.headers, [])


class UsageTest(harness.TestCase):

    def test_mistakes_are_named_in_one_sentence(self):
        for arguments, sentence in (
                (("--proxy", "v3", "a"), '--proxy: "v3" is not v1 or v2'),
                (("--proxy=", "a"), '--proxy: "" is not v1 or v2'),
                (("--proxy-source", "192.0.2.1:5678", "a"), "--proxy v2 --proxy-source"),
                (("--proxy-source", "local", "a"), "--proxy v2 --proxy-source"),
                (("--proxy=v1", "--proxy-source", "localhost:7", "a"), '"localhost:7" is not a numeric'),
                (("--proxy=v1", "--proxy-source", "192.0.2.1:0", "a"), '"192.0.2.1:0" is not a numeric'),
                (("--proxy=v1", "--proxy-source", "unix:///x", "a"), '"unix:///x" is not a numeric'),
                (("--proxy=v2", "udp://a"), "--proxy: datagrams"),
                (("--proxy=v2", "--mtu", "udp://a"), "--proxy: datagrams"),
                (("--proxy=v2", "--mtu", "a"), "--mtu: needs datagrams")):
            with self.subTest(arguments=arguments):
                result = probe(*arguments)
                self.assertEqual((result.status, result.output), (64, ""), result.text)
                self.assertRegex(result.errors, r"^echoprobe: .+\n$")
                self.assertIn(sentence, result.errors)


if __name__ == "__main__":
    harness.main()
