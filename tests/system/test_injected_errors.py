"""
test_injected_errors: what echod can do without may be refused by the system: nothing is lost; and
what echoprobe cannot do without is named.
strace lets system calls fail, as sandboxes and other kernels do. Failing allocations are elsewhere.
Run alone, by `run` or by make check.

Environment:
    ECHOD_TEST_STRIDE    of calls that are refused one after the other, try each so manieth; default: 7
"""

import contextlib
import os
import signal
import socket
import subprocess
import tempfile

import harness
from harness import KIB, MIB, Background, Echod, Pattern

STREAM_BYTES = 8 * MIB
HAS_SHORTCUTS = "--no-shortcuts" not in harness.OPTIONS

# LeakSanitizer does not work where strace traces the process.
WITHOUT_LEAKS = f"ASAN_OPTIONS={os.environ.get('ASAN_OPTIONS', '')}:detect_leaks=0"

# What a sandbox or another kernel says, and whether it says so for good.
REFUSALS = {"ENOSYS": True, "EPERM": True, "EACCES": True, "EOPNOTSUPP": True, "EINVAL": True,
            "ENOMEM": False, "ENOBUFS": False}

# Calls that a process needs only for comfort or speed, and the options with which it makes them.
OPTIONAL = [
    ("accept4:error=ENOSYS", ()),
    ("epoll_create1:error=ENOSYS", ()),
    ("ioctl:error=ENOSYS", ("--write-timeout", "20s")),
    ("prctl:error=EPERM", ("--sandbox", "auto")),  # without it there is no sandbox
    ("sched_getaffinity:error=ENOSYS", ("--workers", "2", "--pin-workers")),
    ("sched_setaffinity:error=EPERM", ("--workers", "2", "--pin-workers")),
    ("getsockopt:error=ENOSYS", ()),
    ("getsockopt:error=EPERM", ()),
]

# What the system may refuse at the start, while it reloads and while it stops; close(2) ends a
# descriptor whatever it says, but strace lets it stay open.
AT_START = {"socket": "EMFILE", "bind": "EACCES", "listen": "EADDRINUSE", "setsockopt": "ENOBUFS",
            "getsockname": "ENOBUFS", "fcntl": "EMFILE", "epoll_create1": "EMFILE",
            "epoll_ctl": "ENOSPC", "socketpair": "ENFILE", "clone3": "EAGAIN", "dup3": "EMFILE",
            "eventfd2": "EMFILE", "timerfd_create": "EMFILE", "fchownat": "EPERM", "unlink": "EPERM",
            "flock": "ENOLCK", "ftruncate": "EIO", "pwrite64": "ENOSPC"}
AT_RELOAD = {"socket": "EMFILE", "bind": "EACCES", "listen": "EADDRINUSE", "setsockopt": "ENOBUFS",
             "getsockname": "ENOBUFS", "fcntl": "EMFILE", "epoll_ctl": "ENOSPC", "clone3": "EAGAIN",
             "openat": "EMFILE", "newfstatat": "EIO", "close": "EIO", "unlink": "EPERM"}
AT_STOP = {"epoll_ctl": "ENOSPC", "close": "EIO", "unlink": "EPERM", "shutdown": "ENOTCONN",
           "epoll_wait": "EINTR", "ftruncate": "EIO"}
MOST_CALLS = 60
STRIDE = int(os.environ.get("ECHOD_TEST_STRIDE") or 7)


def stream(address, size=STREAM_BYTES):
    """Send so much while it is received; check that it comes back, and then FIN."""
    client = harness.connect(address, receive_buffer=64 * KIB)
    pattern = Pattern(3)
    received = 0

    def send():
        for position in range(0, size, 64 * KIB):
            client.sendall(pattern.piece(position, 64 * KIB))
        client.shutdown(socket.SHUT_WR)

    client.settimeout(harness.PATIENCE_SECONDS)
    sender = Background(send)
    while piece := client.recv(256 * KIB):
        if piece != pattern.piece(received, len(piece)):
            raise AssertionError(f"a wrong echo after {received} bytes")
        received += len(piece)
    sender.result()
    client.close()
    if received != size:
        raise AssertionError(f"{size} bytes sent, {received} came back")


