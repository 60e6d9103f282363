"""
test_proxy: listeners behind a proxy, which says in a header whom each connection is for.
The forms of the header are in check_proxy_header; echoprobe's --proxy is in test_echoprobe_proxy.
Run by `run`, by automake, or alone.
"""

import contextlib
import json
import re
import signal
import socket
import struct
import subprocess

import harness
from balancers import haproxy, nginx
from harness import KIB, MIB, PATIENCE_SECONDS, Echod, scaled_ms

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
CLIENT = "192.0.2.1:56324"
V1 = b"PROXY TCP4 192.0.2.1 198.51.100.1 56324 443\r\n"
V1_IPV6 = b"PROXY TCP6 2001:db8::1 2001:db8::2 56324 443\r\n"
V1_UNKNOWN = b"PROXY UNKNOWN\r\n"


def version_2(command=1, family=0x11, addresses=None, extensions=b""):
    """A header of version 2, as its specification has it in 2.2."""
    if addresses is None:
        addresses = (socket.inet_aton("192.0.2.1") + socket.inet_aton("198.51.100.1")
                     + struct.pack("!HH", 56324, 443))
    body = addresses + extensions
    return SIGNATURE + struct.pack("!BBH", 0x20 | command, family, len(body)) + body


def extension(kind, value):
    return struct.pack("!BH", kind, len(value)) + value


V2 = version_2()
V2_IPV6 = version_2(family=0x21, addresses=socket.inet_pton(socket.AF_INET6, "2001:db8::1")
                    + socket.inet_pton(socket.AF_INET6, "2001:db8::2")
                    + struct.pack("!HH", 56324, 443))
V2_UNIX = version_2(family=0x31, addresses=bytes(216))
V2_LOCAL = version_2(command=0, family=0, addresses=b"")
V2_LARGE = version_2(extensions=extension(0xe0, bytes(60000)))


def exchange(proxy, header):
    """Send a header and a message behind it; only the message returns."""
    proxy.sendall(header + b"ping")
    echo = harness.receive_exactly(proxy, 4)
    if echo != b"ping":
        raise AssertionError(f"sent {header} and ping, got {echo}")


def write(path, text):
    with open(path, "w", encoding="ascii") as file:
        file.write(text)


