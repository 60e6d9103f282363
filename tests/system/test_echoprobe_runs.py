"""
test_echoprobe_runs: whole runs of echoprobe: what adds up, what ends it, what it uses up.
Healthy services are in test_echoprobe, the plain faults in test_echoprobe_faults.
Run by `run`, by automake, or alone.
"""

import contextlib
import errno
import fcntl
import os
import pty
import resource
import signal
import socket
import struct
import subprocess
import termios
import threading

import broken_servers
import harness
from broken_servers import TcpServer, UdpServer, answer_changed
from harness import Echod, probe

SHORT = ("--timeout", harness.scaled_ms(300))


def copying(connection, _):
    """Echo until the client's FIN."""
    while data := connection.recv(65536):
        connection.sendall(data)


def delaying(seconds):
    """Returns each piece so much later."""
    def serve(connection, _):
        while data := connection.recv(65536):
            threading.Event().wait(seconds)
            connection.sendall(data)

    return TcpServer(serve)


class SumsTest(harness.TestCase):

    def figures(self, server, *arguments, status=1):
        """Probe a server with --json; check status, that the counts add up, and return them."""
        with server:
            result = probe("--json", *arguments, server.address)
        self.assertEqual(result.status, status, result.text)
        figures = result.json()
        self.assertEqual(figures["status"], status)
        self.assertEqual(figures["sent"],
                         figures["received"] + figures["lost"] + figures["corrupted"], figures)
        return figures

    def test_json_of_each_transport(self):
        """The object alone stands on standard output, and names the transport."""
        path = f"unix://{self.temporary_directory()}/echod.sock"
        with Echod(listen=[harness.LOOPBACK, path]) as server, answer_changed(lambda d, _: [d]) as udp:
            for name, address in (("tcp", server.addresses[0]), ("unix", path),
                                  ("udp", udp.address)):
                with self.subTest(transport=name):
                    result = probe("--json", "-c", "3", "-i", "0", address)
                    self.assertEqual((result.status, result.errors), (0, ""))
                    figures = result.json()
                    self.assertEqual((figures["transport"], figures["target"]), (name, address))
                    self.assertEqual((figures["sent"], figures["received"]), (3, 3))

    def test_json_of_a_path_beyond_ascii(self):
        """A path of UTF-8 is the same in the object, where it is served and where nobody is."""
        directory = self.temporary_directory()
        served, missing = (f"{directory}/{name}-\u00e4\u20ac\U0001f600.sock"
                           for name in ("served", "missing"))
        with Echod(listen=f"unix://{served}"):
            figures = probe("--json", "-c", "1", f"unix://{served}").json()
        self.assertEqual((figures["target"], figures["address"], figures["received"]),
                         (f"unix://{served}", served, 1))
        figures = probe("--json", "-c", "1", f"unix://{missing}").json()
        self.assertEqual(figures["target"], f"unix://{missing}")
        self.assertIn(f"connect: {missing}: ", figures["first_faults"][0])

    def test_every_kind_is_counted(self):
        """The faults object counts the kind of each broken stream."""
        for kind, server, arguments in (
                ("lost", broken_servers.without_byte(10), ()),
                ("corrupted", broken_servers.with_changed_byte(10), ()),
                ("inserted", broken_servers.with_banner(b"220 hello\r\n"), ()),
                ("duplicated", broken_servers.doubling(64), ("--window", "2")),
                ("reordered", broken_servers.swapping(64), ("--window", "2")),
                ("foreign", broken_servers.mixing(64), ("-P", "2"))):
            with self.subTest(kind=kind):
                figures = self.figures(server, "-c", "2", *SHORT, *arguments)
                self.assertGreaterEqual(figures["faults"][kind], 1, figures)

    def test_every_kind_of_datagrams_is_counted(self):
        """The faults object counts the kind of each broken datagram."""
        for kind, change in (("lost", lambda data, _: []),
                             ("truncated", lambda data, _: [data[:1]]),
                             ("truncated", lambda data, _: [b""]),
                             ("corrupted", lambda data, _: [data[:-1] + bytes([data[-1] ^ 1])]),
                             ("inserted", lambda data, _: [data + b"x"])):
            with self.subTest(kind=kind):
                figures = self.figures(answer_changed(change), "-c", "1", *SHORT)
                self.assertEqual(figures["faults"][kind], 1, figures)

    def test_doubled_datagrams_are_counted(self):
        """Of five doubled datagrams the last copy may come too late to be counted."""
        figures = self.figures(answer_changed(lambda d, _: [d, d]), "-c", "5", "-i", "0", status=0)
        self.assertIn(figures["duplicated"], (4, 5))

    def test_every_third_datagram(self):
        """Of 30 datagrams to a server that drops every third, ten are lost."""
        figures = self.figures(answer_changed(lambda d, n: [] if n % 3 == 2 else [d]),
                               "-c", "30", "--window", "30", *SHORT)
        self.assertEqual((figures["received"], figures["lost"]), (20, 10))

    def test_a_load_prints_ten_faults(self):
        """Of 30 faults ten are printed; the summary counts all."""
        with answer_changed(lambda d, _: []) as server:
            result = probe("-c", "30", "--window", "30", *SHORT, server.address)
        self.assertEqual(result.errors.count("lost: "), 10, result.errors)
        self.assertIn("faults: 30 lost", result.output)

    def test_loss_of_all_sides_of_a_run_that_breaks_off(self):
        """The counts add up also when a deadline ends a load over several threads."""
        def serve(connection, _):
            for _ in range(15):
                connection.sendall(broken_servers.read_exactly(connection, 64))
            connection.sendall(broken_servers.read_exactly(connection, 40))  # a part of one
            while connection.recv(65536):
                pass

        figures = self.figures(TcpServer(serve), "-P", "4", "--threads", "2",
                               "--window", "8", "-W", "1h", "--deadline", harness.scaled_ms(2000))
        self.assertEqual((figures["received"], figures["lost"]), (4 * 15, 4 * 8))


