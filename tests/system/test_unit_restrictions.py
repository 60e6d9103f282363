"""
test_unit_restrictions: what the unit for systemd forbids fails, and echod serves without it.
All tests of echod under these restrictions: make check-unit-restrictions.
Run by `run`, by automake, or alone.
"""

import os
import re
import signal
import socket

import harness
import intruder
import unit_restrictions
from admin_client import ask, can_serve
from harness import Echod
from intruder import AT_FDCWD, Intruder

UNIT = os.path.join(os.path.dirname(harness.ECHOD), "packaging/systemd/echod.service")
CAP_NET_BIND_SERVICE = 1 << 10
CLONE_NEWUSER = 0x10000000


class UnitTestCase(harness.TestCase):

    def setUp(self):
        intruder.need(self)
        self.need_program("systemd-analyze")
        reason = unit_restrictions.why_not(UNIT)
        if reason is not None:
            self.skipTest(f"nothing can be restricted here: {reason}")
        self.prefix = unit_restrictions.prefix(UNIT)


class ServiceTest(UnitTestCase):

    def setUp(self):
        super().setUp()
        self.directory = self.temporary_directory()
        self.path = f"{self.directory}/echod.conf"

    def write(self, *lines):
        with open(self.path, "w", encoding="ascii") as file:
            file.writelines(f"{line}\n" for line in lines)

    def reload(self, server, *lines):
        since = len(server.log.lines)
        self.write(*lines)
        server.signal(signal.SIGHUP)
        server.log.wait_for("HUP: the configuration of .* is in effect", since=since)

    def test_it_serves_and_reloads(self):
        """In its own sandbox, too: to clients of each kind and to operators, until its end."""
        directory = self.directory
        lines = [f"listen {harness.LOOPBACK}", f"listen unix://{directory}/one",
                 "listen udp://127.0.0.1:0", "workers 2"]
        if can_serve():
            lines.append(f"admin unix://{directory}/admin")
        self.write(*lines)
        with Echod(prefix=self.prefix, config=self.path, listen=None, ready=3) as server:
            server.log.wait_for("info: sandbox: seccomp")
            harness.round_trip(server.connect(0))
            harness.round_trip(server.connect(1))
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
                client.settimeout(harness.PATIENCE_SECONDS)
                client.connect(("127.0.0.1", int(server.addresses[2].rpartition(":")[2])))
                harness.round_trip(client)
            with open(f"/proc/{server.pid}/status", encoding="ascii") as file:
                status = dict(re.findall(r"^(\w+):\s*(.*)$", file.read(), re.M))
            self.assertEqual((status["NoNewPrivs"], status["Seccomp"]), ("1", "2"))
            for name in ("CapEff", "CapPrm", "CapBnd"):
                self.assertEqual(int(status[name], 16), CAP_NET_BIND_SERVICE)
            self.reload(server, *lines, "listen tcp://localhost:0",
                        f"listen unix://{directory}/two")
            with harness.connect(f"unix://{directory}/two") as client:
                harness.round_trip(client)
            if can_serve():
                self.assertEqual(ask(f"unix://{directory}/admin", "/readyz").status, 200)
            self.reload(server, *lines)
            self.assertEqual(server.report()[0].accepted, 3)
        self.assertEqual(os.listdir(directory), ["echod.conf"])  # sockets were removed


class IntruderTest(UnitTestCase):

    def test_what_is_forbidden_fails(self):
        """By the unit alone: the sandbox is off."""
        directory = self.temporary_directory()
        who = Intruder(self)
        with Echod("--sandbox", "off", prefix=self.prefix, **who.options) as server:
            for error, name, *arguments in (
                    (server.pid, "getpid"),
                    ("EPERM", "setuid", 0), ("EPERM", "ptrace", 16, 1),
                    ("EPERM", "perf_event_open"),
                    ("EPERM", "clone", CLONE_NEWUSER | signal.SIGCHLD),
                    ("EPERM", "mmap", 0, 4096, 6, 0x22, -1),  # written and run; private, anonymous
                    ("EPERM", "mprotect", 0, 4096, 5),
                    ("EPERM", "fchmodat", AT_FDCWD, f"{directory}\0".encode(), 0o4700),
                    ("EAFNOSUPPORT", "socket", socket.AF_NETLINK, socket.SOCK_RAW, 0),
                    ("EAFNOSUPPORT", "socket", socket.AF_PACKET, socket.SOCK_RAW, 0),
                    ("EAFNOSUPPORT", "socket", socket.AF_VSOCK, socket.SOCK_STREAM, 0)):
                with self.subTest(name, arguments=arguments):
                    self.assertEqual(who.call(server, name, *arguments), error)
            for path, flags, error in (
                    (f"{directory}/new", os.O_CREAT | os.O_WRONLY, 0),
                    ("/usr/new", os.O_CREAT | os.O_WRONLY, "EROFS"),
                    ("/etc/hosts", os.O_RDONLY, 0),
                    ("/dev/null", os.O_WRONLY, 0), ("/dev/kmsg", os.O_RDONLY, "ENOENT"),
                    ("/proc/sys/kernel/core_pattern", os.O_RDONLY, "ENOENT")):
                with self.subTest(path, flags=flags):
                    self.assertEqual(who.open(server, path, flags), error)
            harness.round_trip(server.connect())


if __name__ == "__main__":
    harness.main()
