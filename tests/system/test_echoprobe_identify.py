"""
test_echoprobe_identify: echoprobe shows who serves it, verifies the echo behind that, and counts which
backends answer.
What an identity is and how it may come is in check_identity and check_stream_identity.
Run by `run`, by automake, or alone.
"""

import os
import re
import socket
import threading

import harness
from balancers import haproxy
from broken_servers import TcpServer, UdpServer
from harness import LOOPBACK, Echod, probe

IDENTITY = b"echod=1 host=web-1 local=192.0.2.7:7\n"


def environment(pod):
    return {**os.environ, "POD_NAME": pod}


def echo_behind(first):
    """Serve an echo that begins with these bytes."""
    def serve(connection, _):
        connection.sendall(first)
        while data := connection.recv(65536):
            connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
    return serve


class StreamTest(harness.ProbeTestCase):

    def test_it_is_shown_and_the_echo_verified(self):
        with Echod(env=environment("echo-1"), listen=(
                f"{LOOPBACK},identify=line", f"{LOOPBACK},identify=json",
                f"unix://{self.temporary_directory()}/s,identify=line")) as server:
            for address, pod in zip(server.addresses, ("pod=echo-1 ", '"pod":"echo-1"', "pod=echo-1 ")):
                result = probe("--identify", "-c", "3", "-i", "0", address)
                self.assertEqual((result.status, result.errors), (0, ""), result.text)
                lines = result.output.splitlines()
                self.assertIn(", identify", lines[0])
                self.assertRegex(lines[1], r"\Aidentity: (echod=|\{\"echod\":)")
                self.assertIn(pod, lines[1])
                self.assertEqual(len(re.findall("^identity: ", result.output, re.M)), 1)
                self.assertIn("3 sent, 3 received, 0 lost (0.0%), 0 corrupted", result.output)
                self.assertRegex(result.output, r"(?m)^1 backend, 1 connection\n +1 100\.0%  host=\S+ "
                                                r"pod=echo-1 (supervisor_process=\S+ )?local=\S+$")

    def test_modes(self):
        """Each connection begins with it, whatever is asked of it."""
        with Echod(listen=f"{LOOPBACK},identify=line") as server:
            for arguments in (("--churn", "-c", "50", "-P", "3"), ("--stream", "-c", "200", "-P", "2"),
                              ("-c", "300", "-P", "4", "--threads", "2", "--window", "8"),
                              ("--plugin",)):
                with self.subTest(arguments=arguments):
                    result = probe("--identify", *arguments, "-W", "1m", server.addresses[0])
                    self.assertEqual((result.status, result.errors), (0, ""), result.text)

    def test_checks(self):
        """The first identity is a line, and all of them are counted."""
        with Echod(env=environment("echo-1"), listen=f"{LOOPBACK},identify=line") as server:
            for check, connections in (("--half-close", r"1 connection"), ("--hold=100ms", r"1 connection"),
                                       ("--find-idle-timeout=100ms", r"\d+ connections?")):
                result = probe("--identify", check, "-W", "1m", server.addresses[0])
                self.assertEqual((result.status, result.errors), (0, ""), result.text)
                self.assertEqual(len(re.findall("^identity: echod=", result.output, re.M)), 1)
                self.assertRegex(result.output, rf"\n1 backend, {connections}\n +\d+ 100\.0%  host=\S+ "
                                                r"pod=echo-1 .*\n\Z")
            figures = probe("--identify", "--json", "--half-close", server.addresses[0]).json()
            self.assertRegex(figures["identity"], "^echod=")
            self.assertEqual((figures["identities"], figures["backends"][0]["pod"], figures["status"]),
                             (1, "echo-1", 0))
            result = probe("--identify", "--plugin", "--half-close", server.addresses[0])
            self.assertRegex(result.output, r"\AECHO OK - half-close: all .*\n\Z")

    def test_behind_a_proxy_header(self):
        with Echod(listen=f"{LOOPBACK},identify=line,proxy=v2") as server:
            result = probe("--identify", "--proxy", "v2", "--proxy-source", "192.0.2.1:5678", "-c", "1",
                           server.addresses[0])
        self.assertEqual(result.status, 0, result.text)
        self.assertIn(" source=192.0.2.1:5678 ", result.output)

    def test_json(self):
        with Echod(env=environment('a "pod"'), listen=f"{LOOPBACK},identify=json") as server:
            figures = probe("--identify", "--json", "--churn", "-c", "5", server.addresses[0]).json()
            self.assertEqual((figures["received"], figures["identities"]), (5, 5))
            backend, = figures["backends"]
            self.assertEqual((backend["count"], backend["pod"]), (5, 'a "pod"'))
            self.assertEqual(backend["local"], server.addresses[0].removeprefix("tcp://"))
            self.assertEqual(figures["backends_others"], 0)
            self.assertIn('"echod":', figures["identity"])
            plain = probe("--json", "-c", "1", "-W", "100ms", server.addresses[0]).json()
            self.assertNotIn("backends", plain)

    def test_text_from_the_service_is_escaped(self):
        server = TcpServer(echo_behind(b"echod=1 host=\x1b[31m\\x1b[32m\n"))
        self.expect(server, ("--identify", "-c", "1"),
                    r"(?m)^identity: echod=1 host=\\x1b\[31m\\x1b\[32m$[^\x1b]+"
                    r"host=\\x1b\[31m\\x1b\[32m$", status=0)


