"""
test_clients_of_others: programs that nobody here wrote get their bytes back.
A test is skipped where its program is not installed.
Run by `run`, by automake, or alone.
"""

import os
import shutil
import subprocess

import harness
from harness import Echod

PLUGIN_DIRECTORIES = ("/usr/lib/nagios/plugins", "/usr/lib64/nagios/plugins",
                      "/usr/lib/monitoring-plugins", "/usr/libexec/monitoring-plugins")

NET_PING = """
use Net::Ping;
my $ping = Net::Ping->new("PROTOCOL", 5);
$ping->port_number(PORT);
for (1 .. 100) { $ping->ping("127.0.0.1") or die "no answer to ping $_\\n"; }
"""


class ClientsOfOthersTest(harness.TestCase):

    DATA = harness.random_bytes(3 * harness.MIB)

    def run_client(self, *command, data=b""):
        """Run a client with this input, check that it succeeds, and return its output."""
        result = subprocess.run(command, input=data, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, check=False,
                                timeout=harness.PATIENCE_SECONDS)
        self.assertEqual(result.returncode, 0, result.stderr.decode(errors="replace"))
        return result.stdout

    def run_ping(self, protocol):
        """Let perl's Net::Ping ping echod a hundred times and return echod's totals."""
        perl = self.need_program("perl")
        if subprocess.run([perl, "-MNet::Ping", "-e1"], stderr=subprocess.DEVNULL,
                          check=False).returncode != 0:
            self.skip_without("perl's Net::Ping")
        if not os.path.exists("/etc/protocols"):  # Net::Ping looks up "tcp" there
            self.skip_without("netbase")
        with Echod() as server:
            port = str(harness.port_of(server.addresses[0]))
            self.run_client(perl, "-e",
                            NET_PING.replace("PROTOCOL", protocol).replace("PORT", port))
            server.expect_idle_descriptors()
            return server.stop()

    def test_ncat(self):
        """Nmap's ncat sends a file and its end, and gets the file back."""
        ncat = self.need_program("ncat")
        with Echod() as server:
            port = str(harness.port_of(server.addresses[0]))
            self.assert_echo(self.run_client(ncat, "127.0.0.1", port, data=self.DATA), self.DATA)
            server.wait_for_closed("client closed")

    def test_socat(self):
        """socat does the same over TCP and over a Unix socket."""
        socat = self.need_program("socat")
        path = f"{self.temporary_directory()}/echod.sock"
        with Echod(listen=[harness.LOOPBACK, f"unix://{path}"]) as server:
            port = harness.port_of(server.addresses[0])
            for target in (f"TCP:127.0.0.1:{port}", f"UNIX-CONNECT:{path}"):
                with self.subTest(target):
                    echo = self.run_client(socat, "-t", "10", "-", target, data=self.DATA)
                    self.assert_echo(echo, self.DATA)
            server.wait_for_closed("client closed", count=2)

    def test_nc(self):
        """OpenBSD's nc -N does the same."""
        nc = self.need_program("nc.openbsd" if shutil.which("nc.openbsd") else "nc")
        usage = subprocess.run([nc, "-h"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                               check=False, timeout=harness.PATIENCE_SECONDS).stdout
        if b"-N" not in usage:
            self.skip_without("OpenBSD's nc")
        with Echod() as server:
            port = str(harness.port_of(server.addresses[0]))
            self.assert_echo(self.run_client(nc, "-N", "127.0.0.1", port, data=self.DATA),
                             self.DATA)
            server.wait_for_closed("client closed")

    def test_net_ping_tcp(self):
        """Net::Ping with "tcp" only connects; a hundred such clients leave nothing behind."""
        self.assertEqual(self.run_ping("tcp").accepted, 100)

    def test_net_ping_stream(self):
        """Net::Ping with "stream" sends a line and waits for it, a hundred times."""
        totals = self.run_ping("stream")
        self.assertEqual((totals.accepted, totals.bytes_in, totals.bytes_out), (1, 1700, 1700))

    def test_check_tcp(self):
        """The monitoring plugin check_tcp sees its own text come back, over TCP and Unix."""
        check_tcp = self.need_program("check_tcp", *PLUGIN_DIRECTORIES)
        path = f"{self.temporary_directory()}/echod.sock"
        with Echod(listen=[harness.LOOPBACK, f"unix://{path}"]) as server:
            port = str(harness.port_of(server.addresses[0]))
            for target in (("-H", "127.0.0.1", "-p", port), ("-H", path)):
                with self.subTest(target):
                    output = self.run_client(check_tcp, *target, "-s", "are you there?",
                                             "-e", "are you there?")
                    self.assertIn(b"TCP OK", output)


if __name__ == "__main__":
    harness.main()
