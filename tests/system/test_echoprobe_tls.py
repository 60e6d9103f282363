"""
test_echoprobe_tls: echoprobe over TLS, against servers of Python's ssl that are good or broken.
What it says of the bytes is test_echoprobe_faults's; echod's TLS has its own tests.
Run by `run`, by automake, or alone; there is one where there is OpenSSL.
"""

import contextlib
import json
import os
import re
import select
import shutil
import socket
import ssl
import subprocess
import tempfile
import time
import unittest

import broken_servers
import harness
from broken_servers import TcpServer, read_exactly
from certificates import Authority
from harness import Echod, probe

SHORT = ("--timeout", harness.scaled_ms(300))  # where an answer never comes


class Files:
    """The certificates, made once."""

    directory = None

    @classmethod
    def make(cls):
        cls.directory = tempfile.mkdtemp(prefix="echod-")
        authority = Authority(cls.directory)
        cls.ca = authority.path
        cls.good = authority.issue("/O=Echo/CN=localhost")
        cls.ended = authority.issue("/CN=localhost", days=-1)
        cls.client = authority.issue("/CN=someone", "DNS:someone", days=5)
        cls.late = authority.issue("/CN=localhost", days=20000)


def setUpModule():  # pylint: disable=invalid-name
    if "built without OpenSSL" in probe("tls://localhost:1").errors:
        raise unittest.SkipTest("echoprobe was built without OpenSSL")
    if shutil.which("openssl") is not None:
        Files.make()


def tearDownModule():  # pylint: disable=invalid-name
    if Files.directory is not None:
        shutil.rmtree(Files.directory, ignore_errors=True)


def context_of(certificate, **members):
    """What a server needs that has this certificate; members are set."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    alpn = members.pop("alpn", None)
    if alpn is not None:
        context.set_alpn_protocols(alpn)
    for name, value in members.items():
        setattr(context, name, value)
    return context


def tls_address(server):
    """The address of a server that speaks TLS."""
    return re.sub(r"^unix:", "tls+unix:", server.address.replace("tcp://", "tls://"))


class TlsServer(TcpServer):
    """Runs `serve(tls, number)` on what the handshake makes of each connection."""

    def __init__(self, serve, context, listener=None, before=None):
        def serve_tls(connection, number):
            if connection.family != socket.AF_UNIX:
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if before is not None:
                before(connection)
            with contextlib.suppress(ssl.SSLError), \
                    context.wrap_socket(connection, server_side=True,
                                        suppress_ragged_eofs=False) as tls:
                self.resumed.append(tls.session_reused)
                self.names.append((tls.selected_alpn_protocol(), tls.getpeercert()))
                serve(tls, number)

        super().__init__(serve_tls, listener)
        self.resumed = []  # of each connection, whether it was
        self.names = []  # of each connection, what was agreed on and who came
        self.address = tls_address(self)


def echo(tls, _=None):
    """Echo until close_notify, and answer it."""
    while data := tls.recv(65536):
        tls.sendall(data)
    tls.unwrap()


class Records:
    """A server's end of TLS whose records are ours to send, whole or in part."""

    def __init__(self, connection, context):
        self._connection = connection
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._in, self._out, server_side=True)
        self._call(self._tls.do_handshake)
        connection.sendall(self._out.read())

    def _call(self, function, *arguments):
        while True:
            try:
                return function(*arguments)
            except ssl.SSLWantReadError:
                self._connection.sendall(self._out.read())
                data = self._connection.recv(65536)
                self._in.write(data) if data else self._in.write_eof()

    def receive(self, count):
        data = b""
        while len(data) < count:
            data += self._call(self._tls.read, count - len(data))
        return data

    def records(self, data, size=16384):
        """The records that carry this data, each with so much of it."""
        for i in range(0, len(data), size):
            self._tls.write(data[i:i + size])
        return self._out.read()

    def close_notify(self):
        with contextlib.suppress(ssl.SSLWantReadError):
            self._tls.unwrap()
        return self._out.read()


