"""
fault_scenes: what echod is asked to do while something fails, and how its clients see it end.
Lets nothing fail itself.
Used by `faults`.

The visit of a scene comes while something may fail: it returns how it ended, and raises on a wrong
byte or a hang. Its newcomer comes when nothing fails any more, and must be served.
"""

import contextlib
import os
import signal
import socket
import ssl
import time

import admin_client
import harness
from harness import Background, Echod, round_trip
from tls_client import TlsClient

SERVED, DROPPED, UNANSWERED, UNCHANGED = "served", "dropped", "unanswered", "unchanged"
RELOADED = r"HUP: the configuration of \S+ is in effect"
RELOAD_END = rf"HUP: the configuration is not changed|{RELOADED}"
AGAIN_SECONDS = harness.PATIENCE_SECONDS / 20
STREAM = harness.random_bytes(200 * harness.KIB)
PATIENCE_SECONDS = harness.PATIENCE_SECONDS / 2
TCP = "tcp://127.0.0.1:0"


class Scene:
    """A stream over TCP; the others differ from it in what they say."""

    rests_without_memory = True

    def __init__(self, name, directory, options=(), listen=TCP):
        self.name, self.directory, self.options, self.listen = name, directory, options, listen

    def start(self, environment, **more):
        """Start an echod with this environment."""
        # libseccomp makes thousands of allocations, and does not survive that some of them fail.
        return Echod(*self.options, "--sandbox", "off", listen=self.listen,
                     env={**os.environ, **environment}, may_log=".", **more)

    def connect(self, echod):
        """Connect; the socket has a deadline."""
        client = harness.connect(echod.addresses[0])
        client.settimeout(PATIENCE_SECONDS)
        return client

    def visit(self, echod):
        with contextlib.suppress(ConnectionError), self.connect(echod) as client:
            return exchange(client, STREAM)
        return DROPPED

    def newcomer(self, echod):
        with self.connect(echod) as client:
            round_trip(client)


def exchange(client, data):
    """Send, say FIN, and check what comes back."""
    echo = bytearray()
    sender = Background(send_and_shut, client, data)
    try:
        while piece := client.recv(65536):
            echo += piece
    except TimeoutError:
        raise AssertionError(f"a client hangs after {len(echo)} of {len(data)} bytes") from None
    except ConnectionError:
        pass
    with contextlib.suppress(OSError):
        client.shutdown(socket.SHUT_RDWR)  # wakes a sender
    sender.result()
    if not data.startswith(echo):
        raise AssertionError(f"a wrong echo in {len(echo)} bytes")
    return SERVED if len(echo) == len(data) else DROPPED


def signal_and_wait(echod, number, pattern):
    """
    Send a signal and wait for what it makes echod log. It is sent again where libevent lost it: its
    handler writes to a pipe and does not look whether it could.
    """
    since = len(echod.log.lines)
    end = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < end:
        echod.signal(number)
        with contextlib.suppress(AssertionError):
            return echod.log.wait_for(pattern, since=since, seconds=AGAIN_SECONDS).group()
    raise AssertionError(f"signal {number} does not bring about {pattern}")


def is_echoed(client, data=b"ping"):
    """Send little, and tell whether the same comes back; raises if something else does."""
    client.sendall(data)
    echo = harness.receive_exactly(client, len(data))
    if not data.startswith(echo):
        raise AssertionError(f"sent {data!r}, got {echo!r}")
    return echo == data


def send_and_shut(client, data):
    with contextlib.suppress(OSError):
        client.sendall(data)
        client.shutdown(socket.SHUT_WR)


class TlsScene(Scene):
    """A stream in TLS, which asks for each piece of its echo before it sends the next."""

    def __init__(self, name, directory, authority, options=()):
        certificate = authority.issue("/CN=localhost")
        # libevent 2.1.12 reads TLS again and again while it has no memory for what comes.
        self.rests_without_memory = "--no-shortcuts" not in options
        super().__init__(name, directory, options, f"tls://127.0.0.1:0,cert={certificate}")
        self._context = ssl.create_default_context(cafile=authority.path)

    def visit(self, echod):
        try:
            with self.connect(echod) as client:
                return self._exchange(TlsClient(client, self._context))
        except TimeoutError:
            raise AssertionError("a client of TLS hangs") from None
        except (ConnectionError, ssl.SSLError):
            return DROPPED

    @staticmethod
    def _exchange(client):
        client.shake_hands()
        for begin in range(0, len(STREAM), 50000):
            piece = STREAM[begin:begin + 50000]
            client.send(piece)
            echo = client.receive_up_to(len(piece))
            if not piece.startswith(echo):
                raise AssertionError("a wrong echo in TLS")
            if len(echo) < len(piece):
                return DROPPED
        client.make_close_notify()
        client.flush()
        return SERVED if client.receive() == b"" else DROPPED

    def newcomer(self, echod):
        with self.connect(echod) as client:
            tls = TlsClient(client, self._context).shake_hands()
            tls.send(b"ping")
            if tls.receive_exactly(4) != b"ping":
                raise AssertionError("a wrong echo in TLS")


class ProxyScene(Scene):
    """A stream behind a header of the PROXY protocol."""

    HEADER = b"PROXY TCP4 192.0.2.1 198.51.100.1 56324 443\r\n"

    def connect(self, echod):
        client = super().connect(echod)
        with contextlib.suppress(ConnectionError):
            client.sendall(self.HEADER)
        return client