class HeaderTest(harness.TestCase):

    def expect(self, option, header, peer, is_for_another=True):
        """Whom the log names, and that no byte of the header is echoed, however it comes."""
        with Echod(listen=f"{harness.LOOPBACK},proxy={option}") as server:
            proxies = [server.connect() for _ in range(3)]
            exchange(proxies[0], header)
            proxies[1].sendall(header)
            harness.round_trip(proxies[1])
            for byte in header + b"p":
                proxies[2].sendall(bytes((byte,)))
            self.assertEqual(harness.receive_exactly(proxies[2], 1), b"p")
            names = [f"127.0.0.1:{proxy.getsockname()[1]}" for proxy in proxies]
            for proxy in proxies:
                harness.finish(proxy)
            lines = server.wait_for_closed("client closed", 3)
            for line, size, name in zip(sorted(lines, key=lambda line: line.id), (4, 4, 1), names):
                self.assertEqual(line.peer, peer or name)
                self.assertEqual((line.bytes_in, line.bytes_out), (size, size))
            vias = [match.group(1) for match in server.log.find(r"age=\S+ via=(\S+)$")]
            self.assertEqual(sorted(vias), sorted(names) if is_for_another else [])

    def test_version_1(self):
        for option in ("v1", "any"):
            with self.subTest(option=option):
                self.expect(option, V1, CLIENT)
        self.expect("v1", V1_IPV6, "[2001:db8::1]:56324")

    def test_version_2(self):
        for option in ("v2", "any"):
            with self.subTest(option=option):
                self.expect(option, V2, CLIENT)
        self.expect("v2", V2_IPV6, "[2001:db8::1]:56324")
        self.expect("v2", V2_UNIX, "unix")
        self.expect("v2", version_2(extensions=extension(0x05, b"id") + extension(0xe5, b"?")),
                    CLIENT)

    def test_a_header_without_addresses_leaves_the_client_as_it_is(self):
        self.expect("v1", V1_UNKNOWN, None, is_for_another=False)
        self.expect("v2", V2_LOCAL, None, is_for_another=False)
        self.expect("any", version_2(command=0), None, is_for_another=False)

    def test_the_largest_header(self):
        with Echod(listen=f"{harness.LOOPBACK},proxy=v2") as server:
            client = server.connect()
            exchange(client, version_2(extensions=extension(0xe0, bytes(65520))))
            harness.finish(client)

    def test_all_kinds_of_sockets(self):
        """Over IPv6, a Unix socket, and one that was passed."""
        path = f"{self.temporary_directory()}/echod.sock"
        with harness.listening_socket() as listener:
            with Echod("--workers", "2", pass_fds=(listener.fileno(),), listen=(
                    "tcp://[::1]:0,proxy=v2", f"unix://{path},proxy=any",
                    f"fd://{listener.fileno()},proxy=v1")) as server:
                passed = harness.address_of(listener)
                ipv6, = (address for address in server.addresses if "[::1]" in address)
                for address, header in ((ipv6, V2), (f"unix://{path}", V1), (passed, V1)):
                    with harness.connect(address) as client:
                        exchange(client, header)
                        harness.finish(client)
                vias = [line.group(1) for line in server.log.wait_for(r" via=(\S+)$", 3)]
        self.assertIn("unix", vias)

    def test_everything_before_a_fin_is_echoed(self):
        """Header, a megabyte and FIN come in one go."""
        for options in ((), ("--no-shortcuts",)):
            with Echod(*options, listen=f"{harness.LOOPBACK},proxy=any") as server:
                data = harness.random_bytes(MIB)
                client = server.connect()
                client.sendall(V2)
                self.assert_echo(harness.finish(client, data), data)
                self.assertEqual(server.wait_for_closed("client closed").bytes_in, MIB)

    def test_a_plain_listener_echoes_a_header(self):
        with Echod(listen=(harness.LOOPBACK, f"{harness.LOOPBACK},proxy=any")) as server:
            for header in (V1, V2):
                harness.round_trip(server.connect(0), header)

    def test_facts_in_json(self):
        with Echod("--log-format", "json",
                   listen=f"{harness.LOOPBACK},proxy=any,name=behind") as server:
            client = server.connect()
            exchange(client, V1)
            name = f"127.0.0.1:{client.getsockname()[1]}"
            harness.finish(client)
            facts = json.loads(server.log.wait_for("client closed").string)
        self.assertEqual((facts["peer"], facts["via"], facts["listener"]), (CLIENT, name, "behind"))

    def test_the_line_at_the_beginning(self):
        """It comes when it is known whom the connection is for."""
        with Echod("--log-level", "debug", listen=f"{harness.LOOPBACK},proxy=v1") as server:
            exchange(server.connect(), V1)
            server.log.wait_for(rf"connection 1 {re.escape(CLIENT)} opened via=127\.0\.0\.1:\d+$")


