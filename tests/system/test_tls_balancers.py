"""
test_tls_balancers: TLS with real balancers and clients in between: passed through, taken off, put on.
What a client of ours may do wrong is in test_tls.
Run by `run`, by automake, or alone.
"""

import re
import shutil
import subprocess
import tempfile

import harness
from balancers import haproxy, nginx
from certificates import Authority
from harness import KIB, PATIENCE_SECONDS, Echod
from tls_client import TlsClient, context_for

AGREED = r"tls=TLSv1\.[23] cipher=\S+"


class Files:
    """An authority and what it signed, made once."""

    directory = None
    authority = certificate = None


def setUpModule():  # pylint: disable=invalid-name
    if shutil.which("openssl") is None:
        return
    Files.directory = tempfile.mkdtemp(prefix="echod-")
    authority = Authority(Files.directory)
    Files.authority, Files.certificate = authority.path, authority.issue("/CN=localhost")


def tearDownModule():  # pylint: disable=invalid-name
    if Files.directory is not None:
        shutil.rmtree(Files.directory, ignore_errors=True)


class BalancerTest(harness.TestCase):
    """What stands between a client and a TLS listener."""

    def setUp(self):
        self.need_program("openssl")

    def echo_over_tls(self, address):
        """Echo over TLS, up to both close_notify; return the client's own address."""
        data = harness.random_bytes(300 * KIB)
        with harness.connect(address) as sock:
            client = TlsClient(sock, context_for(Files.authority)).shake_hands()
            client.write(data)
            client.make_close_notify()
            sending = harness.Background(client.socket.sendall, client.made())
            self.assertEqual(client.receive_all(), data)
            sending.result()
            return f"127.0.0.1:{sock.getsockname()[1]}"

    def test_haproxy_passes_it_through(self):
        """The client's TLS ends in echod, behind a header that says who it is."""
        with Echod(listen=f"tls://127.0.0.1:0,cert={Files.certificate},proxy=v2") as server, \
                haproxy(self, server.addresses[0], back="send-proxy-v2") as address:
            name = self.echo_over_tls(address)
            server.log.wait_for(rf" {re.escape(name)} closed: client closed, .* "
                                rf"via=127\.0\.0\.1:\d+ {AGREED}")

    def test_haproxy_takes_it_off_and_puts_it_on(self):
        """Each half has TLS of its own, and the half-close passes both."""
        back = f"send-proxy ssl verify required ca-file {Files.authority} sni str(localhost)"
        with Echod(listen=f"tls://127.0.0.1:0,cert={Files.certificate},proxy=any") as server, \
                haproxy(self, server.addresses[0], front=f"ssl crt {Files.certificate}",
                        back=back) as address:
            with harness.connect(address) as sock:
                client = TlsClient(sock, context_for(Files.authority)).shake_hands()
                data = harness.random_bytes(300 * KIB)
                client.write(data)
                sending = harness.Background(client.flush)
                self.assertEqual(client.receive_exactly(len(data)), data)
                sending.result()
            server.log.wait_for(rf'closed: client closed.* via=\S+ {AGREED} sni="localhost"')

    def test_haproxy_tells_what_it_took_off(self):
        """Behind a balancer with TLS the identity tells what the client agreed on with that."""
        with Echod(listen="tcp://127.0.0.1:0,proxy=v2,identify=line") as server, \
                haproxy(self, server.addresses[0], front=f"ssl crt {Files.certificate}",
                        back="send-proxy-v2-ssl-cn") as address:
            with harness.connect(address) as sock:
                client = TlsClient(sock, context_for(Files.authority)).shake_hands()
                identity = client.receive().decode("ascii")
            self.assertRegex(identity, r" proxy_tls=TLSv1\.[23]\b")

    def test_nginx_puts_it_on(self):
        """nginx speaks TLS to echod for a plain client."""
        with Echod(listen=f"tls://127.0.0.1:0,cert={Files.certificate}") as server, \
                nginx(self, server.addresses[0], "proxy_ssl on", "proxy_ssl_verify on",
                      "proxy_ssl_name localhost", "proxy_ssl_server_name on",
                      f"proxy_ssl_trusted_certificate {Files.authority}") as address:
            with harness.connect(address) as client:
                harness.round_trip(client, harness.random_bytes(100 * KIB))
            server.log.wait_for(rf'closed: client closed.* {AGREED} sni="localhost"')

    def test_socat_speaks_it(self):
        """socat, with its end at the end of its input."""
        program = self.need_program("socat")
        with Echod(listen=f"tls://127.0.0.1:0,cert={Files.certificate}") as server:
            port = harness.port_of(server.addresses[0])
            echo = subprocess.run(
                [program, "-t", str(PATIENCE_SECONDS), "-",
                 f"OPENSSL:localhost:{port},cafile={Files.authority}"],
                input=bytes(50000), stdout=subprocess.PIPE, check=True,
                timeout=3 * PATIENCE_SECONDS)
            self.assertEqual(echo.stdout, bytes(50000))


if __name__ == "__main__":
    harness.main()
