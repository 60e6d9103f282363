"""
test_log: what the log looks like, and that nothing which happens to it stops the echo.
What each line says is tested where the event is: in the files of the other themes.
Run by `run`, by automake, or alone.
"""

import datetime
import fcntl
import json
import os
import re
import signal
import socket
import subprocess
import time

import harness
from harness import Echod


class FormatTest(harness.TestCase):

    def run_some_clients(self, *arguments):
        """Let an echod live through all kinds of lines and return them."""
        with Echod(*arguments, "--drain-timeout", "0", "--lifetime", "1h") as server:
            self.assertEqual(harness.finish(server.connect(), b"12345"), b"12345")
            client = server.connect()
            harness.round_trip(client)
            harness.reset(client)
            client = server.connect()
            harness.round_trip(client)
            server.signal(signal.SIGUSR1)
            server.log.wait_for("totals")
            server.log.wait_for(" open, in=")
            server.signal(signal.SIGTERM)
            harness.receive_all(client)
            client.close()
            server.wait_for_exit(0)
            server.log.wait_for_end()
            return server.log.lines

    def test_text_lines_have_time_and_level(self):
        """Each line begins with the time in UTC and the level."""
        lines = self.run_some_clients("--log-level", "debug")
        for line in lines:
            self.assertRegex(line, f"^{harness.TEXT_LINE.pattern}$")
            moment = datetime.datetime.strptime(line.split()[0], "%Y-%m-%dT%H:%M:%S.%fZ")
            age = datetime.datetime.now(datetime.timezone.utc).replace(tzinfo=None) - moment
            self.assertLess(abs(age), datetime.timedelta(seconds=3 * harness.PATIENCE_SECONDS))

    def test_text_lines_of_a_connection(self):
        """A connection has a line at its beginning (debug) and one at its end (info)."""
        text = "\n".join(self.run_some_clients("--log-level", "debug"))
        self.assertRegex(text, r"debug: connection \d+ 127\.0\.0\.1:\d+ opened\n")
        self.assertRegex(text, r"info: connection \d+ 127\.0\.0\.1:\d+ closed: client closed, "
                               r"in=5 out=5 age=\d+\.\d{3}s\n")
        self.assertRegex(text, r"info: connection \d+ 127\.0\.0\.1:\d+ closed: reset by client, "
                               r"in=4 out=4 age=\d+\.\d{3}s\n")
        self.assertEqual(text.count(" opened\n"), 3)
        self.assertEqual(text.count(" closed: "), 3)
        self.assertTrue(text.endswith("info: stopped"))

    def test_json_lines(self):
        """Each line is one JSON object, and tells programs in numbers what the sentence says."""
        records = [json.loads(line) for line in
                   self.run_some_clients("--log-format", "json", "--log-level", "debug")]
        for record in records:
            self.assertRegex(record["time"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")
            self.assertIn(record["level"], ("error", "warning", "info", "debug"))
            self.assertTrue(record["message"])
        listening = [record for record in records if "address" in record]
        self.assertEqual([f"listening on {record['address']}" for record in listening],
                         [record["message"] for record in listening])
        self.assertEqual(len(listening), 1)

        closed = [record for record in records if "reason" in record]
        self.assertEqual(len(closed), 3)
        for record in closed:
            facts = harness.facts(re.fullmatch(harness.CLOSED_LINE, record["message"]))
            self.assertEqual(
                (record["connection"], record["peer"], record["reason"], record["in_bytes"],
                 record["out_bytes"], record["age_ms"]),
                (facts.id, facts.peer, facts.reason, facts.bytes_in, facts.bytes_out,
                 round(float(facts.age) * 1000)))

    def test_levels(self):
        """A level shows its own lines and those that are more important."""
        shown = {}
        for level in ("debug", "info", "warning", "error"):
            with harness.listening_socket() as passed, \
                    Echod("--log-level", level, listen=passed, ready=0) as server:
                harness.round_trip(server.connect())
                server.close_clients()
                server.signal(signal.SIGTERM)
                server.wait_for_exit(0)
                server.log.wait_for_end()
                shown[level] = {line.split()[1] for line in server.log.lines}
        self.assertEqual(shown, {"debug": {"debug:", "info:"}, "info": {"info:"},
                                 "warning": set(), "error": set()})

    def test_hostile_text_is_escaped(self):
        """A line feed or a terminal's escape sequence in a name cannot forge a line."""
        path = f"{self.temporary_directory()}/\x1b[31m\n\x80 \"forged\" line"
        with Echod(listen=f"unix://{path}", ready=0) as server:
            line = server.log.wait_for("listening on ").string
            self.assertRegex(line, f"^{harness.TEXT_LINE.pattern}$")
            self.assertTrue(line.endswith('/\\x1b[31m\\x0a\\xc2\\x80 "forged" line'), line)
            server.stop()
            self.assertFalse(server.log.find("^ *.?forged"))
        with Echod("--log-format", "json", listen=f"unix://{path}", ready=0) as server:
            line = server.log.wait_for("listening on ").string
            self.assertEqual(json.loads(line)["message"], f"listening on unix://{path}")


class TroubleTest(harness.TestCase):

    def expect_echo_for_many(self, server, count):
        """Check that so many clients, each with two lines in the log, are served."""
        for number in range(count):
            with harness.connect(server.addresses[0]) as client:
                harness.round_trip(client, b"client %d" % number)

    def log_pipe(self):
        """The ends of a pipe that takes little: for reading and for writing."""
        reader, writer = os.pipe()
        fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)
        return os.fdopen(reader, "rb", buffering=0), os.fdopen(writer, "wb", buffering=0)

    def test_a_closed_log_pipe_does_not_stop_the_echo(self):
        """When whoever read the log has gone, clients and signals go on as before."""
        reader, writer = self.log_pipe()
        with reader, writer, harness.listening_socket() as passed, \
                Echod("--log-level", "debug", listen=passed, log_to=writer) as server:
            writer.close()
            harness.round_trip(server.connect())
            reader.close()
            self.expect_echo_for_many(server, 100)
            server.signal(signal.SIGUSR1)
            self.expect_echo_for_many(server, 100)

    def test_a_full_log_pipe_does_not_stop_the_echo(self):
        """While nobody reads the log lines are dropped, and counted in the next totals."""
        count = 10000  # a MiB of lines may wait inside echod
        reader, writer = self.log_pipe()
        with writer, harness.listening_socket() as passed, \
                Echod("--log-level", "debug", listen=passed, log_to=writer) as server:
            writer.close()
            self.expect_echo_for_many(server, count)
            log = harness.Log(reader)

            def ask_again():
                server.signal(signal.SIGUSR1)
                time.sleep(0.02)  # wait_until asks again
                return log.find(harness.TOTALS_LINE)

            totals = harness.facts(harness.wait_until(ask_again, "totals after the full pipe")[0])
            self.assertEqual(totals.accepted, count)
            self.assertGreater(totals.log_dropped, 0)
            self.expect_echo_for_many(server, 10)
            server.signal(signal.SIGTERM)
            server.wait_for_exit(0)
            log.wait_for_end()
            for line in log.lines:
                self.assertRegex(line, f"^{harness.TEXT_LINE.pattern}$")
            read = len(log.find(r"connection \d+ \S+ (opened|closed)"))
            dropped = harness.facts(log.find(harness.TOTALS_LINE)[-1]).log_dropped
            self.assertGreaterEqual(read + dropped, 2 * (count + 10))

    def test_a_full_log_pipe_does_not_hold_up_the_end(self):
        """An echod whose log nobody reads still ends on TERM, with status 0."""
        reader, writer = self.log_pipe()
        with reader, writer, harness.listening_socket() as passed, \
                Echod("--log-level", "debug", listen=passed, log_to=writer) as server:
            self.expect_echo_for_many(server, 200)
            server.signal(signal.SIGTERM)
            server.wait_for_exit(0)

    def test_closed_standard_descriptors_do_no_harm(self):
        """Started without standard error, echod does not log into a client's socket."""
        with harness.listening_socket() as passed, \
                Echod("--log-level", "debug", listen=passed, log_to=subprocess.DEVNULL,
                      prefix=("sh", "-c", 'exec "$0" "$@" <&- >&- 2>&-')) as server:
            clients = [server.connect() for _ in range(5)]
            for client in clients:
                harness.round_trip(client)
            server.signal(signal.SIGUSR1)
            for client in clients:
                self.assertEqual(harness.finish(client, b"only this"), b"only this")
            for number in range(3):
                self.assertEqual(os.readlink(f"/proc/{server.pid}/fd/{number}"), "/dev/null")

    def test_flags_of_standard_error_stay(self):
        """Standard error is shared with others, so that it must not become non-blocking."""
        reader, writer = self.log_pipe()
        with reader, writer, harness.listening_socket() as passed, \
                Echod(listen=passed, log_to=writer) as server:
            harness.round_trip(server.connect())
            self.assertTrue(os.get_blocking(writer.fileno()))


class SyslogTest(harness.TestCase):

    def test_syslog(self):
        """Lines go to the daemon behind /dev/log, and none to standard error."""
        unshare = self.need_program("unshare")
        if subprocess.run([unshare, *harness.AS_ROOT, "-m", "true"],
                          stderr=subprocess.DEVNULL).returncode != 0:
            self.skipTest("/dev/log cannot be made without a mount namespace")
        directory = self.temporary_directory()
        os.mkdir(f"{directory}/dev")
        prefix = (unshare, *harness.AS_ROOT, "-m", "sh", "-ec",
                  f"mount -t tmpfs dev {directory}/dev; "
                  f"for name in null urandom; do touch {directory}/dev/$name; "
                  f"mount --bind /dev/$name {directory}/dev/$name; done; "
                  f"ln -s {directory}/log {directory}/dev/log; "
                  f'mount --rbind {directory}/dev /dev; exec "$0" "$@"')
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as daemon:
            daemon.bind(f"{directory}/log")
            daemon.settimeout(harness.PATIENCE_SECONDS)
            with Echod("--log-target", "syslog", prefix=prefix, ready=0) as server:
                first = daemon.recv(4096).decode()
                head = rf"<30>\w{{3}} [ \d]\d \d\d:\d\d:\d\d echod\[{server.pid}\]: info: "
                if "sandbox: " in first:
                    self.assertRegex(first, rf"{head}sandbox: ")
                    first = daemon.recv(4096).decode()
                address = re.fullmatch(rf"{head}listening on (\S+)", first).group(1)
                with harness.connect(address) as client:
                    self.assertEqual(harness.finish(client, b"logged"), b"logged")
                self.assertRegex(daemon.recv(4096).decode(),
                                 f"{head}connection 1 .* closed: client closed, in=6 out=6 ")
                server.signal(signal.SIGTERM)
                server.wait_for_exit(0)
                server.log.wait_for_end()
                self.assertEqual(server.log.lines, [])
                line = ""
                while "stopped" not in line:
                    line = daemon.recv(4096).decode()
                    self.assertRegex(line, head)

    def test_without_a_syslog_daemon(self):
        """Where nobody reads /dev/log, echod says so and does not start."""
        if os.path.exists("/dev/log"):
            self.skipTest("there is a syslog daemon here")
        result = harness.run_echod("--log-target", "syslog")
        self.assertEqual(result.returncode, harness.STATUS_SYSTEM)
        self.assertRegex(result.stderr, r"\Aechod: --log-target syslog: /dev/log: [^\n]+\n\Z")


class ProcessNameTest(harness.TestCase):

    def test_lines_name_the_process(self):
        """Under supervisord a line says whose it is, in both formats."""
        prefix = ("env", "SUPERVISOR_ENABLED=1", "SUPERVISOR_PROCESS_NAME=echod_01")
        with Echod(prefix=prefix) as server:
            server.stop()
            for line in server.log.lines:
                self.assertRegex(line, f"^{harness.TEXT_LINE.pattern}$")
                self.assertRegex(line, r"^\S+ info: \[echod_01\] \w")
        with Echod("--log-format", "json", prefix=prefix) as server:
            server.stop()
            for line in server.log.lines:
                self.assertEqual(json.loads(line)["process"], "echod_01")

    def test_the_name_alone_is_not_enough(self):
        """A variable of this name that is not supervisord's means nothing."""
        with Echod(prefix=("env", "SUPERVISOR_PROCESS_NAME=echod_01")) as server:
            server.stop()
            self.assertFalse(server.log.find("echod_01"))


if __name__ == "__main__":
    harness.main()
