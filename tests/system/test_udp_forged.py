"""
test_udp_forged: datagrams with a forged source start no loop and reach no third party.
Runs in a network namespace of its own, where raw sockets harm nobody.
Run by `run`, by automake, or alone.
"""

import contextlib
import socket
import subprocess

import forgery
import harness
from forgery import forge
from harness import Echod
from test_udp import (UDP_SEGMENT, client_of, expect_totals, totals_of, wait_for_totals,
                      with_host)

MOST_ROUNDS = 255  # hops that a datagram can have


def place_of(address, host="127.0.0.1"):
    return host, harness.port_of(address)


class ForgedTest(harness.TestCase):

    def expect_counted(self, server, name, count=1):
        """Wait until what was forged has come, and see that it got no answer."""
        wait_for_totals(
            server, lambda totals: totals[name] == count and
            totals["datagrams_in"] - totals["datagrams_out"] == count,
            f"{name} is {count}, and nothing else came")

    def expect_service(self, server, index=0):
        with client_of(with_host(server.addresses[index], "127.0.0.1")) as client:
            client.send(b"still there?")
            self.assertEqual(client.recv(100), b"still there?")

    def expect_quiet(self, *servers):
        """What circles comes to an end by itself: no hop is left, or the first one drops it."""
        def count():
            return sum(totals_of(server)["datagrams_in"] for server in servers)

        def is_quiet():
            before = count()
            return before > 0 and before == count()

        harness.wait_until(is_quiet, "nothing circles any more")
        for server in servers:
            self.assertLessEqual(totals_of(server)["datagrams_out"], MOST_ROUNDS)
            self.expect_service(server)

    def test_ports_of_services(self):
        """Chargen, DNS and others would answer our answer."""
        with Echod(listen="udp://127.0.0.1:0") as server:
            for i, port in enumerate((7, 19, 53, 1023), 1):
                forge(("127.0.0.1", port), place_of(server.addresses[0]))
                self.expect_counted(server, "from_low_port", i)
            self.expect_service(server)

    def test_the_port_itself(self):
        """A datagram that seems to come from the echo itself, here and on another machine."""
        with Echod(listen="udp://0.0.0.0:0") as server:
            own = place_of(server.addresses[0])
            forge(own, own)
            forge(("127.0.0.7", own[1]), own)
            forge(("192.0.2.1", own[1]), own)
            self.expect_counted(server, "from_own_port", 3)
            self.expect_service(server)

    def test_two_sockets_of_one_echod(self):
        """Neither answers the other, with several workers too."""
        for workers in ("1", "3"):
            with self.subTest(workers=workers), \
                    Echod("--workers", workers,
                          listen=["udp://127.0.0.1:0", "udp://0.0.0.0:0"]) as server:
                forge(place_of(server.addresses[0]), place_of(server.addresses[1]))
                forge(place_of(server.addresses[1], "127.0.0.5"), place_of(server.addresses[0]))
                self.expect_counted(server, "from_own_port", 2)

    def test_two_echods_with_one_port(self):
        """As on two machines that are set up alike: the first one drops it already."""
        with Echod(listen="udp://127.0.0.1:0") as server:
            twin = place_of(server.addresses[0], "127.0.0.2")
            with Echod(listen=f"udp://127.0.0.2:{twin[1]}") as other:
                forge(twin, place_of(server.addresses[0]))
                self.expect_counted(server, "from_own_port")
                self.expect_service(server)
                with client_of(other.addresses[0]) as client:
                    client.send(b"and you?")
                    self.assertEqual(client.recv(100), b"and you?")

    def test_two_echods_with_different_ports(self):
        """Neither can know that the other is an echo: what circles has a hop less each time."""
        for options in ("", ",low-ports=allow"):
            with self.subTest(options=options), contextlib.ExitStack() as stack:
                one, other = (stack.enter_context(Echod(listen=f"udp://127.0.0.1:0{options}"))
                              for _ in range(2))
                for i in range(3):
                    forge(place_of(other.addresses[0]), place_of(one.addresses[0]), b"%d" % i)
                    if i == 0:
                        self.expect_quiet(one, other)
                harness.wait_until(lambda: totals_of(one)["without_hops"] +
                                   totals_of(other)["without_hops"] >= 3, "all three have ended")

    def test_sources_that_are_no_host(self):
        """Port 0, and addresses of many or of nobody."""
        with Echod(listen="udp://127.0.0.1:0") as server:
            forge(("127.0.0.1", 0), place_of(server.addresses[0]))
            self.expect_counted(server, "from_no_host")
            # Linux drops these itself, or we do; nobody answers.
            for host in ("0.0.0.0", "224.0.0.1", "255.255.255.255"):
                forge((host, 40000), place_of(server.addresses[0]))
            self.expect_service(server)
            wait_for_totals(server, lambda totals: totals["datagrams_out"] == 1 and
                            totals["datagrams_in"] == totals["from_no_host"] + 1, "one was real")

    def test_a_source_that_is_a_network(self):
        """Only the system knows which addresses are broadcast: it refuses to answer there."""
        with Echod(listen="udp://0.0.0.0:0") as server:
            forge(("10.9.255.255", 40000), place_of(server.addresses[0]))
            self.expect_counted(server, "failed")
            self.expect_service(server)

    def test_questions_to_many(self):
        """Whoever asks a whole network gets no answer from it (RFC 1122, 4.1.3.5)."""
        with Echod(listen="udp://0.0.0.0:0") as server:
            port = harness.port_of(server.addresses[0])
            with socket.socket(type=socket.SOCK_DGRAM) as client:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
                client.sendto(b"anybody?", ("127.255.255.255", port))
                self.expect_counted(server, "to_many", 1)
                client.sendto(b"anybody?", ("10.9.255.255", port))
                self.expect_counted(server, "to_many", 2)
            self.expect_service(server)

    def test_questions_to_many_at_a_socket_for_both_families(self):
        """Such a socket learns of IPv4 what one of IPv4 alone does."""
        with Echod(listen="udp://[::]:0,v6only=off", ready=1) as server:
            port = harness.port_of(server.log.find(harness.LISTENING_LINE)[0].group(1))
            with socket.socket(type=socket.SOCK_DGRAM) as client:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
                client.sendto(b"anybody?", ("10.9.255.255", port))
                self.expect_counted(server, "to_many", 1)
            with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as client:
                client.sendto(b"anybody?", ("ff02::1", port, 0, socket.if_nametoindex("link0")))
            wait_for_totals(server, lambda totals: totals["to_many"] >= 2 and
                            totals["to_many"] == totals["datagrams_in"] and
                            totals["datagrams_out"] == 0, "it comes by the one link or by both")

    def test_a_passed_multicast_socket(self):
        """A socket that somebody bound to a group gets questions to many alone."""
        with socket.socket(type=socket.SOCK_DGRAM) as bound:
            bound.bind(("224.9.9.9", 0))
            bound.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP,
                             socket.inet_aton("224.9.9.9") + socket.inet_aton("10.9.0.1"))
            port, number = bound.getsockname()[1], bound.fileno()
            with Echod(listen=f"fd://{number}", ready=1, pass_fds=(number,)) as server, \
                    socket.socket(type=socket.SOCK_DGRAM) as client:
                client.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF,
                                  socket.inet_aton("10.9.0.1"))
                client.sendto(b"anybody?", ("224.9.9.9", port))
                self.expect_counted(server, "to_many")