class TlsTestCase(harness.TestCase):

    def setUp(self):
        self.need_program("openssl")

    def good(self, **members):
        return context_of(Files.good, **members)

    def expect(self, server, arguments, line, status=1):
        """Probe the server, trusting the authority, and find this line in what is said, if any."""
        trust = () if "--insecure" in arguments else ("--ca", Files.ca)
        with server:
            result = probe(*trust, *arguments, tls_address(server))
        self.assertEqual(result.status, status, result.text)
        if line is not None:
            self.assertRegex(result.text, line)
        return result


MODES = (("-c", "3", "-i", "0"),
         ("-P", "4", "--threads", "2", "--window", "8", "-c", "400"),
         ("-P", "2", "--rate", "500/s", "-c", "20"),
         ("--churn", "-P", "2", "--threads", "2", "-c", "30"),
         ("--stream", "-c", "100"),
         ("-s", "1", "-c", "200", "--window", "100"),
         ("--half-close", "-s", "3MB"),
         ("--hold", "50ms"),
         ("--find-idle-timeout=100ms",),
         ("--plugin",),
         ("--json", "--stream", "-c", "3"))


class ModeTest(TlsTestCase):

    def test_every_mode(self):
        for version, modes in ((ssl.TLSVersion.TLSv1_3, MODES), (ssl.TLSVersion.TLSv1_2, MODES[4:7])):
            context = self.good(maximum_version=version)
            for mode in modes:
                with self.subTest(version=version.name, mode=mode), TlsServer(echo, context) as server:
                    result = probe("--ca", Files.ca, "-W", "1m", *mode, server.address)
                    self.assertEqual(result.status, 0, result.text)

    def test_a_unix_socket(self):
        listener = harness.listening_socket(socket.AF_UNIX, f"{self.temporary_directory()}/echo")
        self.expect(TlsServer(echo, self.good(), listener),
                    ("--sni", "localhost", "-c", "3", "-i", "0"), "3 received", 0)
        result = probe("--ca", Files.ca, "tls+unix:///nobody")
        self.assertEqual((result.status, result.output), (64, ""), result.text)
        self.assertRegex(result.errors, "^echoprobe: a path is no name .* --sni NAME.* --insecure\n$")

    def test_the_header_of_a_proxy_comes_first(self):
        headers = []

        def read_header(connection):
            header = b""
            while not header.endswith(b"\r\n"):
                header += connection.recv(1)
            headers.append(header)

        for mode in (("--churn", "-c", "5"), ("--half-close",)):
            self.expect(TlsServer(echo, self.good(), before=read_header),
                        ("--proxy=v1", "--proxy-source=local", *mode), None, 0)
        self.assertEqual(headers, 6 * [b"PROXY UNKNOWN\r\n"])

    def test_pieces(self):
        """Records of one byte, in segments that end anywhere; and a service that reads late."""
        def serve(connection, _):
            with contextlib.suppress(ssl.SSLError):
                records = Records(connection, self.good())
                bytes_out = records.records(records.receive(3000), 1) + records.close_notify()
                for i in range(0, len(bytes_out), 1237):
                    connection.sendall(bytes_out[i:i + 1237])
                connection.recv(65536)

        self.expect(TcpServer(serve), ("--half-close", "-s", "3000"), "all 3000 bytes came back", 0)


