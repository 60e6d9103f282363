"""
test_sandbox: a running echod can do no more than it needs, and a reload is what it needs.
What is allowed by which option is in tests/unit/check_sandbox_paths.
Run by `run`, by automake, or alone.
"""

import os
import re
import shutil
import signal
import socket
import struct

import certificates
import harness
import intruder
import tls_client
from harness import Echod
from intruder import AT_FDCWD, Intruder

USER, GROUP = 2000000123, 2000000124  # numbers that no system knows
DENIED = "a sandbox denies it, not its permissions; .*restart echod"
IPPROTO_MPTCP = 262
CLONE_THREAD = 0x10000


def write(path, text):
    with open(path, "w", encoding="ascii") as file:
        file.write(text)
    return path


def threads(server):
    return [int(thread) for thread in os.listdir(f"/proc/{server.pid}/task")]


class SandboxTestCase(harness.TestCase):

    def setUp(self):
        intruder.need(self)

    def need_landlock(self, server):
        """Return its version; skip the test where the kernel has none."""
        match = server.log.wait_for(r"sandbox: .*")
        abi = re.search(r"Landlock \(ABI (\d+)\)", match.group())
        if abi is None:
            self.skipTest(match.group())
        return int(abi.group(1))

    def directory(self):
        """A directory that everybody may enter."""
        path = self.temporary_directory()
        os.chmod(path, 0o755)
        return path


