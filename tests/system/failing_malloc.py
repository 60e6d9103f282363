"""
failing_malloc: lets chosen allocations of a program under test fail, once or from then on.
The library that it loads into the program is tests/faults/failing_malloc.c.
Used by the tests of failing allocations.
"""

import mmap
import os
import struct

import harness

LIBRARY = os.path.join(os.path.dirname(harness.ECHOD), "tests/faults/failing_malloc.so")
FOR_EVER = 2**64 - 1
COUNT, FIRST, LAST, FAILED = range(4)  # fields of `struct plan`


class FailingMalloc:
    """
    What fails in a process that was started with `environment`, or `prefix`; `path` names the file
    beneath.
    """

    def __init__(self, path):
        with open(path, "w+b") as file:
            file.truncate(mmap.PAGESIZE)
            self._memory = mmap.mmap(file.fileno(), mmap.PAGESIZE)
        self.environment = {"LD_PRELOAD": LIBRARY, "FAILING_MALLOC": path}
        self.prefix = ("env", *(f"{name}={value}" for name, value in self.environment.items()))

    def _write(self, field, value):
        self._memory[8 * field:8 * field + 8] = struct.pack("=Q", value)

    def _read(self, field):
        return struct.unpack("=Q", self._memory[8 * field:8 * field + 8])[0]

    def fail(self, number, count=1):
        """From now on, let so many allocations fail, the first of them after number - 1 others."""
        self.stop()
        self._write(COUNT, 0)
        self._write(FAILED, 0)
        self._write(LAST, min(number + count - 1, FOR_EVER))
        self._write(FIRST, number)

    def stop(self):
        """Let no more allocations fail."""
        self._write(FIRST, 0)

    @property
    def count(self):
        """How many allocations there were since the last `fail`."""
        return self._read(COUNT)

    def take_count(self):
        """The same; let none fail, and count anew."""
        count = self.count
        self.fail(FOR_EVER)
        return count

    @property
    def failed(self):
        """How many of them failed."""
        return self._read(FAILED)


def need(test):
    """Skip a test where the library is not built or has no effect."""
    if harness.SANITIZED:
        test.skipTest("sanitizers have an allocator of their own")
    if harness.PREFIX:
        test.skipTest("the program that runs echod would lack memory, too")
    if not os.path.exists(LIBRARY):
        test.skip_without(LIBRARY)
    malloc = FailingMalloc(f"{test.temporary_directory()}/plan")
    malloc.fail(FOR_EVER)
    harness.run_echod("--version", prefix=malloc.prefix)
    if malloc.count == 0:
        test.skipTest("LD_PRELOAD has no effect on echod")
