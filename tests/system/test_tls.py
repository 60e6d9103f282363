"""
test_tls: the echo over TLS: handshakes, both ends of a connection, and what a client may do wrong.
Certificates and settings are in test_tls_config; echoprobe's TLS is in test_echoprobe_tls.
Run by `run`, by automake, or alone.
"""

import os
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import time

import harness
from certificates import Authority
from harness import KIB, MIB, Echod, scaled_ms
from tls_client import TlsClient, context_for

AGREED = r'tls=TLSv1\.3 cipher=TLS_\S+'
PROXY_V1 = b"PROXY TCP4 192.0.2.1 198.51.100.1 56324 443\r\n"


class Files:
    """An authority and what it signed, made once."""

    directory = None
    authority = server = client = None


def setUpModule():  # pylint: disable=invalid-name
    if shutil.which("openssl") is None:
        return
    Files.directory = tempfile.mkdtemp(prefix="echod-")
    authority = Authority(Files.directory)
    Files.authority = authority.path
    Files.server = authority.issue("/CN=localhost")
    Files.client = authority.issue('/CN=Jane "J" Doe/O=Example')


def tearDownModule():  # pylint: disable=invalid-name
    if Files.directory is not None:
        shutil.rmtree(Files.directory, ignore_errors=True)


def private(path, flags):
    """Open a file that only we may read."""
    return os.open(path, flags, 0o600)


class TlsTestCase(harness.TestCase):
    """Tests with an echod that has a certificate."""

    def setUp(self):
        self.need_program("openssl")

    @staticmethod
    def serve(*arguments, options="", address="tls://127.0.0.1:0", **more):
        return Echod(*arguments, listen=f"{address},cert={Files.server}{options}", **more)

    @staticmethod
    def meet(server, **how):
        """Connect, and agree on TLS."""
        return TlsClient(server.connect(), context_for(Files.authority, **how)).shake_hands()


class AgreementTest(TlsTestCase):
    """What is agreed stands in the log."""

    def test_the_log_says_what_was_agreed(self):
        """Version, cipher, name, protocol and the client's subject, escaped, in both lines."""
        options = f",client-ca={Files.authority},client-auth=request,alpn=echo;other"
        with self.serve("--log-level", "debug", options=options) as server:
            client = self.meet(server, protocols=["other", "echo"], certificate=Files.client)
            client.send(b"ping")
            self.assertEqual(client.receive_exactly(4), b"ping")
            self.assertEqual(client.tls.selected_alpn_protocol(), "echo")
            client.make_close_notify()
            client.flush()
            self.assertEqual(client.receive_all(), b"")
            facts = (AGREED + r' sni="localhost" alpn="echo" '
                     r'subject="O=Example,CN=Jane \\\\\\"J\\\\\\" Doe"')
            server.log.wait_for("connection 1 .* opened " + facts)
            server.log.wait_for("connection 1 .* closed: client closed, in=4 out=4 .* " + facts)
            self.assertEqual(server.report()[0].open, 0)
            server.log.wait_for("totals: .* tls_handshakes=1 tls_resumed=0 tls_failed=0 ")

    def test_a_session_is_resumed_unless_the_client_has_to_show_a_certificate(self):
        """A ticket spares the second handshake, and the log says so."""
        for options, said in ("", "resumed=yes"), (f",client-ca={Files.authority}", "subject="):
            with self.serve(options=options) as server:
                context = context_for(Files.authority, certificate=Files.client)
                first = TlsClient(server.connect(), context).shake_hands()
                first.send(b"1")
                first.receive_exactly(1)
                second = TlsClient(server.connect(), context, session=first.tls.session)
                second.shake_hands()
                second.send(b"2")
                second.receive_exactly(1)
                self.assertEqual(second.tls.session_reused, options == "")
                second.make_close_notify()
                second.flush()
                server.log.wait_for("connection 2 .* closed: client closed.*" + said)

    def test_other_clients_agree_as_well(self):
        """openssl s_client and GnuTLS's client get their bytes back."""
        self.need_program("gnutls-cli")
        with self.serve() as server:
            port = harness.port_of(server.addresses[0])
            for command in (
                    ["openssl", "s_client", "-quiet", "-no_ign_eof", "-CAfile", Files.authority,
                     "-verify_return_error", "-connect", f"localhost:{port}"],
                    ["gnutls-cli", "--x509cafile", Files.authority, "--no-ca-verification",
                     "-p", str(port), "localhost"]):
                with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                      stderr=subprocess.DEVNULL) as process:
                    process.stdin.write(b"a line of text\n")
                    process.stdin.flush()
                    lines = iter(process.stdout.readline, b"")
                    self.assertTrue(any(b"a line of text" in line for line in lines), command)
                    process.stdin.close()
                    process.stdout.read()
            server.wait_for_closed("client closed", 2)


    def test_the_identity_tells_what_was_agreed(self):
        """It comes inside TLS, before the echo."""
        with self.serve(options=",identify=line,alpn=echo") as server:
            client = self.meet(server, protocols=["echo"])
            identity = client.receive().decode("ascii")
            self.assertRegex(identity, f" {AGREED} sni=localhost alpn=echo\n$")
            client.send(b"ping")
            self.assertEqual(client.receive_exactly(4), b"ping")