class InjectedErrors(harness.TestCase):

    def setUp(self):
        self.strace = self.need_program("strace")
        self.trace = f"{self.temporary_directory()}/trace"

    def prefix(self, *injections):
        """A command that runs echod and lets calls fail; -D: echod remains our own child."""
        words = ["env", WITHOUT_LEAKS, self.strace, "-D", "-f", "-qq", "-o", self.trace]
        for injection in injections:
            words += ["-e", f"inject={injection}"]
        return words

    def injected_count(self):
        with open(self.trace, encoding="utf-8", errors="replace") as trace:
            return trace.read().count("(INJECTED)")

    def wait_for_injections(self):
        """strace writes what it saw a moment later; return how often a call failed."""
        harness.wait_until(lambda: self.injected_count() > 0, "a call is refused")
        return self.injected_count()

    def check_stream(self, *injections, options=()):
        with Echod(*options, prefix=self.prefix(*injections)) as echod:
            stream(echod.addresses[0])
            closed = echod.log.wait_for(harness.CLOSED_LINE)
        return closed

    def test_a_stream_that_splice_refuses_is_copied(self):
        for error, is_for_good in REFUSALS.items():
            with self.subTest(error):
                closed = harness.facts(self.check_stream(f"splice:error={error}"))
                self.assertEqual(closed.bytes_in, STREAM_BYTES)
                self.assertEqual(closed.bytes_out, STREAM_BYTES)
                self.assertEqual(closed.reason, "client closed")
                if HAS_SHORTCUTS and is_for_good:
                    self.assertEqual(self.wait_for_injections(), 1)
                elif HAS_SHORTCUTS:
                    self.assertGreater(self.wait_for_injections(), 1)

    def test_a_splice_to_the_socket_may_be_refused_as_well(self):
        for injection in ["splice:error=ENOSYS:when=2+", "splice:error=EINVAL:when=2",
                          "splice:error=ENOMEM:when=2+2", "splice:error=EPERM:when=5+",
                          "splice:error=ENOBUFS:when=4+3"]:
            with self.subTest(injection):
                closed = harness.facts(self.check_stream(injection))
                self.assertEqual(closed.reason, "client closed")
                self.assertEqual(closed.bytes_out, STREAM_BYTES)
                if HAS_SHORTCUTS:
                    self.wait_for_injections()

    def test_datagrams_leave_one_by_one_where_batches_are_refused(self):
        for call in ["recvmmsg", "sendmmsg"]:
            for error, is_for_good in [("ENOSYS", True), ("EPERM", False), ("EINVAL", False),
                                       ("ENOMEM", False)]:
                with self.subTest(call, error=error):
                    with Echod(listen="udp://127.0.0.1:0",
                               prefix=self.prefix(f"{call}:error={error}")) as echod, \
                            socket.socket(type=socket.SOCK_DGRAM) as client:
                        client.connect(("127.0.0.1", harness.port_of(echod.addresses[0])))
                        client.settimeout(harness.PATIENCE_SECONDS)
                        self.send_bursts(client)
                    if is_for_good:
                        self.assertEqual(self.wait_for_injections(), 1)

    def send_bursts(self, client):
        """Send bursts, all of which must return, until a batch was refused and some more."""
        for burst in range(1000):
            datagrams = [b"%d of %d" % (number, burst) for number in range(30)]
            for datagram in datagrams:
                client.send(datagram)
            self.assertEqual([client.recv(100) for _ in datagrams], datagrams)
            if self.injected_count() > 0 and burst >= 10:
                return
        self.fail("no batch was ever tried")

    def test_echoprobe_does_without_batches(self):
        with Echod(listen="udp://127.0.0.1:0") as echod:
            for call in ["recvmmsg", "sendmmsg"]:
                for error in ["ENOSYS", "EPERM", "EINVAL", "ENOMEM"]:
                    with self.subTest(call, error=error):
                        done = subprocess.run(
                            [*self.prefix(f"{call}:error={error}"), harness.ECHOPROBE, "-c", "50",
                             "-i", "0", echod.addresses[0]], timeout=harness.PATIENCE_SECONDS,
                            capture_output=True, text=True, check=False)
                        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
                        self.assertIn("50 received", done.stdout)
                        self.wait_for_injections()

    def test_what_is_only_for_comfort_may_be_refused(self):
        for injection, options in OPTIONAL:
            with self.subTest(injection):
                closed = harness.facts(self.check_stream(injection, options=options))
                self.assertEqual(closed.reason, "client closed")

    def test_no_message_to_a_thread_is_lost(self):
        """The second write of a thread is the byte that wakes another one's loop."""
        for error in ["ENOMEM", "ENOSPC", "EIO"]:
            with self.subTest(error):
                with Echod(prefix=self.prefix(f"write:error={error}:when=2")) as echod:
                    harness.round_trip(echod.connect())
                    echod.close_clients()
                    echod.signal(signal.SIGTERM)
                    echod.wait_for_exit(harness.STATUS_STOPPED)
                self.assertGreater(self.injected_count(), 0)

    def test_no_message_of_a_reload_is_lost(self):
        with tempfile.TemporaryDirectory() as directory:
            config, path = f"{directory}/echod.conf", f"{directory}/echo"
            with open(config, "w", encoding="ascii") as file:
                file.write("listen tcp://127.0.0.1:0\n")
            with Echod(listen=None, config=config,
                       prefix=self.prefix("write:error=ENOMEM:when=2")) as echod:
                with open(config, "a", encoding="ascii") as file:
                    file.write(f"listen unix://{path}\n")
                echod.signal(signal.SIGHUP)
                harness.wait_until(lambda: os.path.exists(path) and
                                   not harness.is_refused(f"unix://{path}"),
                                   "the new listener is there")
                with harness.connect(f"unix://{path}") as client:
                    harness.round_trip(client)
                echod.signal(signal.SIGTERM)
                echod.wait_for_exit(harness.STATUS_STOPPED)
            self.assertGreater(self.injected_count(), 0)

    def test_the_advice_fits_what_was_refused(self):
        """Another address helps only where the address is to blame, and only what was given can be
        left out."""
        directory = self.temporary_directory()
        allow = "let the system, or the sandbox that echod runs in, allow it"
        files, memory = "raise the limit of open files", "more free memory"
        leave_out, elsewhere = "leave it out, or give what", "in a directory of echod's own"
        tcp, path = harness.LOOPBACK, f"unix://{directory}/s"
        for listen, injection, advice in [
                (tcp, "socket:error=EPERM", allow), (tcp, "socket:error=EMFILE", files),
                (tcp, "fcntl:error=EPERM:when=2+", allow), (tcp, "setsockopt:error=EPERM", allow),
                (tcp, "setsockopt:error=ENOBUFS", memory),
                (tcp, "setsockopt:error=EOPNOTSUPP:when=2", allow),  # nodelay, which nobody gave
                (f"{tcp},nodelay", "setsockopt:error=EOPNOTSUPP:when=2", leave_out),
                (tcp, "bind:error=ENOSYS", allow), (tcp, "bind:error=EACCES", allow),
                ("tcp://127.0.0.1:7", "bind:error=EACCES", "choose a port from 1024 on"),
                (tcp, "listen:error=EADDRINUSE", "choose another port"),
                (tcp, "getsockname:error=EPERM", allow),
                ("udp://127.0.0.1:0", "socket:error=EPERM", allow),
                (path, "socket:error=EPERM", allow), (path, "fcntl:error=ENOSYS:when=2+", allow),
                (path, "bind:error=EPERM", elsewhere), (path, "bind:error=EACCES", elsewhere),
                (f"{path},owner={os.geteuid()}", "fchownat:error=EPERM", leave_out),
                ("unix://@echod-test", "bind:error=EADDRINUSE", "choose another name"),
                ("stdio:", "fcntl:error=EMFILE:when=4+", files)]:
            with self.subTest(listen, injection=injection):
                result = harness.run_echod("--listen", listen, prefix=self.prefix(injection))
                self.assert_refused(result, f"--listen {listen.partition(',')[0]}: ", advice)

    def test_a_client_that_left_keeps_no_other_from_being_served(self):
        """A drain accepts whoever waits, though accept says that one of them has gone."""
        with Echod("--max-connections", "1",
                   prefix=self.prefix("accept:error=ECONNABORTED:when=1")) as echod:
            first = echod.connect()
            harness.round_trip(first)
            waiting = [echod.connect() for _ in range(3)]
            echod.signal(signal.SIGTERM)
            for client in waiting:
                harness.round_trip(client)
            self.assertGreater(self.injected_count(), 0)
            echod.close_clients()
            echod.wait_for_exit(harness.STATUS_STOPPED)

    def test_an_address_that_is_free_a_moment_later_is_bound(self):
        """Of two that start at one instant, both may find the address in use; one must serve."""
        for call in ("bind", "listen"):
            with self.subTest(call):
                self.check_stream(f"{call}:error=EADDRINUSE:when=1")
                self.assertEqual(self.wait_for_injections(), 1)
        with Echod(prefix=self.prefix("bind:error=EADDRINUSE"), ready=0, may_log="in use") as echod:
            echod.wait_for_exit(harness.STATUS_SYSTEM)

    def test_a_system_that_only_says_that_it_gave_privileges_up_is_not_believed(self):
        self.need_other_users()
        for call in ("setresuid", "setresgid", "setgroups"):
            with self.subTest(call):
                result = harness.run_echod("--listen", "tcp://127.0.0.1:0", "--user", "12345",
                                           "--group", "12345",
                                           prefix=self.prefix(f"{call}:retval=0"))
                self.assertEqual(result.returncode, harness.STATUS_SYSTEM, result.stderr)
                self.assertIn("did not give up all other users and groups", result.stderr)

    def test_workers_share_a_socket_where_no_other_can_be_bound(self):
        self.check_stream("bind:error=EACCES:when=2+", options=("--workers", "3"))
        self.assertEqual(self.wait_for_injections(), 2)

    def test_without_a_pipe_it_serves_or_says_why_it_does_not(self):
        """libevent needs pipes and echod's mailboxes do; only that for splice is for speed."""
        started = 0
        for number in range(1, 12):
            with self.subTest(number):
                echod = Echod(prefix=self.prefix(f"pipe2:error=EMFILE:when={number}"), ready=0,
                              may_log=r"cannot be made|worker|pipe")
                with echod:
                    harness.wait_until(lambda echod=echod: echod.status is not None or
                                       echod.log.find(harness.LISTENING_LINE), "it starts or ends")
                    if echod.status is None:
                        address = echod.log.wait_for(harness.LISTENING_LINE).group(1)
                        stream(address)
                        started += 1
                    else:
                        echod.wait_for_exit(harness.STATUS_SYSTEM)
                        self.assertEqual(len(echod.log.find(harness.ERROR_LINE)), 1)
        self.assertGreater(started, 0)


