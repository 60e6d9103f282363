"""
harness: starts echod, follows its log, connects to it, and ends all of that again.
Proves nothing by itself: what echod must do stands in the files named test_*.py.
Used by every one of those, which may be run alone or by `run`.

Environment:
    ECHOD                     the program to test; default: build/echod of this source tree
    ECHOPROBE                 its client; default: build/echoprobe
    ECHOCTL                   its operator's client; default: build/echoctl
    ECHOD_TEST_SLOWNESS       factor for every deadline; default: 1, with sanitizers 3
    ECHOD_TEST_LARGE_BYTES    how many bytes the large echo sends
    ECHOD_TEST_OPTIONS        options for every echod, such as --no-shortcuts
    ECHOD_TEST_PREFIX         a command that runs every echod, such as unit_restrictions.py
    ECHOD_TEST_NO_SKIP        1: a test whose tools are not installed fails and is not skipped
"""

import collections
import contextlib
import io
import json
import os
import random
import re
import selectors
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
ECHOD = os.path.abspath(os.environ.get("ECHOD") or os.path.join(HERE, "../../build/echod"))
ECHOPROBE = os.path.abspath(
    os.environ.get("ECHOPROBE") or os.path.join(HERE, "../../build/echoprobe"))
ECHOCTL = os.path.abspath(os.environ.get("ECHOCTL") or os.path.join(HERE, "../../build/echoctl"))

PREFIX = os.environ.get("ECHOD_TEST_PREFIX", "").split()

# With it unshare(1) gives a namespace to who is not root, too; the restrictions of a unit need root.
AS_ROOT = () if PREFIX else ("-r",)

# Whatever echod does it has to do in the sandbox, too, where there is one.
OPTIONS = ["--sandbox", "auto", *os.environ.get("ECHOD_TEST_OPTIONS", "").split()]

STATUS_STOPPED = 0
STATUS_USAGE = 64
STATUS_SYSTEM = 71
STATUS_CONFIG = 78
STATUS_SKIPPED = 77  # what automake takes for "skipped"

LOOPBACK = "tcp://127.0.0.1:0"
KIB = 1024
MIB = 1024 * KIB
PIPE = subprocess.PIPE


def _is_sanitized():
    """Tell whether the program was built with sanitizers, which need more memory and time."""
    try:
        with open(ECHOD, "rb") as program:
            code = program.read()
    except OSError:
        return False
    return any(symbol in code for symbol in (b"__asan_init", b"__tsan_init", b"__ubsan_handle"))


SANITIZED = _is_sanitized()
os.environ.setdefault("TSAN_OPTIONS", f"suppressions={HERE}/thread_sanitizer.supp")
os.environ.setdefault("UBSAN_OPTIONS", "halt_on_error=1")  # its report alone fails no process
SLOWNESS = float(os.environ.get("ECHOD_TEST_SLOWNESS") or (3 if SANITIZED else 1))

# Long enough that only a fault makes it pass: no test measures by it.
PATIENCE_SECONDS = 20 * SLOWNESS


def scaled_ms(milliseconds):
    """A duration for echod's command line, stretched for slow builds."""
    return f"{int(milliseconds * SLOWNESS)}ms"


# --- waiting ------------------------------------------------------------------------------------


