"""
moving_clocks: lets the clocks of a program under test step.
The library that it loads into the program is tests/faults/moving_clocks.c.
Used by the tests of clocks.
"""

import mmap
import os
import struct

import harness

LIBRARY = os.path.join(os.path.dirname(harness.ECHOD), "tests/faults/moving_clocks.so")
WALL, MONOTONIC, READS = range(3)  # fields of `struct plan`
ENDED = -2**63


class MovingClocks:
    """The clocks of a process that was started with `prefix`; `path` names the file beneath."""

    def __init__(self, path):
        with open(path, "w+b") as file:
            file.truncate(mmap.PAGESIZE)
            self._memory = mmap.mmap(file.fileno(), mmap.PAGESIZE)
        self.prefix = ("env", f"LD_PRELOAD={LIBRARY}", f"MOVING_CLOCKS={path}")

    def step(self, clock, seconds):
        """Let WALL or MONOTONIC be so far from the system's clock; or WALL tell nothing any more, if ENDED."""
        self._memory[8 * clock:8 * clock + 8] = struct.pack("=q", seconds)

    @property
    def reads(self):
        """How often a clock was read."""
        return struct.unpack("=q", self._memory[8 * READS:8 * READS + 8])[0]


def need(test):
    """Return clocks; skip the test where the library is not built, or has no effect."""
    if not os.path.exists(LIBRARY):
        test.skip_without(LIBRARY)
    clocks = MovingClocks(f"{test.temporary_directory()}/plan")
    harness.run_echod("--listen", "unix:///missing/socket", prefix=clocks.prefix)  # logs an error
    if harness.PREFIX or clocks.reads == 0:
        test.skipTest("LD_PRELOAD has no effect on echod")
    return clocks