class IntruderTest(SandboxTestCase):

    def expect(self, server, who, calls):
        """Make calls, each of which is to fail with its error, in a thread."""
        for error, name, *arguments in calls:
            with self.subTest(name, arguments=arguments):
                self.assertEqual(who.call(server, name, *arguments), error)

    def test_what_is_forbidden_fails(self):
        """Nothing is started, written or connected to, and nobody is hurt; the echo goes on."""
        directory, secrets = self.directory(), self.directory()
        config, secret = write(f"{directory}/echod.conf", ""), write(f"{secrets}/secret", "x")
        who = Intruder(self)
        with Echod("--sandbox", "auto", "--workers", "2", config=config, **who.options) as server:
            client = server.connect()
            self.need_landlock(server)
            self.expect(server, who, (
                (server.pid, "getpid"),
                ("EPERM", "clone", signal.SIGCHLD),
                ("ENOSYS", "kill", os.getpid(), 0),
                ("EPERM", "tgkill", os.getpid(), os.getpid(), 0),
                ("ENOSYS", "setuid", 0),
                ("ENOSYS", "add_key", b"user\0", b"name\0"),
                ("ENOSYS", "io_uring_setup", 1),
                ("ENOSYS", "perf_event_open"),
                ("EPERM", "mmap", 0, 4096, 6, 0x22, -1),  # written and run; private, anonymous
                ("EPERM", "mprotect", 0, 4096, 5),
                ("ENOSYS", "ioctl", 0, 0x5412, b"x"),  # TIOCSTI types into a terminal
                ("ENOSYS", "mkdirat", AT_FDCWD, f"{directory}/new".encode() + b"\0", 0o700),
                ("ENOSYS", "mknodat", AT_FDCWD, f"{directory}/new".encode() + b"\0", 0o600),
                ("ENOSYS", "symlinkat", b"/\0", AT_FDCWD, f"{directory}/new".encode() + b"\0"),
                ("ENOSYS", "renameat2", AT_FDCWD, config.encode() + b"\0", AT_FDCWD, b"new\0"),
                ("ENOSYS", "fchmodat", AT_FDCWD, config.encode() + b"\0", 0o777),
                ("EACCES", "unlinkat", AT_FDCWD, secret.encode() + b"\0"),
                ("EACCES", "unlinkat", AT_FDCWD, config.encode() + b"\0"),
                ("ENOSYS", "socket", socket.AF_PACKET, socket.SOCK_RAW, 0),
                ("ENOSYS", "socket", socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP),
                ("ENOSYS", "socket", socket.AF_INET, socket.SOCK_STREAM, IPPROTO_MPTCP),
                ("ENOSYS", "socket", socket.AF_NETLINK, socket.SOCK_RAW, 12),  # netfilter
            ))
            for path, flags, error in (
                    (config, os.O_RDONLY, 0), (directory, os.O_RDONLY, 0),
                    ("/etc/hosts", os.O_RDONLY, 0), ("/etc/shadow", os.O_RDONLY, "EACCES"),
                    (secret, os.O_RDONLY, "EACCES"), (secrets, os.O_RDONLY, "EACCES"),
                    ("/dev/null", os.O_WRONLY, "EPERM"), (config, os.O_WRONLY, "EPERM"),
                    (config, os.O_RDWR, "EPERM"), (config, os.O_TRUNC, "EPERM"),
                    (f"{directory}/new", os.O_CREAT, "EPERM")):
                with self.subTest(path, flags=flags):
                    self.assertEqual(who.open(server, path, flags), error)
            harness.round_trip(client)

    def test_no_connection_leaves(self):
        """TCP goes to name servers at most, and no abstract socket is connected to."""
        who = Intruder(self)
        with Echod("--sandbox", "auto", **who.options) as server, \
                socket.socket(socket.AF_UNIX) as other:
            abi = self.need_landlock(server)
            name = f"\0echod-{os.getpid()}".encode()
            other.bind(name)
            other.listen()
            port = server.connect().getpeername()[1]
            for version, family, address, error in (
                    (4, socket.AF_INET,
                     struct.pack("!H4s8x", port, socket.inet_aton("127.0.0.1")), "EACCES"),
                    (4, socket.AF_INET,
                     struct.pack("!H4s8x", 53, socket.inet_aton("127.0.0.1")), "ECONNREFUSED"),
                    (6, socket.AF_UNIX, name, "EPERM")):
                if abi < version:
                    continue
                fd = who.call(server, "socket", family, socket.SOCK_STREAM, 0)
                address = struct.pack("=H", family) + address
                with self.subTest(address):
                    self.assertEqual(who.call(server, "connect", fd, address, len(address)), error)
                who.call(server, "close", fd)

    def test_every_thread(self):
        """Those of workers and the log's, which is older than the sandbox, can do no more."""
        secret = write(f"{self.directory()}/secret", "x")
        who = Intruder(self)
        with Echod("--sandbox", "on", "--workers", "2", **who.options) as server:
            tasks = threads(server)
            self.assertEqual(len(tasks), 4)
            descriptors = [os.readlink(f"/proc/{server.pid}/fd/{descriptor}")
                           for descriptor in os.listdir(f"/proc/{server.pid}/fd")]
            self.assertIn(f"/proc/{server.pid}", descriptors)  # or its rule is lost with a cache
            for task in tasks:
                self.assertEqual(who.open(server, secret, thread=task), "EACCES")
                self.assertEqual(who.call(server, "io_uring_setup", 1, thread=task), "ENOSYS")

    def test_what_only_an_intruder_does_ends_it(self):
        """Another program, or a look at the memory of a process: SIGSYS."""
        for name, arguments in (("execve", (b"/bin/true\0", 0, 0)), ("ptrace", (16, 1))):
            who = Intruder(self)
            with self.subTest(name), Echod("--sandbox", "auto", **who.options) as server:
                self.need_landlock(server)
                self.assertIsNone(who.call(server, name, *arguments))
                server.wait_for_exit(-signal.SIGSYS)

    def test_off(self):
        """Then nothing is limited, as a core file or a debugger may need."""
        secret = write(f"{self.directory()}/secret", "x")
        who = Intruder(self)
        with Echod("--sandbox", "off", **who.options) as server:
            self.assertEqual(who.open(server, secret, os.O_WRONLY), 0)
            self.assertEqual(server.log.find("sandbox"), [])

    def test_a_kernel_without_it(self):
        """`auto` takes what there is and says so, `on` does not start."""
        for missing, line in (
                ("landlock", "sandbox: seccomp; this system has no Landlock$"),
                ("seccomp", r"sandbox: Landlock \(ABI \d+\); this system refuses seccomp: "),
                ("landlock seccomp", "sandbox: none; .* seccomp: .*; this system has no Landlock")):
            who = Intruder(self, MISSING=missing)
            with self.subTest(missing), Echod("--sandbox", "auto", **who.options) as server:
                server.log.wait_for(line)
                harness.round_trip(server.connect())
            with self.subTest(missing), Echod("--sandbox", "on", may_log="--sandbox on: ", ready=0,
                                              **who.options) as server:
                server.wait_for_exit(harness.STATUS_SYSTEM)
                server.log.wait_for("error: --sandbox on: this system .*; choose auto, which takes "
                                    "what there is$")


