"""
test_admission: who is let in: limits by source and by rate, networks, and what a reload makes of them.
What happens with very many sources, and as time goes by, is in check_admission.
Run by `run`, by automake, or alone.
"""

import os
import re
import signal
import socket

import harness
from harness import Echod, LOOPBACK


def knock(server, source="127.0.0.1", index=0, header=b""):
    """Connect from a source, with a header in front: the client, or how it was refused."""
    family, target = harness.socket_address(server.addresses[index])
    client = server.adopt(socket.socket(family, socket.SOCK_STREAM))
    client.settimeout(harness.PATIENCE_SECONDS)
    try:
        if family == socket.AF_INET:
            client.bind((source, 0))
        client.connect(target)
        client.sendall(header + b"ping")
        echo = harness.receive_exactly(client, 4)
    except (ConnectionResetError, BrokenPipeError):
        return "reset"
    return client if echo == b"ping" else f"got {echo}"


def header(source):
    """A header of the PROXY protocol for a client from there."""
    family = "TCP6" if ":" in source else "TCP4"
    return f"PROXY {family} {source} {source} 5000 7\r\n".encode()


def totals(server):
    """What the server has counted, by name."""
    server.report()
    line, = [line for line in server.log.lines if " totals: open" in line][-1:]
    return {name: int(number) for name, number in re.findall(r"(\w+)=(\d+)", line)}


class AdmissionTestCase(harness.TestCase):

    def assert_served(self, client):
        self.assertIsInstance(client, socket.socket)
        return client

    def leave(self, server, client):
        """Let a client end, and wait until echod knows."""
        since = len(server.log.lines)
        harness.finish(client)
        server.wait_for_closed("client closed", since=since)


class SourceTest(AdmissionTestCase):

    def test_connections_of_a_source(self):
        """A source has its number of connections at a time, whichever worker they come to."""
        with Echod("--workers", "3", "--max-connections-per-source", "3",
                   listen=(LOOPBACK, f"{LOOPBACK},max-connections-per-source=1,refuse-with=close,"
                           "name=small")) as server:
            results = [knock(server) for _ in range(12)]
            served = [client for client in results if client != "reset"]
            self.assertEqual((len(served), len(results)), (3, 12))
            self.assert_served(knock(server, "127.0.0.2"))
            self.leave(server, self.assert_served(served[0]))
            self.assert_served(knock(server))
            self.assertEqual(knock(server), "reset")
            self.assert_served(knock(server, index=1))  # each listener counts by itself
            self.assertEqual(harness.receive_all(server.connect(1)), b"")  # it has said nothing
            counts = totals(server)
            self.assertEqual((counts["refused_source_full"], counts["accepted"],
                              counts["open"], counts["refused"]), (11, 6, 5, 0))
            server.log.wait_for(r" warning: 127\.0\.0\.1:\d+ is refused at small: its source has "
                                "as many connections as max-connections-per-source allows")

    def test_rates(self):
        """A source, and all together, come as often as they may."""
        with Echod("--accept-rate-per-source", "1/h",
                   listen=(LOOPBACK, f"{LOOPBACK},accept-rate=1/h,accept-rate-per-source=0",
                           f"{LOOPBACK},accept-rate-per-source=1/h,source-prefix-v4=24")) as server:
            self.leave(server, self.assert_served(knock(server)))
            self.assertEqual(knock(server), "reset")
            self.assert_served(knock(server, "127.0.0.2"))
            self.assert_served(knock(server, index=1))
            for source in ("127.0.0.1", "127.0.0.2"):
                self.assertEqual(knock(server, source, index=1), "reset")
            self.assert_served(knock(server, "127.0.1.1", index=2))
            self.assertEqual(knock(server, "127.0.1.2", index=2), "reset")
            self.assert_served(knock(server, "127.0.2.1", index=2))
            counts = totals(server)
            self.assertEqual((counts["refused_source_rate"], counts["refused_rate"]), (2, 2))
            server.log.wait_for("its source comes more often than accept-rate-per-source allows")
            server.log.wait_for("more clients come than accept-rate allows")

    def test_networks(self):
        """Whoever is not allowed, or denied, is refused, and does not count for anything."""
        with Echod("--deny", "127.0.0.3;::2", "--log-format", "json", listen=(
                f"{LOOPBACK},allow=127.0.0.0/30;::1,accept-rate=2/h,name=some",
                f"{LOOPBACK},deny=127.0.0.1")) as server:
            for source in ("127.0.0.3", "127.0.0.4", "127.0.0.3"):
                self.assertEqual(knock(server, source), "reset")
            self.assert_served(knock(server, "127.0.0.2"))
            self.assertEqual(knock(server, index=1), "reset")
            self.assert_served(knock(server, "127.0.0.3", index=1))
            server.log.wait_for(r'is refused at some: its address is not allowed","listener":"some",'
                                r'"peer":"127\.0\.0\.3:\d+"')

    def test_unix_sockets_are_limited_by_the_rate_alone(self):
        path = f"{self.temporary_directory()}/echod.sock"
        with Echod("--max-connections-per-source", "1", "--accept-rate-per-source", "1/h",
                   "--allow", "192.0.2.1",
                   listen=(f"unix://{path}", f"unix://{path}.2,accept-rate=1/h")) as server:
            for _ in range(3):
                self.assert_served(knock(server))
            self.assert_served(knock(server, index=1))
            self.assertNotIsInstance(knock(server, index=1), socket.socket)


