"""
test_echoprobe_outages: a service that goes away during a run: every run ends by itself, and what
could not be sent is lost.
Faults of a service that stays are in test_echoprobe_faults.
Run by `run`, by automake, or alone.
"""

import json
import re
import signal
import socket
import subprocess
import time

import broken_servers
import harness
from harness import Echod, probe, scaled_ms

SHORT = ("-W", scaled_ms(300))

# Each kind of run over connections, without what ends it.
MODES = (("-i", "20ms"), ("-i", "0"), ("-q", "-i", "20ms"), ("--rate", "200/s"), ("-P", "3"),
         ("-P", "4", "--threads", "2", "--rate", "400/s"), ("--window", "4"),
         ("--churn", "-P", "2", "-i", "10ms"),
         ("--stream",))


class Run(harness.Process):
    """An echoprobe that runs beside the test; `result` waits for its end."""

    def __init__(self, *arguments, prefix=()):
        super().__init__([*prefix, harness.ECHOPROBE, *arguments], stdin=subprocess.DEVNULL,
                         stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def result(self):
        output, errors = self._popen.communicate(timeout=3 * harness.PATIENCE_SECONDS)
        return harness.ProbeResult(self._popen.returncode, output, errors)

    def read_echo(self, number):
        """Read its lines up to the echo of this number, and return them."""
        lines = []
        while not re.search(f"seq={number} time=", lines[-1] if lines else ""):
            lines.append(self.stdout.readline())
            if not lines[-1]:
                raise AssertionError(f"echo {number} does not stand in {lines}")
        return lines

    def errors(self):
        return self._popen.stderr


def kill(server):
    server.signal(signal.SIGKILL)
    server.wait_for_exit(-signal.SIGKILL)


def stop(server):
    server.signal(signal.SIGSTOP)
    harness.wait_until(lambda: server.state() == "T", "echod is stopped")


class TooLate(Exception):
    """The run was over before something was done to the service: a busy machine."""


class OutageTestCase(harness.TestCase):

    def try_longer(self, run):
        """Call `run` with 1, or a larger factor of its time or count where that is too short."""
        for factor in (1, 5):
            try:
                return run(factor)
            except TooLate:
                pass
        return run(25)

    def check_sums(self, figures):
        """The counts add up, and say what a JSON reader is promised of them."""
        self.assertEqual(figures["sent"],
                         figures["received"] + figures["lost"] + figures["corrupted"], figures)
        self.assertLessEqual(figures["unsent"], figures["lost"])
        self.assertLessEqual(figures["downtime_seconds"], figures["elapsed_seconds"] + 0.1)
        self.assertEqual(figures["faults"]["unsent"], figures["unsent"])

    def check_cut(self, result, count):
        """Some of the messages came back, and those that did not are lost."""
        if result.status == 0:
            raise TooLate(result.text)
        self.assertEqual(result.status, 1, result.text)
        counts = re.search(r"(?m)^(\d+) sent, (\d+) received, (\d+) lost", result.output)
        sent, received, lost = map(int, counts.groups())
        self.assertEqual(sent, count)
        self.assertEqual(received + lost, count)
        self.assertGreater(received, 0)
        self.assertGreater(lost, 0)

    def run_through(self, action, *arguments, listen=harness.LOOPBACK):
        """Run against an echod, do something to it once it has echoed; return the figures."""
        with Echod(listen=listen, may_log=".*") as server:
            with Run("--json", *arguments, server.addresses[0]) as run:
                harness.wait_until(lambda: server.report()[0].bytes_out > 0, "an echo")
                action(server)
                result = run.result()
            if server.status is None:
                server.signal(signal.SIGCONT)
        if result.status == 0:
            raise TooLate(result.text)
        self.assertEqual(result.status, 1, result.text)
        figures = result.json()
        self.check_sums(figures)
        self.assertGreater(figures["received"], 0)
        self.assertGreater(figures["lost"], 0)
        self.assertGreaterEqual(figures["outages"], 1)
        return figures


class EndTest(OutageTestCase):
    """No run goes on after its count or its time, whatever became of the service."""

    def test_a_duration_ends_when_the_service_was_killed(self):
        for mode in MODES:
            with self.subTest(mode=mode):
                figures = self.try_longer(lambda factor, mode=mode: self.run_through(
                    kill, *mode, "-d", scaled_ms(700 * factor), *SHORT))
                self.assertGreater(figures["unsent"], 0)

    def test_a_duration_ends_when_the_service_was_stopped(self):
        for mode in MODES:
            with self.subTest(mode=mode):
                self.try_longer(lambda factor, mode=mode: self.run_through(
                    stop, *mode, "-d", scaled_ms(700 * factor), *SHORT))

    def test_a_count_ends_when_the_service_was_killed(self):
        for mode in (("-i", "20ms"), ("-q", "-i", "20ms"), ("--rate", "50/s"),
                     ("-P", "3", "-i", "50ms"), ("--churn", "-P", "2", "-i", "50ms"),
                     ("--stream", "-i", "20ms")):
            with self.subTest(mode=mode):
                self.try_longer(lambda factor, mode=mode: self.run_counted(kill, mode, factor))

    def test_a_count_ends_when_the_service_was_stopped(self):
        for mode in (("-i", "20ms"), ("--rate", "50/s"), ("--rate", "50/s", "--window", "1")):
            with self.subTest(mode=mode):
                self.try_longer(lambda factor, mode=mode: self.run_counted(stop, mode, factor))

    def run_counted(self, action, mode, factor):
        """Run to a count, and see that it was reached."""
        count = int(60 * harness.SLOWNESS * factor)
        figures = self.run_through(action, *mode, "-c", str(count), *SHORT)
        self.assertEqual(figures["sent"], count)

    def test_a_unix_socket_that_is_gone(self):
        address = f"unix://{self.temporary_directory()}/echod.sock"
        figures = self.try_longer(lambda factor: self.run_through(
            kill, "-i", "20ms", "-c", str(100 * factor), *SHORT, listen=address))
        self.assertEqual(figures["sent"] % 100, 0)

    def test_a_udp_service_that_says_no_more(self):
        answers = broken_servers.answer_changed(lambda data, number: [data] if number < 5 else [])
        with answers as server:
            result = probe("-c", "20", "-i", "20ms", *SHORT, server.address)
        self.assertEqual(result.status, 1, result.text)
        self.assertIn("20 sent, 5 received, 15 lost (75.0%)", result.output)

    def test_a_udp_port_that_is_gone(self):
        """The port's host says so; the messages that follow are due all the same."""
        self.try_longer(lambda factor: self.lose_port(20 * factor))

    def lose_port(self, count):
        with broken_servers.answer_changed(lambda data, _: [data]) as server:
            run = Run("-c", str(count), "-i", "50ms", *SHORT, server.address)
            self.addCleanup(run.kill)
            run.read_echo(5)
        self.check_cut(run.result(), count)

    def test_an_address_that_is_gone(self):
        """The host loses its link: nothing is refused, and nothing answers."""
        network = harness.Network(self, "server", "client")
        with network:
            network.link("server", "10.213.7.1/24", "client", "10.213.7.2/24")
            for scheme in ("tcp", "udp"):
                with self.subTest(scheme=scheme):
                    self.try_longer(lambda factor, scheme=scheme: self.lose_address(
                        network, scheme, 20 * factor))

    def lose_address(self, network, scheme, count):
        script = UDP_ECHO if scheme == "udp" else TCP_ECHO
        with harness.Process([*network.inside("server"), "python3", "-c", script],
                             stdout=subprocess.PIPE) as server:
            self.assertEqual(server.stdout.readline(), b"ready\n")
            with Run("-c", str(count), "-i", "50ms", *SHORT, f"{scheme}://10.213.7.1:7007",
                     prefix=network.inside("client")) as run:
                run.read_echo(3)
                subprocess.run([*network.inside("server"), "ip", "link", "set", "to-client",
                                "down"], check=True)
                result = run.result()
        subprocess.run([*network.inside("server"), "ip", "link", "set", "to-client", "up"],
                       check=True)
        self.check_cut(result, count)


class CheckTest(OutageTestCase):
    """A check ends by itself, too."""

    def check_ends(self, action, line, *arguments):
        with Echod(may_log=".*") as server:
            with Run(*arguments, *SHORT, server.addresses[0]) as run:
                harness.wait_until(lambda: server.report()[0].bytes_out > 0, "an echo")
                action(server)
                result = run.result()
            if server.status is None:
                server.signal(signal.SIGCONT)
        self.assertEqual(result.status, 1, result.text)
        self.assertRegex(result.output, line)

    def test_hold_of_a_service_that_was_killed_or_stopped(self):
        self.check_ends(kill, "the connection ended after", "--hold", "1h")
        self.check_ends(stop, "no echo after",
                        "--hold", scaled_ms(1000))

    def test_a_search_for_an_idle_timeout(self):
        for action in (kill, stop):
            with self.subTest(action=action):
                self.check_ends(action, "too many connections were lost, the last: ",
                                "--find-idle-timeout=1h")

    def test_a_half_close_of_a_service_that_was_stopped(self):
        with Echod() as server:
            stop(server)
            result = probe("--half-close", *SHORT, server.addresses[0])
            server.signal(signal.SIGCONT)
        self.assertEqual(result.status, 1, result.text)
        self.assertIn("lost: nothing came back for ", result.output)

    def test_a_search_for_the_mtu(self):
        """An outage looks like a limit, but what returned before is lost as well."""
        for last, size in ((1, "64"), (2, "65507")):  # while either of the sizes is searched
            with self.subTest(last=last), broken_servers.answer_changed(
                    lambda d, number, last=last: [d] if number < last else []) as server:
                result = probe("--mtu", *SHORT, server.address)
                self.assertEqual(result.status, 1, result.text)
                self.assertRegex(result.output, r"(?m)^64 bytes returned before, and do so no more: "
                                                r"no answer within ")
                self.assertNotIn(f"up to {size}", result.output)

    def test_a_search_for_the_mtu_where_the_service_is_killed(self):
        address = f"udp://127.0.0.1:{harness.free_port(socket.SOCK_DGRAM)}"
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
            server.bind(("127.0.0.1", int(address.rpartition(":")[2])))
            with Run("--mtu", "-W", "3s", address) as run:
                server.sendto(*server.recvfrom(65536))
                server.recvfrom(65536)
                server.close()
                result = run.result()
        self.assertEqual(result.status, 1, result.text)
        self.assertRegex(result.output, r"(?m)^65507 bytes: 127\.0\.0\.1:\d+: Connection refused$")


TCP_ECHO = """
import socket
listener = socket.create_server(("10.213.7.1", 7007))
print("ready", flush=True)
client = listener.accept()[0]
while data := client.recv(65536):
    client.sendall(data)
"""
UDP_ECHO = """
import socket
server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind(("10.213.7.1", 7007))
print("ready", flush=True)
while True:
    data, client = server.recvfrom(65536)
    server.sendto(data, client)
"""


class LossTest(OutageTestCase):
    """What was due and not answered is lost, whether or not it could be sent."""

    def test_an_outage_is_loss(self):
        """With a schedule the number of messages is that of the schedule, whatever happens."""
        for arguments, rate in ((("-i", "100ms"), 10), (("--rate", "30/s"), 30),
                                (("--rate", "30/s", "-P", "3"), 30),
                                (("--churn", "--rate", "30/s"), 30)):
            with self.subTest(arguments=arguments):
                self.try_longer(lambda factor, arguments=arguments, rate=rate:
                                self.check_schedule(arguments, rate, factor))

    def check_schedule(self, arguments, rate, seconds):
        figures = self.run_through(kill, *arguments, "-d", f"{seconds}s", *SHORT)
        self.assertEqual(figures["sent"], rate * seconds)
        self.assertGreater(figures["unsent"], 0)
        self.assertGreaterEqual(figures["longest_outage_seconds"],
                                figures["downtime_seconds"] - 0.001)

    def test_nobody_at_the_beginning_is_loss(self):
        """The run ends at once, and whoever graphs its loss sees no perfect path."""
        address = f"127.0.0.1:{harness.free_port()}"
        for arguments, count in ((("-i", "1s"), 1), (("-c", "3"), 1), (("-P", "2", "-d", "9s"), 2),
                                 (("-P", "4", "--threads", "2", "--rate", "30/s"), 4),
                                 (("-P", "4", "-c", "3"), 3), (("--churn", "-c", "1"), 1)):
            with self.subTest(arguments=arguments):
                result = probe("--json", *arguments, address)
                self.assertEqual(result.status, 2, result.text)
                self.check_nothing_sent(result.json(), count)
        result = probe("--plugin", address)
        self.assertIn("0 of 1 messages returned", result.output)
        self.assertRegex(result.output, "loss=100%.* unsent=1 outages=1 downtime=0.0*[1-9]")

    def check_nothing_sent(self, figures, count):
        self.check_sums(figures)
        for name in ("sent", "lost", "unsent"):
            self.assertEqual(figures[name], count, figures)
        self.assertGreaterEqual(figures["outages"], 1)
        self.assertGreater(figures["downtime_seconds"], 0)

    def test_an_end_before_there_is_a_connection_is_loss(self):
        """The second client of a full backlog of one waits."""
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            listener.listen(0)
            with socket.create_connection(listener.getsockname()):
                result = probe("--json", "-W", "1h", "--deadline", "300ms",
                               f"127.0.0.1:{listener.getsockname()[1]}")
        self.assertEqual(result.status, 2, result.text)
        self.check_nothing_sent(result.json(), 1)
        self.assertGreater(result.json()["downtime_seconds"], 0.2)

    def test_the_downtime_of_one_connection_is_that_of_its_lost_messages(self):
        figures = self.try_longer(lambda factor: self.run_through(
            kill, "-i", "100ms", "-c", str(20 * factor), *SHORT))
        self.assertEqual(figures["outages"], 1)
        self.assertGreaterEqual(figures["downtime_seconds"], 0.1 * (figures["lost"] - 1) - 0.001)
        self.assertEqual(figures["downtime_seconds"], figures["longest_outage_seconds"])

    def test_a_full_window_hides_no_stall(self):
        """What has no room for as long as --timeout is lost as well."""
        with broken_servers.silent_after(5 * 64) as server:
            for window in ("1", "4"):
                result = probe("--json", "--rate", "100/s", "-d", "1s", "--window", window, *SHORT,
                               server.address)
                with self.subTest(window=window):
                    self.assertEqual(result.status, 1, result.text)
                    figures = result.json()
                    self.check_sums(figures)
                    self.assertEqual(figures["sent"], 100)
                    self.assertGreater(figures["unsent"], 0)

    def test_a_service_that_returns(self):
        """The same address is served again: one outage, and all is well before and after."""
        with Echod() as server:
            address = server.addresses[0]
            with Run("-i", "50ms", "-D", *SHORT, address) as run:
                run.read_echo(3)
                kill(server)
                line = run.stdout.readline()
                if " reset: " in line:  # it was under way
                    line = run.stdout.readline()
                self.assertRegex(line, r"seq=\d+ unsent: .*Connection refused")
                with Echod(listen=address):
                    for number in range(4, 10000):
                        if re.search("seq=.* time=", run.stdout.readline()):
                            break
                    run.signal(signal.SIGINT)
                    result = run.result()
        self.assertEqual(result.status, 1, result.text)
        self.assertLess(number, 9999)
        self.assertRegex(result.output, r"(?m)^1 outage, \d+\.\d{3} s without an answer$")

    def test_a_plugin_tells_of_an_outage(self):
        self.try_longer(lambda factor: self.check_plugin(40 * factor))

    def check_plugin(self, count):
        with Echod(may_log=".*") as server:
            with Run("--plugin", "-i", "50ms", "-c", str(count), server.addresses[0]) as run:
                harness.wait_until(lambda: server.report()[0].bytes_out > 0, "an echo")
                kill(server)
                result = run.result()
        if result.status == 0:
            raise TooLate(result.text)
        self.assertRegex(result.output, rf"^ECHO WARNING - \d+ of {count} messages returned from "
                         r"\S+, median \S+ ms, (\d+) unsent, 1 outage of \S+ s; .* "
                         r"unsent=\1 outages=1 downtime=\d+\.\d{6}s\n$")


class FrozenClientTest(OutageTestCase):
    """A client that could not run, as on a machine that was suspended, hides nothing."""

    def test_what_was_due_too_long_ago_is_not_sent_in_a_burst(self):
        for mode in (("-i", "1ms"), ("--rate", "1000/s"), ("-P", "2", "-i", "2ms"),
                     ("--window", "4", "-i", "1ms"), ("--churn", "-i", "5ms", "-P", "5")):
            with self.subTest(mode=mode), Echod() as server:
                self.freeze(server, ("--json", *mode, "-W", "100ms", server.addresses[0]))

    def freeze(self, server, arguments):
        """Stop a run with 1000 messages a second for a second, and see what it says of them."""
        with Run(*arguments) as run:
            harness.wait_until(lambda: server.report()[0].bytes_out > 0, "an echo")
            stop(run)
            began, before = time.monotonic(), server.report()[0].bytes_out
            time.sleep(1)
            seconds = time.monotonic() - began
            run.signal(signal.SIGCONT)
            harness.wait_until(lambda: server.report()[0].bytes_out > before + 6400, "its echoes")
            run.signal(signal.SIGINT)
            result = run.result()
        self.assertEqual(result.status, 1, result.text)
        self.check_sums(result.json())
        self.assertGreaterEqual(result.json()["unsent"], int(1000 * (seconds - 0.1)) - 5)


class LinesTest(OutageTestCase):

    def test_a_line_for_each_message(self):
        """As ping has it: five attempts, of which three are answered and two fail."""
        with Echod() as server, Run("-n", "5", "-i", scaled_ms(400), server.addresses[0]) as run:
            run.read_echo(3)
            kill(server)
            result = run.result()
        address = re.escape(server.addresses[0].removeprefix("tcp://"))
        self.assertEqual(result.status, 1, result.text)
        self.assertRegex(result.output,
                         rf"^seq=4 unsent: {address}: Connection refused\n"
                         rf"seq=5 unsent: {address}: Connection refused\n---")
        self.assertIn("5 sent, 3 received, 2 lost (40.0%), 0 corrupted, 2 unsent\n", result.output)
        self.assertEqual(result.errors, "")

    def test_each_loss_has_its_number(self):
        with broken_servers.answer_changed(lambda _, __: []) as server:
            result = probe("-c", "4", "-i", "10ms", *SHORT, server.address)
        self.assertEqual(re.findall(r"(?m)^seq=(\d+) lost: ", result.output),
                         ["1", "2", "3", "4"])

    def test_a_load_names_the_connection(self):
        with broken_servers.silent_after(0) as server:
            result = probe("-P", "2", "-c", "2", *SHORT, server.address)
        self.assertEqual(sorted(re.findall(r"(?m)^echoprobe: connection (\d) seq=1 lost: ",
                                           result.errors)), ["1", "2"])

    def test_time_stands_before_each_line(self):
        stamp = r"\[\d{10}\.\d{6}\] "
        with Echod() as server:
            result = probe("-D", "-c", "2", "-i", "0", server.addresses[0])
        self.assertEqual(len(re.findall(rf"(?m)^{stamp}64 bytes from", result.output)), 2)
        with broken_servers.silent_after(0) as server:
            result = probe("-D", "-c", "1", *SHORT, server.address)
            self.assertRegex(result.output, rf"(?m)^{stamp}seq=1 lost: ")
            result = probe("-D", "--window", "1", "-c", "1", *SHORT, server.address)
            self.assertRegex(result.errors, rf"(?m)^{stamp}echoprobe: seq=1 lost: ")

    def test_quiet_is_the_summary_alone(self):
        for arguments in (("-i", "10ms"), ("-P", "2"), ("--rate", "100/s")):
            with self.subTest(arguments=arguments), broken_servers.silent_after(0) as server:
                result = probe("-q", "-c", "4", *arguments, *SHORT, server.address)
                self.assertEqual(result.errors, "")
                self.assertNotIn("seq=", result.output)
                self.assertIn("faults: 4 lost", result.output)

    def test_quiet_says_why_there_is_nothing_to_sum_up(self):
        result = probe("-q", "-c", "1", f"127.0.0.1:{harness.free_port()}")
        self.assertEqual(result.status, 2)
        self.assertIn("Connection refused", result.errors)


class RefusalTest(harness.TestCase):

    def test_a_refusal_at_port_7_says_where_echod_listens(self):
        for arguments in (("-c", "1"), ("--half-close",), ("--json", "-c", "1"),
                          ("--plugin", "-c", "1")):
            result = probe(*arguments, "127.0.0.1")
            if result.status == 0:
                self.skipTest("somebody listens on port 7")
            with self.subTest(arguments=arguments):
                self.assertIn("127.0.0.1:7: Connection refused (echod listens on port 13265 ",
                              result.text)
        self.assertNotIn("13265", probe("-c", "1", f"127.0.0.1:{harness.free_port()}").text)

    def test_a_link_local_address_needs_its_interface(self):
        self.need_ipv6()
        for arguments in (("-c", "1"), ("--half-close",)):
            with self.subTest(arguments=arguments):
                result = probe(*arguments, "[fe80::1]:7777")
                self.assertEqual(result.status, 2, result.text)
                self.assertIn("(name the network interface of a link-local address",
                              result.errors)
        self.assertNotIn("interface", probe("-c", "1", "[fe80::1%lo]:7777").text)

    def test_ports_that_ran_out_are_named(self):
        """Connections that were closed hold their ports for a minute."""
        unshare = self.need_program("unshare")
        if subprocess.run([unshare, "-rn", "true"], check=False,
                          stderr=subprocess.DEVNULL).returncode != 0:
            self.skipTest("network namespaces are forbidden here")
        ip = self.need_program("ip", "/usr/sbin", "/sbin")
        script = (f"{ip} link set lo up && cd /proc/sys/net/ipv4 && "
                  "echo 40000 40003 > ip_local_port_range && echo 0 > tcp_tw_reuse && "
                  '{ "$1" --no-config --log-level error & } && '
                  'until "$0" -q -c 1 127.0.0.1:13265 > /dev/null 2>&1; do :; done; '
                  '"$0" --churn -c 20 -i 1ms 127.0.0.1:13265; kill $!')
        result = subprocess.run([unshare, "-rn", "sh", "-c", script, harness.ECHOPROBE,
                                 harness.ECHOD], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                timeout=harness.PATIENCE_SECONDS, check=False, text=True)
        self.assertIn("unsent: 127.0.0.1:13265: Cannot assign requested address (no local port or "
                      "address is left for it)", result.stderr)
        self.assertRegex(result.stdout, r"20 sent, \d+ received, \d+ lost .* \d+ unsent")


class SignalsTest(harness.TestCase):

    def test_quit_asks_how_it_goes(self):
        """As ping(8) has it: figures on standard error, and the run goes on."""
        for arguments, line in (((), r"^after \d+\.\d s: \d+ sent, [1-9]\d* received, 0 lost"),
                                (("--json",), r"^after \d+\.\d s: \d+ sent, ")):
            with self.subTest(arguments=arguments), Echod() as server, \
                    Run("-i", "20ms", *arguments, server.addresses[0]) as run:
                harness.wait_until(lambda: server.report()[0].bytes_out > 200, "some echoes")
                run.signal(signal.SIGQUIT)
                self.assertRegex(run.errors().readline(), line)
                run.errors().readline()
                run.signal(signal.SIGINT)
                result = run.result()
                self.assertEqual(result.status, 0, result.text)
                if arguments:
                    self.assertGreater(json.loads(result.output)["received"], 0)

    def test_quit_asks_a_check(self):
        with Echod() as server, Run("--hold", "1h", server.addresses[0]) as run:
            harness.wait_until(lambda: caught(run, signal.SIGQUIT), "it catches QUIT")
            run.signal(signal.SIGQUIT)
            self.assertRegex(run.errors().readline(), r"^after \d+\.\d s: hold goes on\n$")
            run.signal(signal.SIGINT)
            self.assertEqual(run.result().status, 1)

    def test_hup_ends_with_the_summary_unless_it_is_ignored(self):
        with Echod() as server:
            with Run("-i", "20ms", server.addresses[0]) as run:
                run.read_echo(1)
                run.signal(signal.SIGHUP)
                result = run.result()
            self.assertEqual(result.status, 0, result.text)
            self.assertRegex(result.output, r"(?m)^(\d+) sent, \1 received")
            with Run("-i", "20ms", server.addresses[0], prefix=("nohup",)) as run:
                run.read_echo(1)
                run.signal(signal.SIGHUP)
                run.read_echo(int(re.search(r"seq=(\d+)", run.stdout.readline()).group(1)) + 5)
                run.signal(signal.SIGINT)
                self.assertEqual(run.result().status, 0)

    def test_signals_that_the_parent_blocked(self):
        """A service manager that blocks signals may leave them blocked in what it starts."""
        with Echod() as server:
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                for arguments in (("-i", "20ms"), ("--hold", "1h")):
                    with self.subTest(number=number, arguments=arguments):
                        signal.pthread_sigmask(signal.SIG_BLOCK, [number, signal.SIGQUIT])
                        try:
                            run = Run(*arguments, server.addresses[0])
                        finally:
                            signal.pthread_sigmask(signal.SIG_UNBLOCK, [number, signal.SIGQUIT])
                        with run:
                            run.stdout.readline()
                            run.signal(number)
                            run.result()


def caught(run, number):
    """Tell whether a process has a handler for a signal (proc(5))."""
    with open(f"/proc/{run.pid}/status", encoding="ascii") as file:
        mask = int(re.search(r"(?m)^SigCgt:\s+([0-9a-f]+)$", file.read()).group(1), 16)
    return mask >> (number - 1) & 1


if __name__ == "__main__":
    harness.main()
