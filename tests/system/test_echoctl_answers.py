"""
test_echoctl_answers: what echoctl makes of an answer, and of a service that gives none, a wrong one,
or one without end.
Leaves to test_echoctl what a real echod answers.
"""

import json
import os
import socket
import struct
import subprocess

import harness
from admin_stand_in import DATAGRAMS, LISTENER, STATUS, StandIn, connection, reply
from harness import control

DONE, REFUSED, USAGE, UNREACHED = range(4)
METRICS = "# HELP echod_a b\necho_a{b=\"\x1b\"} 1\n"
BELL = "a\x1b]0;x\x07 b\x9b"  # what a terminal may obey


class Words(harness.TestCase):
    """A service that answers well."""

    def ask(self, answer, *arguments, status=DONE, error=""):
        """Run echoctl against a stand-in; return what it printed."""
        with StandIn(answer, f"{self.temporary_directory()}/admin.sock") as service:
            result = control("-s", service.place, *arguments)
        self.requests = service.requests
        self.assertEqual((result.returncode, result.stderr), (status, error))
        return result.stdout

    def test_status_is_told_in_words_or_as_it_came(self):
        answer = {"GET /status": reply(STATUS)}
        self.assertEqual(self.ask(answer, "status"), """\
echod 9.9.9 on host, running
pid          4711
started      2026-11-30T01:02:03Z, 1m40s ago
connections  2 open of 1000, 10 accepted, 1 refused
bytes        2.0KiB in, 1.0KiB out, 512 queued
datagrams    5 in, 4 out
workers      2, the latest 2.5 ms late
log          info, 0 lines dropped
reloads      3
""")
        self.assertEqual(json.loads(self.ask(answer, "status", "--json")), STATUS)
        self.assertEqual(self.ask(answer, "listeners"), """\
NAME             STATE      OPEN   MAX  ACCEPTED  REFUSED      IN     OUT  ADDRESS
public           listening     2  1000        10        1  2.0KiB  1.0KiB  tcp://0.0.0.0:7
udp://0.0.0.0:7  listening     -     -         -        -     500     400  udp://0.0.0.0:7
""")
        self.assertEqual(json.loads(self.ask(answer, "listeners", "-j")), [LISTENER, DATAGRAMS])
        self.assertEqual(self.ask(answer, "log-level"), "info\n")
        self.assertEqual(json.loads(self.ask(answer, "log-level", "-j")), {"log_level": "info"})

    def test_connections_are_asked_for_page_by_page(self):
        def answer(_, method, target, __):
            first = 1001 if "after=1000" in target else 1
            page = {"connections": [connection(i) for i in range(first, first + 1000)]}
            return reply({**page, "next": "1000"} if first == 1 else page)

        lines = self.ask(answer, "connections", "--all", "--listener", "a b&c",
                         "--peer=192.0.2.0/24", "--state=open", "--min-idle=90", "--min-age=1h",
                         "--min-queued=1KiB").splitlines()
        self.assertEqual(len(lines), 2001)
        self.assertEqual(lines[0].split(), "ID PEER LISTENER STATE AGE IDLE IN OUT QUEUED TLS".split())
        self.assertEqual(lines[2000].split(),
                         "2000 192.0.2.1:2000 public open 1m1s 250ms 100 100 0 -".split())
        query = ("listener=a%20b%26c&peer=192.0.2.0%2F24&state=open&min_idle=1m30s&min_age=1h"
                 "&min_queued=1024")
        self.assertEqual([target for _, target, _ in self.requests],
                         [f"/connections?limit=1000&{query}",
                          f"/connections?limit=1000&after=1000&{query}"])
        found = json.loads(self.ask(answer, "connections", "--json", "--limit", "1500"))
        self.assertEqual([each["id"] for each in found["connections"][:1001]], [*range(1, 1002)])
        self.assertEqual([target for _, target, _ in self.requests],
                         ["/connections?limit=1000", "/connections?limit=500&after=1000"])

    def test_there_may_be_more_connections_than_were_asked_for(self):
        page = {"connections": [connection(7)], "next": "7"}
        answer = {"GET /connections?limit=1": reply(page)}
        self.ask(answer, "connections", "--limit=1",
                 error="echoctl: there are more; --all shows them\n")
        self.assertEqual(json.loads(self.ask(answer, "connections", "--limit=1", "-j")), page)
        nobody = {"GET /connections?limit=100": reply({"connections": []})}
        self.assertEqual(len(self.ask(nobody, "connections").splitlines()), 1)
        self.assertEqual(json.loads(self.ask(nobody, "connections", "-j")), {"connections": []})

    def test_connections_are_closed_one_after_the_other(self):
        answer = {f"DELETE /connections/{i}": reply(connection(i)) for i in (5, 7)}
        self.assertEqual(self.ask(answer, "close", "5", "6", "7", status=REFUSED,
                                  error="echoctl: There is no /connections/6.\n"),
                         "closed 5, 192.0.2.1:5 at public\nclosed 7, 192.0.2.1:7 at public\n")
        answer = {"DELETE /connections/5?abort=1": reply(connection(5))}
        self.assertEqual(self.ask(answer, "close", "--abort", "5"),
                         "reset 5, 192.0.2.1:5 at public\n")

    def test_what_is_done_is_said(self):
        answer = {
            "POST /drain": reply({"state": "draining"}, 202),
            "POST /reload": reply({"reloaded": True}),
            "PUT /log-level": reply({"log_level": "debug"}),
            "POST /listeners/tcp%3A%2F%2F%5B%3A%3A%5D%3A7/pause": reply({**LISTENER, "state": "paused"}),
            "POST /listeners/public/resume": reply(LISTENER),
            "GET /readyz": reply("ready\n", content_type="text/plain"),
            "GET /metrics": reply(METRICS, content_type="text/plain"),
        }
        self.assertEqual(self.ask(answer, "drain"), "draining\n")
        self.assertEqual(self.ask(answer, "reload"), "reloaded\n")
        self.assertEqual(self.ask(answer, "log-level", "debug"), "debug\n")
        self.assertEqual(self.requests[0][2], "debug")
        self.assertEqual(self.ask(answer, "pause", "tcp://[::]:7"), "paused\n")
        self.assertEqual(self.ask(answer, "resume", "public"), "listening\n")
        self.assertEqual(self.ask(answer, "ready"), "ready\n")
        self.assertEqual(self.ask(answer, "metrics"), METRICS)
        draining = {"GET /readyz": reply("draining\n", 503, "text/plain")}
        self.assertEqual(self.ask(draining, "ready", status=REFUSED), "draining\n")

    def test_nothing_that_a_client_chose_reaches_the_terminal_as_it_is(self):
        odd = connection(1, peer=BELL, listener=BELL, via=BELL, tls={
            "version": "TLSv1.3", "cipher": "c", "sni": BELL, "alpn": "", "subject": BELL,
            "resumed": True})
        body = json.dumps(odd, ensure_ascii=False).encode()
        answer = {
            "GET /connections/1": reply(body),
            "GET /connections?limit=100": reply(b'{"connections":[' + body + b"]}"),
            "DELETE /connections/1": reply(body),
            "POST /reload": reply(json.dumps({"error": BELL}, ensure_ascii=False), 409),
        }
        printed = [
            self.ask(answer, *arguments) for arguments in (
                ["connection", "1"], ["connection", "1", "-j"], ["connections"],
                ["connections", "-j"], ["close", "1"])]
        printed.append(self.ask(answer, "reload", status=REFUSED,
                                error="echoctl: a?]0;x? b??\n"))
        for text in printed:
            self.assertNotRegex(text, "[\x00-\x09\x0b-\x1f\x7f-\x9f]")
        self.assertEqual(json.loads(printed[1]), odd)
        self.assertEqual(json.loads(printed[3]), {"connections": [odd]})
        self.assertIn(r"certificate  a\x1b]0;x\x07 b\xc2\x9b", printed[0])

    def test_a_drain_is_waited_for(self):
        states = [STATUS, {**STATUS, "state": "draining"}, {**STATUS, "state": "draining"},
                  {**STATUS, "started": "2026-11-30T02:02:03Z"}]
        answers = {"/drain": [reply({"state": "draining"}, 202)], "/status": [*map(reply, states)]}
        self.assertEqual(self.ask(lambda _, __, target, ___: answers[target].pop(0), "drain",
                                  "--wait"), "draining\nended\n")
        self.assertEqual(answers["/status"], [])

        gone = {"/drain": [reply({"state": "draining"}, 202)], "/status": [reply(STATUS), b"", b""]}
        self.assertEqual(self.ask(lambda _, __, target, ___: gone[target].pop(0), "drain", "-w"),
                         "draining\nended\n")

    def test_a_drain_is_not_over_for_one_connection_that_breaks(self):
        broken = {"/drain": [reply({"state": "draining"}, 202)],
                  "/status": [reply(STATUS), b"", reply("", 503), reply(STATUS)[:-9], reply(STATUS),
                              b"", b""]}
        self.assertEqual(self.ask(lambda _, __, target, ___: broken[target].pop(0), "drain", "-w"),
                         "draining\nended\n")
        self.assertEqual(broken["/status"], [])

    def test_what_is_drained_is_no_echod_any_more(self):
        for other in (reply("<html>"), reply("{}"), reply("<html>", 404)):
            answers = {"/drain": [reply({"state": "draining"}, 202)], "/status": [reply(STATUS), other]}
            with StandIn(lambda _, __, target, ___, answers=answers: answers[target].pop(0)) as service:
                result = control("-s", service.place, "drain", "-w")
            self.assertEqual((result.returncode, result.stdout), (UNREACHED, "draining\n"))
            self.assertIn("the answer is no status of echod", result.stderr)

    def test_the_environment_and_tcp_lead_to_it_as_well(self):
        with StandIn({"GET /readyz": reply("ready\n")}) as service:
            env = {**os.environ, "ECHOCTL_SOCKET": service.place}
            self.assertEqual(control("ready", env=env).stdout, "ready\n")
            for place in (service.place + "/", service.address, service.address[len("tcp://"):]):
                self.assertEqual(control("-s", place, "ready").stdout, "ready\n")
        env["ECHOCTL_SOCKET"] = "https://localhost"
        result = control("ready", env=env)
        self.assertEqual(result.returncode, USAGE)
        self.assertRegex(result.stderr, r'^echoctl: ECHOCTL_SOCKET: "https://localhost" is not a place')


