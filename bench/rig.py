"""
rig: where it is measured: a network namespace and a CPU of their own, and processes on it.
Knows nothing of rounds, ratios or tables.
Used by measures.
"""

import collections
import contextlib
import ctypes
import os
import resource
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time

CPUS = sorted(os.sched_getaffinity(0))
PATIENCE_SECONDS = 20  # for what takes a moment: a start, an end, one answer

_PR_SET_PDEATHSIG = 1  # prctl(2)
_CPUCLOCK_SCHED = 2  # of MAKE_PROCESS_CPUCLOCK, which clock_getcpuclockid(3) computes
_libc = ctypes.CDLL(None)


class Failure(Exception):
    """What a cell of the table says instead of a figure, and the sentence that explains it."""

    def __init__(self, word, sentence):
        super().__init__(sentence)
        self.word = word


# The namespace.


def enter():
    """
    Start this program again in a network namespace of its own, if the system lets us. There,
    nothing else uses ports, and TCP is reno, whatever the machine's default is: bbr's pacing
    hides what a server does. Old connections go at once, so that they do not pile up.
    """
    if os.environ.get("BENCH_NAMESPACE") is None and shutil.which("unshare"):
        unshare = ["unshare", "--net"] + (["--map-root-user"] if os.geteuid() != 0 else [])
        if subprocess.call([*unshare, "true"], stderr=subprocess.DEVNULL) == 0:
            os.environ["BENCH_NAMESPACE"] = "own"
            os.execvp("unshare", [*unshare, sys.executable, *sys.argv])
    if os.environ.get("BENCH_NAMESPACE") == "own":
        _raise_loopback()
        _set("tcp_congestion_control", "reno")
        _set("tcp_max_tw_buckets", "0")
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _raise_loopback():
    """As `ip link set lo up`, without ip."""
    SIOCSIFFLAGS, IFF_UP = 0x8914, 1  # netdevice(7)
    request = b"lo".ljust(16, b"\0") + IFF_UP.to_bytes(2, sys.byteorder) + bytes(14)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        if _libc.ioctl(any_socket.fileno(), SIOCSIFFLAGS, request) != 0:
            raise SystemExit("run: the loopback of the network namespace cannot be raised")


def _set(name, value):
    with open(f"/proc/sys/net/ipv4/{name}", "w", encoding="ascii") as control:
        control.write(value)


def congestion_control():
    with open("/proc/sys/net/ipv4/tcp_congestion_control", encoding="ascii") as control:
        return control.read().strip()


# The CPU. The last one, since interrupts prefer the first; this program keeps off it.


def choose_cpu():
    if len(CPUS) > 1:
        os.sched_setaffinity(0, CPUS[:-1])
    return CPUS[-1]


# Processes.


