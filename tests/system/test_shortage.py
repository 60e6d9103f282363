"""
test_shortage: too few descriptors, a full disk and little memory are told of in a sentence, or passed over.
Shortages that come with many clients are in test_limits, full pipes in test_log.
Run by `run`, by automake, or alone.
"""

import contextlib
import os
import re
import signal
import subprocess

import harness
from harness import KIB, MIB, Echod

LIMITS = range(4, 41)
NEED = r"error: the limit of open files is (\d+), but .* need (\d+); raise it"


class DescriptorTest(harness.TestCase):

    def test_each_number_of_descriptors_is_enough_or_too_few(self):
        """From 4 up: echod says how many it needs and ends with 71; from there on it serves."""
        with contextlib.ExitStack() as stack:
            started = {limit: stack.enter_context(Echod(
                prefix=harness.with_file_limit(limit), ready=0, may_log=NEED)) for limit in LIMITS}
            needed = int(started[LIMITS[0]].log.wait_for(NEED).group(2))
            for limit, echod in started.items():
                if limit < needed:
                    self.assertEqual(echod.log.wait_for(NEED).groups(), (str(limit), str(needed)))
                    echod.wait_for_exit(harness.STATUS_SYSTEM)
                else:
                    self.expect_service(echod)
        print(f"it needs {needed} ", end="", flush=True)

    def expect_service(self, echod):
        address = echod.log.wait_for(harness.LISTENING_LINE).group(1)
        for _ in range(3):
            with harness.connect(address) as client:
                self.assertEqual(harness.finish(client, b"few"), b"few")


class DiskTest(harness.TestCase):

    def setUp(self):
        self.unshare = (self.need_program("unshare"), *harness.AS_ROOT, "-m")
        if subprocess.run([*self.unshare, "true"], stderr=subprocess.DEVNULL,
                          check=False).returncode != 0:
            self.skipTest("no small disk without a mount namespace")
        self.disk = self.temporary_directory()

    def with_disk(self, then, options="size=64k"):
        """A prefix that runs a program with a small disk, on which some shell commands ran first."""
        return (*self.unshare, "sh", "-c",
                f"mount -t tmpfs -o {options} none {self.disk} && {then}")

    def test_a_full_disk_at_the_start(self):
        """What echod cannot write, or make there, it names."""
        fill = f"head -c 1M /dev/zero >{self.disk}/filler 2>/dev/null; "
        for options, arguments, then in (
                ("size=64k", ("--pid-file", f"{self.disk}/pid"), fill),
                ("nr_inodes=1", ("--pid-file", f"{self.disk}/pid"), ""),
                ("nr_inodes=1", ("--listen", f"unix://{self.disk}/socket"), "")):
            with self.subTest(options=options, arguments=arguments):
                result = harness.run_echod("--listen", harness.LOOPBACK, *arguments,
                                           prefix=self.with_disk(f'{then} exec "$0" "$@"', options))
                self.assert_refused(result, self.disk, "No space left on device")

    def test_a_disk_that_is_full_for_a_while(self):
        """The log on it lacks lines, says how many, and goes on once there is room; clients do not notice."""
        prefix = self.with_disk(f'exec "$0" "$@" 2>{self.disk}/log')
        with harness.listening_socket() as passed, \
                Echod("--log-level", "debug", prefix=prefix, listen=passed, ready=0,
                      log_to=subprocess.DEVNULL) as server:
            disk = f"/proc/{server.pid}/root{self.disk}"
            harness.wait_until(lambda: "listening" in self.read(f"{disk}/log"), "it listens")
            self.fill(f"{disk}/filler")
            self.serve(server, 100)
            os.remove(f"{disk}/filler")

            def is_told():
                server.signal(signal.SIGUSR1)
                return re.search(r"totals: .* log_dropped=[1-9]", self.read(f"{disk}/log"))

            self.serve(server, 10)
            harness.wait_until(is_told, "the log goes on")

    def serve(self, server, count):
        for number in range(count):
            with harness.connect(server.addresses[0]) as client:
                harness.round_trip(client, b"%d" % number)

    @staticmethod
    def read(path):
        with contextlib.suppress(FileNotFoundError), open(path, encoding="utf-8") as file:
            return file.read()
        return ""

    @staticmethod
    def fill(path):
        with contextlib.suppress(OSError), open(path, "wb", buffering=0) as file:
            while file.write(bytes(4 * KIB)):
                pass


class MemoryTest(harness.TestCase):

    LIMIT, MOST_QUEUED = 32 * MIB, 8 * MIB

    def test_clients_that_never_read_fit_into_a_cgroup(self):
        """--max-queued keeps echod below a limit of memory that its clients would reach."""
        group = self.limited_group()
        prefix = ("sh", "-c", f'echo $$ >{group}/cgroup.procs && exec "$0" "$@"')
        with Echod("--max-queued", str(self.MOST_QUEUED), "--high-water", "1MiB", "--no-shortcuts",
                   "--write-timeout", "0", prefix=prefix) as server:
            polite = server.connect()
            sent = harness.fill([server.connect(receive_buffer=4 * KIB) for _ in range(60)])
            self.assertGreater(sum(sent), self.LIMIT)
            harness.round_trip(polite)
            self.assertIsNone(server.status)

    def limited_group(self):
        """A cgroup of version 1 or 2 with this limit, or skip the test."""
        for root, name in (("/sys/fs/cgroup/memory", "memory.limit_in_bytes"),
                           ("/sys/fs/cgroup", "memory.max")):
            group = f"{root}/echod-test-{os.getpid()}"
            with contextlib.suppress(OSError):
                os.mkdir(group)
                self.addCleanup(os.rmdir, group)
                with open(f"{group}/{name}", "r+", encoding="ascii") as file:
                    file.write(str(self.LIMIT))
                return group
        return self.skipTest("this machine lets no cgroup be made")


if __name__ == "__main__":
    harness.main()
