"""
intruder: makes system calls in a program under test, as somebody would who got into it.
The library that it loads into the program is tests/faults/intruder.c.
Used by the tests of the sandbox.
"""

import ctypes
import errno
import os
import signal
import socket
import struct

import harness

LIBRARY = os.path.join(os.path.dirname(harness.ECHOD), "tests/faults/intruder.so")
MESSAGE = "=32s6qq512s"
AT_FDCWD = -100


class Intruder:
    """Who is in an echod that was started with `options`; `test` owns the socket to him."""

    def __init__(self, test, **environment):
        self._socket, self._other = socket.socketpair()
        test.addCleanup(self._socket.close)
        test.addCleanup(self._other.close)
        self._socket.settimeout(harness.PATIENCE_SECONDS)
        self.options = {
            "pass_fds": (self._other.fileno(),),
            "env": {**os.environ, "RUNTIME_DIRECTORY": "", **environment,
                    "LD_PRELOAD": LIBRARY, "INTRUDER": str(self._other.fileno())},
        }

    def call(self, server, name, *arguments, thread=None):
        """
        Make a call in a thread, or in the main one. An argument of type bytes is passed by address.
        Return what it returned, the name of an error, or None if the program is no more.
        """
        self._other.close()  # so that the program's end is seen
        data, values, are_offsets = b"", [], 0
        for index, argument in enumerate(arguments):
            if isinstance(argument, bytes):
                are_offsets |= 1 << index
                values.append(len(data))
                data += argument
            else:
                values.append(argument)
        values += [0] * (6 - len(values))
        self._socket.sendall(struct.pack(MESSAGE, name.encode(), *values, are_offsets, data))
        ctypes.CDLL(None).tgkill(server.pid, thread or server.pid, signal.SIGUSR2)
        try:
            answer = self._socket.recv(8)
        except ConnectionResetError:
            answer = b""
        if not answer:
            return None
        result = struct.unpack("=q", answer)[0]
        return errno.errorcode[-result] if -4096 < result < 0 else result

    def open(self, server, path, flags=os.O_RDONLY, thread=None):
        """Open a file, and close it again. Return 0 or the name of an error."""
        result = self.call(server, "openat", AT_FDCWD, path.encode() + b"\0", flags, 0o600,
                           thread=thread)
        return self.call(server, "close", result, thread=thread) if result != 0 and isinstance(
            result, int) else result


def need(test):
    """Skip a test where the library is not built, or where there is no sandbox to test."""
    if harness.SANITIZED:
        test.skipTest("a sanitizer does what a sandbox forbids")
    if not os.path.exists(LIBRARY):
        test.skip_without(LIBRARY)