class RefusalTest(harness.TestCase):

    def test_what_is_no_header(self):
        wrong = (b"ping", b"GET / HTTP/1.1\r\n", b"\r\n\r\nX", b"PROXY TCP4 192.0.2.1\r\n",
                 V1.replace(b"443", b"65536"), V1.replace(b"192.0.2.1", b"2001:db8::1"),
                 b"PROXY UNKNOWN " + b"x" * 200, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
                 version_2(command=2), version_2(addresses=b"123"),
                 version_2(extensions=extension(0x03, b"\1\2\3\4")),
                 version_2(extensions=b"\x05\xff\xff"))
        with Echod(listen=f"{harness.LOOPBACK},proxy=any") as server:
            for number, data in enumerate(wrong, 1):
                with self.subTest(data=data):
                    client = server.connect()
                    with contextlib.suppress(ConnectionError):
                        client.sendall(data)
                        self.assertEqual(client.recv(1), b"")
                    server.wait_for_closed(r"bad PROXY header \([ -~]+\)", number)
            totals, _ = server.report()
        self.assertEqual(totals.proxy_invalid, len(wrong))
        self.assertEqual((totals.bytes_in, totals.accepted), (0, len(wrong)))

    def test_another_version_than_that_which_is_asked_for(self):
        for option, header in (("v1", V2), ("v2", V1)):
            with Echod(listen=f"{harness.LOOPBACK},proxy={option}") as server:
                client = server.connect()
                with contextlib.suppress(ConnectionError):
                    client.sendall(header)
                    self.assertEqual(client.recv(1), b"")
                server.wait_for_closed(r"bad PROXY header \([ -~]+\)")

    def test_an_end_within_the_header(self):
        for header in (V1, V2):
            with Echod(listen=f"{harness.LOOPBACK},proxy=any") as server:
                client = server.connect()
                client.sendall(header[:20])
                client.shutdown(socket.SHUT_WR)
                self.assertEqual(client.recv(1), b"")
                server.wait_for_closed(r"bad PROXY header \(it ends after 20 bytes\)")

    def test_who_leaves_without_a_byte_is_no_error(self):
        """As the health checks of balancers do."""
        with Echod(listen=f"{harness.LOOPBACK},proxy=any") as server:
            client = server.connect()
            client.shutdown(socket.SHUT_WR)
            self.assertEqual(client.recv(1), b"")
            harness.reset(server.connect())
            server.wait_for_closed("client closed")
            server.wait_for_closed("reset by client")
            self.assertEqual(server.report()[0].proxy_invalid, 0)

    def test_who_is_not_trusted_is_closed_at_once(self):
        """He need not say anything for that."""
        with Echod(listen=(f"{harness.LOOPBACK},proxy=any,proxy-from=192.0.2.0/24;2001:db8::/32",
                           f"{harness.LOOPBACK},proxy=any,proxy-from=192.0.2.0/24;127.0.0.0/8"),
                   ) as server:
            with contextlib.suppress(ConnectionError):
                self.assertEqual(server.connect(0).recv(1), b"")
            exchange(server.connect(1), V1)
            server.wait_for_closed("untrusted proxy")
            self.assertEqual(server.report()[0].proxy_untrusted, 1)

    def test_a_unix_socket_trusts_who_may_connect(self):
        path = f"{self.temporary_directory()}/echod.sock"
        with Echod(listen=f"unix://{path},proxy=any,proxy-from=192.0.2.1") as server:
            exchange(server.connect(), V1)

    def test_a_drip_does_not_extend_the_deadline(self):
        """Of who is silent and who drips; another listener serves."""
        with Echod(listen=(f"{harness.LOOPBACK},proxy=any,handshake-timeout={scaled_ms(300)}",
                           f"{harness.LOOPBACK},proxy=any,name=patient")) as server:
            silent, dripping, served = server.connect(0), server.connect(0), server.connect(1)
            dripping.settimeout(0.02)
            header = iter(V2_LARGE)
            with contextlib.suppress(ConnectionError):
                while True:
                    with contextlib.suppress(TimeoutError):
                        dripping.send(bytes((next(header),)))
                        if dripping.recv(1) == b"":
                            break
            with contextlib.suppress(ConnectionError):
                self.assertEqual(silent.recv(1), b"")
            server.wait_for_closed("handshake timeout", 2)
            exchange(served, V1)
            self.assertEqual(server.report()[0].handshakes_overdue, 2)


