"""
test_echoprobe_plugin: what a monitoring system reads: one line, performance data, a status 0 to 3.
What is measured is right by test_echoprobe and its neighbours.
Run by `run`, by automake, or alone.
"""

import re
import socket
import subprocess

import broken_servers
import harness
from broken_servers import answer_changed
from harness import Echod, probe

OK, WARNING, CRITICAL, UNKNOWN = range(4)
NAMES = ("OK", "WARNING", "CRITICAL", "UNKNOWN")
SHORT = ("-W", harness.scaled_ms(300))

# 'label'=value[UOM];[warn];[crit];[min];[max], after the Monitoring Plugins Development Guidelines.
DATUM = re.compile(r"([a-z_]+)=(-?[0-9.]+|U)(s|%|B|)((?:;[0-9.]*){0,4})")


class PluginTest(harness.TestCase):

    def plugin(self, state, *arguments):
        """Run a plugin; return its line's text and a dictionary of its performance data."""
        result = probe("--plugin", *arguments)
        self.assertEqual((result.status, result.errors), (state, ""), result.text)
        line = re.fullmatch(r"ECHO ([A-Z]+) - ([^|\n]*)(?: \| ([^|\n]*))?\n", result.output)
        self.assertIsNotNone(line, result.output)
        self.assertEqual(line.group(1), NAMES[state])
        data = {}
        for word in (line.group(3) or "").split():
            datum = DATUM.fullmatch(word)
            self.assertIsNotNone(datum, word)
            data[datum.group(1)] = (datum.group(2) + datum.group(3), *datum.group(4).split(";")[1:])
        return line.group(2), data

    def test_all_is_well(self):
        with Echod() as server:
            text, data = self.plugin(OK, server.addresses[0])
        self.assertRegex(text, r"^5 of 5 messages returned from tcp://\S+, median \d+\.\d{3} ms$")
        self.assertEqual(data["loss"], ("0%", "0", "", "0", "100"))
        self.assertRegex(data["rtt"][0], r"^0\.\d{6}s$")
        self.assertEqual(data["rtt"][1:], ("", "", "0"))

    def test_thresholds_of_the_round_trip(self):
        with Echod() as server:
            for warning, critical, state in (("1m", "2m", OK), ("1us", "1m", WARNING),
                                             ("1us", "2us", CRITICAL)):
                with self.subTest(state=NAMES[state]):
                    _, data = self.plugin(state, "-i", "0", "--warning", warning, "--critical",
                                          critical, server.addresses[0])
                    self.assertEqual(len(data["rtt"]), 4)
            self.plugin(CRITICAL, "-i", "0", "--critical", "1us", server.addresses[0])
            _, data = self.plugin(OK, "-i", "0", "--warning", "100ms,5%", "--critical", "1m,50.5%",
                                  server.addresses[0])
            self.assertEqual(data["rtt"][1:], ("0.100000", "60.000000", "0"))
            self.assertEqual(data["loss"], ("0%", "5", "50.5", "0", "100"))

    def test_thresholds_of_the_loss(self):
        """One of four datagrams is lost; a limit of 25% is not above 25%."""
        for warning, critical, state in (
                (None, None, WARNING), ("1m,25%", None, OK), ("1m,24%", None, WARNING),
                ("1m,10%", "1m,25%", WARNING), ("1m,10%", "1m,24.9%", CRITICAL),
                (None, "1m,10%", CRITICAL), ("1m", "1m", OK)):
            arguments = []
            arguments += ["--warning", warning] if warning else []
            arguments += ["--critical", critical] if critical else []
            with self.subTest(arguments=arguments), \
                    answer_changed(lambda data, number: [] if number == 2 else [data]) as server:
                text, data = self.plugin(state, "-c", "4", "-i", "0", *SHORT, *arguments,
                                         server.address)
                self.assertRegex(text, r"^3 of 4 messages .*; lost: no answer within ")
                self.assertEqual(data["loss"][0], "25%")

    def test_a_change_is_critical_whatever_the_thresholds(self):
        with broken_servers.with_changed_byte(10) as server:
            text, _ = self.plugin(CRITICAL, "--warning", "1m,100%", "--critical", "1m,100%",
                                  server.address)
        self.assertIn("; corrupted: 1 byte differs at offset 10", text)

    def test_nothing_returns(self):
        with broken_servers.silent_after(0) as server:
            text, data = self.plugin(CRITICAL, *SHORT, "--critical", "1m,100%", server.address)
        self.assertRegex(text, r"^0 of \d messages returned")
        self.assertEqual(data["rtt"][0], "U")
        self.assertEqual(data["loss"][0], "100%")

    def test_nobody_there(self):
        address = f"127.0.0.1:{harness.free_port()}"
        text, _ = self.plugin(CRITICAL, address)
        self.assertIn(f"connect: {address}: Connection refused", text)
        text, _ = self.plugin(CRITICAL, "nobody.invalid")
        self.assertTrue(text.startswith("nobody.invalid: "), text)

    def test_it_ends_in_ten_seconds(self):
        """Monitoring systems end a plugin after a while; --deadline is 10s unless it is given."""
        with broken_servers.silent_after(0) as server:
            text, _ = self.plugin(CRITICAL, "-W", "1h", server.address)
            self.assertIn("0 of ", text)
            text, _ = self.plugin(CRITICAL, "-W", "1h", "--deadline", "500ms", server.address)
            self.assertIn("0 of ", text)

    def test_a_reset_is_a_loss(self):
        """It is judged by how much was lost, unlike bytes that were changed."""
        def serve(connection, _):
            for _ in range(9):
                connection.sendall(broken_servers.read_exactly(connection, 64))
            broken_servers.read_exactly(connection, 64)
            broken_servers.reset(connection)

        with broken_servers.TcpServer(serve) as server:
            arguments = ("-c", "10", "-i", "0", server.address)
            text, data = self.plugin(WARNING, "--critical", "1m,90%", *arguments)
            self.assertRegex(text, r"^9 of 10 messages returned")
            self.assertEqual(data["loss"], ("10%", "0", "90", "0", "100"))

    def test_a_small_loss_has_no_exponent(self):
        with answer_changed(lambda data, number: [] if number == 5 else [data]) as server:
            _, data = self.plugin(OK, "-c", "30000", "--window", "8", *SHORT, "--warning", "1m,1%",
                                  server.address)
        self.assertEqual(data["loss"][0], "0.0033%")

    def test_an_attempt_to_connect_that_fails_is_a_warning(self):
        """Messages that were sent all came back, but not over every connection; no limit counts."""
        with socket.socket() as listener, socket.socket() as waiting:
            listener.bind(("127.0.0.1", 0))
            listener.listen(0)  # as long as one client waits, the next has no answer
            waiting.setblocking(False)
            with subprocess.Popen([harness.ECHOPROBE, "--plugin", "-P", "4", "-c", "1", "--warning",
                                   "1m,100%", "-W", harness.scaled_ms(500),
                                   f"127.0.0.1:{listener.getsockname()[1]}"],
                                  stdout=subprocess.PIPE, text=True) as client:
                with listener.accept()[0] as first:
                    waiting.connect_ex(listener.getsockname())  # unless one of the others does
                    first.sendall(broken_servers.read_exactly(first, 64))
                    output = client.communicate(timeout=harness.PATIENCE_SECONDS)[0]
        self.assertEqual(client.returncode, WARNING, output)
        self.assertIn("1 of 1 messages returned", output)

    def test_a_load(self):
        with Echod() as server:
            text, _ = self.plugin(OK, "-P", "4", "-c", "100", server.addresses[0])
        self.assertIn("100 of 100 messages", text)

    def test_checks(self):
        with Echod("--idle-timeout", harness.scaled_ms(400)) as server:
            text, data = self.plugin(OK, "--half-close", server.addresses[0])
            self.assertIn("half-close: all 64 bytes came back, then FIN", text)
            self.assertEqual(data["returned"], ("64B",))
            text, data = self.plugin(CRITICAL, "--hold", "1h", server.addresses[0])
            self.assertIn("hold: the connection ended after", text)
            self.assertRegex(data["silence"][0], r"^\d+\.\d{6}s$")
        with answer_changed(lambda data, _: [data]) as server:
            _, data = self.plugin(OK, "--mtu", server.address)
        self.assertEqual(data, {"largest": ("65507B",), "largest_whole": ("65507B",)})

    def test_mistakes_are_unknown(self):
        for arguments, words in (
                (("--no-such-option",), "--no-such-option"),
                ((), "ADDRESS is missing"),
                (("--warning", "9", "--critical", "1", "a"), "--warning: is above --critical"),
                (("--warning", "1,9%", "--critical", "2,8%", "a"), "--warning: is above"),
                (("--warning", "1,9", "a"), '--warning: "1,9" is not RTT or RTT,LOSS%'),
                (("--critical", ",9%", "a"), "--critical"),
                (("--critical", "1,101%", "a"), "--critical"),
                (("--half-close", "--warning", "1", "a"), "--warning")):
            with self.subTest(arguments=arguments):
                text, data = self.plugin(UNKNOWN, *arguments)
                self.assertIn(words, text)
                self.assertEqual(data, {})
        result = probe("--warning", "1", "a")
        self.assertEqual(result.status, 64)
        self.assertIn("--plugin", result.errors)

    def test_two_forms_for_programs_exclude_each_other(self):
        text, _ = self.plugin(UNKNOWN, "--json", "a")
        self.assertIn("--plugin and --json", text)

    def test_a_shortened_option_is_understood(self):
        for option in ("--pl", "--plug"):
            result = probe(option, "--no-such-option")
            self.assertEqual((result.status, result.output[:13]), (UNKNOWN, "ECHO UNKNOWN "))

    def test_a_bar_in_the_text_does_not_begin_performance_data(self):
        path = f"{self.temporary_directory()}/a|b"
        text, _ = self.plugin(CRITICAL, f"unix://{path}")
        self.assertIn("a?b", text)
        text, _ = self.plugin(CRITICAL, f"unix://{self.temporary_directory()}/a\nb")
        self.assertIn("a\\x0ab", text)


if __name__ == "__main__":
    harness.main()
