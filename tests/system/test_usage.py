"""
test_usage: help, version, and one sentence for each mistake on the command line.
Addresses that are well written but cannot be had are in test_listen.
Run by `run`, by automake, or alone.
"""

import re

import harness

OPTIONS_WITH_VALUE = (
    "listen", "backlog", "workers", "max-connections", "high-water", "low-water", "max-queued",
    "write-timeout", "idle-timeout", "lifetime", "linger-timeout", "drain-timeout", "user", "group",
    "pid-file", "log-target", "log-level", "log-format",
)
SIZES = ("high-water", "low-water", "max-queued")
DURATIONS = ("write-timeout", "idle-timeout", "lifetime", "linger-timeout", "drain-timeout")
COUNTS = ("backlog", "workers", "max-connections")


class HelpTest(harness.TestCase):

    def test_help(self):
        """--help names every option and each default on standard output, and exits with 0."""
        for option in ("--help", "-h"):
            with self.subTest(option):
                result = harness.run_echod(option)
                self.assertEqual((result.returncode, result.stderr), (0, ""))
                text = result.stdout
                self.assertTrue(text.startswith("Usage: echod "))
                for name in (*OPTIONS_WITH_VALUE, "help", "version"):
                    self.assertRegex(text, rf"(?m)^ .*--{name}\b")
                for default in ("tcp://127.0.0.1:13265", "256KiB", "256MiB", "4096", "30s", "2s",
                                "5s", "info", "text"):
                    self.assertIn(default, text)
                self.assertRegex(text, r"(?m)^Report bugs to: \S+")
                self.assertLessEqual(max(map(len, text.splitlines())), 80)

    def test_version(self):
        """--version begins with the program, the package and the number, and exits with 0."""
        for option in ("--version", "-V"):
            with self.subTest(option):
                result = harness.run_echod(option)
                self.assertEqual((result.returncode, result.stderr), (0, ""))
                self.assertRegex(result.stdout, r"\Aechod \([^)]+\) \d+(\.\d+)*\S*\n")

    def test_help_that_cannot_be_written_is_an_error(self):
        """A full disk under --help or --version does not go unnoticed."""
        for option in ("--help", "--version"):
            with self.subTest(option), open("/dev/full", "wb") as full:
                result = harness.run_echod(option, stdout=full)
                self.assertNotEqual(result.returncode, 0)
                self.assertRegex(result.stderr, r"\Aechod: [^\n]+\n\Z")

    def test_long_options_may_be_shortened(self):
        """Any beginning of an option that fits no other one will do."""
        self.assertEqual(harness.run_echod("--vers").returncode, 0)