class BoundTest(harness.TestCase):

    def test_headers_that_wait_have_a_bound(self):
        """Half of a large header from each of many: those above --max-queued are closed."""
        with Echod("--max-queued", "1MiB", "--handshake-timeout", "1h",
                   listen=f"{harness.LOOPBACK},proxy=v2") as server:
            before = server.resident_bytes()
            clients = [server.connect() for _ in range(100)]
            for client in clients:
                with contextlib.suppress(ConnectionError):
                    client.sendall(V2_LARGE[:50000])
            server.log.wait_for("closed: out of memory")
            small = server.connect()
            exchange(small, V2)
            if not harness.SANITIZED:
                self.assertLess(server.resident_bytes() - before, 4 * MIB)
            harness.wait_until(lambda: server.report()[0].open <= 20, "the others are closed")

    def test_a_large_header_is_taken_piece_by_piece(self):
        with Echod(listen=f"{harness.LOOPBACK},proxy=v2") as server:
            client = harness.connect(server.addresses[0], send_buffer=4 * KIB)
            server.adopt(client)
            exchange(client, V2_LARGE)

    def test_echod_waits_without_work(self):
        """Part of a header is no reason to look again and again."""
        with Echod(listen=f"{harness.LOOPBACK},proxy=any") as server:
            for header in (V1, V2, V2_LARGE):
                server.connect().sendall(header[:30])
            harness.wait_until(lambda: server.report()[0].open == 3, "they are accepted")
            before = server.cpu_seconds()
            for _ in range(20):
                server.report()
            self.assertLess(server.cpu_seconds() - before, 2 * harness.SLOWNESS)


class LifeTest(harness.TestCase):

    def test_a_report_shows_who_has_not_begun(self):
        with Echod(listen=f"{harness.LOOPBACK},proxy=any") as server:
            client = server.connect()
            client.sendall(V1[:5])
            name = re.escape(f"127.0.0.1:{client.getsockname()[1]}")
            harness.wait_until(lambda: server.report()[0].open == 1, "it is accepted")
            server.log.wait_for(rf"connection 1 {name} handshake, in=0 out=0 age=")

    def test_a_drain_waits_for_a_header(self):
        """Who was accepted is served until he leaves."""
        with Echod("--drain-timeout", "1h", "--handshake-timeout", "1h",
                   listen=f"{harness.LOOPBACK},proxy=any") as server:
            client = server.connect()
            client.sendall(V1[:5])
            harness.wait_until(lambda: server.report()[0].open == 1, "it is accepted")
            server.signal(signal.SIGTERM)
            server.log.wait_for("draining")
            client.sendall(V1[5:])
            harness.round_trip(client)
            harness.finish(client)
            server.wait_for_closed("client closed")
            server.wait_for_exit(0)

    def test_the_end_of_a_drain(self):
        with Echod("--drain-timeout", scaled_ms(300), "--handshake-timeout", "1h",
                   listen=f"{harness.LOOPBACK},proxy=any") as server:
            client = server.connect()
            harness.wait_until(lambda: server.report()[0].open == 1, "it is accepted")
            server.signal(signal.SIGTERM)
            with contextlib.suppress(ConnectionError):
                self.assertEqual(client.recv(1), b"")
            server.wait_for_closed("drained")
            server.wait_for_exit(0)

    def test_a_stop_at_once(self):
        with Echod("--handshake-timeout", "1h", listen=f"{harness.LOOPBACK},proxy=any") as server:
            server.connect().sendall(V1[:5])
            harness.wait_until(lambda: server.report()[0].open == 1, "it is accepted")
            server.signal(signal.SIGQUIT)
            server.wait_for_closed("stopped")
            server.wait_for_exit(0)

    def test_a_lifetime_counts_from_the_beginning(self):
        with Echod("--lifetime", scaled_ms(300), "--handshake-timeout", "1h",
                   listen=f"{harness.LOOPBACK},proxy=any") as server:
            with contextlib.suppress(ConnectionError):
                self.assertEqual(server.connect().recv(1), b"")
            server.wait_for_closed("lifetime over")

    def test_datagrams_have_no_header(self):
        """Of a socket that was passed, only the socket tells; a reload is undone."""
        words = "proxy goes with stream sockets, and this one has datagrams"
        with socket.socket(type=socket.SOCK_DGRAM) as passed:
            passed.bind(("127.0.0.1", 0))
            address = f"fd://{passed.fileno()}"
            result = harness.run_echod("--no-config", "--listen", f"{address},proxy=any",
                                       pass_fds=(passed.fileno(),))
            self.assert_refused(result, words)
            path = f"{self.temporary_directory()}/echod.conf"
            write(path, f"listen {address}\n")
            with Echod(listen=None, config=path, pass_fds=(passed.fileno(),),
                       may_log=words) as server:
                write(path, f"listen {address},proxy=any\n")
                server.signal(signal.SIGHUP)
                server.log.wait_for(rf"{re.escape(path)}:1: .*{words}")
                server.log.wait_for("HUP: the configuration is not changed")

    def test_a_reload_asks_for_headers(self):
        """Who is connected goes on as he began; who comes is asked."""
        path = f"{self.temporary_directory()}/echod.conf"
        address = f"tcp://127.0.0.1:{harness.free_port()}"
        write(path, f"listen {address}\n")
        with Echod(listen=None, config=path) as server:
            before = server.connect()
            harness.round_trip(before, V1)
            write(path, f"listen {address},proxy=v1,proxy-from=127.0.0.1\n")
            server.signal(signal.SIGHUP)
            server.log.wait_for(r"HUP: the configuration of \S+ is in effect")
            after = server.connect()
            exchange(after, V1)
            harness.round_trip(before, V1)


