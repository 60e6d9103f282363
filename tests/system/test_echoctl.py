"""
test_echoctl: what echoctl shows of a real echod, and does to it; and top, on a terminal and without.
Leaves to test_echoctl_answers what no echod answers.
"""

import contextlib
import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios

import harness
from admin_stand_in import STATUS, StandIn, connection, reply
from harness import control

ENTER, LEAVE = "\x1b[?1049h", "\x1b[?1049l"


class Service(harness.TestCase):
    """An echod with an admin endpoint."""

    def setUp(self):
        self.place = f"{self.temporary_directory()}/admin.sock"

    def ask(self, *arguments, status=0):
        """Run echoctl; return what it printed, of a failure on standard error."""
        result = control("-s", self.place, *arguments)
        self.assertEqual(result.returncode, status, result.stderr)
        return result.stderr if status else result.stdout

    def test_who_is_connected_is_shown_and_ended(self):
        with harness.Echod("--admin", f"unix://{self.place}",
                           listen="127.0.0.1:0,name=public") as echod:
            clients = [echod.connect() for _ in range(3)]
            for client in clients:
                harness.round_trip(client, b"hello")
            self.assertEqual(self.ask("ready"), "ready\n")
            status = json.loads(self.ask("status", "--json"))
            self.assertEqual((status["pid"], status["connections"]["open"]), (echod.pid, 3))
            self.assertRegex(self.ask("status"), r"connections  3 open of \d+, 3 accepted, 0 refused")
            self.assertRegex(self.ask("listeners"), r"\npublic +listening +3 ")

            rows = self.ask("connections", "--listener=public", "--state=open").splitlines()
            peer = "%s:%d" % clients[0].getsockname()
            number = next(row.split()[0] for row in rows if row.split()[1] == peer)
            self.assertEqual(len(rows), 4)
            self.assertIn(f"peer         {peer}\n", self.ask("connection", number))
            self.assertEqual(self.ask("close", number), f"closed {number}, {peer} at public\n")
            self.assertEqual(harness.receive_all(clients[0]), b"")
            clients[0].close()
            harness.wait_until(lambda: len(self.ask("connections").splitlines()) == 3, "it is gone")
            self.assertRegex(self.ask("connection", number, status=1), r"\Aechoctl: .*\n\Z")
            self.ask("connections", "--peer=nobody", status=1)
            self.assertEqual(len(self.ask("connections", "--min-age=1h").splitlines()), 1)


class Top(harness.TestCase):
    """What is shown again and again."""

    def setUp(self):
        self.place = f"{self.temporary_directory()}/admin.sock"

    def answer(self, _, __, target, ___):
        """
        A service that grows older by a second, and has a hundred clients in it: the first of them
        carried much before, each other 100 bytes more in a second than the one before it.
        """
        if target == "/connections?limit=1000":
            return reply({"next": "12", "connections": [
                connection(number, age_ms=1000 * self.count,
                           in_bytes=10**6 if number == 1 else 100 * number * self.count)
                for number in range(1, 13)]})
        self.count = getattr(self, "count", 0) + 1
        connections = {**STATUS["connections"], "accepted": 100 * self.count}
        return reply({**STATUS, "uptime_ms": 1000 * self.count, "connections": connections})

    def test_without_a_terminal_there_are_lines(self):
        with StandIn(self.answer, self.place):
            lines = control("-s", self.place, "top", "-n2", "-d100ms").stdout.splitlines()
            objects = control("-s", self.place, "top", "-n2", "-d100ms", "--json").stdout
        self.assertEqual([line.split()[1:] for line in lines], [
            "OPEN ACCEPTED/S REFUSED/S IN/S OUT/S QUEUED LATE/MS STATE".split(),
            "2 100 1.0 2.0KiB 1.0KiB 512 2.5 running".split(),
            "2 100 0.0 0 0 512 2.5 running".split()])
        self.assertEqual(len(objects.splitlines()), 2)

    @contextlib.contextmanager
    def on_terminal(self, *arguments):
        """Run top on a terminal of 12 lines and 40 columns; the block gets it and its output."""
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 12, 40, 0, 0))
        before = termios.tcgetattr(theirs)
        with StandIn(self.answer, self.place), subprocess.Popen(
                [harness.ECHOCTL, "-s", self.place, "top", *arguments], stdin=theirs, stdout=theirs,
                stderr=theirs, env={**os.environ, "TERM": "xterm"}) as process:
            try:
                yield process, ours
                process.wait(harness.PATIENCE_SECONDS)
            finally:
                process.kill()
        self.assertEqual(termios.tcgetattr(theirs), before)
        os.close(ours)
        os.close(theirs)

    @staticmethod
    def read_until(ours, pattern, text=""):
        """Read what is shown until the pattern is there."""
        while not re.search(pattern, text):
            if not select.select([ours], [], [], harness.PATIENCE_SECONDS)[0]:
                raise AssertionError(f"waited in vain for {pattern!r} behind {text!r}")
            text += os.read(ours, 65536).decode()
        return text

    def test_a_terminal_is_as_it_was_when_a_key_ends_it(self):
        with self.on_terminal("-d1h") as (process, ours):
            text = self.read_until(ours, "udp://")
            self.assertTrue(text.startswith(ENTER), text)
            for line in re.sub(r"\x1b\[[^A-Za-z]*[A-Za-z]", "", text).splitlines():
                self.assertLessEqual(len(line), 40)
            os.write(ours, b" ")
            self.read_until(ours, "udp://")
            self.assertEqual(self.count, 2)
            os.write(ours, b"q")
            self.read_until(ours, re.escape(LEAVE))
        self.assertEqual(process.returncode, 0)

    def test_a_terminal_is_as_it_was_when_a_signal_ends_it(self):
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGABRT):
            with self.on_terminal("-d1h") as (process, ours):
                self.read_until(ours, "public")
                process.send_signal(number)
                self.read_until(ours, re.escape(LEAVE))
            self.assertEqual(process.returncode, -number)

    def test_the_last_one_stays_on_the_screen(self):
        with self.on_terminal("-n2", "-d100ms") as (process, ours):
            text = self.read_until(ours, re.escape(LEAVE) + r"[^\x1b]*\n +3 .*\n")
        self.assertEqual(text.count(ENTER), 1)
        self.assertEqual(process.returncode, 0)
        lines = [line.split() for line in text.rpartition(LEAVE)[2].splitlines()]
        self.assertIn("udp://0.0.0.0:7 listening - - 0.0 0.0 0 0 udp://0.0.0.0:7".split(), lines)
        begin = lines.index("busiest of the first 12 connections; there are more".split())
        self.assertEqual([line[0] for line in lines[begin + 1:]],
                         ["ID", *(str(number) for number in range(12, 2, -1))])
        self.assertEqual(lines[begin + 2], "12 1.2KiB 0 0 2s open public 192.0.2.1:12".split())


if __name__ == "__main__":
    harness.main()
