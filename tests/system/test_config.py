"""
test_config: the configuration file, its errors, and what --check prints.
What HUP makes of a file that changed is in test_reload.
Run by `run`, by automake, or alone.
"""

import os
import re
import subprocess

import harness

SHIPPED = os.path.join(harness.HERE, "../../packaging/echod.conf.in")
DEFAULTS = ["listen tcp://127.0.0.1:13265", "backlog 4096", "workers 1", "max-connections auto",
            "high-water 256KiB", "low-water auto", "max-queued 256MiB",
            "rate-limit 0", "rate-limit-total 0", "udp-receive-buffer auto",
            "accept-rate 0", "accept-rate-per-source 0", "max-connections-per-source 0",
            "source-prefix-v4 32", "source-prefix-v6 64", "refuse-with reset",
            "handshake-timeout 10s", "write-timeout 30s",
            "idle-timeout 0", "lifetime 0", "linger-timeout 2s", "drain-timeout 5s",
            "client-auth auto", "tls-min 1.2",
            "pin-workers no", "no-shortcuts no", "sandbox off",
            "log-target stderr", "log-level info",
            "log-format text"]
UNSET = ["allow", "deny", "cert", "key", "client-ca", "alpn", "ciphers", "user", "group", "chroot",
         "pid-file", "admin"]
OTHERS = """\
listen tcp://[::1]:7
listen "unix:///run/a b#\\"\\\\"
listen localhost:8
backlog 17
workers auto
max-connections 9
high-water 1234567
low-water 1MiB
max-queued 1GiB
rate-limit 1024K
rate-limit-total 8GiB/s
udp-receive-buffer 1024KiB
accept-rate 5k
accept-rate-per-source 1/m
max-connections-per-source 7
source-prefix-v4 24
source-prefix-v6 56
allow 10.0.0.0/8;::1/128
deny 10.1.2.3
refuse-with close
handshake-timeout 0.5
write-timeout 1m30s
idle-timeout 1d2h3m4s5ms
lifetime 250ms
linger-timeout 0
drain-timeout 9
cert a.pem;b.pem
key "a b.key;c"
client-ca ca.pem
client-auth request
tls-min 1.3
alpn h2;http/1.1
ciphers HIGH:!aNULL
pin-workers
no-shortcuts yes
user root
group 0
chroot /srv
sandbox on
pid-file /run/e.pid
admin 127.0.0.1:9
log-target syslog
log-level debug
log-format json
"""


def without_origins(text):
    """The lines that --check printed, without where each value came from."""
    return [re.sub(r" # [^#]*$", "", line) for line in text.splitlines()]


