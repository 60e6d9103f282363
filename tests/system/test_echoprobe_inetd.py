"""
test_echoprobe_inetd: the echo of two real super-servers, inetutils' inetd and xinetd, is right.
What a super-server does with echod is in test_stdio and test_listen.
Run by `run`, by automake, or alone.
"""

import os
import signal
import socket
import subprocess
import sys

import harness
from harness import KIB, probe

# inetutils' inetd sleeps for a second after a client has left (2.4, inetd.c: select gives EINTR).
PATIENT = ("--timeout", harness.scaled_ms(20000))

# An inetd finds the port of its own echo by that name alone (getservbyname(3)).
SERVICES = """
echo {tcp_port}/tcp
echo {udp_port}/udp
"""

INETD = """
127.0.0.1:echo stream tcp nowait root internal
127.0.0.1:echo dgram  udp wait   root internal
"""

XINETD = """
defaults
{{
    bind = 127.0.0.1
    user = {user}
    instances = UNLIMITED
    per_source = UNLIMITED
    cps = 1000000 1
}}
service echo
{{
    type = INTERNAL UNLISTED
    id = echo-stream
    socket_type = stream
    protocol = tcp
    port = {tcp_port}
    wait = no
}}
service echo
{{
    type = INTERNAL UNLISTED
    id = echo-dgram
    socket_type = dgram
    protocol = udp
    port = {udp_port}
    wait = yes
}}
"""


class SuperServer(harness.Process):
    """A super-server in the foreground, from when its log has `count` lines like `ready`."""

    def __init__(self, command, ready, count=1):
        super().__init__(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                         stderr=harness.PIPE)
        self._ready = (ready, count)
        self._log = harness.Log(self._popen.stderr)

    def __enter__(self):
        try:
            self._log.wait_for(*self._ready)
        except BaseException:
            self.kill()
            print("\n".join(["--- log of the super-server", *self._log.lines]), file=sys.stderr)
            raise
        return self

    def wait_until_idle(self):
        """Wait until it has done with the last datagram, and sleeps until the next."""
        harness.wait_until(lambda: self.state() == "S", "the super-server waits")


class SuperServerTests:
    """What every super-server must show. A class of tests says how it is started, and more."""

    def setUp(self):
        self.ports = {"tcp_port": harness.free_port(),
                      "udp_port": harness.free_port(socket.SOCK_DGRAM)}
        self.tcp = f"tcp://127.0.0.1:{self.ports['tcp_port']}"
        self.udp = f"udp://127.0.0.1:{self.ports['udp_port']}"

    def configuration(self, text):
        """The path of a file with this text."""
        path = f"{self.temporary_directory()}/configuration"
        with open(path, "w", encoding="ascii") as file:
            file.write(text)
        return path

    def expect_all(self, count, *arguments):
        """Probe, and check that all came back unchanged; return the figures."""
        result = probe("--json", "-c", str(count), *PATIENT, *arguments)
        self.assertEqual((result.status, result.errors), (0, ""), result.text)
        figures = result.json()
        self.assertEqual((figures["sent"], figures["received"]), (count, count), result.text)
        return figures

    def test_tcp(self):
        """Messages that the server reads in several pieces come back whole."""
        with self.start():
            for size in (1, 64, 20 * KIB):
                with self.subTest(size=size):
                    self.expect_all(5, "-i", "0", "-s", str(size), self.tcp)

    def test_tcp_churn(self):
        """Each message has a connection of its own, for which the server forks."""
        with self.start():
            figures = self.expect_all(20, "--churn", "-P", "4", self.tcp)
        self.assertEqual(figures["connects"], 20)

    def test_tcp_load(self):
        """Several connections at a time, each with several messages under way."""
        with self.start():
            self.expect_all(3000, "-P", "8", "--window", "8", "-s", "100", self.tcp)

    def test_udp(self):
        """A datagram comes back up to the size of the server's buffer."""
        with self.start() as server:
            for size in (1, 64, 1472, self.largest_datagram):
                with self.subTest(size=size):
                    server.wait_until_idle()
                    self.expect_all(1, "-s", str(size), self.udp)

    def test_udp_beyond_the_buffer(self):
        """Of a datagram that is larger only the beginning comes back, and echoprobe says so."""
        size = self.largest_datagram + 1
        with self.start():
            result = probe("-c", "1", "-s", str(size), *PATIENT, self.udp)
        self.assertEqual(result.status, 1, result.text)
        self.assertIn(f"truncated: only {size - 1} of {size} bytes came back", result.output)


class InetdTest(SuperServerTests, harness.TestCase):

    largest_datagram = 8 * KIB

    def start(self):
        inetd = self.need_program("inetutils-inetd", "/usr/sbin")
        prefix = self.with_file("/etc/services", SERVICES.format(**self.ports))
        return SuperServer([*prefix, inetd, "--debug", "--pidfile", "--rate=1000000",
                            self.configuration(INETD)], ready="^registered ", count=2)

    def test_udp_load(self):
        """Datagrams that come faster than it answers wait for it."""
        with self.start():
            self.expect_all(500, "-P", "2", "--window", "8", self.udp)


class XinetdTest(SuperServerTests, harness.TestCase):

    largest_datagram = 2 * KIB

    def start(self):
        xinetd = self.need_program("xinetd", "/usr/sbin")
        configuration = XINETD.format(user=os.getuid(), **self.ports)
        return SuperServer([xinetd, "-dontfork", "-filelog", "/dev/stderr", "-f",
                            self.configuration(configuration)],
                           ready="Started working: 2 available services")

    def waiting_bytes(self):
        """What waits in xinetd's UDP socket, with the kernel's own needs (proc_net_udp(5))."""
        port = f"0100007F:{self.ports['udp_port']:04X}"
        with open("/proc/net/udp", encoding="ascii") as file:
            lines = [line.split() for line in file]
        return next(int(line[4].partition(":")[2], 16) for line in lines if line[1] == port)

    def test_udp_burst(self):
        """xinetd answers one datagram and discards what waits behind it: that is named as lost."""
        with self.start() as server:
            server.signal(signal.SIGSTOP)
            client = harness.Background(probe, "--json", "-c", "10", "--window", "10", "-s", "2KiB",
                                        "-W", harness.scaled_ms(1000), self.udp)
            harness.wait_until(lambda: self.waiting_bytes() >= 10 * 2 * KIB, "datagrams wait")
            server.signal(signal.SIGCONT)
            result = client.result()
            server.wait_until_idle()
            self.expect_all(1, self.udp)
        self.assertEqual(result.status, 1, result.text)
        figures = result.json()
        self.assertEqual((figures["sent"], figures["received"] + figures["lost"]), (10, 10))
        self.assertGreaterEqual(figures["lost"], 1)
        self.assertEqual({kind for kind, count in figures["faults"].items() if count > 0}, {"lost"})


if __name__ == "__main__":
    harness.main()