class InterfaceTest(harness.TestCase):
    """Addresses beside the loopback's, which only a namespace of one's own has."""

    def expect_answer(self, target):
        with socket.socket(socket.AF_INET6 if ":" in target[0] else socket.AF_INET,
                           socket.SOCK_DGRAM) as client:
            client.settimeout(harness.PATIENCE_SECONDS)
            client.connect(target)
            for data in (b"one", b"two", b"three"):
                client.send(data)
                self.assertEqual(client.recv(10), data)

    def test_ipv6_addresses(self):
        """A second address answers from itself, and a link's address on its link."""
        with Echod(listen="udp://[::]:0") as server:
            port = harness.port_of(server.addresses[0])
            for host in ("::1", "fd09::1", "fd09::2"):
                self.expect_answer((host, port))
            link = socket.if_nametoindex("link0")
            with open("/proc/net/if_inet6", encoding="ascii") as file:
                raw = next(line.split()[0] for line in file
                           if line.startswith("fe80") and line.rstrip().endswith("link0"))
            host = socket.inet_ntop(socket.AF_INET6, bytes.fromhex(raw))
            self.expect_answer((host, port, 0, link))

    def test_an_address_of_another_interface(self):
        """IPv4 addresses belong to the machine: the answer comes from the one that was asked."""
        with Echod(listen="udp://0.0.0.0:0") as server:
            port = harness.port_of(server.addresses[0])
            for host in ("10.9.0.1", "10.9.0.2", "127.0.0.3"):
                self.expect_answer((host, port))

    def test_a_train_that_the_way_back_has_to_cut(self):
        """Where a train's datagrams are larger than the MTU it leaves as single datagrams."""
        subprocess.run(["ip", "route", "replace", "local", "10.9.0.2", "dev", "lo", "table",
                        "local", "mtu", "1000"], check=True)
        with Echod(listen="udp://10.9.0.1:0") as server, \
                socket.socket(type=socket.SOCK_DGRAM) as client:
            client.settimeout(harness.PATIENCE_SECONDS)
            client.bind(("10.9.0.2", 0))
            client.connect(("10.9.0.1", harness.port_of(server.addresses[0])))
            data = harness.random_bytes(20 * 1400 + 3)
            client.setsockopt(socket.IPPROTO_UDP, UDP_SEGMENT, 1400)
            client.send(data)
            self.assert_echo(b"".join(client.recv(2000) for _ in range(21)), data)
            expect_totals(server, datagrams_in=21, datagrams_out=21, failed=0)


SETUP = """
ip link set lo up &&
ip link add link0 type veth peer name link1 &&
ip address add 10.9.0.1/16 broadcast 10.9.255.255 dev link0 &&
ip address add 10.9.0.2/16 dev link0 &&
ip -6 address add fd09::1/64 dev link0 nodad && ip -6 address add fd09::2/64 dev link0 nodad &&
echo 0 >/proc/sys/net/ipv6/conf/link0/accept_dad;
ip link set link0 up && ip link set link1 up"""


if __name__ == "__main__":
    forgery.run_inside(SETUP, harness.main)