def wait_until(condition, what, seconds=PATIENCE_SECONDS):
    """Wait for something that has no event to wait for, such as a number in /proc."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"waited {seconds:g} s in vain: {what}")
        time.sleep(0.005)


class Background(threading.Thread):
    """A function that runs beside the test; `result` returns or raises what it did."""

    def __init__(self, function, *arguments):
        super().__init__(daemon=True)
        self._call = (function, arguments)
        self._value = None
        self._error = None
        self.start()

    def run(self):
        function, arguments = self._call
        try:
            self._value = function(*arguments)
        except BaseException as error:  # pylint: disable=broad-except
            self._error = error

    def result(self, seconds=3 * PATIENCE_SECONDS):
        self.join(seconds)
        if self.is_alive():
            raise AssertionError(f"waited {seconds:g} s in vain: {self._call[0]} still runs")
        if self._error is not None:
            raise self._error
        return self._value


# --- logs ---------------------------------------------------------------------------------------

TEXT_LINE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z (error|warning|info|debug): .+")
SANITIZER_REPORT = re.compile(r"(Address|Thread|Leak|Memory)Sanitizer|runtime error:")
ERROR_LINE = re.compile(r'^\S+ error: |"level":"error"')
LISTENING_LINE = r'listening on (\S+?)(?: \(.*\))?(?: listener=[^\s"]+)?(?:"|$)'

_BYTES = r"in=(?P<bytes_in>\d+) out=(?P<bytes_out>\d+)"
CLOSED_LINE = (
    r"connection (?P<id>\d+) (?P<peer>\S+) closed: (?P<reason>[a-z ]+), "
    + _BYTES
    + r" age=(?P<age>\d+\.\d{3})s"
)
REPORT_LINE = (
    r"connection (?P<id>\d+) (?P<peer>\S+) (?P<state>handshake|open|draining|lingering), "
    + _BYTES
    + r" age=(?P<age>\d+\.\d{3})s"
)
TOTALS_LINE = (
    r"totals: open=(?P<open>\d+) accepted=(?P<accepted>\d+) refused=(?P<refused>\d+) "
    + _BYTES
    + r" accept_shortages=(?P<accept_shortages>\d+) accept_limits=(?P<accept_limits>\d+)"
    r" proxy_untrusted=(?P<proxy_untrusted>\d+) proxy_invalid=(?P<proxy_invalid>\d+)"
    r" handshakes_overdue=(?P<handshakes_overdue>\d+)"
    r"(?: [a-z_]+=\d+)*? log_dropped=(?P<log_dropped>\d+)"
)


def facts(match):
    """The named parts of a log line, numbers as numbers: facts(match).bytes_in."""
    values = {
        name: int(text) if text.isdigit() else text for name, text in match.groupdict().items()
    }
    return collections.namedtuple("Facts", values)(**values)


class Log:
    """The lines that a process writes to a pipe, as they come; owns the pipe's end."""

    def __init__(self, stream):
        self.lines = []
        self._changed = threading.Condition()
        self._is_over = False
        self._thread = threading.Thread(target=self._read, args=(stream,), daemon=True)
        self._thread.start()

    def _read(self, stream):
        text = io.TextIOWrapper(stream, "utf-8", errors="backslashreplace", newline="\n")
        with text:
            for line in text:
                self._note(line.rstrip("\n"), is_over=False)
        self._note(None, is_over=True)

    def _note(self, line, is_over):
        with self._changed:
            if line is not None:
                self.lines.append(line)
            self._is_over = is_over
            self._changed.notify_all()

    def find(self, pattern, since=0):
        """Every match in the lines that have come."""
        return list(filter(None, (re.search(pattern, line) for line in self.lines[since:])))

    def wait_for(self, pattern, count=1, since=0, seconds=PATIENCE_SECONDS):
        """Wait until `count` lines match and return these matches; a single one for count 1."""
        end = time.monotonic() + seconds
        matches = []
        position = since
        with self._changed:
            while True:
                matches += self.find(pattern, position)
                position = len(self.lines)
                if len(matches) >= count:
                    return matches[0] if count == 1 else matches[:count]
                if self._is_over or not self._changed.wait(end - time.monotonic()):
                    raise AssertionError(
                        f"{len(matches)} of {count} log lines match {pattern!r} "
                        + ("at the end of the log" if self._is_over else f"after {seconds:g} s")
                    )

    def forget(self):
        """Keep no line of those that have come, where there are too many."""
        with self._changed:
            self.lines.clear()

    def wait_for_end(self):
        """Wait until nobody can write to the log any more."""
        self._thread.join(PATIENCE_SECONDS)
        if self._thread.is_alive():
            raise AssertionError("the log is still open")


# --- processes ----------------------------------------------------------------------------------


