"""
test_privileges: echod gives up what it does not need once it has bound, for good.
Wrong names on the command line are in test_usage.
Run by `run`, by automake, or alone.
"""

import contextlib
import os
import pwd
import re
import shutil
import socket
import subprocess

import harness
from harness import Echod

USER, GROUP = 2000000123, 2000000124  # numbers that no system knows


def status_of_threads(server):
    """What /proc tells of each thread, as dicts."""
    threads = []
    for task in os.listdir(f"/proc/{server.pid}/task"):
        with open(f"/proc/{server.pid}/task/{task}/status", encoding="ascii") as file:
            threads.append(dict(re.findall(r"^(\w+):\s*(.*)$", file.read(), re.M)))
    return threads


def free_privileged_port():
    """A port that only root may bind, as a rule, and that was free a moment ago."""
    for port in range(1023, 512, -1):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise AssertionError("no port is free from 513 to 1023")


class NoNewPrivilegesTest(harness.TestCase):

    def test_no_thread_can_gain_any(self):
        """Whoever runs echod: no thread can start a program with more privileges."""
        with Echod("--workers", "2") as server:
            threads = [thread["NoNewPrivs"] for thread in status_of_threads(server)]
            self.assertGreaterEqual(len(threads), 4)  # a sanitizer may have one of its own
            self.assertEqual(set(threads), {"1"})


class RootTest(harness.TestCase):

    def setUp(self):
        self.need_other_users()

    def directory(self, owner=0):
        """A directory that everybody may enter, and that is this user's."""
        path = self.temporary_directory()
        os.chmod(path, 0o755)
        os.chown(path, owner, -1)
        return path

    def readable_copy(self):
        """A copy of echod that everybody may run."""
        program = f"{self.directory()}/echod"
        shutil.copy(harness.ECHOD, program)
        return program

    def run_as_user(self, *arguments):
        """Run a copy of echod as USER."""
        return harness.run_echod("--listen", harness.LOOPBACK, *arguments,
                                 program=self.readable_copy(), user=USER, group=GROUP,
                                 extra_groups=[])

    def expect_owners(self, server, uid, gid, groups):
        """Check who each thread is: really, effectively, saved and for files."""
        for thread in status_of_threads(server):
            self.assertEqual(thread["Uid"].split(), [str(uid)] * 4)
            self.assertEqual(thread["Gid"].split(), [str(gid)] * 4)
            self.assertEqual(thread["Groups"].split(), [str(group) for group in groups])
            for kind in ("CapPrm", "CapEff", "CapInh", "CapAmb"):
                self.assertEqual(int(thread[kind], 16), 0, kind)

    def test_numbers(self):
        """A port that only root may bind is served by a user whom nobody knows."""
        with Echod("--user", str(USER), "--group", str(GROUP), "--workers", "2",
                   listen=f"127.0.0.1:{free_privileged_port()}") as server:
            self.expect_owners(server, USER, GROUP, [GROUP])
            data = harness.random_bytes(3 * harness.MIB)
            self.assert_echo(harness.finish(server.connect(), data), data)

    def test_a_name_brings_its_groups(self):
        """A user of the system has his own group, and those that he is a member of."""
        nobody = pwd.getpwnam("nobody")
        groups = sorted(os.getgrouplist("nobody", nobody.pw_gid))
        with Echod("--user", "nobody") as server:
            self.expect_owners(server, nobody.pw_uid, nobody.pw_gid, groups)

    def test_a_unix_socket_is_handed_over(self):
        """The socket is the user's; he removes it if the directory lets him, or it stays."""
        for owner in (USER, 0):
            path = f"{self.directory(owner)}/echod.sock"
            for _ in range(2):  # what stays is in nobody's way
                with self.subTest(owner=owner), \
                        Echod("--user", str(USER), "--group", str(GROUP),
                              listen=f"unix://{path}") as server:
                    status = os.stat(path)
                    self.assertEqual((status.st_uid, status.st_gid), (USER, GROUP))
                    harness.round_trip(server.connect())
                self.assertEqual(os.path.exists(path), owner == 0)

    def test_a_group_alone(self):
        """--group without --user changes nothing but the group, and a warning says so."""
        with Echod("--group", str(GROUP)) as server:
            for thread in status_of_threads(server):
                self.assertEqual(thread["Uid"].split(), ["0"] * 4)
                self.assertEqual(thread["Gid"].split(), [str(GROUP)] * 4)
                self.assertEqual(thread["Groups"].split(), [str(GROUP)])
            server.log.wait_for("warning: still runs as root: --user was not given$")

    def test_root_as_user(self):
        """--user root gives up groups at most, and a warning says so."""
        with Echod("--user", "root") as server:
            self.assertEqual({thread["Uid"] for thread in status_of_threads(server)},
                             {"\t".join(["0"] * 4)})
            server.log.wait_for("warning: still runs as root: --user names it$")

    def test_another_user_is_no_warning(self):
        """Who is root no more, or was not asked to give up anything, is not warned."""
        for arguments in (("--user", str(USER), "--group", str(GROUP)), ()):
            with self.subTest(arguments), Echod(*arguments) as server:
                self.assertEqual(server.log.find("still runs as root"), [])

    def test_who_is_not_root_stays_what_he_is(self):
        """A user may name himself, and nobody else."""
        self.assert_refused(self.run_as_user("--user", str(USER + 1), "--group", str(GROUP)),
                            "--user", str(USER + 1), "root")
        self.assert_refused(self.run_as_user("--group", "0"), "--group", "root")
        result = self.run_as_user("--user", str(USER), "--group", str(GROUP), "--listen", "stdio:")
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertEqual(result.stdout, "")

    def test_a_way_back_to_root_is_refused(self):
        """Who could take root's user, or only his group, does not serve."""
        program = self.readable_copy()
        for capability in ("setuid", "setgid"):
            prefix = (self.need_program("setpriv"), f"--reuid={USER}", f"--regid={GROUP}",
                      "--clear-groups", f"--inh-caps=-all,+{capability}",
                      f"--ambient-caps=-all,+{capability}")
            if subprocess.run([*prefix, "true"], stderr=subprocess.DEVNULL,
                              check=False).returncode != 0:
                self.skipTest("this system leaves nobody a single capability")
            with self.subTest(capability):
                self.assert_refused(
                    harness.run_echod("--listen", "stdio:", "--user", str(USER), "--group",
                                      str(GROUP), prefix=prefix, program=program),
                    f"--user: user {USER} could become root again")

    def test_a_refusal_leaves_nothing_behind(self):
        """Who cannot become the user gives back what was bound."""
        path = f"{self.directory(USER)}/echod.sock"
        self.assert_refused(self.run_as_user("--listen", f"unix://{path}", "--user", "0"),
                            "--user")
        self.assertFalse(os.path.lexists(path))


if __name__ == "__main__":
    harness.main()