class ConfigTestCase(harness.TestCase):

    def setUp(self):
        self.directory = self.temporary_directory()

    def write(self, text, name="echod.conf"):
        """Write a file into the test's directory and return its path."""
        path = os.path.join(self.directory, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(text if isinstance(text, bytes) else text.encode())
        return path

    def check(self, *arguments):
        """What --check prints of a right configuration."""
        result = harness.run_echod("--check", *arguments)
        self.assertEqual((result.returncode, result.stderr), (0, ""))
        return result.stdout

    def expect_errors(self, path, *errors, arguments=()):
        """Check that each error has a line, in this order, and that there are no others."""
        result = harness.run_echod("--config", path, *arguments)
        self.assertEqual(result.returncode, harness.STATUS_CONFIG, result.stderr)
        self.assertEqual(result.stdout, "")
        lines = result.stderr.splitlines()
        self.assertEqual(len(lines), len(errors), result.stderr)
        for line, error in zip(lines, errors):
            self.assertTrue(line.startswith(f"echod: {error}"), f"{line}\nnot {error}")


class FileTest(ConfigTestCase):

    def test_settings_of_a_file_are_in_effect(self):
        """echod listens where the file says, and logs as it says."""
        path = self.write(f"listen {harness.LOOPBACK}\nlog-format json\nlog-level debug")
        with harness.Echod(config=path, listen=None) as server:
            harness.round_trip(server.connect())
            self.assertNotIn(":13265", server.addresses[0])
            server.log.wait_for(r'^\{.*"level":"debug"')

    def test_the_command_line_wins(self):
        """A value of the command line, and listeners above all, replace those of the file."""
        path = self.write("listen tcp://192.0.2.1:7\nlog-format json\nidle-timeout 1ms\n")
        with harness.Echod("--log-format", "text", "--idle-timeout", "0", config=path) as server:
            harness.round_trip(server.connect())
            self.assertTrue(all(re.match(harness.TEXT_LINE, line) for line in server.log.lines))

    def test_included_files_are_read(self):
        """A pattern stands for files beside the one that it stands in."""
        self.write("idle-timeout 1s\n", "conf.d/10.conf")
        self.write("idle-timeout 2s\r\nlisten tcp://[::1]:7", "conf.d/20.conf")
        text = self.check("--config", self.write("idle-timeout 3s\ninclude conf.d/*.conf\n"))
        self.assertIn(f"idle-timeout 2s # {self.directory}/conf.d/20.conf:1\n", text)
        self.assertIn(f"listen tcp://[::1]:7 # {self.directory}/conf.d/20.conf:2\n", text)

    def test_a_relative_path_is_seen_from_the_current_directory(self):
        """--config names a file as every other program does."""
        self.write("include b.conf\n", "sub/a.conf")
        self.write("workers 0\n", "sub/b.conf")
        result = harness.run_echod("--config", "sub/a.conf", cwd=self.directory)
        self.assertEqual(result.returncode, harness.STATUS_CONFIG)
        self.assertTrue(result.stderr.startswith("echod: sub/b.conf:1: workers: "), result.stderr)


class MistakeTest(ConfigTestCase):

    def test_all_errors_of_a_file_are_reported(self):
        """Each line that is wrong has its own, and what is between them is read."""
        other = self.write("lifetime x\nlow-water 1MiB\n", "other.conf")
        path = self.write("colour blue\nworkers 0\nworkers\nhelp\npin-workers maybe\n"
                          "listen fd://3\nlog-level \"info\ninclude other.conf\ninclude none\n"
                          "backlog 1 2\nlisten fd://3\n" + "x" * 5000 + "\nbacklog \0 1")
        self.expect_errors(
            path,
            f"{path}:1: \"colour\" is no setting; echod.conf(5) lists them",
            f"{path}:2: workers: \"0\" is out of range; it may be 1 to 1024, or auto",
            f"{path}:3: workers: a value is missing; write workers N",
            f"{path}:4: help: only the command line may have it",
            f"{path}:5: pin-workers: \"maybe\" is not yes or no",
            f"{path}:7: a quote is not closed",
            f"{other}:1: lifetime: \"x\" is not a duration",
            f"{path}:9: include: {self.directory}/none: No such file or directory",
            f"{path}:10: \"2\" is one too many",
            f"{path}:12: the line has 5000 bytes",
            f"{path}:13: the line holds a NUL byte",
            f"{other}:2: low-water: 1048576 bytes lie above --high-water (default), 262144 bytes",
            f"{path}:11: listen: fd://3 is served already by another listen ({path}:6)")

    def test_a_file_that_cannot_be_read_is_an_error(self):
        """Whoever asks for a file wants it."""
        self.expect_errors(f"{self.directory}/none",
                           f"{self.directory}/none: No such file or directory; ")
        self.expect_errors(self.directory, f"{self.directory}: it is no regular file, ")

    def test_a_loop_is_an_error_that_names_both_files(self):
        """No file may include itself, not over others either."""
        path = self.write("include b.conf\n", "a.conf")
        other = self.write("include a.conf\n", "b.conf")
        self.expect_errors(path, f"{other}:1: include: {path}: this file is being read already; ")

    def test_values_that_do_not_fit_name_both_places(self):
        """What contradicts each other may come from the file and the command line."""
        path = self.write("\nlow-water 2KiB\n")
        self.expect_errors(path, f"{path}:2: low-water: 2048 bytes lie above --high-water, 1024 ",
                           arguments=("--high-water", "1KiB"))
        path = self.write("\nhigh-water 2KiB\n")
        self.expect_errors(path, f"--low-water: 4096 bytes lie above high-water ({path}:2), 2048 ",
                           arguments=("--low-water", "4KiB"))

    def test_errors_of_the_command_line_keep_their_status(self):
        """Exit status 78 is about files only."""
        path = self.write("workers 0\n")
        for arguments in (("--config", path, "--workers", "0"), ("--config", path, "--no-config"),
                          ("--check", "--workers", "0"), ("--low-water", "1MiB", "--check")):
            with self.subTest(arguments=arguments):
                result = harness.run_echod(*arguments)
                self.assertEqual(result.returncode, harness.STATUS_USAGE)
                self.assertRegex(result.stderr, r"\Aechod: --[^\n]+\n\Z")

    def test_the_usual_file_may_be_missing(self):
        told = subprocess.run([harness.ECHOD, "--help"], capture_output=True, text=True, check=True)
        usual = re.search(r"settings are read from\s+(\S+),", told.stdout).group(1)
        if os.path.exists(usual):
            self.skipTest(f"there is a file {usual}")
        result = subprocess.run([harness.ECHOD, "--check"], capture_output=True, text=True,
                                check=False)
        self.assertEqual((result.returncode, result.stderr), (0, ""))
        self.assertIn("workers 1 # default\n", result.stdout)

    def test_help_does_not_need_a_file(self):
        """--help and --version answer whatever the file says."""
        for option in ("--help", "--version"):
            self.assertEqual(harness.run_echod("--config", "/nowhere", option).returncode, 0)

    def test_hostile_text_stays_on_one_line(self):
        """Escape sequences in a file or its name do not reach the terminal."""
        path = self.write("workers \x1b[2J\n\x1b 1\nhigh-water \"1\\n2\"\n", "a\n\x1b.conf")
        result = harness.run_echod("--config", path)
        self.assertEqual(result.returncode, harness.STATUS_CONFIG)
        self.assertRegex(result.stderr, r"\A(echod: [^\n\x1b]+\n){3}\Z")


class CheckTest(ConfigTestCase):

    def test_defaults(self):
        """Without any file the defaults are printed, and called that."""
        text = self.check()
        lines = text.splitlines()
        self.assertEqual([line for line in lines if not line.startswith("#")],
                         [f"{line} # default" for line in DEFAULTS])
        self.assertEqual([line for line in lines if line.startswith("#")],
                         [f"# {name} is not set" for name in UNSET])

    def test_origins(self):
        """Each value says where it came from."""
        path = self.write("workers 2\n\nlisten localhost:7\nidle-timeout 60\n")
        lines = self.check("--config", path, "--idle-timeout", "5", "-w", "auto").splitlines()
        for line in (f"listen tcp://localhost:7 # {path}:3", "workers auto # command line",
                     "idle-timeout 5s # command line", "backlog 4096 # default"):
            self.assertIn(line, lines)
        lines = self.check("--config", path, "-l", "fd://5", "-lstdio:").splitlines()
        self.assertEqual(lines[:2], ["listen fd://5 # command line", "listen stdio: # command line"])

    def test_the_end_of_a_long_origin_is_kept(self):
        """Which file it was is in the name, and not in the directories that all share."""
        directories = "/".join(["d" * 200, "e" * 200])
        path = self.write("workers 2\n", f"{directories}/f.conf")
        place = f"{path}:1"[-319:]
        self.assertIn(f"workers 2 # {place}", self.check("--config", path).splitlines())

    def test_what_is_printed_can_be_read_back(self):
        """As a file, the output gives the same configuration."""
        for path in (self.write(OTHERS), self.write("")):
            first = self.check("--config", path)
            again = self.check("--config", self.write(first, "again.conf"))
            self.assertEqual(without_origins(first), without_origins(again))
            self.assertNotIn("default", again)

    def test_every_value_is_kept(self):
        """What was written is what is printed, but for the way it is written."""
        text = self.check("--config", self.write(OTHERS))
        self.assertEqual(without_origins(text), [
            "listen tcp://[::1]:7", 'listen "unix:///run/a b#\\"\\\\"', "listen tcp://localhost:8",
            "backlog 17", "workers auto", "max-connections 9", "high-water 1234567",
            "low-water 1MiB", "max-queued 1GiB", "rate-limit 1MiB/s",
            "rate-limit-total 8GiB/s", "udp-receive-buffer 1MiB",
            "accept-rate 5000/s", "accept-rate-per-source 1/m", "max-connections-per-source 7",
            "source-prefix-v4 24", "source-prefix-v6 56", "allow 10.0.0.0/8;::1", "deny 10.1.2.3",
            "refuse-with close", "handshake-timeout 500ms", "write-timeout 1m30s",
            "idle-timeout 1d2h3m4s5ms", "lifetime 250ms", "linger-timeout 0", "drain-timeout 9s",
            "cert a.pem;b.pem", 'key "a b.key;c"', "client-ca ca.pem", "client-auth request",
            "tls-min 1.3", "alpn h2;http/1.1", "ciphers HIGH:!aNULL",
            "pin-workers yes", "no-shortcuts yes", "user root", "group 0", "chroot /srv",
            "sandbox on", "pid-file /run/e.pid",
            "admin tcp://127.0.0.1:9",
            "log-target syslog", "log-level debug", "log-format json"])

    def test_a_wrong_file_prints_nothing_but_errors(self):
        """Half a configuration is none."""
        result = harness.run_echod("--check", "--config", self.write("workers 0\n"))
        self.assertEqual((result.returncode, result.stdout), (harness.STATUS_CONFIG, ""))

    def test_a_host_without_address_is_an_error(self):
        """It needs no socket to see that; the status tells where the address stands."""
        path = self.write("\nlisten bad..name:7\nlisten 127.0.0.1:7\nlisten worse..name:7\n")
        self.expect_errors(path, f"{path}:2: listen tcp://bad..name:7: ",
                           f"{path}:4: listen tcp://worse..name:7: ", arguments=("--check",))
        result = harness.run_echod("--check", "--listen", "bad..name:7")
        self.assertEqual((result.returncode, result.stdout), (harness.STATUS_USAGE, ""))

    def test_a_path_without_directory_is_an_error(self):
        path = self.write("listen unix:///no/such/directory/echod.sock\n")
        self.expect_errors(path, f"{path}:1: listen unix:///no/such/directory/echod.sock: there is "
                                 "no directory /no/such/directory; ", arguments=("--check",))

    def test_a_pid_file_without_directory_is_an_error(self):
        """The status tells where the path stands; what has no slash lies in the current one."""
        path = self.write("pid-file /no/such/directory/pid\nlisten unix:///nowhere/x\n")
        self.expect_errors(path, f"{path}:1: pid-file /no/such/directory/pid: there is no "
                                 "directory /no/such/directory; ",
                           f"{path}:2: listen unix:///nowhere/x: ", arguments=("--check",))
        result = harness.run_echod("--check", "--pid-file", "/nowhere/pid")
        self.assertEqual((result.returncode, result.stdout), (harness.STATUS_USAGE, ""))
        self.assertIn("echod: --pid-file /nowhere/pid: there is no directory /nowhere; ",
                      result.stderr)
        for right in ("pid", "/pid", "./pid"):
            self.assertIn(f"pid-file {right} ", self.check("--pid-file", right))

    def test_a_root_that_is_no_directory_is_an_error(self):
        for path in ("/no/such/directory", self.write("")):
            result = harness.run_echod("--check", "--chroot", path)
            self.assertEqual((result.returncode, result.stdout), (harness.STATUS_USAGE, ""))
            self.assertIn(f"echod: --chroot {path}: there is no such directory; ", result.stderr)

    def test_all_errors_are_told_at_once(self):
        """A wrong line hides no address, and no path, that is wrong too."""
        path = self.write("idle-timout 1\nlisten unix:///nowhere/x\npid-file /nowhere/pid\n")
        self.expect_errors(path, f'{path}:1: "idle-timout" is no setting',
                           f"{path}:3: pid-file /nowhere/pid: ",
                           f"{path}:2: listen unix:///nowhere/x: ", arguments=("--check",))

    def test_an_address_that_stands_there_twice(self):
        path = self.write("listen 127.0.0.1:7\nlisten tcp://127.0.0.1:7\n")
        self.expect_errors(path, f"{path}:2: listen: tcp://127.0.0.1:7 is served already by another ")

    def test_the_status_tells_whose_values_do_not_fit(self):
        """That there is a file does not make the command line's mistake the file's."""
        path = self.write("workers 2\nhigh-water 2KiB\n")
        for arguments, status in ((("--low-water", "1M", "--high-water", "1K"), harness.STATUS_USAGE),
                                  (("--low-water", "1M"), harness.STATUS_CONFIG),
                                  (("-l", "fd://3", "-l", "fd://3"), harness.STATUS_USAGE)):
            with self.subTest(arguments=arguments):
                result = harness.run_echod("--config", path, "--check", *arguments)
                self.assertEqual(result.returncode, status, result.stderr)

    def test_a_directory_of_includes_may_be_missing(self):
        self.assertIn("workers 3", self.check("--config",
                                              self.write("include none.d/*.conf\nworkers 3\n")))

    def test_control_characters_of_a_file_reach_no_terminal(self):
        path = self.write("")
        with open(path, "wb") as file:
            file.write(b"a\x9bb\nc\xc2\x9bd\n")
        result = harness.run_echod("--check", "--config", path)
        self.assertEqual(result.returncode, harness.STATUS_CONFIG)
        self.assertIn('"a?b"', result.stderr)
        self.assertIn('"c??d"', result.stderr)

    def test_every_address_that_cannot_be_had_is_named(self):
        """At the start, too; each with its line, or with the option that gave it."""
        path = self.write("\nlisten unix:///nowhere/x\nlisten 127.0.0.1:0\nlisten 192.0.2.1:7\n")
        result = harness.run_echod("--config", path)
        self.assertEqual(result.returncode, harness.STATUS_SYSTEM)
        errors = [line.partition(" error: ")[2] for line in result.stderr.splitlines()
                  if " error: " in line]
        self.assertEqual(len(errors), 2, result.stderr)
        self.assertTrue(errors[0].startswith(f"{path}:2: listen unix:///nowhere/x: No such file"))
        self.assertTrue(errors[1].startswith(f"{path}:4: listen tcp://192.0.2.1:7: "))
        result = harness.run_echod("--config", path, "--listen", "192.0.2.1:7")
        self.assertEqual(result.returncode, harness.STATUS_SYSTEM)
        self.assertEqual(result.stderr.count(" error: "), 1)
        self.assertIn(" error: --listen tcp://192.0.2.1:7: ", result.stderr)

    def test_nothing_is_opened(self):
        """An address that is in use, or that needs rights, can be checked."""
        with harness.listening_socket() as busy:
            self.check("--listen", harness.address_of(busy), "--listen", "tcp://192.0.2.1:7")

    def test_output_that_cannot_be_written_is_an_error(self):
        """A full disk does not go unnoticed."""
        with open("/dev/full", "wb") as full:
            result = harness.run_echod("--check", stdout=full)
        self.assertEqual(result.returncode, harness.STATUS_SYSTEM)

    def test_the_shipped_file_has_the_defaults(self):
        """It changes nothing, and what stands there commented out is true."""
        self.assertEqual(self.check("--config", SHIPPED), self.check())
        with open(SHIPPED, encoding="ascii") as file:
            text = re.sub(r"(?m)^#([a-z])", r"\1", file.read())
        for name in [*UNSET, "include"]:  # those lines are examples
            self.assertIn(f"\n{name} ", text)
            text = text.replace(f"\n{name} ", f"\n#{name} ")
        lines = without_origins(self.check("--config", self.write(text)))
        self.assertEqual(sorted(line for line in lines if not line.startswith("#")),
                         sorted(DEFAULTS))


if __name__ == "__main__":
    harness.main()