class Process:
    """A child process that never outlives the `with` block which started it."""

    def __init__(self, command, **popen_options):
        self.command = command
        self._popen = subprocess.Popen(command, **popen_options)
        self.pid = self._popen.pid
        self.stdin = self._popen.stdin
        self.stdout = self._popen.stdout
        self._was_end_checked = False

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.kill()

    @property
    def status(self):
        """The exit status, None while it runs, negative after a signal."""
        return self._popen.poll()

    def signal(self, number):
        os.kill(self.pid, number)

    def kill(self):
        """End it at once if it still runs, and reap it."""
        self._popen.kill()
        self._popen.wait()
        for stream in filter(None, (self.stdin, self.stdout)):
            with contextlib.suppress(BrokenPipeError):
                stream.close()

    def wait_for_exit(self, expected_status, seconds=PATIENCE_SECONDS):
        """Wait for the end of the process and check its exit status."""
        try:
            status = self._popen.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"still runs after {seconds:g} s: {self.command}") from None
        self._was_end_checked = True
        if status != expected_status:
            raise AssertionError(f"exit status {status}, not {expected_status}: {self.command}")

    # What /proc knows about it.

    def _proc(self, name):
        with open(f"/proc/{self.pid}/{name}", encoding="ascii") as file:
            return file.read()

    def descriptor_count(self):
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def thread_count(self):
        return len(os.listdir(f"/proc/{self.pid}/task"))

    def wait_for_threads(self, count):
        """The system counts a thread that was joined for another moment."""
        wait_until(lambda: self.thread_count() == count, f"it has {count} threads")

    def resident_bytes(self):
        return int(re.search(r"^VmRSS:\s+(\d+) kB", self._proc("status"), re.M).group(1)) * KIB

    def _stat(self):
        return self._proc("stat").rpartition(")")[2].split()  # the name may hold spaces

    def state(self):
        """What the main thread does: "R" for running, "S" for sleeping, "Z" for ended."""
        return self._stat()[0]

    def cpu_seconds(self):
        return sum(map(int, self._stat()[11:13])) / os.sysconf("SC_CLK_TCK")

    def open_file_limits(self):
        """The soft and the hard limit of open files."""
        return re.search(r"^Max open files\s+(\S+)\s+(\S+)", self._proc("limits"), re.M).groups()


class LoggedProcess(Process):
    """
    A program of others that logs to standard error. It is entered when it is ready, and shows its
    log when something fails until it is left.
    """

    def __init__(self, command, name, **popen_options):
        super().__init__(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                         stderr=subprocess.PIPE, **popen_options)
        self.log = Log(self._popen.stderr)
        self._name = name

    def wait_until_ready(self):
        """What each does in its own way."""
        raise NotImplementedError

    def __enter__(self):
        try:
            self.wait_until_ready()
        except BaseException:
            self.__exit__(AssertionError)
            raise
        return self

    def __exit__(self, exception_type, *exception):
        self.kill()
        self.log.wait_for_end()
        if exception_type is not None:
            print(f"--- log of {self._name}", *self.log.lines[-100:], sep="\n")