class StreamsTest(harness.ProbeTestCase):

    def test_changed_bytes_at_the_edges(self):
        """The first and the last byte of a message are seen as any other."""
        for place in (0, 63):
            self.expect(broken_servers.with_changed_byte(place), ("-c", "1"),
                        rf"corrupted: 1 byte differs at offset {place}: ")

    def test_all_bytes_changed(self):
        """A service that inverts every byte is not an echo."""
        self.expect(broken_servers.echo_changed(lambda d, _: bytes(b ^ 255 for b in d)),
                    ("-c", "1", *SHORT), r"seq=1 (corrupted|inserted): ")

    def test_zeroes(self):
        """Zeroes of the right length are not taken for an echo either."""
        self.expect(broken_servers.echo_changed(lambda d, _: bytes(len(d))), ("-c", "1", *SHORT),
                    r"seq=1 (corrupted|inserted): ")

    def test_bytes_behind_each_message(self):
        """What follows the whole echo is named at its offset."""
        self.expect(broken_servers.echo_changed(lambda d, _: d + b"!!"), ("-c", "2", "-i", "0"),
                    r"inserted: 2 bytes that nobody sent at offset 64")

    def test_a_page_left_out_of_a_stream(self):
        """4096 bytes at an odd offset are missing."""
        def change(data, offset):
            i = 200001 - offset
            return data[:i] + data[i + 4096:] if 0 <= i < len(data) - 4096 else data

        def serve(connection, _):  # in pieces that are known
            offset = 0
            while data := broken_servers.read_exactly(connection, 65536):
                connection.sendall(change(data, offset))
                offset += len(data)

        self.expect(TcpServer(serve), ("--stream", "-c", "20", *SHORT),
                    r"lost: 4096 bytes are missing at offset 200001")

    def test_an_end_at_once(self):
        """FIN before any byte: nothing of 64 came back."""
        self.expect(broken_servers.ending_after(0), ("-c", "1", *SHORT),
                    r"(truncated|reset): .* after 0 of 64 bytes")

    def test_a_half_and_fin(self):
        """A server that reads all, returns half and says FIN truncates."""
        def serve(connection, _):
            connection.sendall(broken_servers.read_exactly(connection, 64)[:32])

        self.expect(TcpServer(serve), ("-c", "1"),
                    r"(?m)^seq=1 truncated: the connection ended after 32 of 64 bytes$")

    def test_a_reset_at_a_known_place(self):
        """RST after 640 bytes of which all were returned, and 64 more were read."""
        def serve(connection, _):
            for _ in range(10):
                connection.sendall(broken_servers.read_exactly(connection, 64))
            broken_servers.read_exactly(connection, 64)
            broken_servers.reset(connection)

        self.expect(TcpServer(serve), ("-c", "11", "-i", "0"),
                    r"(?m)^seq=11 reset: .* after 640 of 704 bytes$")

    def test_one_bad_connection_of_several(self):
        """The others go on, and the status is 1."""
        def serve(connection, number):
            if number == 1:
                broken_servers.read_exactly(connection, 64)
                return
            copying(connection, number)

        with TcpServer(serve) as server:
            result = probe("--json", "-P", "4", "-c", "400", server.address)
        self.assertEqual(result.status, 1, result.text)
        figures = result.json()
        self.assertEqual((figures["received"], figures["lost"]), (399, 1))

    def test_a_delay_is_measured(self):
        """No round trip is shorter than the server's delay."""
        with delaying(0.1) as server:
            result = probe("--json", "-c", "2", "-i", "0", "-W", "1m", server.address)
        self.assertEqual(result.status, 0, result.text)
        self.assertGreaterEqual(result.json()["rtt_us"]["min"], 100000)

    def test_silence_while_many_are_lost(self):
        """A server that reads and never answers does not keep a count from ending."""
        for arguments in (("-i", "0"), ("--window", "2"), ("-P", "2"), ("--churn",), ("--stream",)):
            with self.subTest(arguments=arguments):
                self.expect(broken_servers.silent_after(0), ("-c", "4", *arguments, *SHORT),
                            r"4 sent, 0 received, 4 lost \(100\.0%\)")