class RefusedCalls(harness.TestCase):
    """Each call of a kind is refused, one after the other, until no more is made."""

    limit_seconds = 300

    def setUp(self):
        self.strace = self.need_program("strace")
        self.directory = self.temporary_directory()
        self.trace = f"{self.directory}/trace"
        self.config = f"{self.directory}/echod.conf"

    def configure(self, *more):
        lines = ["listen tcp://127.0.0.1:0,name=first", "workers 2",
                 f"pid-file {self.directory}/pid", *more]
        with open(f"{self.config}.new", "w", encoding="ascii") as file:
            file.writelines(f"{line}\n" for line in lines)
        os.replace(f"{self.config}.new", self.config)

    def was_injected(self):
        with open(self.trace, encoding="utf-8", errors="replace") as trace:
            return "(INJECTED)" in trace.read()

    def each_call(self, errors, attempt):
        """Call `attempt` with what strace is to inject, until it injected nothing any more."""
        for call, error in errors.items():
            for number in range(1, MOST_CALLS, STRIDE):
                with self.subTest(call, number=number):
                    attempt(f"{call}:error={error}:when={number}")
                if not self.was_injected():
                    break

    def start(self, *strace_options):
        """Start echod, under strace if that has options; -D: it remains our own child."""
        prefix = ("env", WITHOUT_LEAKS)
        if strace_options:
            prefix += (self.strace, "-D", "-f", "-qq", "-o", self.trace, *strace_options)
        return Echod(config=self.config, listen=None, ready=0 if strace_options else 1, prefix=prefix,
                     may_log=".")

    @contextlib.contextmanager
    def injecting(self, echod, injection):
        """Trace an echod that runs, and inject from now on, until it ends or the block does."""
        command = [self.strace, "-f", "-o", self.trace, "-e", f"inject={injection}",
                   "-p", str(echod.pid)]
        with harness.Process(command, stderr=harness.PIPE) as strace:
            log = harness.Log(strace._popen.stderr)  # pylint: disable=protected-access
            log.wait_for("attached")
            yield
            if echod.status is None:
                strace.signal(signal.SIGINT)
            log.wait_for_end()

    def test_a_start_says_why_not(self):
        def attempt(injection):
            with self.start("-e", f"inject={injection}") as echod:
                harness.wait_until(lambda: echod.status is not None or
                                   echod.log.find(harness.LISTENING_LINE), "it starts or ends")
                if echod.status is None:
                    address = echod.log.wait_for(harness.LISTENING_LINE).group(1)
                    with harness.connect(address) as client:
                        harness.round_trip(client)
                else:
                    echod.wait_for_exit(harness.STATUS_SYSTEM)
                    echod.log.wait_for_end()
                    self.assertTrue(echod.log.find(harness.ERROR_LINE) or
                                    echod.log.find("^echod: "))
                    if not injection.startswith("unlink"):
                        self.assertFalse(os.path.exists(f"{self.directory}/s"))

        self.configure(f"listen unix://{self.directory}/s,mode=0600,owner={os.geteuid()}",
                       "listen udp://127.0.0.1:0")
        self.each_call(AT_START, attempt)

    def test_a_reload_changes_all_or_nothing(self):
        end = r"HUP: (the configuration is not changed|the configuration of \S+ is in effect)"

        def attempt(injection):
            self.configure()
            with self.start() as echod:
                client = echod.connect()
                harness.round_trip(client)
                self.configure(f"listen unix://{self.directory}/s", "listen tcp://127.0.0.1:0",
                               "listen udp://127.0.0.1:0", "idle-timeout 1h")
                with self.injecting(echod, injection):
                    echod.signal(signal.SIGHUP)
                    was_changed = "in effect" in echod.log.wait_for(end).group()
                    harness.round_trip(client)
                if not was_changed:
                    since = len(echod.log.lines)
                    echod.signal(signal.SIGHUP)
                    self.assertIn("in effect", echod.log.wait_for(end, since=since).group())
                with harness.connect(f"unix://{self.directory}/s") as newcomer:
                    harness.round_trip(newcomer)
                harness.round_trip(client)
                echod._idle_descriptor_count = None  # pylint: disable=protected-access

        self.each_call(AT_RELOAD, attempt)

    def test_what_is_refused_for_good_is_not_tried_for_ever(self):
        """A reload whose socket could not tell where a datagram was sent to changes nothing."""
        self.configure()
        with self.start() as echod:
            self.configure("listen udp://0.0.0.0:0")
            with self.injecting(echod, "setsockopt:error=EPERM"):
                echod.signal(signal.SIGHUP)
                echod.log.wait_for(r"error: .*udp://0\.0\.0\.0:0: socket: Operation not permitted")
                echod.log.wait_for("HUP: the configuration is not changed")
            with echod.connect() as client:
                harness.round_trip(client)

    def test_a_stop_ends(self):
        def attempt(injection):
            with self.start() as echod:
                client = echod.connect()
                harness.round_trip(client)
                with self.injecting(echod, injection):
                    echod.signal(signal.SIGTERM)
                    echod.log.wait_for("draining")
                    self.assertEqual(harness.finish(client, b"the rest"), b"the rest")
                    client.close()
                    echod.wait_for_exit(harness.STATUS_STOPPED)
                echod.log.wait_for("stopped")

        self.configure(f"listen unix://{self.directory}/s")
        self.each_call(AT_STOP, attempt)


