"""
broken_servers: echo servers that do one thing wrong, each in a thread of the test.
Prove nothing by themselves: what echoprobe must say of them stands in test_echoprobe_faults.
Used by the files named test_echoprobe*.
"""

import contextlib
import socket
import struct
import sys
import threading
import time

import harness


class TcpServer:
    """
    Runs `serve(connection, number)` in a thread for each client; numbers count from 0. It listens on
    a port of its own, or has this socket, also one of another family.
    """

    def __init__(self, serve, listener=None):
        self._serve = serve
        self._listener = listener or harness.listening_socket()
        self._connections = []
        self.address = harness.address_of(self._listener)

    def __enter__(self):
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *exception):
        for each in [self._listener, *self._connections]:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                connection = self._listener.accept()[0]
                self._connections.append(connection)
                threading.Thread(target=self._run, daemon=True,
                                 args=(connection, len(self._connections) - 1)).start()

    def _run(self, connection, number):
        with contextlib.suppress(OSError), connection:
            self._serve(connection, number)


class UdpServer:
    """Runs `answer(socket, data, client, number)` for each datagram; numbers count from 0."""

    def __init__(self, answer):
        self._answer = answer
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self.address = f"udp://127.0.0.1:{self._socket.getsockname()[1]}"

    def __enter__(self):
        self._is_over = False
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *exception):
        self._is_over = True
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as waker:
            waker.sendto(b"", self._socket.getsockname())
        self._thread.join()
        self._socket.close()

    def _run(self):
        number = 0
        while True:
            data, client = self._socket.recvfrom(65536)
            if self._is_over:
                return
            self._answer(self._socket, data, client, number)
            number += 1


def reset(connection):
    """Close a connection with RST instead of FIN (socket(7), SO_LINGER)."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def read_exactly(connection, count):
    """Read so many bytes; fewer at the end of input."""
    data = b""
    while len(data) < count:
        piece = connection.recv(count - len(data))
        if not piece:
            break
        data += piece
    return data


def echo_changed(change):
    """A server that returns `change(data, offset)` for each piece that comes."""
    def serve(connection, _):
        offset = 0
        while data := connection.recv(65536):
            connection.sendall(change(data, offset))
            offset += len(data)

    return TcpServer(serve)


def without_byte(place):
    """Leaves out the byte at this offset of the stream."""
    def change(data, offset):
        i = place - offset
        return data[:i] + data[i + 1:] if 0 <= i < len(data) else data

    return echo_changed(change)


def with_changed_byte(place):
    """Flips a bit of the byte at this offset of the stream."""
    def change(data, offset):
        i = place - offset
        return data[:i] + bytes([data[i] ^ 1]) + data[i + 1:] if 0 <= i < len(data) else data

    return echo_changed(change)


def with_changed_bytes(size):
    """Flips a bit in the middle of each piece of this size."""
    def change(data, offset):
        return bytes(byte ^ (i % size == size // 2) for i, byte in enumerate(data, offset))

    return echo_changed(change)


def with_banner(banner):
    """Greets each client before the echo."""
    return echo_changed(lambda data, offset: banner + data if offset == 0 else data)


def doubling(size):
    """Returns the first `size` bytes twice."""
    def serve(connection, _):
        data = read_exactly(connection, size)
        connection.sendall(data + data)
        while data := connection.recv(65536):
            connection.sendall(data)

    return TcpServer(serve)


def swapping(size):
    """Returns each second message of this size before the first."""
    def serve(connection, _):
        while len(data := read_exactly(connection, 2 * size)) == 2 * size:
            connection.sendall(data[size:] + data[:size])

    return TcpServer(serve)


def mixing(size):
    """Returns to each of two clients what the other sent."""
    gate = threading.Barrier(2)
    received = {}

    def serve(connection, number):
        received[number] = read_exactly(connection, size)
        gate.wait(60)
        connection.sendall(received[1 - number])
        connection.recv(1)

    return TcpServer(serve)


def ending_after(count, end=socket.socket.close):
    """Returns so many bytes of each connection, then ends it."""
    def serve(connection, _):
        connection.sendall(read_exactly(connection, count))
        end(connection)

    return TcpServer(serve)


def silent_after(count):
    """Returns so many bytes of each connection, then reads on and says nothing."""
    def serve(connection, _):
        connection.sendall(read_exactly(connection, count))
        while connection.recv(65536):
            pass

    return TcpServer(serve)


def forgetting_after(seconds, count=None, forget=None):
    """
    Echoes, and forgets a connection that was silent for so long: reads on and says nothing, as a
    NAT that dropped its entry, or does `forget(connection)`. With a count only so many times.
    """
    left = threading.Semaphore(sys.maxsize if count is None else count)

    def serve(connection, _):
        last = time.monotonic()
        while data := connection.recv(65536):
            now = time.monotonic()
            if now - last >= seconds and left.acquire(blocking=False):
                if forget is not None:
                    forget(connection)
                    return
                while connection.recv(65536):
                    pass
                return
            last = now
            connection.sendall(data)

    return TcpServer(serve)


def answer_changed(change):
    """A server that sends each of `change(data, number)`."""
    def answer(server, data, client, number):
        for each in change(data, number):
            server.sendto(each, client)

    return UdpServer(answer)