class ReloadTest(SandboxTestCase):

    def reload(self, server, line="HUP: the configuration of .* is in effect"):
        since = len(server.log.lines)
        server.signal(signal.SIGHUP)
        return server.log.wait_for(line, since=since)

    def test_what_a_reload_needs(self):
        """Other files of the same directories, Unix sockets, names: in the sandbox, too."""
        directory = self.directory()
        os.mkdir(f"{directory}/conf.d")
        config = write(f"{directory}/echod.conf", "include conf.d/*.conf\n")
        first = f"listen {harness.LOOPBACK}\nlisten unix://{directory}/one\n"
        write(f"{directory}/conf.d/1.conf", first)
        with Echod("--sandbox", "on", config=config, listen=None, ready=2) as server:
            write(f"{directory}/conf.d/2.conf",
                  f"listen tcp://localhost:0\nlisten unix://{directory}/two,mode=0600\n")
            self.reload(server)
            harness.round_trip(server.adopt(harness.connect(f"unix://{directory}/two")))
            os.remove(f"{directory}/conf.d/2.conf")
            self.reload(server)
            self.assertFalse(os.path.exists(f"{directory}/two"))
            harness.round_trip(server.connect())
        self.assertFalse(os.path.exists(f"{directory}/one"))

    def test_what_a_reload_cannot_have(self):
        """A directory that was not configured at the start: one sentence, and nothing is lost."""
        directory, elsewhere = self.directory(), self.directory()
        config = write(f"{directory}/echod.conf", f"listen {harness.LOOPBACK}\n")
        write(f"{elsewhere}/more.conf", "")
        cases = [f"include {elsewhere}/more.conf\n", f"include {elsewhere}/*.conf\n",
                 f"listen {harness.LOOPBACK}\nlisten unix://{elsewhere}/echod.sock\n"]
        if tls_client.can_serve():
            certificate = certificates.Authority(elsewhere).issue("/CN=localhost")
            cases.append(f"listen {harness.LOOPBACK}\nlisten tls://127.0.0.1:0,cert={certificate}\n")
        with Echod("--sandbox", "auto", config=config, listen=None, ready=1,
                   may_log=DENIED) as server:
            self.need_landlock(server)
            client = server.connect()
            for text in cases:
                with self.subTest(text):
                    write(config, text)
                    since = len(server.log.lines)
                    self.reload(server, "HUP: the configuration is not changed")
                    self.assertEqual(len(server.log.find(f"error: .*{DENIED}", since)), 1)
                    self.assertEqual(len(server.log.find("error: ", since)), 1)
            harness.round_trip(client)
            harness.round_trip(server.connect())

    def test_a_certificate_is_renewed(self):
        """As certbot does it: the link in the directory leads to another file in the archive."""
        if not tls_client.can_serve():
            self.skipTest("this echod has no TLS")
        live, archive = self.directory(), self.directory()
        authority = certificates.Authority(archive)
        os.symlink(authority.issue("/CN=localhost"), f"{live}/cert.pem")
        config = write(f"{live}/echod.conf", f"listen tls://127.0.0.1:0,cert={live}/cert.pem\n")
        with Echod("--sandbox", "on", config=config, listen=None, ready=1) as server:
            os.remove(f"{live}/cert.pem")
            os.symlink(authority.issue("/CN=localhost", days=99), f"{live}/cert.pem")
            self.reload(server)


