"""
test_echoprobe_sockets: where echoprobe's packets come from, how they are marked, and how far they may
go, seen by who receives them.
What the system refuses of it is a sentence.
Run by `run`, by automake, or alone.
"""

import socket
import struct

import harness
from harness import Echod, probe

IP_RECVTTL = 12
MARKED = ("--tos=af21", "--ttl=9")  # 0x48


class Receiver:
    """An echo over UDP that notes where datagrams come from, their TOS and their TTL."""

    def __init__(self, host):
        self.seen = set()
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.socket = socket.socket(family, socket.SOCK_DGRAM)
        if family == socket.AF_INET6:
            self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVTCLASS, 1)
            self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVHOPLIMIT, 1)
        else:
            self.socket.setsockopt(socket.IPPROTO_IP, socket.IP_RECVTOS, 1)
            self.socket.setsockopt(socket.IPPROTO_IP, IP_RECVTTL, 1)
        self.socket.bind((host, 0))
        port = self.socket.getsockname()[1]
        self.address = f"udp://[{host}]:{port}" if ":" in host else f"udp://{host}:{port}"

    def __enter__(self):
        self.thread = harness.Background(self._run)
        return self

    def __exit__(self, *_):
        with socket.socket(self.socket.family, socket.SOCK_DGRAM) as end:
            end.sendto(b"", self.socket.getsockname())
        self.thread.result()
        self.socket.close()

    def _run(self):
        while True:
            data, control, _, client = self.socket.recvmsg(65536, 512)
            if not data:
                return
            self.seen.add((client[0], *(int.from_bytes(value[:4], "little") for _, _, value in control)))
            self.socket.sendto(data, client)


def accept_one(listener, seen):
    """Serve one connection, and note where it comes from, the TOS and the TTL of its SYN."""
    connection, client = listener.accept()
    with connection:
        connection.setsockopt(socket.IPPROTO_IP, socket.IP_RECVTOS, 1)
        connection.setsockopt(socket.IPPROTO_IP, IP_RECVTTL, 1)
        options = connection.getsockopt(socket.IPPROTO_IP, 9, 64)  # IP_PKTOPTIONS
        while len(options) >= 17:
            length, _, kind = struct.unpack("Nii", options[:16])
            seen[kind] = options[16]
            options = options[(length + 7) // 8 * 8:]
        seen["client"] = client[0]
        while data := connection.recv(65536):
            connection.sendall(data)


class SocketsTest(harness.TestCase):

    def test_datagrams(self):
        for arguments in (("-c", "2", "-i", "0"), ("-P", "2", "-c", "10"), ("--mtu", "-W", "1m")):
            with Receiver("127.0.0.1") as server:
                result = probe(*arguments, *MARKED, "-I", "127.0.0.5", server.address)
                self.assertEqual((result.status, result.errors), (0, ""), result.text)
            self.assertEqual({(host, *sorted(figures)) for host, *figures in server.seen},
                             {("127.0.0.5", 9, 0x48)})
            self.assertIn(", from 127.0.0.5, tos 0x48, ttl 9", result.output.splitlines()[0])

    def test_datagrams_over_ipv6(self):
        self.need_ipv6()
        with Receiver("::1") as server:
            result = probe("-c", "1", *MARKED, "-I", "::1", server.address)
            self.assertEqual((result.status, result.errors), (0, ""), result.text)
        self.assertEqual({tuple(sorted(figures)) for _, *figures in server.seen}, {(9, 0x48)})

    def test_connections(self):
        for arguments in (("-c", "2", "-i", "0"), ("--half-close",)):
            seen = {}
            with harness.listening_socket() as listener:
                server = harness.Background(accept_one, listener, seen)
                result = probe(*arguments, *MARKED, "-I", "127.0.0.5", harness.address_of(listener))
                server.result()
            self.assertEqual((result.status, result.errors), (0, ""), result.text)
            self.assertEqual(seen, {"client": "127.0.0.5", socket.IP_TOS: 0x48, socket.IP_TTL: 9})

    def test_an_interface_and_what_is_told(self):
        with Echod() as server:
            figures = probe("-c", "1", "--json", "-I", "lo", "-Q", "0xb8", "-t", "7",
                            server.addresses[0]).json()
        self.assertEqual((figures["bind"], figures["tos"], figures["ttl"], figures["received"]),
                         ("lo", 0xb8, 7, 1))

    def test_many_connections_share_a_source_port(self):
        """The source port is found by connect: each destination has all of them."""
        with Echod() as server:
            result = probe("-P", "200", "-c", "400", "-I", "127.0.0.5", server.addresses[0])
        self.assertEqual((result.status, result.errors), (0, ""), result.text)

    def test_what_the_system_refuses(self):
        for arguments, reason in ((("-I", "nosuch0"), "there is no such interface"),
                                  (("-I", "192.0.2.9"), "no interface has this address")):
            for address in ("127.0.0.1:9", "udp://127.0.0.1:9"):
                result = probe("-c", "1", *arguments, address)
                self.assertEqual(result.status, harness.STATUS_SYSTEM)
                self.assertRegex(result.errors,
                                 rf"\Aechoprobe: --bind: the system refuses it: .* \({reason}\)\n\Z")
                self.assertEqual(result.output, "")

    def test_without_the_privilege(self):
        """As on systems where an interface needs one: here strace says so."""
        strace = self.need_program("strace")
        result = probe("-c", "1", "-I", "lo", "127.0.0.1:9", prefix=(
            "env", "ASAN_OPTIONS=detect_leaks=0", strace, "-f", "-o", "/dev/null", "-e", "inject=setsockopt:error=EPERM:when=2"))
        self.assertEqual(result.status, harness.STATUS_SYSTEM)
        self.assertIn("(it needs root or CAP_NET_RAW here)", result.errors)

    def test_what_does_not_fit(self):
        for arguments, words in (
                (("-I", "127.0.0.1", "-6", "localhost"), "--bind: is an address of the other family than --ipv6"),
                (("-I", "::1", "-4", "localhost"), "--bind: is an address of the other family than --ipv4"),
                (("-I", "a/b", "localhost"), '"a/b" is not a numeric address or an interface'),
                (("-Q", "256", "localhost"), '"256" is not a number from 0 to 255'),
                (("-Q", "af44", "localhost"), '"af44" is not'),
                (("-t", "256", "localhost"), "--ttl"),
                (("-4", "unix:///s"), "--ipv4: a Unix socket"), (("-6", "unix:///s"), "--ipv6: a Unix socket"),
                (("-I", "lo", "unix:///s"), "--bind: a Unix socket"),
                (("-Q", "0", "unix:///s"), "--tos: a Unix socket"),
                (("-t", "1", "tls+unix:///s"), "--ttl: a Unix socket"),
                (("--help=none",), "--help: takes no value"), (("--json=yes",), "--json: takes no value")):
            result = probe(*arguments)
            self.assertEqual(result.status, harness.STATUS_USAGE, arguments)
            self.assertIn(words, result.errors)


if __name__ == "__main__":
    harness.main()