class Echod(Process):
    """
    One echod, from its start to its orderly end.

    The `with` block begins when echod listens. When the test leaves the block, echod must give up
    every descriptor of its clients, exit with 0 on TERM and not have logged an error; a test that
    wants another end brings it about inside the block. After a failure the log is printed.

    listen     one address or several; None leaves out --listen; a listening socket is passed on
    ready      how many lines with "listening" to wait for
    prefix     a command that runs echod, such as ("nice",)
    config     the path of a configuration file; without it, none is read
    log_to     where standard error goes instead of into `log`
    env        the whole environment, instead of this one
    may_log    a pattern of error lines that the test asked for
    """

    def __init__(self, *arguments, listen=LOOPBACK, ready=None, prefix=(), config=None,
                 log_to=subprocess.PIPE, may_log=None, stdin=subprocess.DEVNULL,
                 stdout=subprocess.DEVNULL, pass_fds=(), env=None):
        self.addresses = []  # as they are logged; of a socket that was passed, as it has it
        if isinstance(listen, socket.socket):
            pass_fds = (listen.fileno(),)
            self.addresses = [address_of(listen)]
            listen = f"fd://{listen.fileno()}"
        listen = [listen] if isinstance(listen, str) else listen or []
        if config:  # as a service manager does; a sandbox lets sockets be made there
            env = {"RUNTIME_DIRECTORY": os.path.dirname(config), **(env or os.environ)}
        command = [*prefix, *PREFIX, ECHOD]
        command += ["--config", config] if config else ["--no-config"]
        for address in listen:
            command += ["--listen", address]
        super().__init__([*command, *OPTIONS, *arguments], stdin=stdin, stdout=stdout, stderr=log_to,
                         pass_fds=pass_fds, env=env)
        self._ready_count = max(len(listen), 1) if ready is None else ready
        self._may_log = may_log
        self._clients = []
        self._idle_descriptor_count = None
        self.log = Log(self._popen.stderr) if self._popen.stderr else None

    def __enter__(self):
        try:
            if self.log is not None and self._ready_count > 0:
                self.log.wait_for(LISTENING_LINE, self._ready_count)
                self.addresses = self.addresses or [
                    match.group(1) for match in self.log.find(LISTENING_LINE)]
                self._idle_descriptor_count = self.descriptor_count()
        except BaseException:
            self._give_up()
            raise
        return self

    def __exit__(self, exception_type, exception, traceback):
        try:
            if exception_type is None:
                self._end_in_order()
        except BaseException:
            self._give_up()
            raise
        if exception_type is not None:
            self._give_up()
        self.kill()

    def signal(self, number):
        # ThreadSanitizer (gcc 12) loses a signal that comes just before its thread goes to sleep.
        if SANITIZED:
            wait_until(lambda: self.state() != "R", "echod's main thread waits")
        super().signal(number)

    def _end_in_order(self):
        self.close_clients()
        if self.status is None:
            if self._idle_descriptor_count is not None:
                self.expect_idle_descriptors()
            self.signal(signal.SIGTERM)
            self.wait_for_exit(STATUS_STOPPED)
        elif not self._was_end_checked:
            raise AssertionError(f"echod ended by itself with status {self.status}")
        if self.log is not None:
            self.log.wait_for_end()
            self.check_log()

    def _give_up(self):
        self.close_clients()
        self.kill()
        if self.log is not None:
            self.log.wait_for_end()
            lines = self.log.lines
            print(f"\n--- log of {' '.join(self.command)}", file=sys.stderr)
            print("\n".join(lines[:100] + ["..."] * (len(lines) > 200) + lines[100:][-100:]),
                  file=sys.stderr)
            print(f"--- exit status {self.status}", file=sys.stderr)

    def check_log(self):
        """Fail on a sanitizer's report and on an error that the test did not ask for."""
        for line in self.log.lines:
            if SANITIZER_REPORT.search(line):
                raise AssertionError("a sanitizer found a fault:\n" + "\n".join(self.log.lines))
            if ERROR_LINE.search(line) and not (self._may_log and re.search(self._may_log, line)):
                raise AssertionError(f"an error was logged: {line}")

    def expect_idle_descriptors(self):
        """Wait until echod has as many descriptors as before its first client."""
        wait_until(lambda: self.descriptor_count() <= self._idle_descriptor_count,
                   f"echod had {self._idle_descriptor_count} descriptors before the first client")

    # Clients.

    def connect(self, index=0, **socket_options):
        """Connect to the index-th address; see `connect`."""
        return self.adopt(connect(self.addresses[index], **socket_options))

    def adopt(self, client):
        """Close this socket before echod is stopped."""
        self._clients.append(client)
        return client

    def close_clients(self):
        for client in self._clients:
            client.close()
        self._clients.clear()

    def expect_little_work(self, seconds=1):
        """Let time pass, and see that echod waits; what it does with this time is what is tested."""
        begin, before = time.monotonic(), self.cpu_seconds()
        time.sleep(seconds)
        share = (self.cpu_seconds() - before) / (time.monotonic() - begin)
        if share >= 0.05 * SLOWNESS:
            raise AssertionError(f"echod waits for nothing with {share:.0%} of a CPU")

    # Log lines that mean something.

    def wait_for_closed(self, reason=None, count=1, since=0):
        """Wait for lines about connections that ended, and return their facts."""
        pattern = CLOSED_LINE if reason is None else CLOSED_LINE.replace("[a-z ]+", reason)
        matches = self.log.wait_for(pattern, count, since)
        return facts(matches) if count == 1 else [facts(match) for match in matches]

    def report(self):
        """Ask with USR1: return the totals and a list of the connections that are open."""
        def ask():
            since = len(self.log.lines)
            self.signal(signal.SIGUSR1)
            totals = facts(self.log.wait_for(TOTALS_LINE, since=since))
            if totals.open > 0:  # unless the end of an earlier report is still under way
                with contextlib.suppress(AssertionError):
                    self.log.wait_for(REPORT_LINE, totals.open, since, seconds=SLOWNESS)
            connections = [facts(match) for match in self.log.find(REPORT_LINE, since)]
            return (totals, connections) if len(connections) >= totals.open else None

        return wait_until(ask, "a line for each connection")

    def stop(self):
        """End echod with TERM and return the totals that it logs at its end."""
        self.close_clients()
        self.signal(signal.SIGTERM)
        self.wait_for_exit(STATUS_STOPPED)
        self.log.wait_for_end()
        return facts(self.log.find(TOTALS_LINE)[-1])


