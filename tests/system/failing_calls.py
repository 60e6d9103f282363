"""
failing_calls: lets chosen system calls of a program under test fail, whoever in it makes them.
The library that it loads into the program is tests/faults/failing_calls.c.
Used by `faults`.
"""

import errno
import mmap
import os
import struct

import harness

LIBRARY = os.path.join(os.path.dirname(harness.ECHOD), "tests/faults/failing_calls.so")
FOR_EVER = 2**64 - 1
SHORT = 0  # in the place of an errno: the call does less than it was asked to

NUMBER, ERROR, FIRST, LAST, FAILED, TRAPPED_COUNT, TRAPPED = range(7)  # fields of `struct plan`
MOST_TRAPPED, MOST_NUMBERS = 100, 512
COUNTS = TRAPPED + MOST_TRAPPED
SIZE = 8 * (COUNTS + MOST_NUMBERS)

# What may fail, with its number on x86-64, and why. EINTR and EAGAIN may come to any that waits.
CALLS = {
    "read": (0, "EIO EINTR EAGAIN SHORT"),
    "write": (1, "EIO EINTR EPIPE ENOSPC SHORT"),
    "close": (3, "EIO EINTR"),
    "fstat": (5, "EIO"),
    "poll": (7, "ENOMEM EINTR"),
    "lseek": (8, "EIO"),
    "mmap": (9, "ENOMEM EAGAIN"),
    "mprotect": (10, "ENOMEM"),
    "brk": (12, "ENOMEM"),
    "ioctl": (16, "ENOTTY EPERM"),
    "pread64": (17, "EIO"),
    "pwrite64": (18, "EIO ENOSPC"),
    "readv": (19, "EIO EINTR ECONNRESET SHORT"),
    "writev": (20, "EIO EINTR EPIPE ENOBUFS SHORT"),
    "access": (21, "EACCES"),
    "madvise": (28, "EINVAL"),
    "dup": (32, "EMFILE"),
    "sendfile": (40, "EIO"),
    "socket": (41, "EMFILE ENOBUFS EPERM"),
    "connect": (42, "EINTR ECONNREFUSED"),
    "accept": (43, "EMFILE ECONNABORTED EPERM EINTR"),
    "sendto": (44, "EINTR EAGAIN EPIPE ENOBUFS ECONNRESET SHORT"),
    "recvfrom": (45, "EINTR EAGAIN ENOMEM ECONNRESET SHORT"),
    "sendmsg": (46, "EINTR EAGAIN EPIPE ENOBUFS EPERM"),
    "recvmsg": (47, "EINTR EAGAIN ENOMEM ECONNREFUSED"),
    "shutdown": (48, "ENOTCONN ENOBUFS"),
    "bind": (49, "EADDRINUSE EACCES"),
    "listen": (50, "EADDRINUSE"),
    "getsockname": (51, "ENOBUFS"),
    "getpeername": (52, "ENOTCONN ENOBUFS"),
    "socketpair": (53, "ENFILE"),
    "setsockopt": (54, "ENOBUFS EPERM ENOPROTOOPT"),
    "getsockopt": (55, "ENOBUFS EPERM"),
    "uname": (63, "EFAULT"),
    "fcntl": (72, "EMFILE EPERM"),
    "flock": (73, "ENOLCK EINTR"),
    "ftruncate": (77, "EIO"),
    "rename": (82, "EIO"),
    "unlink": (87, "EPERM"),
    "readlink": (89, "EACCES"),
    "chmod": (90, "EPERM"),
    "sysinfo": (99, "EPERM"),
    "prctl": (157, "EPERM"),
    "sched_setaffinity": (203, "EPERM"),
    "sched_getaffinity": (204, "EPERM"),
    "getdents64": (217, "EIO"),
    "epoll_wait": (232, "EINTR"),
    "epoll_ctl": (233, "ENOMEM ENOSPC"),
    "openat": (257, "EMFILE ENFILE ENOMEM EACCES"),
    "fchownat": (260, "EPERM"),
    "newfstatat": (262, "EIO"),
    "fchmodat": (268, "EPERM"),
    "splice": (275, "EINVAL ENOMEM EAGAIN EPIPE ECONNRESET SHORT"),
    "epoll_pwait": (281, "EINTR"),
    "clock_gettime": (228, "EINVAL"),
    "timerfd_create": (283, "EMFILE"),
    "timerfd_settime": (286, "ECANCELED"),
    "accept4": (288, "EMFILE ENFILE ENOMEM ECONNABORTED EPROTO EPERM EINTR"),
    "eventfd2": (290, "EMFILE"),
    "epoll_create1": (291, "EMFILE ENOMEM"),
    "dup3": (292, "EMFILE EBUSY"),
    "pipe2": (293, "EMFILE ENFILE"),
    "recvmmsg": (299, "EINTR EAGAIN ENOMEM ENOSYS ECONNREFUSED SHORT"),
    "prlimit64": (302, "EPERM"),
    "sendmmsg": (307, "EINTR EAGAIN ENOBUFS EPERM ENOSYS SHORT"),
    "getrandom": (318, "ENOSYS EINTR"),
    "statx": (332, "EIO"),
    "clone3": (435, "EAGAIN"),
}


def error_named(name):
    return SHORT if name == "SHORT" else getattr(errno, name)


class FailingCalls:
    """What fails in a process that was started with `environment`; `path` names the file beneath."""

    def __init__(self, path):
        with open(path, "w+b") as file:
            file.truncate(SIZE)
            self._memory = mmap.mmap(file.fileno(), SIZE)
        self.environment = {"LD_PRELOAD": LIBRARY, "FAILING_CALLS": path}
        trapped = [number for call, (number, _) in CALLS.items() if call != "clone3"]
        for index, number in enumerate(trapped):  # the library sees new threads by pthread_create
            self._write(TRAPPED + index, number)
        self._write(TRAPPED_COUNT, len(trapped))

    def _write(self, field, value):
        self._memory[8 * field:8 * field + 8] = struct.pack("=Q", value)

    def _read(self, field):
        return struct.unpack("=Q", self._memory[8 * field:8 * field + 8])[0]

    def count_anew(self):
        """Let none fail, and count from here."""
        self.stop()
        self._memory[8 * COUNTS:SIZE] = bytes(SIZE - 8 * COUNTS)

    def fail(self, call, error, number, count=1):
        """From now on, let so many calls of a name fail, the first of them after number - 1 others."""
        self.count_anew()
        self._write(FAILED, 0)
        self._write(NUMBER, CALLS[call][0])
        self._write(ERROR, error_named(error))
        self._write(LAST, min(number + count - 1, FOR_EVER))
        self._write(FIRST, number)

    def stop(self):
        """Let no more calls fail."""
        self._write(FIRST, 0)

    def take_counts(self):
        """How many calls there were by name, of those that there were; count anew."""
        counts = {call: self._read(COUNTS + number) for call, (number, _) in CALLS.items()}
        self.count_anew()
        return {call: count for call, count in counts.items() if count > 0}

    @property
    def failed(self):
        """How many calls failed since the last `fail`."""
        return self._read(FAILED)