class Process:
    """
    A process and its children on certain CPUs, under SCHED_BATCH: wakes do not preempt. One that is
    `urgent` comes before all that is not, where the system lets us say so.
    """

    def __init__(self, command, cpus, urgent=False, **pipes):
        def prepare():
            os.setpgid(0, 0)  # Ctrl-C is for us, and children are found
            _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
            os.sched_setaffinity(0, cpus)
            os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
            if urgent:
                with contextlib.suppress(PermissionError):
                    os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))

        self._errors = tempfile.TemporaryFile()
        self._popen = subprocess.Popen(
            [str(word) for word in command], preexec_fn=prepare, text=True,
            **{"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": self._errors,
               **pipes})
        self.pid = self._popen.pid
        self.stdin = self._popen.stdin
        self.stdout = self._popen.stdout

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        for pid in _family(self.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)  # whose parent has ended
        self._popen.wait()
        for stream in (self.stdin, self.stdout, self._errors):
            if stream is not None:
                stream.close()

    def wait(self):
        """Wait for its end; return its status and what it wrote to standard error."""
        try:
            status = self._popen.wait(PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            status = None
        self._errors.seek(0)
        return status, self._errors.read().decode(errors="replace").strip()

    def has_ended(self):
        return self._popen.poll() is not None

    def cpu_seconds(self, forks):
        """CPU time that it and, if it forks, its children have used."""
        used = 0.0
        for pid in _family(self.pid) if forks else [self.pid]:
            with contextlib.suppress(OSError):
                used += time.clock_gettime(~pid << 3 | _CPUCLOCK_SCHED)
                used += _cpu_seconds_of_ended_children(pid) if forks else 0
        return used

    def private_bytes(self):
        """Memory that only it has: what the machine would gain by its end."""
        with open(f"/proc/{self.pid}/smaps_rollup", encoding="ascii") as lines:
            return sum(int(line.split()[1]) * 1024 for line in lines
                       if line.startswith("Private_"))


def _stat_of(pid):
    """Fields of /proc/PID/stat from the third on, proc(5)."""
    with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as stat:
        return stat.read().rpartition(")")[2].split()


def _family(ancestor):
    """A process and all that descend from it, eldest first."""
    children = collections.defaultdict(list)
    for pid in (int(name) for name in os.listdir("/proc") if name.isdigit()):
        with contextlib.suppress(OSError):
            children[int(_stat_of(pid)[1])].append(pid)
    family = [ancestor]
    for pid in family:
        family += children[pid]
    return family


def _cpu_seconds_of_ended_children(pid):
    fields = _stat_of(pid)
    return (int(fields[13]) + int(fields[14])) / os.sysconf("SC_CLK_TCK")


ECHO_PORT = 7  # RFC 862
TCP, UDP, TLS = "tcp", "udp", "tls"  # what a server speaks


def _socket(kind):
    return socket.socket(type=socket.SOCK_DGRAM if kind == UDP else socket.SOCK_STREAM)


def free_port(kind):
    with _socket(kind) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextlib.contextmanager
def running(peer, cpus, kind=TCP, urgent=False):
    """Start a server, wait until it answers, hand out it and its port; end it afterwards."""
    command = peer.commands[kind]
    port = free_port(kind) if any("{port}" in word for word in command) else ECHO_PORT
    command = [word.replace("{port}", str(port)).replace("{echo_port}", str(free_port(TCP)))
               for word in command]
    with contextlib.ExitStack() as stack:
        directory = stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-"))
        pipes = {}
        if peer.has_log_pipe:
            pipes["stderr"] = stack.enter_context(_reader()).stdin
        server = stack.enter_context(
            Process(command, cpus, urgent, env={**os.environ, "TMPDIR": directory}, **pipes))
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not _answers(port, kind):
            if server.has_ended():
                raise Failure("fails", f"{peer.name} did not start: {server.wait()[1]}")
            if time.monotonic() > deadline:
                raise Failure("fails", f"{peer.name} did not listen in time")
            time.sleep(0.005)
        yield server, port


def _reader():
    """What reads a pipe, as a service manager does: not on the CPU that is measured."""
    return Process(["cat"], CPUS[:-1] or CPUS, stdin=subprocess.PIPE)


def _answers(port, kind):
    with _socket(kind) as probe:
        probe.settimeout(1)
        try:
            probe.connect(("127.0.0.1", port))
            with _tls_over(probe) if kind == TLS else probe as stream:
                stream.sendall(b"?")
                return stream.recv(1) == b"?"
        except OSError:
            return False


def _tls_over(probe):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context.wrap_socket(probe)


# The certificate of those that speak TLS.


def make_certificate(directory):
    """Make one and its key in one file; return its path, or None without openssl(1)."""
    path = os.path.join(directory, "certificate.pem")
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
               "ec_paramgen_curve:prime256v1", "-nodes", "-days", "30", "-subj", "/CN=localhost",
               "-keyout", path, "-out", path + ".part"]
    if shutil.which("openssl") is None:
        return None
    subprocess.run(command, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
    with open(path + ".part", encoding="ascii") as part, \
            open(path, "a", encoding="ascii") as whole:
        whole.write(part.read())
    return path