def run_echod(*arguments, prefix=(), program=ECHOD, **popen_options):
    """
    Run an echod that ends by itself; the result has returncode, stdout and stderr as text. Without
    --config it reads no configuration file.
    """
    command = [*prefix, *PREFIX, program, *([] if "--config" in arguments else ["--no-config"]),
               *arguments]
    popen_options = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, **popen_options}
    result = subprocess.run(command, stderr=subprocess.PIPE, check=False, encoding="utf-8",
                            errors="backslashreplace", timeout=PATIENCE_SECONDS, **popen_options)
    if SANITIZER_REPORT.search(result.stderr):
        raise AssertionError("a sanitizer found a fault:\n" + result.stderr)
    return result


def with_file_limit(count):
    """A prefix for Echod that allows so many open files, soft and hard."""
    return ("sh", "-c", f'ulimit -n {count} && exec "$0" "$@"')


# --- clients ------------------------------------------------------------------------------------


def free_port(kind=socket.SOCK_STREAM):
    """A port of the loopback that was free a moment ago, for programs that do not know 0."""
    with socket.socket(socket.AF_INET, kind) as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


def listening_socket(family=socket.AF_INET, target=("127.0.0.1", 0)):
    """A blocking socket that listens, to be passed to echod."""
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.bind(target)
    listener.listen(4096)
    return listener


def address_of(listener):
    """The address of a listening socket the way echod logs addresses."""
    if listener.family == socket.AF_UNIX:
        return f"unix://{listener.getsockname()}"
    host, port = listener.getsockname()[:2]
    return f"tcp://[{host}]:{port}" if ":" in host else f"tcp://{host}:{port}"


def tcp_pair():
    """Two TCP sockets that are connected with each other: ours and one to pass to echod."""
    with listening_socket() as listener:
        ours = connect(address_of(listener))
        theirs, _ = listener.accept()
    return ours, theirs


def socket_address(text):
    """The family and address to connect to for an address as echod logs it."""
    if text.startswith("unix://"):
        return socket.AF_UNIX, text[len("unix://"):]
    host, port = re.fullmatch(r"(?:tcp|tls)://(.*):(\d+)", text).groups()
    host = host.strip("[]")
    return (socket.AF_INET6 if ":" in host else socket.AF_INET), (host, int(port))


def port_of(address):
    """The port in an address as echod logs it."""
    return int(address.rpartition(":")[2])


def connect(address, receive_buffer=None, send_buffer=None):
    """Connect to an address as echod logs it; every wait on the socket has a deadline."""
    family, target = socket_address(address)
    client = socket.socket(family, socket.SOCK_STREAM)
    try:
        if receive_buffer is not None:  # before the connection: TCP agrees on windows at its start
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        if send_buffer is not None:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, send_buffer)
        if family != socket.AF_UNIX:
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        client.settimeout(PATIENCE_SECONDS)
        client.connect(target)
    except BaseException:
        client.close()
        raise
    return client


def is_refused(address):
    """Tell whether nobody listens on an address any more; who comes while it closes is reset."""
    try:
        connect(address).close()
    except (ConnectionRefusedError, FileNotFoundError):
        return True
    except ConnectionResetError:
        pass
    return False


def reset(client):
    """Close a TCP socket with RST instead of FIN."""
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()


def random_bytes(size, seed=1):
    """Bytes that are the same in every run."""
    return random.Random(seed).randbytes(size)


class Pattern:
    """An endless stream of bytes, the same in every run; its period, a prime, hides no shift."""

    PERIOD = 1048583

    def __init__(self, seed=1):
        self._twice = random_bytes(self.PERIOD, seed) * 2

    def piece(self, position, size):
        """`size` bytes, at most PERIOD, that stand at a position of the stream."""
        start = position % self.PERIOD
        return self._twice[start:start + size]