class FactsTest(TlsTestCase):

    def test_lines(self):
        result = self.expect(TlsServer(echo, self.good(alpn=["echo"])),
                             ("-c", "1", "--alpn", "other,echo"), None, 0)
        lines = result.output.splitlines()
        self.assertRegex(lines[0], r"^echoprobe tls://\S+ \(\S+\), 64 bytes$")
        self.assertRegex(lines[1], r"^TLSv1\.3, TLS_\w+, ALPN echo, not resumed, verified, handshake "
                                   r"\d+\.\d{3} ms$")
        self.assertRegex(lines[2], r"^certificate CN=localhost,O=Echo, issuer CN=Test CA, ends "
                                   r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")
        self.assertRegex(result.output, r"(?m)^1 handshake, min .* ms, mean .* ms, max .* ms")

    def test_object(self):
        with TlsServer(echo, self.good(maximum_version=ssl.TLSVersion.TLSv1_2)) as server:
            found = probe("--insecure", "--json", "--alpn=echo", "--churn", "-c", "7",
                          server.address).json()
            checked = probe("--ca", Files.ca, "--json", "--half-close", server.address).json()
        tls = found["tls"]
        self.assertEqual((found["insecure"], tls["version"], tls["alpn"], tls["resumed"],
                          tls["verified"], tls["objection"]),
                         (True, "TLSv1.2", None, False, False, "unable to get local issuer certificate"))
        self.assertEqual(tls["certificate"], tls["first_to_end"])
        self.assertEqual(tls["certificate"]["subject"], "CN=localhost,O=Echo")
        self.assertEqual((found["handshakes"], found["resumed"], found["connects"]), (7, 0, 7))
        self.assertEqual(list(found["handshake_us"]), ["min", "mean", "p50", "p99", "max"])
        self.assertLess(found["handshake_us"]["max"], found["rtt_us"]["max"])
        self.assertTrue(checked["tls"]["verified"])
        self.assertGreater(checked["handshake_seconds"], 0)

    def test_an_end_after_2038(self):
        ends = subprocess.run(["openssl", "x509", "-in", Files.late, "-noout", "-enddate"],
                              check=True, stdout=subprocess.PIPE, text=True).stdout.split("=")[1]
        time_of_end = time.gmtime(ssl.cert_time_to_seconds(ends.strip()))
        expected = time.strftime("%Y-%m-%dT%H:%M:%SZ", time_of_end)
        self.assertGreater(time_of_end.tm_year, 2038)
        with TlsServer(echo, context_of(Files.late)) as server:
            text = probe("--ca", Files.ca, "-c", "1", "--cert-days", "30000", server.address).output
            found = probe("--ca", Files.ca, "-c", "1", "--json", server.address).json()
        self.assertIn(f", ends {expected}\n", text)
        self.assertRegex(text, rf"certificate CN=localhost ends in \d+\.\d days, {expected}\n")
        self.assertEqual(found["tls"]["certificate"]["ends"], expected)

    def test_insecure_says_so(self):
        result = self.expect(TlsServer(echo, context_of(Files.ended)), ("--insecure", "-c", "1"),
                             r"^echoprobe \S+ \(\S+\), 64 bytes, insecure\n", 0)
        self.assertIn(", not verified: ", result.output)

    def test_resumption(self):
        """The last session is offered, where that is asked for, also by other threads."""
        for version in (ssl.TLSVersion.TLSv1_3, ssl.TLSVersion.TLSv1_2):
            for resume, expected in ((("--resume",), 9), ((), 0)):
                with self.subTest(version=version, resume=resume), \
                        TlsServer(echo, self.good(maximum_version=version)) as server:
                    found = probe("--ca", Files.ca, "--json", "--churn", "-c", "10", *resume,
                                  server.address).json()
                    self.assertEqual((found["status"], found["resumed"]), (0, expected), found)
                    self.assertEqual(sum(server.resumed), expected)

    def test_connections_at_once_do_not_share_a_session(self):
        """One of TLS 1.3 is good for one connection, so each needs its own."""
        with TlsServer(echo, self.good()) as server:
            found = probe("--ca", Files.ca, "--json", "--churn", "-P", "4", "-c", "40", "--resume",
                          server.address).json()
        self.assertEqual((found["status"], found["resumed"]), (0, 36), found)

    def test_certificates_that_end(self):
        """Of those that came, the first to end; our own is none of them."""
        for mode, words in ((("-c", "1"), "1 received"), (("--half-close",), "all 64 bytes")):
            for days, status in (("99", 0), ("101", 1)):
                result = self.expect(TlsServer(echo, self.good()),
                                     ("--cert-days", days, "--cert", Files.client, *mode), words,
                                     status)
                self.assertEqual(bool(re.search(r"(?m)^certificate \S+ ends in (99\.9|100\.0) days, ",
                                                result.output)), bool(status))
                state = "WARNING" if status else "OK"
                self.expect(TlsServer(echo, self.good()), ("--plugin", "--cert-days", days, *mode),
                            rf"^ECHO {state} - .*\|.* handshake=0\.\d+s .*"
                            rf"certificate_days=(99\.9|100\.0);{days}:", status)


class RefusalTest(TlsTestCase):
    """What keeps a connection from being made: exit status 2, in one sentence."""

    def refuse(self, server, arguments, kind, sentence):
        for mode in (("-c", "1"), ("--hold", "1s")):
            self.expect(server(), (*arguments, *mode), f"(?m)^echoprobe: \\S+: {sentence}", 2)
        result = self.expect(server(), ("--json", "-c", "2", "--churn", *arguments), None, 2)
        found = result.json()
        self.assertEqual((found["tls"], found["faults"][kind], found["connects"],
                          found["connects_failed"], found["unsent"]), (None, 2, 0, 2, 2))
        self.expect(server(), ("--plugin", "-c", "1", *arguments),
                    rf"^ECHO CRITICAL - 0 of 1 .*; {kind}: \S+: {sentence}", 2)

    def test_who_is_not_trusted(self):
        hint = r" \(--ca FILE .*--sni NAME.*--insecure"
        self.refuse(lambda: TlsServer(echo, self.good()), ("--ca", Files.client), "unverified",
                    "certificate CN=localhost,O=Echo is not accepted for 127.0.0.1: unable to get "
                    "local issuer certificate" + hint)

    def test_what_is_wrong_with_a_certificate(self):
        for context, arguments, words in (
                (context_of(Files.ended), (), "127.0.0.1: certificate has expired"),
                (self.good(), ("--sni", "elsewhere.example"), "elsewhere.example: .*ostname mismatch"),
                (self.good(), ("--sni", "127.0.0.2"), "127.0.0.2: IP address mismatch"),
                (self.good(), ("--sni", "local"), "local: .*ostname mismatch")):
            with self.subTest(words=words):
                self.expect(TlsServer(echo, context), ("-c", "1", *arguments),
                            "certificate CN=localhost.* is not accepted for " + words, 2)
        self.expect(TlsServer(echo, self.good()), ("-c", "1", "--sni", "localhost"), "1 received", 0)

    def test_who_does_not_speak_tls(self):
        self.refuse(lambda: broken_servers.echo_changed(lambda data, _: data), (), "handshake",
                    "the other end does not speak TLS")
        self.expect(broken_servers.with_banner(b"SSH-2.0-OpenSSH_9.2\r\n"), ("-c", "1"),
                    "the other end does not speak TLS", 2)
        self.expect(broken_servers.ending_after(1), ("-c", "1"),
                    "(does not speak TLS|closed the connection in the TLS handshake|TLS handshake: )", 2)

    def test_who_expects_tls_of_a_plain_client(self):
        def serve(connection, _):
            connection.recv(65536)
            connection.sendall(b"\x15\x03\x01\x00\x02\x02\x46")

        for mode in (("-c", "1"), ("--half-close",)):
            with TcpServer(serve) as server:
                result = probe(*mode, server.address)
            self.assertEqual(result.status, 1, result.text)
            self.assertIn("inserted: the other end speaks TLS, and sent an alert", result.text)

    def test_who_stalls_or_drips_in_the_handshake(self):
        for server in (broken_servers.silent_after(0), broken_servers.silent_after(11)):
            self.expect(server, ("-c", "1", *SHORT),
                        r"\S+: (TLS handshake: Connection timed out|the other end does not speak)", 2)

    def test_who_ends_in_the_handshake(self):
        def end(how):
            def serve(connection, _):
                read_exactly(connection, 5)
                how(connection)

            return TcpServer(serve)

        self.expect(end(broken_servers.reset), ("-c", "1"), "TLS handshake: Connection reset by peer", 2)
        self.expect(end(lambda connection: connection.shutdown(socket.SHUT_RDWR)), ("-c", "1"),
                    "(closed the connection in the TLS handshake|TLS handshake: )", 2)

    def test_who_asks_for_a_certificate(self):
        for version in (ssl.TLSVersion.TLSv1_3, ssl.TLSVersion.TLSv1_2):
            context = self.good(maximum_version=version, verify_mode=ssl.CERT_REQUIRED)
            context.load_verify_locations(Files.ca)
            with self.subTest(version=version):
                for mode in (("-c", "1"), ("--half-close",)):
                    self.expect(TlsServer(echo, context), mode,
                                r'refused the TLS handshake: alert "[a-z ]+" \(it asked for a '
                                r"certificate: --cert FILE\)", 2)
                found = self.expect(TlsServer(echo, context), ("-c", "1", "--json"), None, 2).json()
                self.assertEqual((found["connects"], found["connects_failed"], found["handshakes"],
                                  found["handshake_us"]), (0, 1, 0, None))
                server = TlsServer(echo, context)
                self.expect(server, ("-c", "1", "--cert", Files.client), "1 received", 0)
                self.assertEqual(server.names[0][1]["subject"], ((("commonName", "someone"),),))


    def test_who_refuses_later(self):
        """A connection counts in one interval and is taken back in another: they add up to the whole."""
        context = self.good(verify_mode=ssl.CERT_REQUIRED)
        context.load_verify_locations(Files.ca)

        def serve(connection, _):
            with context.wrap_socket(connection, server_side=True,
                                     do_handshake_on_connect=False) as tls:
                tls.setblocking(False)
                for delay in (0, 1.2):
                    select.select([tls], [], [])
                    time.sleep(delay)
                    with contextlib.suppress(ssl.SSLError):
                        tls.do_handshake()
                select.select([tls], [], [])

        found = self.expect(TcpServer(serve), ("--window", "2", "-c", "1", "-W", "1m", "--json-lines", "-"),
                            None, 2)
        *intervals, summary = map(json.loads, found.output.splitlines())
        self.assertEqual((summary["connects"], summary["connects_failed"]), (0, 1))
        self.assertEqual(sum(each["connects"] for each in intervals), 0, intervals)


class EndTest(TlsTestCase):
    """Ends of an open connection."""

    def serving(self, serve):
        def serve_records(connection, _):
            with contextlib.suppress(ssl.SSLError):
                serve(connection, Records(connection, self.good()))

        return TcpServer(serve_records)

    def test_fin_without_close_notify(self):
        for count, mode, line in (
                (10, ("-c", "1"), "seq=1 truncated: FIN without close_notify after 10 of 64 bytes"),
                (64, ("-c", "1", "-i", "0"), "1 received"),
                (64, ("--half-close",), "truncated: FIN without close_notify after 64 of 64 bytes"),
                (64, ("--hold", "1m"), "the connection ended after .* FIN without close_notify")):
            def serve(connection, records):
                connection.sendall(records.records(records.receive(64)[:count]))
                connection.shutdown(socket.SHUT_WR)
                while connection.recv(4096):  # what is left unread would make it a reset
                    pass

            with self.subTest(count=count, mode=mode):
                self.expect(self.serving(serve), mode, line, 0 if mode[-1] == "0" else 1)

    def test_a_reset_in_a_record(self):
        def reset(connection, records):
            connection.sendall(records.records(records.receive(64))[:30])
            broken_servers.reset(connection)

        self.expect(self.serving(reset), ("-c", "1"), "seq=1 reset: .* after 0 of 64 bytes")

    def test_an_alert(self):
        """A record that was changed on the way is met by ours."""
        def serve(connection, records):
            bytes_out = bytearray(records.records(records.receive(64)))
            bytes_out[-1] ^= 1
            connection.sendall(bytes_out)
            connection.recv(65536)

        self.expect(self.serving(serve), ("-c", "1"), "seq=1 reset: TLS failed: .* after 0 of 64 bytes")

    def test_close_notify(self):
        """Before the end, at the end, and with bytes behind it, which are none of the stream's."""
        for count, more, line, status in (
                (10, b"", "truncated: the connection ended after 10 of 64 bytes", 1),
                (64, b"", "all 64 bytes came back, then close_notify", 0),
                (64, b"\x17\x03\x03\x00\x05hello", "all 64 bytes came back, then close_notify", 0)):
            def serve(connection, records):
                connection.sendall(records.records(records.receive(64)[:count]) +
                                   records.close_notify() + more)
                connection.recv(65536)

            with self.subTest(count=count, more=more):
                self.expect(self.serving(serve), ("--half-close",), line, status)

    def test_no_close_notify_follows(self):
        def serve(connection, records):
            connection.sendall(records.records(records.receive(64)))
            with contextlib.suppress(ssl.SSLError, OSError):
                records.receive(1)
            connection.recv(65536)

        self.expect(self.serving(serve), ("--half-close", *SHORT),
                    "all 64 bytes came back, but no close_notify followed")

    def test_we_say_close_notify(self):
        """However we leave, the other end learns that it is no truncation."""
        ends = []

        def serve(tls, _):
            while data := tls.recv(65536):
                tls.sendall(data)
            ends.append("close_notify")

        for mode in (("-c", "1"), ("--churn", "-c", "3"), ("--hold", "10ms"), ("--half-close",)):
            with self.subTest(mode=mode), TlsServer(serve, self.good()) as server:
                ends.clear()
                probe("--ca", Files.ca, *mode, server.address)
                count = 3 if "--churn" in mode else 1
                harness.wait_until(lambda: len(ends) == count, f"{count} times close_notify")


class EchodTest(TlsTestCase):

    def test_every_mode(self):
        """echod sees no truncation, and answers close_notify with its own."""
        modes = (*MODES[1:7], ("--identify", "--churn", "-P", "2", "-c", "10"))
        for mode in modes:
            identify = ",identify=line" if "--identify" in mode else ""
            with self.subTest(mode=mode), \
                    Echod(listen=f"tls://127.0.0.1:0,cert={Files.good}{identify}") as server:
                result = probe("--ca", Files.ca, "-W", "1m", *mode, server.addresses[0])
                self.assertEqual(result.status, 0, result.text)
                server.stop()
                self.assertTrue(server.log.find("tls_failed=0 tls_truncated=0"), server.log.lines[-3:])

    def test_what_is_agreed(self):
        """Names of protocols, the header of a proxy, and certificates of both ends."""
        listen = (f"tls://127.0.0.1:0,cert={Files.good},alpn=echo,client-ca={Files.ca},"
                  "client-auth=require,proxy=v2")
        trust = ("--ca", Files.ca, "--proxy=v2", "-c", "1")
        with Echod(listen=listen) as server:
            result = probe(*trust, "--cert", Files.client, "--alpn", "echo", server.addresses[0])
            self.assertEqual(result.status, 0, result.text)
            self.assertIn("ALPN echo, not resumed, verified", result.output)
            self.assertEqual(probe(*trust, server.addresses[0]).status, 2)
            result = probe(*trust, "--cert", Files.client, "--alpn", "other", server.addresses[0])
            self.assertRegex(result.errors, 'alert "no application protocol"')


class UsageTest(TlsTestCase):

    def test_mistakes_are_named_in_one_sentence(self):
        directory = self.temporary_directory()
        with open(f"{directory}/empty", "w", encoding="ascii"):
            pass
        os.mkdir(f"{directory}/other")
        other = Authority(f"{directory}/other").issue("/CN=other")
        for arguments, sentence in (
                (("--ca", Files.ca, "localhost"), "--ca: is for TLS; write tls://HOST:PORT"),
                (("--cert-days", "3", "udp://localhost"), "--cert-days: is for TLS"),
                (("--insecure", "unix:///a"), "--insecure: is for TLS"),
                (("--key", "a", "tls://a"), "--key: is that of a certificate"),
                (("--insecure", "--ca", "a", "tls://a"), "--insecure and --ca exclude each other"),
                (("--alpn", "a,,b", "tls://a"), '--alpn: "a,,b" is not names of protocols'),
                (("--alpn", "a" * 256, "tls://a"), "is not names of protocols"),
                (("--sni", "a" * 256, "tls://a"), "is no name of at most 255 characters"),
                (("--ca", "/nobody", "tls://a"), "--ca: /nobody cannot be used: No such file"),
                (("--ca", f"{directory}/empty", "tls://a"), "/empty has no certificates: "),
                (("--cert", Files.ca, "tls://a"), f"--cert: {Files.ca} has no key that fits"),
                (("--cert", "/nobody", "tls://a"), "--cert: /nobody cannot be used: No such file"),
                (("--cert", Files.good, "--key", "/nobody", "tls://a"), "--key: /nobody cannot be used: No"),
                (("--cert", Files.good, "--key", other, "tls://a"), "has no key that fits and needs no "
                                                                    "password: key values mismatch")):
            with self.subTest(arguments=arguments):
                result = probe(*arguments)
                self.assertEqual((result.status, result.output), (64, ""), result.text)
                self.assertRegex(result.errors, r"^echoprobe: .+\n$")
                self.assertIn(sentence, result.errors)


if __name__ == "__main__":
    harness.main()
