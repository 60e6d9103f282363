"""
test_pidfile: the file with echod's number, who may have it, and what becomes of it.
What it may hold and where it may lie is in tests/unit/check_pidfile.c.
Run by `run`, by automake, or alone.
"""

import contextlib
import os
import signal

import harness
from harness import Echod


class PidFileTest(harness.TestCase):

    def setUp(self):
        self.path = f"{self.temporary_directory()}/echod.pid"

    def read(self):
        with open(self.path, encoding="ascii") as file:
            return file.read()

    def test_it_holds_the_number_until_the_end(self):
        """The number stands there once echod listens, also while it drains, and then is gone."""
        with Echod("--pid-file", self.path, "--drain-timeout", "1h") as server:
            self.assertEqual(self.read(), f"{server.pid}\n")
            client = server.connect()
            harness.round_trip(client)
            server.signal(signal.SIGTERM)
            server.log.wait_for("draining")
            self.assertEqual(self.read(), f"{server.pid}\n")
            client.close()
            server.wait_for_exit(0)
        self.assertFalse(os.path.lexists(self.path))

    def test_a_second_echod_is_refused(self):
        """Whoever has the file is named, and goes on, with his file."""
        with Echod("--pid-file", self.path) as server:
            self.assert_refused(
                harness.run_echod("--listen", harness.LOOPBACK, "--pid-file", self.path),
                f"--pid-file {self.path}", f"process {server.pid} has it")
            self.assertEqual(self.read(), f"{server.pid}\n")
            harness.round_trip(server.connect())

    def test_a_file_that_may_not_grow_is_an_error(self):
        """A limit of file sizes is a sentence, and no death by SIGXFSZ."""
        if harness.SANITIZED:
            self.skipTest("a sanitizer has files of its own that grow")
        result = harness.run_echod("--listen", harness.LOOPBACK, "--pid-file", self.path,
                                   prefix=("sh", "-c", 'ulimit -f 0; exec "$0" "$@"'))
        self.assertEqual(result.returncode, harness.STATUS_SYSTEM)
        self.assertIn(f"--pid-file {self.path}: File too large; ", result.stderr)

    def test_a_reload_that_reads_it_does_not_unlock_it(self):
        """Where the configuration includes the file itself, a second echod is refused still."""
        directory = os.path.dirname(self.path)
        with open(f"{directory}/echod.conf", "w", encoding="ascii") as file:
            file.write("include *.pid\n")
        with Echod("--pid-file", self.path, config=f"{directory}/echod.conf",
                   may_log="echod.pid:1: ") as server:
            server.signal(signal.SIGHUP)
            server.log.wait_for("is not changed")
            self.assert_refused(
                harness.run_echod("--listen", harness.LOOPBACK, "--pid-file", self.path),
                f"--pid-file {self.path}", f"process {server.pid} has it")

    def test_a_file_of_a_dead_echod_is_taken_over(self):
        """What a crash left behind is no obstacle."""
        with Echod("--pid-file", self.path) as server:
            server.kill()
            server.wait_for_exit(-signal.SIGKILL)
        self.assertEqual(self.read(), f"{server.pid}\n")
        with Echod("--pid-file", self.path) as server:
            self.assertEqual(self.read(), f"{server.pid}\n")

    def test_of_many_that_start_at_once_one_serves(self):
        """Also while others end and remove the file, no two have it."""
        for _ in range(5):
            with contextlib.ExitStack() as stack:
                servers = [stack.enter_context(Echod("--pid-file", self.path, ready=0,
                                                     may_log="--pid-file")) for _ in range(4)]
                harness.wait_until(
                    lambda: sum(server.status is not None for server in servers) == 3,
                    "three are refused")
                (winner,) = (server for server in servers if server.status is None)
                winner.log.wait_for(harness.LISTENING_LINE)
                self.assertEqual(self.read(), f"{winner.pid}\n")
                for server in servers:
                    if server is not winner:
                        server.wait_for_exit(harness.STATUS_SYSTEM)

    def test_without_its_address_nothing_is_written(self):
        """The file is written after everything is bound."""
        with Echod() as other:
            self.assert_refused(harness.run_echod("--listen", other.addresses[0], "--pid-file",
                                                  self.path), other.addresses[0])
        self.assertFalse(os.path.lexists(self.path))

    def test_a_bad_path_is_refused(self):
        """A directory that does not exist ends echod before it serves."""
        self.assert_refused(harness.run_echod("--listen", harness.LOOPBACK, "--pid-file",
                                              f"{self.path}/no"), f"--pid-file {self.path}/no")

    def test_what_would_be_right_is_said_of_a_long_path_too(self):
        """A line of the log leaves out the middle of the path, and not its own end."""
        path = f"{self.path}/{'x' * 900}"
        for log_format in ("text", "json"):
            self.assert_refused(
                harness.run_echod("--listen", harness.LOOPBACK, "--pid-file", path, "--log-format",
                                  log_format), f"--pid-file {self.path}", "that echod can write to")

    def test_a_link_is_refused(self):
        """A path that leads to another file, by whichever link, leaves that file as it is."""
        other = f"{self.path}.other"
        with open(other, "w", encoding="ascii") as file:
            file.write("1\n")
        for link in (os.link, os.symlink):
            with self.subTest(link.__name__):
                link(other, self.path)
                self.assert_refused(
                    harness.run_echod("--listen", harness.LOOPBACK, "--pid-file", self.path),
                    f"--pid-file {self.path}")
                self.assertEqual(self.read(), "1\n")
                os.unlink(self.path)

    def test_a_link_that_leads_nowhere_is_refused(self):
        """What it names is not made."""
        other = f"{self.path}.other"
        os.symlink(other, self.path)
        self.assert_refused(
            harness.run_echod("--listen", harness.LOOPBACK, "--pid-file", self.path),
            f"--pid-file {self.path}")
        self.assertFalse(os.path.lexists(other))

    def test_another_user_removes_or_empties_it(self):
        """After --user the file is root's still; where the user may not remove it, it is empty."""
        self.need_other_users()
        user, group = 2000000123, 2000000124
        directory = os.path.dirname(self.path)
        os.chmod(directory, 0o755)
        for owner in (user, 0):
            os.chown(directory, owner, -1)
            for _ in range(2):  # an empty file is taken over
                with self.subTest(owner=owner), \
                        Echod("--user", str(user), "--group", str(group), "--pid-file",
                              self.path) as server:
                    status = os.stat(self.path)
                    self.assertEqual((status.st_uid, status.st_mode & 0o022), (0, 0))
                    self.assertEqual(self.read(), f"{server.pid}\n")
                self.assertEqual(os.path.exists(self.path), owner == 0)
            if owner == 0:
                self.assertEqual(self.read(), "")


if __name__ == "__main__":
    harness.main()