class EndTest(TlsTestCase):
    """How a connection ends, at either end."""

    def test_after_close_notify_everything_comes_back(self):
        """A client that has said close_notify, and reads slowly, gets all of it, and ours."""
        sent = harness.random_bytes(6 * MIB)
        with self.serve() as server:
            client = TlsClient(server.connect(receive_buffer=8 * KIB),
                               context_for(Files.authority)).shake_hands()
            client.write(sent)
            client.make_close_notify()
            sending = harness.Background(client.socket.sendall, client.made())
            time.sleep(0.1)  # the kernel's buffers are full, or the test is a little easier
            self.assertEqual(client.receive_all(), sent)
            sending.result()
            server.wait_for_closed("client closed")

    def test_an_end_without_close_notify_is_told_apart(self):
        """A client that only says FIN gets its bytes, our close_notify, and a line of its own."""
        with self.serve() as server:
            client = self.meet(server)
            client.write(b"the last words")
            client.flush()
            client.socket.shutdown(socket.SHUT_WR)
            self.assertEqual(client.receive_all(), b"the last words")
            server.wait_for_closed("client closed without close_notify")
            server.report()
            server.log.wait_for("totals: .* tls_truncated=1 ")

    def test_a_drain_ends_with_close_notify(self):
        """What a client sent before the end comes back, and then a close_notify."""
        with self.serve() as server:
            client = self.meet(server)
            client.send(b"ping")
            client.receive_exactly(4)
            client.send(b"pong")
            server.signal(signal.SIGTERM)
            self.assertEqual(client.receive_all(), b"pong")
            client.socket.shutdown(socket.SHUT_WR)
            server.wait_for_exit(0)

    def test_what_is_no_data_delays_no_end(self):
        """A drain, or an idle time-out, does not wait for the rest of a record."""
        for arguments, options in (((), ""), (("--no-shortcuts",), ""), ((), ",delay=1ms")):
            listen = f"tls://127.0.0.1:0,cert={Files.server}{options}"
            with self.subTest(arguments=arguments, options=options), Echod(
                    *arguments, "--linger-timeout", "1h", "--drain-timeout", "10ms",
                    listen=(listen, f"{listen},idle-timeout={scaled_ms(200)}")) as server:
                clients = [TlsClient(server.connect(index), context_for(Files.authority))
                           for index in (1, 0)]
                for client in clients:
                    client.shake_hands()
                    client.write(b"never whole")
                    client.socket.sendall(client.made()[:7])
                self.assertEqual(clients[0].receive_all(), b"")
                server.signal(signal.SIGTERM)
                self.assertEqual(clients[1].receive_all(), b"")
                for client in clients:
                    client.socket.close()
                server.wait_for_exit(0)

    def test_a_close_notify_waits_for_room(self):
        """A drain with a client that reads nothing lasts as long as --linger-timeout, no longer."""
        with self.serve("--linger-timeout", "1s", "--write-timeout", "1s") as server:
            client = TlsClient(server.connect(receive_buffer=4 * KIB),
                               context_for(Files.authority)).shake_hands()
            client.write(bytes(4 * MIB))
            sending = harness.Background(try_to_flush, client)
            server.wait_for_closed("(?:write timeout|linger timeout)")
            client.socket.close()
            sending.result()


    def meet_on_path(self, path):
        sock = socket.socket(socket.AF_UNIX)
        self.addCleanup(sock.close)
        sock.connect(path)
        return TlsClient(sock, context_for(Files.authority)).shake_hands()

    def test_a_client_that_is_gone_behind_its_end_is_reset(self):
        """What cannot be sent behind a close_notify was not echoed, and is no second end."""
        path = f"{self.temporary_directory()}/echod.sock"
        with self.serve(address=f"tls+unix://{path}") as server:
            client = self.meet_on_path(path)
            server.signal(signal.SIGSTOP)
            harness.wait_until(lambda: server.state() == "T", "echod is stopped")
            client.write(bytes(16000))
            client.make_close_notify()
            client.flush()
            client.socket.close()
            server.signal(signal.SIGCONT)
            closed = server.wait_for_closed("reset by client")
            self.assertEqual((closed.bytes_in, closed.bytes_out), (16000, 0))

    def fill(self, server, client):
        """Let most of what the kernel holds of the echo be full; return how much that is."""
        with open("/proc/sys/net/core/wmem_default", encoding="ascii") as file:
            unread = int(file.read()) * 3 // 4
        client.send(bytes(unread))
        harness.wait_until(lambda: server.report()[1][0].bytes_in == unread, "all was read")
        server.signal(signal.SIGSTOP)
        harness.wait_until(lambda: server.state() == "T", "echod is stopped")
        return unread

    def test_what_is_left_inside_comes_back(self):
        """Where output has to wait, records may be left in OpenSSL, and none in the kernel."""
        path = f"{self.temporary_directory()}/echod.sock"
        with self.serve(address=f"tls+unix://{path}") as server:
            client = self.meet_on_path(path)
            unread = self.fill(server, client)
            for _ in range(66):
                client.write(bytes(1000))
            client.flush()  # a little more than is read at once
            server.signal(signal.SIGCONT)
            harness.wait_until(lambda: server.report()[1][0].bytes_in > unread, "some was read")
            self.assertEqual(client.receive_exactly(unread + 66000), bytes(unread + 66000))
            client.socket.close()

    def test_a_client_that_is_gone_behind_its_end_costs_no_spin(self):
        """Output waits when the end comes, and then has nobody to go to."""
        path = f"{self.temporary_directory()}/echod.sock"
        with self.serve(address=f"tls+unix://{path}") as server:
            client = self.meet_on_path(path)
            self.fill(server, client)
            client.write(bytes(60000))
            client.make_close_notify()
            client.flush()
            client.socket.close()
            server.signal(signal.SIGCONT)
            server.wait_for_closed("reset by client")

    def test_a_limit_of_bytes_a_second_holds_back_no_end(self):
        """Records are read as they may be, and close_notify ends what was held back."""
        size, rate = 40 * KIB, 100 * KIB
        with self.serve("--rate-limit", f"{rate}/s") as server:
            client = server.adopt(context_for(Files.authority).wrap_socket(
                server.connect(), server_hostname="localhost"))
            since = time.monotonic()
            client.sendall(bytes(size))
            self.assertEqual(harness.receive_exactly(client, size), bytes(size))
            self.assertLessEqual(size, rate * (time.monotonic() - since) + rate // 10)
            client.unwrap()
            server.wait_for_closed("client closed")
            server.report()
            server.log.wait_for("totals: .* held_back=1 ")

    def test_a_part_of_a_record_is_no_reason_to_look_again_and_again(self):
        """Where bytes a second are limited echod waits for the rest, whoever reads."""
        for more in ((), ("--no-shortcuts",)):
            with self.serve("--rate-limit", "1MiB/s", *more) as server:
                client = self.meet(server)
                client.write(bytes(1000))
                record = client.made()
                client.socket.sendall(record[:500])
                server.expect_little_work()
                client.socket.sendall(record[500:])
                self.assertEqual(client.receive_exactly(1000), bytes(1000))


def try_to_flush(client):
    try:
        client.flush()
    except OSError:
        pass


class HandshakeTest(TlsTestCase):
    """Handshakes that fail, and what they cost."""

    def test_junk_costs_a_counter_and_one_line(self):
        """Clients of other protocols are counted, and the log has a line now and then."""
        count = 200
        with self.serve() as server:
            for i in range(count):
                with harness.connect(server.addresses[0]) as client:
                    client.sendall((b"GET / HTTP/1.0\r\n\r\n", bytes(100), b"\x16\x03\x01\x02")[i % 3])
                    client.shutdown(socket.SHUT_WR)
                    harness.receive_all(client)
            harness.wait_until(lambda: server.report()[0].open == 0, "all of them have ended")
            server.log.wait_for(f"totals: .* tls_failed={count} ")
            lines = server.log.find(r"closed: TLS error \(")
            self.assertTrue(0 < len(lines) < count / 4, len(lines))
            self.meet(server).send(b"it still serves")

    def test_an_alert_arrives_though_the_client_has_sent_more(self):
        """Who has no protocol or certificate in common reads why, and not a reset."""
        for options, how, words in (
                (",alpn=echo", {"protocols": ["h2"]}, "NO_APPLICATION_PROTOCOL|no application"),
                (f",client-ca={Files.authority}", {}, "CERTIFICATE_REQUIRED|certificate required")):
            with self.serve(options=options) as server:
                client = TlsClient(server.connect(), context_for(Files.authority, **how))
                with self.assertRaisesRegex(ssl.SSLError, words):
                    client.shake_hands()
                    client.send(bytes(100))
                    client.receive()
                client.socket.close()
                server.log.wait_for(r"closed: TLS error \(")

    def test_without_a_linger_timeout_who_cannot_agree_is_ended_at_once(self):
        with self.serve("--linger-timeout", "0", options=",alpn=echo") as server:
            client = TlsClient(server.connect(), context_for(Files.authority, protocols=["h2"]))
            with self.assertRaises((ssl.SSLError, ConnectionError)):
                client.shake_hands()
            server.log.wait_for(r"closed: TLS error \(")  # while the client is there

    def test_a_fin_that_is_withheld_follows_no_alert_either(self):
        """With truncate-fin, who cannot agree gets the alert, and then a reset."""
        with self.serve("--linger-timeout", scaled_ms(100),
                        options=",alpn=echo,truncate-fin,lifetime=1h") as server:
            client = TlsClient(server.connect(), context_for(Files.authority, protocols=["h2"]))
            with self.assertRaisesRegex(ssl.SSLError, "NO_APPLICATION_PROTOCOL|no application"):
                client.shake_hands()
            with self.assertRaises(ConnectionResetError):
                client.socket.recv(100)
            server.log.wait_for(r"closed: TLS error \(")

    def test_a_drip_of_bytes_does_not_extend_the_handshake(self):
        """A hello that comes byte by byte is given up at the deadline; so is silence."""
        with self.serve(options=",handshake-timeout=1s") as server:
            silent = server.connect()
            dripping = TlsClient(server.connect(), context_for(Files.authority))
            for byte in dripping.say_hello() * 100:
                try:
                    dripping.socket.sendall(bytes([byte]))
                except OSError:
                    break
                if server.log.find("closed: handshake timeout.*\n?"):
                    break
                time.sleep(0.02)
            server.wait_for_closed("handshake timeout", 2)
            self.assertEqual(harness.receive_all(silent), b"")

    def test_a_hello_may_come_in_pieces(self):
        """Each byte of a handshake may be a segment of its own."""
        with self.serve() as server:
            client = TlsClient(server.connect(), context_for(Files.authority))
            for byte in client.say_hello():
                client.socket.sendall(bytes([byte]))
            client.shake_hands()
            client.send(b"ping")
            self.assertEqual(client.receive_exactly(4), b"ping")

    def test_a_chain_leaves_as_the_client_reads(self):
        """What the socket has no room for waits for that."""
        chain = f"{self.temporary_directory()}/chain.pem"
        with open(chain, "w", encoding="ascii", opener=private) as file:
            for path in Files.server, *[Files.authority] * 20:
                with open(path, encoding="ascii") as certificates:
                    file.write(certificates.read())
        listener = harness.listening_socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)
        with listener, Echod(listen=f"tls+fd://{listener.fileno()},cert={chain}",
                             pass_fds=(listener.fileno(),)), socket.socket() as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
            sock.settimeout(harness.PATIENCE_SECONDS)
            sock.connect(listener.getsockname())
            client = TlsClient(sock, context_for(Files.authority)).shake_hands()
            client.send(b"ping")
            self.assertEqual(client.receive_exactly(4), b"ping")

    def test_a_client_that_only_looks_is_no_failure(self):
        """A balancer that connects and closes is a client that closed."""
        with self.serve() as server:
            server.connect().close()
            server.wait_for_closed("client closed")
            self.assertEqual(server.report()[0].open, 0)
            server.log.wait_for("totals: .* tls_failed=0 ")

    def test_the_header_of_a_proxy_comes_before_the_handshake(self):
        """It may come with the hello in one piece, and both stand in the log."""
        with self.serve("--log-level", "debug", options=",proxy=any") as server:
            client = TlsClient(server.connect(), context_for(Files.authority))
            client.socket.sendall(PROXY_V1 + client.say_hello())
            client.shake_hands()
            client.send(b"ping")
            self.assertEqual(client.receive_exactly(4), b"ping")
            server.log.wait_for(r"192\.0\.2\.1:56324 opened via=127\.0\.0\.1:\d+ " + AGREED)