class DatagramsTest(harness.TestCase):

    def test_an_answer_from_another_port(self):
        """The right address is not enough: an answer of another port is misaddressed."""
        def answer(_, data, client, __):
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
                other.bind(("127.0.0.1", 0))
                other.sendto(data, client)

        with UdpServer(answer) as server:
            result = probe("-c", "1", server.address)
        self.assertEqual(result.status, 1)
        self.assertRegex(result.text, r"seq=1 misaddressed: .*127\.0\.0\.1:\d+")

    def test_a_datagram_of_an_earlier_run(self):
        """A server that answers with the previous client's datagram returns foreign bytes."""
        kept = []

        def change(data, number):
            kept.append(data)
            return [kept[max(number - 1, 0)]]

        with answer_changed(change) as server:
            self.assertEqual(probe("-c", "1", server.address).status, 0)
            result = probe("-c", "1", server.address)
        self.assertEqual(result.status, 1)
        self.assertIn("foreign: bytes of another echoprobe", result.text)


class EndsTest(harness.TestCase):

    def run_until(self, address, *arguments, number=signal.SIGINT):
        """Start echoprobe, signal it once it has echoes, and return status and both outputs."""
        with subprocess.Popen([harness.ECHOPROBE, *arguments, address], stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True) as client:
            try:
                self.when_busy(client)
                client.send_signal(number)
                output, errors = client.communicate(timeout=harness.PATIENCE_SECONDS)
            finally:
                client.kill()
        return client.returncode, output, errors

    def when_busy(self, client):
        """Wait until the server that this test started has seen bytes."""
        harness.wait_until(lambda: self.server.report()[0].bytes_out > 10000, "bytes flow")

    def test_a_signal_ends_a_load(self):
        """INT and TERM end a load with its summary, and nothing is lost by it."""
        for number in (signal.SIGINT, signal.SIGTERM):
            with self.subTest(number=number), Echod() as self.server:
                status, output, errors = self.run_until(
                    self.server.addresses[0], "-P", "4", "--threads", "2", number=number)
                self.assertEqual((status, errors), (0, ""))
                self.assertRegex(output, r"(?m)^(\d+) sent, \1 received, 0 lost")

    def test_a_signal_ends_a_stream(self):
        """What is under way of a stream comes back after the signal."""
        with Echod() as self.server:
            status, output, errors = self.run_until(self.server.addresses[0], "--stream")
        self.assertEqual((status, errors), (0, ""))
        self.assertRegex(output, r"(?m)^(\d+) sent, \1 received, 0 lost")

    def test_deadline_against_silence(self):
        """--deadline ends a ping and a load, of both protocols, whatever --timeout says."""
        with broken_servers.silent_after(0) as tcp, answer_changed(lambda d, _: []) as udp:
            for address in (tcp.address, udp.address):
                for arguments in ((), ("-P", "3"), ("--window", "4")):
                    with self.subTest(address=address[:3], arguments=arguments):
                        result = probe("-W", "1h", "--deadline", "300ms", *arguments, address)
                        self.assertEqual(result.status, 1, result.text)
                        self.assertIn("0 received", result.output)

    def test_a_duration_against_silence(self):
        """-d ends a load whose server says nothing."""
        with broken_servers.silent_after(0) as server:
            result = probe("-P", "2", "-d", "300ms", *SHORT, server.address)
        self.assertEqual(result.status, 1, result.text)

    def test_a_path_that_is_not_there(self):
        """A Unix socket that nobody made is named with the system's word."""
        path = f"{self.temporary_directory()}/nobody.sock"
        result = probe("-c", "1", f"unix://{path}")
        self.assertEqual(result.status, 2, result.text)
        self.assertIn(path, result.errors)
        self.assertIn(os.strerror(2), result.errors)


    def test_a_path_with_control_characters(self):
        """They reach no terminal, whatever is said of the path; JSON has them as they are."""
        path = f"{self.temporary_directory()}/a\nb\x1b[31m"
        with Echod(listen=f"unix://{path}"):
            results = [probe(*arguments, f"unix://{path}")
                       for arguments in (("-c", "1"), ("--half-close",), ("--plugin",))]
            self.assertEqual(probe("--json", "-c", "1", f"unix://{path}").json()["address"], path)
        results += [probe(*arguments, f"unix://{path}")
                    for arguments in (("-c", "1"), ("--half-close",), ("--plugin",))]
        for result in results:
            self.assertNotIn("\x1b", result.text)
            self.assertNotIn("a\nb", result.text)
        self.assertIn("(" + path.replace("\n", "\\x0a").replace("\x1b", "\\x1b") + "), 64 bytes\n",
                      results[0].output)