class DatagramScene(Scene):
    """Datagrams, which may get lost."""

    DATAGRAMS = (b"one", bytes(range(256)) * 200, b"", b"three")

    def connect(self, echod):
        client = socket.socket(type=socket.SOCK_DGRAM)
        client.settimeout(0.1)
        client.connect(("127.0.0.1", harness.port_of(echod.addresses[0])))
        return client

    def visit(self, echod):
        missing = list(self.DATAGRAMS)
        with self.connect(echod) as client:
            for datagram in self.DATAGRAMS:
                client.send(datagram)
            with contextlib.suppress(TimeoutError):
                while missing:
                    missing.remove(client.recv(65535))
        return UNANSWERED if missing else SERVED

    def newcomer(self, echod):
        with self.connect(echod) as client:
            client.settimeout(PATIENCE_SECONDS)
            client.send(b"after")
            if client.recv(100) != b"after":
                raise AssertionError("a wrong echo of a datagram")


class AdminScene(Scene):
    """An operator's questions, beside a client."""

    QUESTIONS = ("/metrics", "/connections", "/status")

    def ask(self, path):
        """Return the status and text of an answer that is whole; None if there is none."""
        try:
            answer = admin_client.ask(f"unix://{self.directory}/admin", path)
        except TimeoutError:
            raise AssertionError(f"an operator who asks for {path} hangs") from None
        except (ConnectionError, admin_client.http.client.HTTPException):
            return None
        return answer.status

    def visit(self, echod):
        statuses = [self.ask(path) for path in self.QUESTIONS]
        if any(status not in (200, 500, 503, None) for status in statuses):
            raise AssertionError(f"an operator got {statuses}")
        return SERVED if set(statuses) == {200} else DROPPED

    def newcomer(self, echod):
        super().newcomer(echod)
        for path in self.QUESTIONS:
            status = self.ask(path)
            if status != 200:
                raise AssertionError(f"GET {path} is answered with {status}")


class ReportScene(Scene):
    """A report, and another."""

    def visit(self, echod):
        with contextlib.suppress(ConnectionError), self.connect(echod) as client:
            was_echoed = is_echoed(client)
            echod.signal(signal.SIGUSR1)
            return SERVED if was_echoed and is_echoed(client) else DROPPED
        return DROPPED

    def newcomer(self, echod):
        with self.connect(echod) as client:
            round_trip(client)
            signal_and_wait(echod, signal.SIGUSR1, harness.REPORT_LINE)


class ReloadScene(Scene):
    """A reload, which is done or undone, and another, which is done."""

    def __init__(self, name, directory):
        super().__init__(name, directory, listen=None)
        self._config, self._socket = f"{directory}/echod.conf", f"{directory}/reloaded"

    def _configure(self, *more):
        with open(f"{self._config}.new", "w", encoding="ascii") as file:
            file.writelines(f"{line}\n" for line in (f"listen {TCP}", "workers 2", *more))
        os.replace(f"{self._config}.new", self._config)

    def start(self, environment, **more):
        self._configure("idle-timeout 1h")
        return super().start(environment, config=self._config, **more)

    def visit(self, echod):
        self._configure(f"listen unix://{self._socket}", f"listen {TCP}", "listen udp://127.0.0.1:0")
        with contextlib.suppress(ConnectionError), self.connect(echod) as client:
            was_echoed = is_echoed(client)
            was_changed = "in effect" in signal_and_wait(echod, signal.SIGHUP, RELOAD_END)
            if was_echoed and not is_echoed(client):
                raise AssertionError("a reload ended a client")
            return SERVED if was_changed else UNCHANGED
        signal_and_wait(echod, signal.SIGHUP, RELOAD_END)
        return DROPPED

    def newcomer(self, echod):
        super().newcomer(echod)
        signal_and_wait(echod, signal.SIGHUP, RELOADED)
        with harness.connect(f"unix://{self._socket}") as client:
            round_trip(client)
        self._configure("idle-timeout 1h")
        signal_and_wait(echod, signal.SIGHUP, RELOADED)


def all_scenes(directory, authority):
    """Every scene, by its name; without an authority none of TLS."""
    scenes = [
        Scene("plain", directory, ("--pid-file", f"{directory}/pid")),
        Scene("buffers", directory, ("--no-shortcuts",)),
        Scene("workers", directory, ("--workers", "2")),
        Scene("unix", directory, ("--workers", "2"),
              f"unix://{directory}/s,mode=0660"),
        Scene("json", directory, ("--log-format", "json", "--idle-timeout", "1h")),
        Scene("limits", directory,
              ("--rate-limit", "10MiB/s", "--max-connections-per-source", "100")),
        ProxyScene("proxy", directory, listen=f"{TCP},proxy=any"),
        DatagramScene("udp", directory, listen="udp://127.0.0.1:0"),
        ReportScene("report", directory),
        ReloadScene("reload", directory),
    ]
    if admin_client.can_serve():
        scenes.append(AdminScene("admin", directory, ("--admin", f"unix://{directory}/admin")))
    if authority is not None:
        scenes.append(TlsScene("tls", directory, authority))
        scenes.append(TlsScene("tls-buffers", directory, authority, ("--no-shortcuts",)))
    return {scene.name: scene for scene in scenes}