class RecordTest(TlsTestCase):
    """What a client may do with records costs neither memory nor a spin."""

    def test_records_of_one_byte(self):
        """They return in order, in far fewer records."""
        count = 20000
        with self.serve() as server:
            client = self.meet(server)
            for i in range(count):
                client.write(bytes([i % 251]))
            sending = harness.Background(client.socket.sendall, client.made())
            echo = client.receive_exactly(count)
            sending.result()
            self.assertEqual(echo, bytes(i % 251 for i in range(count)))

    def test_key_updates(self):
        """Keys may change again and again, by s_client's K."""
        with self.serve() as server:
            port = harness.port_of(server.addresses[0])
            command = ["openssl", "s_client", "-CAfile", Files.authority, "-connect",
                       f"127.0.0.1:{port}"]
            with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT) as process:
                self.addCleanup(process.kill)
                lines = iter(process.stdout.readline, b"")
                for words in [b"---"] + [b"KEYUPDATE"] * 20 + [b"behind new keys"]:
                    if words != b"---":
                        process.stdin.write(b"K\n" if words == b"KEYUPDATE" else words + b"\n")
                        process.stdin.flush()
                    self.assertTrue(any(words in line for line in lines), words)
                process.kill()

    def test_a_client_that_never_reads_fills_no_more_than_its_share(self):
        """Reading pauses at the high mark, as without TLS."""
        with self.serve("--high-water", "64KiB") as server:
            client = TlsClient(server.connect(receive_buffer=4 * KIB, send_buffer=4 * KIB),
                               context_for(Files.authority)).shake_hands()
            client.write(bytes(16 * MIB))
            client.socket.setblocking(False)
            self.assertFalse(self.send_some(client.socket, memoryview(client.made())))
            connection = server.report()[1][0]
            waiting = connection.bytes_in - connection.bytes_out
            self.assertTrue(0 < waiting < 164 * KIB, waiting)
            harness.reset(client.socket)
            server.wait_for_closed("reset by client")

    @staticmethod
    def send_some(client, data):
        """Send until nothing more is taken for a while; return whether all was."""
        position, quiet = 0, 0
        while quiet < 30 and position < len(data):
            try:
                position += client.send(data[position:position + 64 * KIB])
                quiet = 0
            except BlockingIOError:
                quiet += 1
                time.sleep(0.01)
        return position == len(data)