class ProxyTest(AdmissionTestCase):

    def test_whom_the_header_names_counts(self):
        """Proxies are not limited, and those are whom they speak for, of both families."""
        with Echod("--max-connections-per-source", "1", "--deny", "203.0.113.0/24",
                   "--workers", "2",
                   listen=(f"{LOOPBACK},proxy=any",
                           f"{LOOPBACK},proxy=any,source-prefix-v6=128,deny=127.0.0.1")) as server:
            client = self.assert_served(knock(server, header=header("192.0.2.1")))
            self.assertEqual(knock(server, header=header("192.0.2.1")), "reset")
            self.assertEqual(knock(server, header=header("::ffff:192.0.2.1")), "reset")
            self.assert_served(knock(server, header=header("192.0.2.2")))
            self.assert_served(knock(server, header=header("2001:db8::1")))
            self.assertEqual(knock(server, header=header("2001:db8::2")), "reset")
            self.assert_served(knock(server, header=header("2001:db8:0:1::2")))
            self.assertEqual(knock(server, header=header("203.0.113.9")), "reset")
            for _ in range(3):  # a proxy's own, for its health checks
                self.assert_served(knock(server, header=b"PROXY UNKNOWN\r\n", index=1))
            self.assert_served(knock(server, header=header("2001:db8::1"), index=1))
            self.assert_served(knock(server, header=header("2001:db8::2"), index=1))
            self.leave(server, client)
            self.assert_served(knock(server, header=header("192.0.2.1")))
            counts = totals(server)
            self.assertEqual((counts["refused_source_full"], counts["refused_network"],
                              counts["open"]), (3, 1, 9))
            server.log.wait_for(r"192\.0\.2\.1:5000 is refused at \S+: its source has")


class ReloadTest(AdmissionTestCase):

    def setUp(self):
        self.path = os.path.join(self.temporary_directory(), "echod.conf")
        self.address = f"tcp://127.0.0.1:{harness.free_port()}"

    def write(self, *lines):
        with open(self.path, "w", encoding="ascii") as file:
            file.write("".join(f"{line}\n" for line in (f"listen {self.address}", "workers 2",
                                                        *lines)))

    def reload(self, server, *lines):
        self.write(*lines)
        since = len(server.log.lines)
        server.signal(signal.SIGHUP)
        server.log.wait_for("HUP: the configuration of .* is in effect", since=since)

    def test_limits_change_and_counts_stay_true(self):
        """Who is there stays, and counts under every limit that comes."""
        self.write()
        with Echod(config=self.path, listen=None) as server:
            clients = [self.assert_served(knock(server)) for _ in range(3)]
            self.assert_served(knock(server, "127.0.0.2"))
            self.reload(server, "max-connections-per-source 3")
            self.assertEqual(knock(server), "reset")
            self.assert_served(knock(server, "127.0.0.2"))
            self.leave(server, clients.pop())
            clients.append(self.assert_served(knock(server)))
            self.reload(server, "max-connections-per-source 5", "source-prefix-v4 24")
            self.assertEqual(knock(server, "127.0.0.3"), "reset")
            self.reload(server, "max-connections-per-source 4", "deny 127.0.0.2")
            self.assertEqual(knock(server, "127.0.0.2"), "reset")
            self.assert_served(knock(server))
            self.assertEqual(knock(server), "reset")
            self.reload(server)
            self.assert_served(knock(server))
            self.reload(server, "max-connections-per-source 5")
            self.assertEqual(knock(server), "reset")
            for client in clients:
                harness.round_trip(client)
                self.leave(server, client)
            self.assert_served(knock(server))
            counts = totals(server)
            self.assertEqual((counts["refused_source_full"], counts["refused_network"]),
                             (4, 1))

    def test_whom_a_header_named_counts_under_limits_that_come(self):
        """So does whoever a header names afterwards; a proxy's own connections count for nobody."""
        self.address += ",proxy=v1"
        self.write()
        with Echod(config=self.path, listen=None) as server:
            late = server.connect()
            self.assert_served(knock(server, header=header("192.0.2.1")))
            self.assert_served(knock(server, header=b"PROXY UNKNOWN\r\n"))
            self.reload(server, "max-connections-per-source 1")
            self.assertEqual(knock(server, header=header("192.0.2.1")), "reset")
            self.assert_served(knock(server, header=b"PROXY UNKNOWN\r\n"))
            late.sendall(header("192.0.2.2"))
            harness.round_trip(late)
            self.assertEqual(knock(server, header=header("192.0.2.2")), "reset")
            self.assertEqual(totals(server)["refused_source_full"], 2)


if __name__ == "__main__":
    harness.main()