class LogThreadTest(harness.TestCase):

    def test_a_thread_that_comes_late_loses_no_sentence(self):
        """On a machine that is short of CPUs; each thread is held up at its beginning."""
        strace = self.need_program("strace")
        result = harness.run_echod(
            "--listen", "fd://999", prefix=("env", WITHOUT_LEAKS, strace, "-f", "-qq", "-o",
                                            "/dev/null", "-e", "trace=set_robust_list", "-e",
                                            "inject=set_robust_list:delay_enter=700000"))
        self.assertEqual(result.returncode, harness.STATUS_SYSTEM)
        self.assertRegex(result.stderr, r"error: .*fd://999")


class EchoprobeErrors(harness.TestCase):
    """An errno alone says nothing: the sentence begins with what was refused."""

    def test_what_is_refused_is_named(self):
        strace = self.need_program("strace")
        refused = (("getrandom:error=ENOSYS", "get random numbers: Function not implemented", True),
                   ("epoll_wait:error=ENOSYS", "wait for events: ", True),
                   ("socket:error=ENFILE", "open a socket: Too many open files in system", True),
                   ("socket:error=EMFILE", r"open a socket: Too many open files \(.*ulimit", True),
                   ("pipe2:error=EMFILE", "make a pipe: ", False),
                   ("clone3,clone:error=EAGAIN", "start a thread: ", False))
        for injection, sentence, is_of_checks in refused:
            for option in ("--count=1", "--half-close", "--find-idle-timeout=100ms"):
                if option != "--count=1" and not is_of_checks:
                    continue
                with self.subTest(injection, option=option), Echod() as server:
                    result = subprocess.run(
                        ["env", WITHOUT_LEAKS, strace, "-f", "-qq", "-o", "/dev/null", "-e",
                         f"inject={injection}", harness.ECHOPROBE, option, server.addresses[0]],
                        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False,
                        timeout=harness.PATIENCE_SECONDS)
                    self.assertEqual(result.returncode, 71, result.stderr)
                    self.assertRegex(result.stderr, rf"^echoprobe: cannot {sentence}")


if __name__ == "__main__":
    harness.main()