class ChrootTest(SandboxTestCase):

    def setUp(self):
        super().setUp()
        self.need_other_users()

    def jail(self):
        """A directory in which a path is the same as outside, by a link to its own root."""
        path = self.directory()
        self.assertEqual(path.count("/"), 2)  # /tmp/NAME
        os.mkdir(f"{path}/tmp")
        os.symlink("..", path + path)
        return path

    @staticmethod
    def options(path):
        return ("--chroot", path, "--user", str(USER), "--group", str(GROUP))

    def test_inside(self):
        """Nothing outside is in reach, nor a directory open; a reload finds what is inside."""
        path = self.jail()
        os.chown(path, USER, GROUP)
        config = write(f"{path}/echod.conf", f"listen unix://{path}/one\n")
        secret = write(f"{self.directory()}/secret", "x")
        who = Intruder(self)
        with Echod(*self.options(path), "--sandbox", "off", config=config, listen=None, ready=1,
                   **who.options) as server:
            self.assertEqual(os.readlink(f"/proc/{server.pid}/root"), path)
            self.assertEqual(os.readlink(f"/proc/{server.pid}/cwd"), path)
            for descriptor in os.listdir(f"/proc/{server.pid}/fd"):
                self.assertFalse(os.path.isdir(f"/proc/{server.pid}/fd/{descriptor}"))
            for outside in (secret, f"../../..{secret}", "/../../etc/passwd"):
                self.assertEqual(who.open(server, outside), "ENOENT")
            self.assertEqual(who.open(server, "/echod.conf"), 0)
            write(config, f"listen unix://{path}/two\n")
            server.signal(signal.SIGHUP)
            server.log.wait_for("HUP: the configuration of .* is in effect")
            harness.round_trip(server.adopt(harness.connect(f"unix://{path}/two")))
        self.assertEqual(sorted(os.listdir(path)), ["echod.conf", "tmp"])
        self.assertEqual(server.log.find("a reload would fail"), [])

    def test_with_the_sandbox(self):
        """Both together: the sandbox knows the directories inside."""
        path = self.jail()
        config = write(f"{path}/echod.conf", f"listen {harness.LOOPBACK}\n")
        with Echod(*self.options(path), "--sandbox", "on", config=config, listen=None,
                   ready=1) as server:
            server.signal(signal.SIGHUP)
            server.log.wait_for("HUP: the configuration of .* is in effect")
            harness.round_trip(server.connect())

    def test_what_a_reload_would_not_find(self):
        """What was read outside at the start is there no more, and warnings say so at once."""
        path = self.directory()
        config = write(f"{self.directory()}/echod.conf", f"listen {harness.LOOPBACK}\n")
        with Echod(*self.options(path), config=config, listen=None, ready=1,
                   may_log="No such file") as server:
            server.log.wait_for(f"warning: a reload would fail: {config}: No such file")
            server.signal(signal.SIGHUP)
            server.log.wait_for("HUP: the configuration is not changed")
            harness.round_trip(server.connect())

    def test_a_unix_socket_outside_is_refused(self):
        path, other = self.directory(), self.directory()
        self.assert_refused(
            harness.run_echod("--listen", f"unix://{other}/echod.sock", *self.options(path)),
            "--chroot", f"unix://{other}/echod.sock has another path inside, or none")

    def test_a_directory_that_is_open_is_refused(self):
        directory = os.open("/", os.O_RDONLY | os.O_DIRECTORY)
        self.addCleanup(os.close, directory)
        with Echod(*self.options(self.directory()), ready=0, pass_fds=(directory,),
                   may_log="--chroot: ") as server:
            server.wait_for_exit(harness.STATUS_SYSTEM)
            server.log.wait_for(f"error: --chroot: descriptor {directory} is a directory, and so")

    def test_only_root_can(self):
        program = f"{self.directory()}/echod"
        shutil.copy(harness.ECHOD, program)
        self.assert_refused(
            harness.run_echod("--listen", harness.LOOPBACK, "--chroot", self.directory(),
                              program=program, user=USER, group=GROUP, extra_groups=[]),
            "--chroot", "Operation not permitted; start echod as root")

    def test_who_stays_root_is_warned(self):
        with Echod("--chroot", self.directory()) as server:
            server.log.wait_for("warning: still runs as root: --user was not given$")


if __name__ == "__main__":
    harness.main()