class PlaceTest(TlsTestCase):
    """TLS on every kind of stream listener."""

    def test_a_socket_that_was_passed(self):
        """tls+fd:// speaks TLS on what a parent bound."""
        listener = harness.listening_socket()
        with Echod(listen=f"tls+fd://{listener.fileno()},cert={Files.server}",
                   pass_fds=(listener.fileno(),)):
            client = TlsClient(harness.connect(harness.address_of(listener)),
                               context_for(Files.authority)).shake_hands()
            client.send(b"ping")
            self.assertEqual(client.receive_exactly(4), b"ping")
            client.socket.close()
        listener.close()

    def test_a_unix_socket(self):
        """tls+unix:// speaks TLS on a path."""
        path = f"{self.temporary_directory()}/echod.sock"
        with self.serve(address=f"tls+unix://{path}"):
            with socket.socket(socket.AF_UNIX) as sock:
                sock.connect(path)
                client = TlsClient(sock, context_for(Files.authority)).shake_hands()
                client.send(bytes(100000))
                self.assertEqual(client.receive_exactly(100000), bytes(100000))

    def test_plain_listeners_stay_plain(self):
        """A listener beside it knows nothing of TLS."""
        with Echod(listen=[f"tls://127.0.0.1:0,cert={Files.server}", "tcp://127.0.0.1:0"]) as server:
            hello = TlsClient(None, context_for(Files.authority)).say_hello()
            plain = server.connect(1)
            plain.sendall(hello)
            self.assertEqual(harness.receive_exactly(plain, len(hello)), hello)

    def test_both_go_on_at_a_reload(self):
        """A new certificate is for who comes next; who is there keeps what was agreed."""
        config = f"{self.temporary_directory()}/echod.conf"
        with open(config, "w", encoding="ascii") as file:
            file.write(f"listen tls://127.0.0.1:0,cert={Files.server}\n")
        with Echod(config=config, listen=None, ready=1) as server:
            old = self.meet(server)
            server.signal(signal.SIGHUP)
            server.log.wait_for("is in effect")
            new = self.meet(server)
            for client in old, new:
                client.send(b"ping")
                self.assertEqual(client.receive_exactly(4), b"ping")


if __name__ == "__main__":
    harness.main()
