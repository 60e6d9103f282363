"""
test_admin: operators are answered by HTTP at the addresses of --admin, over TCP and Unix sockets,
whoever else is there: idle, hostile or greedy clients, a shortage of descriptors, a drain.
What each path answers in detail, and how connections are bounded, is in the unit tests.
Run by `run`, by automake, or alone.
"""

import contextlib
import os
import signal
import socket
import stat
import subprocess

import harness
from admin_client import ADMIN_LINE, LOOPBACK, address_of, ask, exchange
from harness import Echod, round_trip

CONNECTIONS = 64  # that the endpoint has at most at each address
GET = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
# More than sockets hold by far, in few answers, and all of it is asked for in one piece: a client
# whose answers are all on their way is left a minute to ask again.
GREED = GET.replace(b"healthz", b"") * 1000


class AnswerTest(harness.TestCase):

    def curl(self, *arguments):
        result = subprocess.run(
            [self.need_program("curl"), "-sS", "--max-time", str(int(harness.PATIENCE_SECONDS)),
             "-w", " %{http_code}", *arguments],
            capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
        self.assertEqual((result.returncode, result.stderr), (0, ""))
        return result.stdout

    def test_curl_is_answered_over_tcp_and_a_unix_socket(self):
        """Health, readiness and status, at each address, with the headers that a browser minds."""
        path = f"{self.temporary_directory()}/admin.sock"
        with Echod("--admin", LOOPBACK, "--admin", f"unix://{path}") as server:
            url = address_of(server).replace("tcp", "http")
            self.assertEqual(address_of(server, 1), f"unix://{path}")
            self.assertEqual(self.curl(f"{url}/healthz"), "ok\n 200")
            self.assertEqual(self.curl(f"{url}/readyz"), "ready\n 200")
            self.assertIn('"can_act":false', self.curl(f"{url}/status"))
            local = ("--unix-socket", path)
            self.assertIn('"can_act":true', self.curl(*local, "http://echod/status"))
            self.assertEqual(self.curl(*local, "-d", "", "http://localhost/readyz"),
                             '{"error":"/readyz takes GET, HEAD."}\n 405')
            head = self.curl("-I", f"{url}/status")
            for line in ("HTTP/1.1 200 OK", "Content-Type: application/json",
                         "Cache-Control: no-store", "X-Content-Type-Options: nosniff"):
                self.assertIn(f"{line}\n", head)
            self.assertNotIn("Access-Control", head)

    def test_status_tells_what_was_served(self):
        """Numbers of the process and of each listener are those that clients count."""
        with Echod("--admin", LOOPBACK, "--max-connections", "2", "--workers", "2",
                   listen=("tcp://127.0.0.1:0,name=one", "udp://127.0.0.1:0")) as server:
            client = server.connect()
            round_trip(client, b"12345")
            # A worker counts a byte when it is out; the client may already have it then.
            status = harness.wait_until(lambda: self.status_with_bytes(server), "the echo is counted")
            self.assertEqual(status["pid"], server.pid)
            self.assertEqual((status["state"], status["workers"], status["log_level"]),
                             ("running", 2, "info"))
            self.assertEqual(status["connections"],
                             {"open": 1, "max": 2, "accepted": 1, "refused": 0})
            self.assertEqual(status["bytes"], {"in": 5, "out": 5, "queued": 0})
            self.assertEqual(len(status["loop_lag_ms"]), 2)
            one, other = status["listeners"]
            self.assertEqual((one["name"], one["address"], one["open"], one["max"], one["state"]),
                             ("one", server.addresses[0], 1, 2, "listening"))
            self.assertEqual(one["counters"]["in_bytes"], 5)
            self.assertEqual((other["name"], other["datagrams"]), (server.addresses[1], True))
            round_trip(server.connect())
            state = ask(address_of(server), "/status").json["listeners"][0]["state"]
            self.assertEqual(state, "full")

    @staticmethod
    def status_with_bytes(server):
        """What it tells once it has counted bytes that went out."""
        status = ask(address_of(server), "/status").json
        return status if status["bytes"]["out"] > 0 else None

    def test_what_should_not_be_asked_is_refused(self):
        """Each with the fitting status and a sentence in JSON."""
        with Echod("--admin", LOOPBACK) as server:
            address = address_of(server)
            for path, method, headers, status, sentence in (
                    ("/nothing", "GET", {}, 404, "There is nothing at /nothing."),
                    ("/status/", "GET", {}, 404, "There is nothing at /status/."),
                    ("/%22%0a", "GET", {}, 404, 'There is nothing at /"\n.'),
                    ("/status", "POST", {}, 405, "/status takes GET, HEAD."),
                    ("/status", "BREW", {}, 405, "/status takes GET, HEAD."),
                    ("/status?since=1", "GET", {}, 400, '"since" is no parameter of /status.'),
                    ("/status", "GET", {"Host": "evil.example"}, 403, "no name of this host"),
                    ("/status", "GET", {"Host": "localhost:1", "Origin": "http://localhost:2"},
                     403, "A page of http://localhost:2 may not ask here."),
                    ("/status", "GET", {"Origin": "null"}, 403, "A page of null"),
                    ("/status", "PUT", {"Content-Length": "5000"}, 413, "too large"),
                    ("/status", "PUT", {"Transfer-Encoding": "chunked"}, 411, "Content-Length")):
                answer = ask(address, path, method, headers=headers)
                self.assertEqual(answer.status, status, answer.text)
                self.assertIn(sentence, answer.error)
                self.assertTrue(answer.text.endswith("}\n"))
                self.assertEqual(answer.headers["Allow"], "GET, HEAD" if status == 405 else None)

    def test_what_is_no_http_does_no_harm(self):
        """Whatever is sent, the connection ends, and the next client is answered."""
        with Echod("--admin", LOOPBACK) as server:
            address = address_of(server)
            for request, answer in (
                    (b"", b""), (b"\r\n" * 1000, b""), (b"GET /healthz", b""),
                    (b"\x00\xff\x80\r\n\r\n", None), (b"GET  HTTP/1.1\r\n\r\n", None),
                    (b"GET /healthz\r\n\r\n", None), (b"GET http://a/healthz HTTP/1.1\r\n\r\n", None),
                    (b"GET /healthz HTTP/1.1\r\nHost: a b\r\nHost\r\n\r\n", None),
                    (b"GET /healthz HTTP/1.1\r\nHost: h\r\nContent-Length: -1\r\n\r\n", None),
                    (b"GET /" + b"x" * 40000 + b" HTTP/1.1\r\n\r\n", None),
                    (b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 10000 + b"\r\n", None)):
                received = exchange(address, request)
                self.assertNotIn(b" 200 ", received, request[:50])
                if answer is not None:
                    self.assertEqual(received, answer)
            self.assertEqual(exchange(address, GET * 100).count(b"\r\n\r\nok\n"), 100)
            self.assertTrue(exchange(address, b"GET /healthz HTTP/1.0\r\n\r\n").endswith(b"ok\n"))


class HostileTest(harness.TestCase):

    def test_many_clients_keep_nobody_out(self):
        """Clients that ask nothing give way; those that never read what they asked for, too, in
        time; and all the while the echo is served."""
        with contextlib.ExitStack() as stack, Echod("--admin", LOOPBACK) as server:
            address = address_of(server)
            threads = server.thread_count()
            for _ in range(4 * CONNECTIONS):
                stack.enter_context(harness.connect(address))
            for _ in range(CONNECTIONS // 2):
                client = stack.enter_context(harness.connect(address, receive_buffer=4096))
                client.sendall(GREED)
            self.assertEqual(ask(address, "/readyz").status, 200)
            round_trip(server.connect())
            self.assertEqual(server.thread_count(), threads)
            self.assertLessEqual(server.descriptor_count(), 64 + CONNECTIONS)

    def test_descriptors_are_left_for_operators(self):
        """When clients have all that there are, the endpoint is still reached, and nothing spins."""
        with Echod("--admin", LOOPBACK, prefix=harness.with_file_limit(150)) as server:
            address = address_of(server)
            limit = ask(address, "/status").json["connections"]["max"]
            self.assertLess(limit, 150 - CONNECTIONS)
            with contextlib.ExitStack() as stack:
                for _ in range(limit + 20):
                    stack.enter_context(harness.connect(server.addresses[0]))
                harness.wait_until(
                    lambda: ask(address, "/status").json["connections"]["open"] == limit,
                    "all that may come are there")
                for _ in range(2 * CONNECTIONS):
                    stack.enter_context(harness.connect(address))
                self.assertEqual(ask(address, "/healthz").text, "ok\n")


class LifeTest(harness.TestCase):

    def test_readiness_follows_a_drain(self):
        """A balancer sees at once that it should go elsewhere, while clients are still served."""
        with Echod("--admin", LOOPBACK, "--drain-timeout", "1h") as server:
            address = address_of(server)
            client = server.connect()
            round_trip(client)
            server.signal(signal.SIGTERM)
            harness.wait_until(lambda: ask(address, "/readyz").status == 503, "it is not ready")
            self.assertEqual(ask(address, "/readyz").text, "draining\n")
            self.assertEqual(ask(address, "/healthz").text, "ok\n")
            self.assertEqual(ask(address, "/status").json["state"], "draining")
            round_trip(client)
            with harness.connect(address) as silent:
                client.close()
                server.wait_for_exit(0)
                self.assertEqual(harness.receive_all(silent), b"")

    def test_a_path_has_its_permissions_and_is_removed(self):
        """0600, or what mode says; a stale socket gives way, a live one is an error."""
        path = f"{self.temporary_directory()}/admin.sock"
        with socket.socket(socket.AF_UNIX) as stale:
            stale.bind(path)
        with Echod("--admin", f"unix://{path}") as server:
            address_of(server)
            self.assertEqual(stat.S_IMODE(os.stat(path).st_mode), 0o600)
            self.assert_refused(
                harness.run_echod("--listen", harness.LOOPBACK, "--admin", f"unix://{path}"),
                f"--admin unix://{path}: ", "Address already in use")
        self.assertFalse(os.path.exists(path))
        with Echod("--admin", f"unix://{path},mode=0620") as server:
            address_of(server)
            self.assertEqual(stat.S_IMODE(os.stat(path).st_mode), 0o620)

    def test_an_abstract_name_is_refused(self):
        """Anybody could act there; that no permissions were asked for is not held against it."""
        result = harness.run_echod("--admin", "unix://@echod-test", "--check")
        self.assertEqual(result.returncode, harness.STATUS_USAGE)
        self.assertIn('"unix://@echod-test": an abstract name has no permissions, which say who '
                      "may act; write unix:///PATH", result.stderr)

    def test_a_service_manager_offers_an_address(self):
        """ECHOD_ADMIN counts where neither file nor command line says where, and is no file."""
        config = f"{self.temporary_directory()}/echod.conf"

        def check(variable, text, *arguments):
            with open(config, "w", encoding="ascii") as file:
                file.write(text)
            return harness.run_echod("--check", "--config", config, *arguments,
                                     env={**os.environ, "ECHOD_ADMIN": variable})

        for variable, text, arguments, found in (
                (LOOPBACK, "", (), f"admin tcp://{LOOPBACK} # ECHOD_ADMIN"),
                (LOOPBACK, "admin 127.0.0.1:9\n", (), f"admin tcp://127.0.0.1:9 # {config}:1"),
                (LOOPBACK, "", ("--admin", "[::1]:9"), "admin tcp://[::1]:9 # command line"),
                ("", "", (), "# admin is not set")):
            with self.subTest(found):
                lines = check(variable, text, *arguments).stdout.splitlines()
                self.assertEqual([line for line in lines if "admin" in line], [found])
        refusal = check("udp://[::1]:9", "")
        self.assertEqual((refusal.returncode, refusal.stdout), (harness.STATUS_CONFIG, ""))
        self.assertIn('ECHOD_ADMIN: admin: "udp://[::1]:9": ', refusal.stderr)

    def test_a_reload_keeps_the_addresses_and_says_so(self):
        """Other addresses need a restart."""
        config = f"{self.temporary_directory()}/echod.conf"


        def write(*admins):
            with open(config, "w", encoding="ascii") as file:
                file.writelines(f"{line}\n" for line in (f"listen {harness.LOOPBACK}", *admins))

        write(f"admin {LOOPBACK}")
        with Echod(listen=None, config=config) as server:
            address = address_of(server)
            for count, admins in enumerate(([], ["admin unix:///nowhere"], [f"admin {LOOPBACK}"])):
                write(*admins)
                since = len(server.log.lines)
                server.signal(signal.SIGHUP)
                server.log.wait_for("is in effect", since=since)
                self.assertEqual(len(server.log.find("admin: .* echod is restarted", since)),
                                 0 if count == 2 else 1)
            harness.wait_until(lambda: ask(address, "/status").json["reloads"] == 3, "three reloads")
            self.assertEqual(len(server.log.find(ADMIN_LINE)), 1)


if __name__ == "__main__":
    harness.main()