class FaultTest(harness.ProbeTestCase):

    def test_what_is_no_identity(self):
        for first, sentence in ((b"", "the service echoes, and does not say who it is"),
                                (b"SSH-2.0-x\r\n", r"begins with something else .*: SSH-2.0-x\\x0d"),
                                (b"echod=" + bytes(8192).replace(b"\0", b"x"), "longer than 8192 bytes")):
            with self.subTest(first=first[:20]):
                self.expect(TcpServer(echo_behind(first)), ("--identify", "-c", "1"),
                            rf"(?m)^seq=1 unidentified: .*{sentence}")

    def test_an_end_or_silence_instead(self):
        def end(connection, _):
            connection.sendall(IDENTITY[:-1])
            connection.shutdown(socket.SHUT_WR)
            connection.recv(65536)

        def be_silent(connection, _):
            connection.sendall(IDENTITY[:-1])
            threading.Event().wait()  # for ever: whoever ends the test closes the connection

        self.expect(TcpServer(end), ("--identify", "-c", "1"),
                    "unidentified: the connection ended after 36 bytes of its identity")
        self.expect(TcpServer(be_silent), ("--identify", "-c", "1", "-W", "200ms"),
                    "unidentified: no identity came in time")
        for check in (("--half-close",), ("--hold", "1s")):
            self.expect(TcpServer(be_silent), ("--identify", *check, "-W", "200ms"),
                        "no identity came in time")

    def test_a_service_that_only_identifies(self):
        with Echod(listen=f"{LOOPBACK},identify=only") as server:
            result = probe("--identify", "-c", "1", server.addresses[0])
        self.assertEqual(result.status, 1)
        self.assertRegex(result.output, "(?m)^identity: echod=")
        self.assertIn("truncated: the connection ended behind the identity: the service does not echo",
                      result.output)

    def test_a_changed_echo_behind_it(self):
        def serve(connection, _):
            connection.sendall(IDENTITY)
            while data := connection.recv(65536):
                connection.sendall(bytes([data[0] ^ 1]) + data[1:])

        self.expect(TcpServer(serve), ("--identify", "-c", "1"), "seq=1 corrupted: .* at offset 0")

    def test_who_does_not_ask_is_told_what_came(self):
        with Echod(listen=f"{LOOPBACK},identify=line") as server:
            result = probe("-c", "1", server.addresses[0])
        self.assertEqual(result.status, 1)
        self.assertIn("seq=1 inserted: the service says who it is before it echoes: ask with --identify",
                      result.output)