class MistakeTest(harness.TestCase):

    def expect_usage_error(self, *arguments, names):
        """Check that echod refuses these arguments in one line that contains all of `names`."""
        with self.subTest(" ".join(arguments)):
            result = harness.run_echod(*arguments)
            self.assertEqual(result.returncode, harness.STATUS_USAGE, result.stderr)
            self.assertEqual(result.stdout, "")
            self.assertRegex(result.stderr, r"\Aechod: [^\n]+\n\Z")
            for name in names:
                self.assertIn(name, result.stderr)

    def test_unknown_options(self):
        """An option that does not exist is named."""
        self.expect_usage_error("--no-such-option", names=["--no-such-option"])
        self.expect_usage_error("--no-such-option=5", names=["--no-such-option"])
        self.expect_usage_error("-x", names=["-x"])
        self.expect_usage_error("-Vx", names=["-x"])

    def test_options_without_a_value(self):
        """What stands behind "=" is refused where nothing can, or something else must."""
        for value in ("none", "", "tls"):
            self.expect_usage_error(f"--help={value}", names=["--help", f'"{value}"', "listen"])
        self.expect_usage_error("--version=1", names=["--version: takes no value"])
        self.expect_usage_error("--check=", names=["--check: takes no value"])

    def test_ambiguous_options(self):
        """A beginning that fits several options is named."""
        self.expect_usage_error("--li", "5", names=["--li"])

    def test_missing_values(self):
        """An option without its value is named."""
        for name in OPTIONS_WITH_VALUE:
            self.expect_usage_error(f"--{name}", names=[f"--{name}"])
        self.expect_usage_error("-l", names=["-l"])
        self.expect_usage_error("-w", names=["-w"])

    def test_surplus_values_and_arguments(self):
        """A value for an option that takes none, and an argument that is no option, are named."""
        self.expect_usage_error("--help=yes", names=["--help"])
        self.expect_usage_error("surplus", names=["surplus"])
        self.expect_usage_error("--log-level", "info", "surplus", names=["surplus"])
        self.expect_usage_error("--", "surplus", names=["surplus"])

    def test_bad_sizes(self):
        """What is no amount of bytes is quoted, and a right one is shown."""
        for name in SIZES:
            for value in ("", "x", "12x", "-1", "+1", " 1", "1 ", "1.5MiB", "0x10", "KiB", "1KiBB"):
                self.expect_usage_error(f"--{name}", value,
                                        names=[f"--{name}", f'"{value}"', "64KiB"])

    def test_bad_durations(self):
        """What is no duration is quoted, and a right one is shown."""
        for name in DURATIONS:
            for value in ("", "x", "5x", "-1", "1s1m", "1s1s", "1m 30s", "1.5s", "s"):
                self.expect_usage_error(f"--{name}", value,
                                        names=[f"--{name}", f'"{value}"', "1m30s"])

    def test_bad_counts(self):
        """What is no number is quoted."""
        for name in COUNTS:
            for value in ("", "x", "-1", "1k", "1.5", "0x10", "AUTO"):
                self.expect_usage_error(f"--{name}", value, names=[f"--{name}", f'"{value}"'])

    def test_values_out_of_range(self):
        """A number that is too small or too large is answered with the range."""
        for name, value in (("backlog", "0"), ("backlog", "65536"), ("workers", "0"),
                            ("workers", "1025"), ("max-connections", "0"), ("high-water", "0"),
                            ("source-prefix-v4", "0"), ("source-prefix-v4", "33"),
                            ("source-prefix-v6", "129"),
                            ("high-water", "2GiB"), ("low-water", "2GiB"), ("max-queued", "0"),
                            ("max-queued", "2048TiB"), ("idle-timeout", "366d")):
            self.expect_usage_error(f"--{name}", value, names=[f"--{name}", f'"{value}"', " to "])
        for name in (*COUNTS, *SIZES, *DURATIONS):
            self.expect_usage_error(f"--{name}", "99999999999999999999999", names=[f"--{name}"])

    def test_auto_only_where_it_means_something(self):
        """The word auto is no value of the other options."""
        for name in ("backlog", "high-water", "max-queued", "idle-timeout"):
            self.expect_usage_error(f"--{name}", "auto", names=[f"--{name}", '"auto"'])

    def test_bad_choices(self):
        """A word that is not offered is quoted, and the words that are stand there."""
        self.expect_usage_error("--log-level", "loud",
                                names=["--log-level", '"loud"', "error", "warning", "debug"])
        self.expect_usage_error("--log-level", "INFO", names=["--log-level", '"INFO"'])
        self.expect_usage_error("--log-format", "xml",
                                names=["--log-format", '"xml"', "text", "json"])

    def test_bad_addresses(self):
        """What is no address is quoted, and a right one is shown."""
        for value in ("", "x", "7", "localhost", "tcp://", "tcp://127.0.0.1", "tcp://127.0.0.1:",
                      "tcp://127.0.0.1:x", "tcp://127.0.0.1:65536", "tcp://127.0.0.1:-1", ":7",
                      "tcp://:7", "tcp://::1:7", "tcp://[::1]", "tcp://[::1:7", "tcp://[::1]x:7",
                      "tcp://127.0.0.1:7,proxy", "tcp://127.0.0.1:7/", "http://127.0.0.1:7",
                      "http://127.0.0.1:7", "unix://", "unix://relative/path",
                      "unix:///", "unix:///" + "x" * 108, "fd://", "fd://x", "fd://-1",
                      "fd://99999999999", "systemd:", "systemd://a:b", "stdio", "stdio://", "tcp://" + "x" * 300 + ":7"):
            self.expect_usage_error("--listen", value, names=["--listen"])

    def test_low_water_above_high_water(self):
        """Marks that contradict each other are refused."""
        self.expect_usage_error("--high-water", "64KiB", "--low-water", "65KiB",
                                names=["--low-water", "--high-water"])
        self.expect_usage_error("--low-water", "1MiB", names=["--low-water", "--high-water"])

    def test_a_descriptor_twice(self):
        """Nothing that was passed can be served twice, under two names either."""
        for first, second in (("stdio:", "stdio:"), ("fd://3", "fd://3"), ("stdio:", "fd://0"),
                              ("fd://1", "stdio:"), ("systemd://", "systemd://name")):
            self.expect_usage_error("--listen", first, "--listen", second,
                                    names=["--listen", second])

    def test_unknown_users_and_groups(self):
        """Who becomes somebody else is looked up before anything happens."""
        for option in ("--user", "--group"):
            for value in ("", "no such name", "-1", "4294967295"):
                self.expect_usage_error(option, value, names=[option, f'"{value}"'])
        self.expect_usage_error("--user", "2000000123", names=["--user", "2000000123", "--group"])

    def test_bad_paths(self):
        """A path may be neither empty nor endless."""
        for value in ("", "x" * 1024):
            self.expect_usage_error("--pid-file", value, names=["--pid-file"])

    def test_hostile_text_stays_on_one_line(self):
        """Line feeds and escape sequences in an argument do not reach the terminal."""
        for arguments in (("--listen", "tcp://a\nb:7\x1b[2J"), ("--log-level", "a\nb\x1b[2J"),
                          ("--high-water", "1\n2\x1b[2J"), ("a\nb\x1b[2J",), ("--a\nb\x1b[2J",)):
            with self.subTest(arguments=arguments):
                result = harness.run_echod(*arguments)
                self.assertEqual(result.returncode, harness.STATUS_USAGE)
                self.assertRegex(result.stderr, r"\Aechod: [^\n\x1b]+\n\Z")


class UnitsTest(harness.TestCase):

    def test_units_are_understood(self):
        """Every unit that the manual names is accepted."""
        arguments = ["--high-water", "64KiB", "--low-water", "1kB", "--max-queued", "1G",
                     "--write-timeout", "1m30s", "--idle-timeout", "1d2h3m4s5ms",
                     "--lifetime", "90", "--linger-timeout", "250ms", "--drain-timeout", "0",
                     "--workers", "auto", "--max-connections", "auto", "--low-water", "auto"]
        with harness.Echod(*arguments) as server:
            harness.round_trip(server.connect())

    def test_the_last_of_several_values_counts(self):
        """An option that is given twice has the value that was given last."""
        with harness.Echod("--log-format", "json", "--log-format", "text",
                           "-w", "5", "--workers=1") as server:
            self.assertTrue(all(re.match(harness.TEXT_LINE, line) for line in server.log.lines))
            harness.round_trip(server.connect())


if __name__ == "__main__":
    harness.main()