def receive_exactly(client, size):
    """Receive so many bytes, or fewer if the stream ends before."""
    pieces = []
    missing = size
    while missing > 0:
        piece = client.recv(min(missing, MIB))
        if not piece:
            break
        pieces.append(piece)
        missing -= len(piece)
    return b"".join(pieces)


def receive_all(client):
    """Receive until the other side says FIN."""
    return receive_exactly(client, sys.maxsize)


def round_trip(client, data=b"ping"):
    """Send little and fail unless the same comes back."""
    client.sendall(data)
    echo = receive_exactly(client, len(data))
    if echo != data:
        raise AssertionError(f"sent {data!r}, got {echo!r}")


def finish(client, data=b""):
    """Send, say FIN, and return everything that comes before the other side's FIN."""
    sender = Background(_send_and_shut, client, data)
    echo = receive_all(client)
    sender.result()
    return echo


def _send_and_shut(client, data):
    client.sendall(data)
    client.shutdown(socket.SHUT_WR)


def receive_what_waits(client, quiet_seconds=0.3):
    """
    Return what comes until nothing has come for so long. Only a receive buffer with enough room
    lets the other side's kernel see that something was taken.
    """
    received = []
    client.settimeout(quiet_seconds * SLOWNESS)
    with contextlib.suppress(TimeoutError):
        while data := client.recv(64 * KIB):
            received.append(data)
    client.settimeout(PATIENCE_SECONDS)
    return b"".join(received)


def fill(clients, quiet_seconds=0.3, piece=bytes(64 * KIB)):
    """Send without reading until no client's socket takes more; return the bytes of each."""
    sent = {client: 0 for client in clients}
    with selectors.DefaultSelector() as selector:
        for client in clients:
            client.setblocking(False)
            selector.register(client, selectors.EVENT_WRITE)
        while True:
            writable = selector.select(quiet_seconds * SLOWNESS)
            if not writable:
                break
            for key, _ in writable:
                with contextlib.suppress(BlockingIOError):
                    sent[key.fileobj] += key.fileobj.send(piece)
    for client in clients:
        client.settimeout(PATIENCE_SECONDS)
    return [sent[client] for client in clients]


class Stream:
    """
    A client that sends without end and checks the echo, until `finish` or echod's FIN.

    It keeps less under way than echod's socket takes at once. Linux 6.18 drops acknowledgments while
    a receive buffer overflows: echod waits for them, and reads no more, until its write time-out.
    """

    WINDOW_BYTES = MIB

    def __init__(self, client, seed=1):
        self.sent = 0
        self.received = 0
        self._client = client
        self._client.settimeout(PATIENCE_SECONDS)
        self._pattern = Pattern(seed)
        self._is_over = threading.Event()
        self._has_received = threading.Event()
        self._sender = Background(self._send)
        self._receiver = Background(self._receive)

    def _send(self):
        while not self._is_over.is_set():
            if self.sent - self.received >= self.WINDOW_BYTES:
                self._has_received.wait(PATIENCE_SECONDS)
                self._has_received.clear()
                continue
            try:
                self.sent += self._client.send(self._pattern.piece(self.sent, 64 * KIB))
            except (BrokenPipeError, ConnectionResetError):
                if not self._is_over.wait(PATIENCE_SECONDS):  # only echod's FIN may come before
                    raise
        with contextlib.suppress(OSError):
            self._client.shutdown(socket.SHUT_WR)

    def _receive(self):
        try:
            while True:
                piece = self._client.recv(256 * KIB)
                if not piece:
                    return
                if piece != self._pattern.piece(self.received, len(piece)):
                    raise AssertionError(f"a wrong echo after {self.received} bytes")
                self.received += len(piece)
                self._has_received.set()
        finally:
            self._is_over.set()
            self._has_received.set()

    def wait_for_fin(self):
        """Wait until echod ends the connection, then close it; return the bytes that came back."""
        self._receiver.result()
        with contextlib.suppress(OSError):
            self._client.shutdown(socket.SHUT_RDWR)  # wakes a sender that waits for room
        self._sender.result()
        self._client.close()
        return self.received

    def finish(self):
        """Send no more and wait until everything came back; return how much that was."""
        self._is_over.set()
        self._has_received.set()
        self._sender.result()
        self._receiver.result()
        self._client.close()
        if self.received != self.sent:
            raise AssertionError(f"{self.sent} bytes sent, {self.received} came back")
        return self.received