class OutputTest(harness.TestCase):

    def test_closed_standard_descriptors(self):
        """Output that nobody gets is an error, and its descriptors become nobody else's."""
        with Echod() as server:
            for arguments, status in (
                    (("-c", "1"), 71), (("-c", "1", "--json"), 71), (("--plugin",), 3),
                    (("--half-close",), 71), (("--help",), 71)):
                with self.subTest(arguments=arguments):
                    result = subprocess.run(
                        ["sh", "-c", 'exec "$0" "$@" <&- >&-', harness.ECHOPROBE, *arguments,
                         server.addresses[0]], stderr=subprocess.PIPE, text=True, check=False,
                        timeout=harness.PATIENCE_SECONDS)
                    self.assertEqual(result.returncode, status, result.stderr)
                    self.assertEqual(result.stderr,
                                     f"echoprobe: standard output: {os.strerror(errno.EBADF)}\n")

    def test_a_reader_that_goes_away(self):
        """The next line fails, and the run ends there."""
        with Echod() as server:
            for arguments in (("-i", "1ms"), ("--find-idle-timeout=1h",)):
                with self.subTest(arguments=arguments), subprocess.Popen(
                        [harness.ECHOPROBE, *arguments, server.addresses[0]],
                        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as client:
                    client.stdout.readline()
                    client.stdout.close()
                    errors = harness.Background(client.stderr.read).result()
                    self.assertEqual(client.wait(harness.PATIENCE_SECONDS), 71, errors)
                    self.assertEqual(errors,
                                     f"echoprobe: standard output: {os.strerror(errno.EPIPE)}\n")

    def test_a_full_disk_ends_a_run_at_its_first_line(self):
        with Echod() as server, open("/dev/full", "w", encoding="ascii") as full:
            for arguments in ((), ("-P", "2"), ("--hold", "1h")):
                with self.subTest(arguments=arguments):
                    result = subprocess.run(
                        [harness.ECHOPROBE, *arguments, server.addresses[0]], stdout=full,
                        stderr=subprocess.PIPE, text=True, check=False,
                        timeout=harness.PATIENCE_SECONDS)
                    self.assertEqual(result.returncode, 71, result.stderr)
                    self.assertEqual(result.stderr, "echoprobe: standard output: "
                                                    f"{os.strerror(errno.ENOSPC)}\n")

    def test_a_file_that_may_not_grow_is_an_error(self):
        """The system sends XFSZ, which kills whoever does not expect it (ulimit -f)."""
        if harness.SANITIZED:
            self.skipTest("a sanitizer has files of its own that grow")
        with Echod() as server, open(f"{self.temporary_directory()}/file", "wb") as file:
            result = subprocess.run(
                ["sh", "-c", 'ulimit -f 0; exec "$@"', "sh", harness.ECHOPROBE, "-c", "1",
                 server.addresses[0]], stdout=file, stderr=subprocess.PIPE, text=True,
                check=False, timeout=harness.PATIENCE_SECONDS)
        self.assertEqual(result.returncode, 71, result.stderr)
        self.assertIn(f"standard output: {os.strerror(errno.EFBIG)}", result.stderr)


class TerminalTest(harness.TestCase):

    def screen(self, *arguments, columns=80):
        """Run a load on a terminal; return the states of its live line, and its summary."""
        master, terminal = pty.openpty()
        fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 25, columns, 0, 0))
        with Echod() as server, os.fdopen(master, "rb", buffering=0) as screen:
            with subprocess.Popen([harness.ECHOPROBE, *arguments, server.addresses[0]],
                                  stdout=subprocess.PIPE, stderr=terminal, text=True) as client:
                os.close(terminal)
                reader = harness.Background(self.read_all, screen)
                summary = client.stdout.read()
            shown = reader.result()
        return shown.split("\r\x1b[K"), summary

    def read_all(self, screen):
        shown = b""
        with contextlib.suppress(OSError):  # EIO: nobody holds the terminal any more
            while piece := screen.read(65536):
                shown += piece
        return shown.decode()

    def test_a_live_line_while_a_load_runs(self):
        lines, summary = self.screen("-P", "2", "-d", harness.scaled_ms(900))
        self.assertGreater(len(lines), 2)
        for line in lines[:-1]:
            self.assertRegex(line, r"^\[#* *\] \d+\.\d s, \d+ echoes/s, \S+ .?B/s, p99 \d+\.\d{3} ms$")
            self.assertEqual(line.index("]"), 21)
        self.assertEqual(lines[-1], "")  # it is gone before the summary
        self.assertIn("0 lost", summary)

    def test_no_bar_without_an_end(self):
        lines, _ = self.screen("-P", "2", "--rate", "10/s", "--deadline", harness.scaled_ms(700))
        self.assertRegex(lines[0], r"^\d+\.\d s, ")

    def test_the_line_fits_a_narrow_terminal(self):
        lines, _ = self.screen("-P", "2", "-d", harness.scaled_ms(700), columns=30)
        for line in lines:
            self.assertLess(len(line), 30)

    def test_none_where_it_is_not_wanted(self):
        for option in ("--quiet", "--json", "--plugin"):
            with self.subTest(option=option):
                lines, _ = self.screen("-P", "2", "-d", harness.scaled_ms(400), option)
                self.assertEqual(lines, [""])