class DatagramTest(harness.ProbeTestCase):

    def test_each_answer_counts(self):
        with Echod(listen="udp://127.0.0.1:0,identify=line", env=environment("echo-1")) as server:
            result = probe("--identify", "-c", "3", "-i", "0", server.addresses[0])
            self.assertEqual((result.status, result.errors), (0, ""), result.text)
            self.assertEqual(len(re.findall("(?m)^identity: echod=", result.output)), 1)
            self.assertEqual(len(re.findall("(?m)^identity from 127", result.output)), 3)
            self.assertRegex(result.output, r"(?m)^1 backend, 3 answers\n +3 100\.0%  .* pod=echo-1 ")
            figures = probe("--identify", "--json", "-c", "1000", "-P", "4", server.addresses[0]).json()
            self.assertEqual(figures["identities"], figures["received"])

    def test_an_echo_is_no_identity(self):
        with Echod(listen="udp://127.0.0.1:0") as server:
            result = probe("--identify", "-c", "1", server.addresses[0])
        self.assertEqual(result.status, 1)
        self.assertIn("unidentified: an answer of 1024 bytes is no identity: the service may echo",
                      result.output)

    def test_what_is_uncertain_is_said(self):
        """One answer of three comes, and nobody knows to which."""
        def answer(server, _, client, number):
            if number == 1:
                server.sendto(IDENTITY, client)

        def answer_all(server, _, client, number):
            server.sendto(IDENTITY, client)

        doubt = "identities do not tell what they answer: "
        arguments = ("--identify", "-c", "3", "-i", "1ms", "-W", harness.scaled_ms(400))
        self.expect(UdpServer(answer), arguments, rf"(?m)^{doubt}times and loss are uncertain$")
        self.expect(UdpServer(answer), (*arguments, "--json"), '"uncertain": true, "identity": "echod=1')
        self.expect(UdpServer(answer), (*arguments, "--plugin"), rf"no answer within \S+; {doubt}uncertain")
        for more in ((), ("--json",), ("--plugin",)):
            with UdpServer(answer_all) as server:
                result = probe(*arguments[:-1], "1m", *more, server.address)
            self.assertEqual(result.status, 0, result.text)
            self.assertNotIn("answer: ", result.output)
            self.assertEqual('"uncertain": false' in result.output, more == ("--json",))

    def test_who_does_not_ask_is_told_what_came(self):
        with Echod(listen="udp://127.0.0.1:0,identify=line") as server:
            for size in ("64", "1000"):
                result = probe("-c", "1", "-s", size, server.addresses[0])
                self.assertEqual(result.status, 1)
                self.assertIn("seq=1 inserted: the service says who it is instead of an echo: ask with "
                              "--identify\n", result.output)
                self.assertIn(" 1 corrupted", result.output)
            result = probe("--mtu", server.addresses[0])
            self.assertEqual(result.status, 1)
            self.assertIn("64 bytes: inserted: the service says who it is", result.output)

    def test_backends_take_turns(self):
        def answer(server, _, client, number):
            server.sendto(b"echod=1 host=web-%d\n" % (number % 2), client)

        result = self.expect(UdpServer(answer), ("--identify", "-c", "6", "-i", "0"),
                             r"2 backends, 6 answers\n +3  50\.0%  host=web-0\n +3  50\.0%  host=web-1",
                             status=0)
        self.assertEqual(len(re.findall("(?m)^identity: ", result.output)), 6)


class UsageTest(harness.TestCase):

    def test_what_does_not_fit(self):
        for arguments, words in ((("--mtu", "udp://127.0.0.1"), "--mtu needs echoes"),
                                 (("-s", "10", "udp://127.0.0.1"), "at least 64")):
            result = probe("--identify", *arguments)
            self.assertEqual(result.status, harness.STATUS_USAGE)
            self.assertIn(words, result.errors)


class BalancerTest(harness.TestCase):
    """A real haproxy, and two echod behind it."""

    def test_it_is_seen_whom_it_chooses(self):
        listen = f"{LOOPBACK},identify=line,proxy=v1"
        with Echod(listen=listen, env=environment("one")) as one, \
                Echod(listen=listen, env=environment("two")) as two, \
                haproxy(self, one.addresses[0], two.addresses[0], back="send-proxy") as address:
            result = probe("--identify", "--churn", "-c", "10", "-W", "1m", address)
            self.assertEqual(result.status, 0, result.text)
            self.assertRegex(result.output, r"(?m)^2 backends, 10 connections\n"
                                            r" +5  50\.0%  host=\S+ pod=one .*\n"
                                            r" +5  50\.0%  host=\S+ pod=two .*$")
            figures = probe("--identify", "--json", "-P", "4", "-c", "20", "-W", "1m", address).json()
            self.assertEqual([backend["count"] for backend in figures["backends"]], [2, 2])
            self.assertRegex(figures["identity"], r" source=127\.0\.0\.1:\d+ destination=127\.0\.0\.1")


if __name__ == "__main__":
    harness.main()