class Heartbeat:
    """A client that sends a little at a time, checks each echo and notes the slowest one."""

    def __init__(self, client):
        self.count = 0
        self.slowest_seconds = 0.0
        self._client = client
        self._is_over = threading.Event()
        self._beater = Background(self._beat)

    def _beat(self):
        while not self._is_over.is_set():
            begin = time.monotonic()
            round_trip(self._client, b"heartbeat %d" % self.count)
            self.slowest_seconds = max(self.slowest_seconds, time.monotonic() - begin)
            self.count += 1

    def wait_for_beats(self, count):
        """Wait until so many more echoes came."""
        target = self.count + count
        wait_until(lambda: self.count >= target or not self._beater.is_alive(), f"{count} beats")

    def stop(self):
        """End it; fails if an echo was wrong or did not come."""
        self._is_over.set()
        self._beater.result()


# --- echoprobe ----------------------------------------------------------------------------------


class ProbeResult:
    """What an echoprobe said, and its exit status."""

    def __init__(self, status, output, errors):
        self.status = status
        self.output = output
        self.errors = errors
        self.text = output + errors
        if SANITIZER_REPORT.search(errors):
            raise AssertionError(f"a sanitizer found a fault:\n{errors}")

    def json(self):
        return json.loads(self.output)


def signal_until_ended(process, number):
    """Send a signal again and again, also while the process ends."""
    end = time.monotonic() + PATIENCE_SECONDS
    while process.poll() is None:
        if time.monotonic() > end:
            raise AssertionError(f"{process.args[0]} outlives signal {number}")
        process.send_signal(number)


def probe(*arguments, seconds=3 * PATIENCE_SECONDS, prefix=()):
    """Run echoprobe to its end."""
    result = subprocess.run([*prefix, ECHOPROBE, *arguments], stdin=subprocess.DEVNULL, stdout=PIPE,
                            stderr=PIPE, timeout=seconds, check=False, text=True)
    return ProbeResult(result.returncode, result.stdout, result.stderr)


def control(*arguments, prefix=(), env=None, seconds=3 * PATIENCE_SECONDS):
    """Run echoctl to its end; the result has returncode, stdout and stderr as text."""
    return subprocess.run([*prefix, ECHOCTL, *arguments], stdin=subprocess.DEVNULL, stdout=PIPE,
                          stderr=PIPE, timeout=seconds, check=False, env=env, encoding="utf-8")


# --- networks -----------------------------------------------------------------------------------


class Network:
    """Hosts that are network namespaces, and links between them; they live in the `with` block."""

    def __init__(self, test, *hosts):
        if os.geteuid() != 0 or subprocess.run(["unshare", "-mn", "true"], check=False,
                                               stderr=subprocess.DEVNULL).returncode != 0:
            test.skipTest("network namespaces need root, and no container that forbids them")
        self._ip = test.need_program("ip", "/usr/sbin", "/sbin")
        self._names = {host: f"echod-{os.getpid()}-{host}" for host in hosts}
        self._stack = contextlib.ExitStack()

    def __enter__(self):
        with contextlib.ExitStack() as stack:
            for name in self._names.values():
                self._run(f"netns add {name}")
                stack.callback(self._run, f"netns delete {name}")
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *exception):
        self._stack.close()

    def _run(self, command):
        subprocess.run([self._ip, *command.split()], check=True)

    def link(self, host, address, other_host, other_address, mtu=1500):
        """Join two hosts, whose addresses on this link have a length: 10.213.1.1/24."""
        ends = ((self._names[host], f"to-{other_host}", address),
                (self._names[other_host], f"to-{host}", other_address))
        self._run("link add {1} netns {0} type veth peer name {3} netns {2}".format(
            *ends[0][:2], *ends[1][:2]))
        for name, device, its_address in ends:
            self._run(f"-n {name} address add {its_address} dev {device}")
            self._run(f"-n {name} link set {device} mtu {mtu} up")

    def route(self, host, gateway):
        """Send what a host has no link for to a gateway, which passes it on."""
        self._run(f"-n {self._names[host]} route add default via {gateway}")

    def inside(self, host):
        """A prefix for a command that runs at a host."""
        return (self._ip, "netns", "exec", self._names[host])