NO_FILES = rf"cannot open a socket: {os.strerror(errno.EMFILE)} .*ulimit -n"


class ResourcesTest(harness.TestCase):

    def expect_refusal(self, files, words, *arguments, inherited=()):
        """Run with few files, in each form of output: the system is to blame, and the path not."""
        for form, status in ((), 71), (("--json",), 71), (("--plugin",), 3):
            with self.subTest(arguments=arguments, form=form):
                client = subprocess.run(
                    [*harness.with_file_limit(files), harness.ECHOPROBE, *form, *arguments],
                    pass_fds=inherited, capture_output=True, text=True, check=False,
                    timeout=harness.PATIENCE_SECONDS)
                result = harness.ProbeResult(client.returncode, client.stdout, client.stderr)
                self.assertEqual(result.status, status, result.text)
                if "--json" in form:
                    self.assertEqual(result.json()["status"], status)
                    self.assertRegex(result.json()["error"], words)
                elif form:
                    self.assertRegex(result.output, f"^ECHO UNKNOWN - {words}.*\n$")
                    self.assertEqual(result.errors, "")
                else:
                    self.assertRegex(result.errors, f"^echoprobe: {words}.*\n$")

    def test_too_few_files_for_a_loop(self):
        """libevent would end the process with a status of its own."""
        with Echod() as server:
            self.expect_refusal(5, f"libevent: .*{os.strerror(errno.EMFILE)}", "--half-close",
                                server.addresses[0])

    def test_too_few_files_for_the_connections(self):
        """The limit is named before anything is sent."""
        with Echod() as server:
            for arguments in (("-P", "100", "-c", "200"), ("-P", "100", "--churn", "-c", "200"),
                              ("-P", "20", "--threads", "10", "-c", "200")):
                self.expect_refusal(40, "the limit of open files is 40, but .*ulimit -n",
                                    *arguments, server.addresses[0])

    def test_too_few_files_for_a_check(self):
        with Echod() as server:
            self.expect_refusal(40, NO_FILES, "--find-idle-timeout=2h", server.addresses[0])
            self.expect_refusal(6, NO_FILES, "--hold", "1h", server.addresses[0])

    def test_files_that_run_out_later(self):
        """What the parent left open is counted by no limit."""
        with Echod() as server, contextlib.ExitStack() as stack:
            inherited = [stack.enter_context(open(os.devnull, "rb")).fileno() for _ in range(12)]
            for arguments in (("-P", "30", "-c", "300"), ("-P", "30", "--churn", "-c", "300"),
                              ("-P", "30", "--threads", "2", "--churn", "-d", "1h")):
                self.expect_refusal(50, NO_FILES, *arguments, server.addresses[0],
                                    inherited=inherited)

    def run_until_files_run_out(self, *form):
        """Let a run have some echoes before it may open nothing more: below 10 are pipes and loops."""
        with Echod() as server:
            client = subprocess.Popen(
                [harness.ECHOPROBE, *form, "--churn", "-d", "1h", server.addresses[0]],
                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            self.addCleanup(client.kill)
            server.wait_for_closed("client closed", count=10)
            resource.prlimit(client.pid, resource.RLIMIT_NOFILE, (10, 10))
            output, errors = client.communicate(timeout=harness.PATIENCE_SECONDS)
        return harness.ProbeResult(client.returncode, output, errors)

    def test_what_was_counted_before_files_ran_out_is_told(self):
        result = self.run_until_files_run_out("--json")
        figures = result.json()
        self.assertEqual((result.status, figures["status"]), (71, 71), result.text)
        self.assertRegex(figures["error"], NO_FILES)
        self.assertGreaterEqual(figures["received"], 9)
        result = self.run_until_files_run_out()
        self.assertEqual(result.status, 71, result.text)
        self.assertRegex(result.errors, f"^echoprobe: {NO_FILES}")
        self.assertRegex(result.output, r"(?m)^\d{2,} sent, ")
        result = self.run_until_files_run_out("--plugin")
        self.assertEqual(result.status, 3, result.text)
        self.assertRegex(result.output, f"^ECHO UNKNOWN - {NO_FILES}")

    def thread_count(self, server, threads):
        """How many threads echoprobe has with --threads, once it has echoes."""
        before = server.report()[0].bytes_out
        with harness.Process([harness.ECHOPROBE, "-P", "3", "--threads", threads,
                              server.addresses[0]], stdout=subprocess.DEVNULL) as client:
            harness.wait_until(lambda: server.report()[0].bytes_out > before + 10000, "bytes flow")
            count = client.thread_count()
            client.signal(signal.SIGTERM)
            client.wait_for_exit(0)
        return count

    def test_threads(self):
        """--threads 3 starts two threads more than --threads 1."""
        with Echod() as server:
            self.assertEqual(self.thread_count(server, "3") - self.thread_count(server, "1"), 2)

    def test_churn_keeps_no_descriptors(self):
        """After a thousand connections echoprobe has no more descriptors than it began with."""
        with Echod() as server, harness.Process(
                [harness.ECHOPROBE, "--churn", "-P", "4", server.addresses[0]],
                stdout=subprocess.DEVNULL) as client:
            harness.wait_until(lambda: server.report()[0].accepted > 1000, "clients come")
            self.assertLess(client.descriptor_count(), 40)
            client.signal(signal.SIGTERM)
            client.wait_for_exit(0)

    def test_connections_that_fail_leave_no_descriptors(self):
        """A server that resets every connection uses up nothing."""
        counts = []

        def serve(connection, number):
            counts.append(number)
            connection.recv(1)
            broken_servers.reset(connection)

        with TcpServer(serve) as server, harness.Process(
                [harness.ECHOPROBE, "--churn", "-P", "2", "--json", *SHORT, server.address],
                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as client:
            harness.wait_until(lambda: len(counts) > 30, "connections come")
            self.assertLess(client.descriptor_count(), 40)


if __name__ == "__main__":
    harness.main()