class Failures(harness.TestCase):
    """A service that does not answer well."""

    def fail_with(self, sentence, place, *arguments, status=UNREACHED):
        """Run echoctl, which says one sentence about a place."""
        result = control("-s", place, *(arguments or ["status"]))
        self.assertEqual((result.stdout, result.returncode), ("", status))
        self.assertRegex(result.stderr, rf"\Aechoctl: [^\n]*{sentence}\n\Z")

    def answer_with(self, answer, sentence, *arguments, status=UNREACHED):
        """The same of a stand-in."""
        with StandIn(answer if callable(answer) else lambda *_: answer) as service:
            self.fail_with(sentence, service.place, *arguments, status=status)

    def test_nobody_is_there(self):
        path = f"{self.temporary_directory()}/admin.sock"
        self.fail_with("there is no such socket; echod makes it with --admin", path)
        harness.listening_socket(socket.AF_UNIX, path).close()
        self.fail_with("nobody listens there", path)
        self.fail_with("nobody listens there", "http://127.0.0.1:1")

    def test_it_may_not_be_asked(self):
        if os.geteuid() != 0:
            self.skipTest("root becomes somebody else")
        setpriv = self.need_program("setpriv")
        path = f"{self.temporary_directory()}/admin.sock"
        with StandIn({}, path):
            result = control("-s", path, "status",
                             prefix=(setpriv, "--reuid=65534", "--regid=65534", "--clear-groups"))
        self.assertEqual(result.returncode, UNREACHED)
        self.assertRegex(result.stderr, "permission denied; its owner may use it, and root\n$")

    def test_no_answer_comes(self):
        self.answer_with(b"", "the connection was closed without an answer")
        self.answer_with(b"HTTP/1.0 200 OK\r\nContent-Len", "the answer is cut off in its head")
        self.answer_with(reply(STATUS)[:-10], r"the answer is cut off: \d+ of \d+ bytes came")

        def reset(client, *_):
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            client.close()
            return b""

        self.answer_with(reset, "the connection broke: Connection reset by peer")

    def test_no_whole_answer_comes_in_time(self):
        def hang(client, *_):
            client.recv(1)

        def drip(client, *_):
            client.sendall(b"HTTP/1.0 200 OK\r\n")
            while True:
                client.sendall(b"A: b\r\n")
                client.settimeout(0.01)
                try:
                    client.recv(1)
                    break
                except socket.timeout:
                    pass

        for answer in (hang, drip):
            self.answer_with(answer, "no whole answer within 300ms", "--timeout=300ms", "status")
        with harness.listening_socket() as nobody_accepts:
            nobody_accepts.listen(0)
            with harness.connect(harness.address_of(nobody_accepts)):
                self.fail_with("no whole answer within 300ms",
                               "http://" + harness.address_of(nobody_accepts)[len("tcp://"):],
                               "--timeout=300ms", "status")

    def test_what_answers_is_no_echod(self):
        self.answer_with(b"SSH-2.0-OpenSSH_9.2\r\n", "what answers there does not speak HTTP/1.0")
        self.answer_with(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
                         "what answers there does not speak HTTP/1.0")
        self.answer_with(b"HTTP/1.0 200 OK\r\nContent-Length: -1\r\n\r\n", "does not speak HTTP/1.0")
        self.answer_with(reply("<html>\n"), "the answer is no JSON")
        self.answer_with(reply("{}"), "the answer is no status of echod")
        self.answer_with(reply("[" * 100), "the answer is no JSON")
        self.answer_with(reply("{}\0"), "the answer is no JSON")
        self.answer_with(reply("<html>\n", 502), "the answer is status 502", status=REFUSED)
        self.answer_with(reply("{}"), "the answer is no list of connections", "connections")
        again = reply({"connections": [connection(1)], "next": "0"})
        self.answer_with(again, "the answer is no list of connections", "connections", "--all")
        for odd in ("x", {}, [1], [connection(0)]):
            self.answer_with(reply({"connections": odd}), "the answer is no list of connections",
                             "connections")
            self.answer_with(reply({"listeners": odd}), "the answer is no list of listeners",
                             "listeners")

    def test_what_does_not_say_that_it_was_done(self):
        """Another service says 200 to anything."""
        for body in ("{}", "[]", "5", '{"state":5,"log_level":{},"reloaded":false}'):
            self.answer_with(reply(body), "the answer is no metrics of an echod", "metrics")
            for command in (["drain"], ["pause", "a"], ["resume", "a"], ["reload"],
                            ["log-level", "info"], ["drain", "--json"], ["ready"]):
                self.answer_with(reply(body), "the answer is none of an echod", *command)
            for command in (["status", "--json"], ["drain", "--wait"], ["log-level"]):
                self.answer_with(reply(body), "the answer is no status of echod", *command)
            for command in (["close", "--json", "1"], ["connection", "--json", "1"]):
                self.answer_with(reply(body), "the answer is no connection", *command)
        for body in ("", "# HELP a b\na 1\n", "<html>\n", METRICS + "\0"):
            self.answer_with(reply(body, content_type="text/plain"),
                             "the answer is no metrics of an echod", "metrics")
        self.answer_with(reply({"version": "1", "state": "running"}), "the answer is no status of echod",
                         "log-level")
        with harness.Echod() as echod:
            self.fail_with("what answers there does not speak HTTP/1.0", echod.addresses[0])

    def test_an_answer_without_end_is_not_read_to_the_end(self):
        self.answer_with(b"HTTP/1.0 200 OK\r\nContent-Length: 99999999999\r\n\r\n",
                         "the answer is longer than 64MiB")
        self.answer_with(b"HTTP/1.0 200 OK\r\n" + b"A: b\r\n" * 5000, "does not speak HTTP/1.0")

        def pour(client, *_):
            client.sendall(b"HTTP/1.0 200 OK\r\n\r\n")
            while True:
                client.sendall(bytes(harness.MIB))

        self.answer_with(pour, "the answer is longer than 64MiB", "--timeout=1m", "status")

    def test_an_output_that_nobody_takes_is_told_once(self):
        def answer(_, __, target, ___):
            page = {"connections": [connection(i) for i in range(1, 1001)], "next": "1000"}
            return reply({"/status": STATUS, "/metrics": METRICS}.get(target.partition("?")[0], page))

        reader, broken = os.pipe()
        os.close(reader)
        full = os.open("/dev/full", os.O_WRONLY)
        for file, problem in ((full, "No space left on device"), (broken, "Broken pipe")):
            for command in (["status"], ["top"], ["top", "--json"], ["metrics"],
                            ["connections", "--all"], ["--help"], ["--version"]):
                with self.subTest(command=command, problem=problem), StandIn(answer) as service:
                    result = subprocess.run([harness.ECHOCTL, "-s", service.place, *command],
                                            stdout=file, stderr=subprocess.PIPE, check=False,
                                            timeout=harness.PATIENCE_SECONDS, text=True)
                    self.assertEqual((result.returncode, result.stderr),
                                     (71, f"echoctl: standard output: {problem}\n"))
                    self.assertLessEqual(len(service.requests), 1)
        os.close(full)
        os.close(broken)

    def test_a_wrong_command_line_asks_nobody(self):
        with StandIn({}) as service:
            for arguments, sentence in (
                    ([], "a command is missing; --help lists them"),
                    (["stop"], '"stop" is no command; --help lists them'),
                    (["close"], "close: ID... is missing"),
                    (["close", "x"], 'close: "x" is not an id; "echoctl connections" shows them'),
                    (["status", "x"], 'status: "x" is one too many'),
                    (["status", "--abort"], "status: takes no --abort"),
                    (["connections", "--limit=0"], '--limit: "0" is out of range; .*')):
                self.fail_with(sentence, service.place, *(arguments or ["--"]), status=USAGE)
        self.assertEqual(service.requests, [])


if __name__ == "__main__":
    harness.main()