class OthersTest(harness.TestCase):
    """The headers that real proxies send."""

    def test_haproxy(self):
        for option, sender in (("v1", "send-proxy"), ("v2", "send-proxy-v2"),
                               ("any", "send-proxy-v2 proxy-v2-options crc32c,unique-id,authority"),
                               ("v2", "send-proxy-v2 check inter 100ms"),
                               ("v2", "send-proxy-v2-ssl-cn")):
            with self.subTest(sender=sender), \
                    Echod(listen=f"{harness.LOOPBACK},proxy={option},proxy-from=127.0.0.1",
                          ) as server, \
                    haproxy(self, server.addresses[0], back=sender) as address:
                with harness.connect(address) as client:
                    name = f"127.0.0.1:{client.getsockname()[1]}"
                    data = harness.random_bytes(300 * KIB)
                    self.assert_echo(harness.finish(client, data), data)
                server.log.wait_for(rf" {re.escape(name)} closed: client closed, in={len(data)} "
                                    r"out=\d+ age=\S+ via=127\.0\.0\.1:\d+$")
                self.assertEqual(server.report()[0].proxy_invalid, 0)

    def test_nginx(self):
        with Echod(listen=f"{harness.LOOPBACK},proxy=v1") as server, \
                nginx(self, server.addresses[0], "proxy_protocol on") as address:
            with harness.connect(address) as client:
                name = f"127.0.0.1:{client.getsockname()[1]}"
                harness.round_trip(client)
            server.log.wait_for(rf" {re.escape(name)} closed: .* via=127\.0\.0\.1:\d+$")

    def test_curl(self):
        program = self.need_program("curl")
        with Echod(listen=f"{harness.LOOPBACK},proxy=v1,idle-timeout={scaled_ms(500)}") as server:
            url = server.addresses[0].replace("tcp:", "http:")
            echo = subprocess.run([program, "--silent", "--http0.9", "--haproxy-protocol", url],
                                  check=True, stdout=subprocess.PIPE, timeout=PATIENCE_SECONDS)
        self.assertTrue(echo.stdout.startswith(b"GET / HTTP/1.1\r\n"), echo.stdout)


if __name__ == "__main__":
    harness.main()