# --- tests --------------------------------------------------------------------------------------


class TestCase(unittest.TestCase):
    """A test that ends in time, whatever happens."""

    limit_seconds = 120

    def run(self, result=None):
        def on_alarm(*_):
            raise AssertionError(f"the test did not end within {limit:g} s")

        limit = self.limit_seconds * max(SLOWNESS, 1)
        before = signal.signal(signal.SIGALRM, on_alarm)
        signal.setitimer(signal.ITIMER_REAL, limit)
        try:
            return super().run(result)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)

    def temporary_directory(self):
        """A directory that is removed after the test."""
        path = tempfile.mkdtemp(prefix="echod-")
        self.addCleanup(shutil.rmtree, path, ignore_errors=True)
        return path

    def need_program(self, name, *more_directories):
        """Return the path of a program; skip the test if it is not installed."""
        search = os.pathsep.join([os.environ.get("PATH", os.defpath), *more_directories])
        path = shutil.which(name, path=search)
        if path is None:
            self.skip_without(name)
        return path

    def skip_without(self, name):
        """Skip the test, or fail where that is not allowed, since something is not installed."""
        if os.environ.get("ECHOD_TEST_NO_SKIP") == "1":
            self.fail(f"{name} is not installed")
        self.skipTest(f"{name} is not installed")

    def need_other_users(self):
        """Skip a test in which echod becomes somebody else, which a unit may forbid (PREFIX)."""
        if os.geteuid() != 0 or PREFIX:
            self.skipTest("only root can become another user, and root without restrictions")

    def with_file(self, path, text):
        """A prefix for a process that finds this text in a file of the system."""
        unshare = self.need_program("unshare")
        if not os.path.exists(path):
            self.skip_without(path)
        if subprocess.run([unshare, *AS_ROOT, "-m", "true"], stderr=subprocess.DEVNULL,
                          check=False).returncode != 0:
            self.skipTest(f"{path} cannot be changed without a mount namespace")
        other = f"{self.temporary_directory()}/{os.path.basename(path)}"
        with open(other, "w", encoding="ascii") as file:
            file.write(text)
        return (unshare, *AS_ROOT, "-m", "sh", "-c",
                f'mount --bind {other} {path} && exec "$0" "$@"')

    def need_ipv6(self):
        """Skip the test on a machine without IPv6."""
        try:
            with socket.socket(socket.AF_INET6) as probe:
                probe.bind(("::1", 0))
        except OSError as error:
            self.skipTest(f"no IPv6 here: {error}")

    def assert_echo(self, echo, expected):
        """Compare large strings of bytes without printing them."""
        if echo != expected:
            same = len(os.path.commonprefix([echo, expected]))
            self.fail(f"{len(expected)} bytes sent, {len(echo)} came back, the first {same} right")

    def assert_refused(self, result, *words, status=STATUS_SYSTEM):
        """Check that echod refused to start with one sentence that holds these words."""
        self.assertEqual(result.returncode, status, result.stderr)
        errors = [line for line in result.stderr.splitlines() if ERROR_LINE.search(line)]
        self.assertEqual(len(errors), 1, result.stderr)
        for word in words:
            self.assertIn(word, errors[0])


class ProbeTestCase(TestCase):
    """A test that runs echoprobe against a server."""

    def expect(self, server, arguments, line, status=1):
        """Probe the server, and find this line in what is said."""
        with server:
            result = probe(*arguments, server.address)
        self.assertEqual(result.status, status, result.text)
        self.assertRegex(result.text, line)
        return result


def main():
    """Run the tests of the calling file; exit 0, 1, or 77 if every one was skipped."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)  # leave every `with` block in order
    for number in (signal.SIGHUP, signal.SIGQUIT):
        signal.signal(number, signal.SIG_DFL)  # a shell's `&`, or nohup, has what it starts ignore some
    program = unittest.main(exit=False, verbosity=2)
    result = program.result
    if not result.wasSuccessful():
        sys.exit(1)
    sys.exit(STATUS_SKIPPED if result.skipped and len(result.skipped) >= result.testsRun else 0)
