"""
life_cycle_clients: clients who talk to an echod, or come and go, while something happens to it; each checks
every byte that comes back, and knows how its end was.
Judge no end: that is life_cycle's part, for which they are.
"""

import collections
import contextlib
import socket
import ssl
import threading
import time

import harness
from harness import Background
from tls_client import TlsClient

VISITORS = 3
PIECE_BYTES = 3000
SILENCE_SECONDS = 0.3  # after which the next datagram is sent

SERVED, REFUSED, RESET, CUT = "served", "refused", "reset without a byte", "cut off"


class Line:
    """A connection to an echo."""

    def __init__(self, address, _context):
        self.socket = harness.connect(address)
        self.send = self.socket.sendall

    def receive(self, size):
        """So many bytes, or what came before the end, be that in order or not."""
        pieces = b""
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            while len(pieces) < size and (piece := self._receive_some(size - len(pieces))):
                pieces += piece
        return pieces

    def _receive_some(self, size):
        return self.socket.recv(size)

    def say_fin(self):
        self.socket.shutdown(socket.SHUT_WR)

    def is_at_end(self):
        """Wait for what comes next; tell whether it is an end in order."""
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            return self._receive_some(1) == b""
        return False

    def close(self):
        self.socket.close()


class TlsLine(Line):
    """The same over TLS: an end in order is a close_notify."""

    def __init__(self, address, context):
        super().__init__(address, context)
        self._tls = TlsClient(self.socket, context)
        try:
            self._tls.shake_hands()
        except (ConnectionError, ssl.SSLError) as error:
            self.close()
            raise ConnectionResetError from error
        self.send = self._tls.send

    def _receive_some(self, size):
        return self._tls.receive(size)

    def say_fin(self):
        self._tls.make_close_notify()
        self._tls.flush()


def open_line(address, context):
    return (TlsLine if address.startswith("tls") else Line)(address, context)


class LastingClient:
    """A client that is there from its making on, until it is told to leave, or is ended."""

    def __init__(self):
        self._is_leaving = threading.Event()
        self._has_begun = threading.Event()
        self._talking = Background(self._talk)

    def wait_until_it_talks(self):
        if not self._has_begun.wait(harness.PATIENCE_SECONDS):
            raise AssertionError("a client gets no first echo")

    def leave(self):
        """Send no more."""
        self._is_leaving.set()

    def result(self):
        """How its end was: SERVED where it left by itself and got all that was on its way."""
        return self._talking.result()

    def _talk(self):
        raise NotImplementedError


class Talker(LastingClient):
    """It talks and checks each echo, and leaves with FIN; if not SERVED, it was CUT."""

    def __init__(self, address, context, seed):
        self.received = 0
        self._line = open_line(address, context)
        self.name = "%s:%d" % self._line.socket.getsockname()
        self._piece = harness.random_bytes(PIECE_BYTES, seed)
        super().__init__()

    def _talk(self):
        with contextlib.closing(self._line):
            while not self._is_leaving.is_set():
                if not self._exchange():
                    return CUT
                self._has_begun.set()
            return self._leave_in_order()

    def _exchange(self):
        """Send a piece; return whether all of it came back."""
        with contextlib.suppress(ConnectionError):
            self._line.send(self._piece)
        echo = self._line.receive(PIECE_BYTES)
        self.received += len(echo)
        if not self._piece.startswith(echo):
            raise AssertionError("a wrong echo")
        return len(echo) == PIECE_BYTES

    def _leave_in_order(self):
        with contextlib.suppress(ConnectionError, OSError):
            self._line.say_fin()
            if self._line.is_at_end():
                return SERVED
        return CUT


class DatagramTalker(LastingClient):
    """
    It sends a datagram, waits for its echo for a while, and sends the next. If not SERVED, it was
    REFUSED at last: nobody was there any more.
    """

    def __init__(self, address):
        self.missed = 0  # echoes that never came; the last datagram's is none where it was refused
        self._sent = 0
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.connect(("127.0.0.1", harness.port_of(address)))
        self._unanswered = set()
        super().__init__()

    def _talk(self):
        with self._socket:
            try:
                while not self._is_leaving.is_set():
                    self._exchange()
                self._receive(harness.PATIENCE_SECONDS, lambda: not self._unanswered)
                return SERVED
            except ConnectionRefusedError:
                self._unanswered.discard(self._sent)
                return REFUSED
            finally:
                self.missed = len(self._unanswered)

    def _exchange(self):
        self._sent += 1
        number = self._sent
        self._unanswered.add(number)
        self._socket.send(self._question(number))
        self._receive(SILENCE_SECONDS, lambda: number not in self._unanswered)

    def _receive(self, seconds, is_over):
        """Take answers until it is over, or until none has come for so long."""
        self._socket.settimeout(seconds)
        with contextlib.suppress(TimeoutError):
            while not is_over():
                answer = self._socket.recv(PIECE_BYTES + 1)
                number = int.from_bytes(answer[:8], "big")
                if number not in self._unanswered or answer != self._question(number):
                    raise AssertionError(f"a wrong answer in {len(answer)} bytes")
                self._unanswered.remove(number)
                self._has_begun.set()

    @staticmethod
    def _question(number):
        return number.to_bytes(8, "big") + harness.random_bytes(PIECE_BYTES - 8, number)


def visit(address, context, seed):
    """Be a client who says all at once; return how it ended, raise on a wrong echo."""
    data = harness.random_bytes(PIECE_BYTES, seed)
    try:
        line = open_line(address, context)
    except (ConnectionRefusedError, FileNotFoundError):
        return REFUSED
    except BlockingIOError:  # the backlog of a Unix socket is full
        return REFUSED
    except ConnectionResetError:
        return RESET
    with contextlib.closing(line):
        with contextlib.suppress(ConnectionError, OSError):
            line.send(data)
            line.say_fin()
        echo = line.receive(PIECE_BYTES + 1)
    if not data.startswith(echo):
        raise AssertionError(f"a wrong echo in {len(echo)} bytes")
    if len(echo) == len(data):
        return SERVED
    return CUT if echo else RESET


class Visitors:
    """Clients who come one after the other to some addresses, and how their visits ended."""

    def __init__(self, addresses, context):
        self.ends = {address: collections.Counter() for address in addresses}
        self._context = context
        self._is_over = threading.Event()
        self._coming = [Background(self._come, number) for number in range(VISITORS)]

    def _come(self, number):
        while not self._is_over.is_set():
            for address, ends in self.ends.items():
                ends[visit(address, self._context, number)] += 1
            time.sleep(0.002)  # leave the processor to others

    def stop(self):
        """Let them come no more; return how all visits ended."""
        self._is_over.set()
        for coming in self._coming:
            coming.result()
        return sum(self.ends.values(), collections.Counter())
