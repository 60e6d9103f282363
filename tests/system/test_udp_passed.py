"""
test_udp_passed: UDP sockets that a parent opened are served, and left when nobody needs them.
Drives inetutils' inetd where it is installed.
Run by `run`, by automake, or alone.
"""

import signal
import socket
import time

import harness
from harness import Echod
import test_systemd
from test_echoprobe_inetd import SuperServer
from test_udp import parse_totals

# linux/in.h, asm-generic/socket.h and linux/net_tstamp.h: Python does not name them.
IP_RECVERR, SO_TIMESTAMPING, SOF_TIMESTAMPING_TX_SOFTWARE = 11, 37, 1 << 1

# An inetd finds the port of a service by its name alone (getservbyname(3)).
SERVICES = "echo-by-echod {port}/udp\n"
INETD = ("127.0.0.1:echo-by-echod dgram udp wait root {echod} echod --no-config --listen "
         "fd://0,idle-timeout={idle}\n")


def bound_socket(host="127.0.0.1"):
    """A UDP socket to pass on."""
    bound = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
    bound.bind((host, 0))
    return bound


def client_of(bound, host=None):
    """A socket that is connected to another, or to its port at another host."""
    client = socket.socket(bound.family, socket.SOCK_DGRAM)
    client.settimeout(harness.PATIENCE_SECONDS)
    client.connect((host or bound.getsockname()[0], bound.getsockname()[1]))
    return client


def round_trip(client, data=b"ping"):
    client.send(data)
    echo = client.recv(65536)
    if echo != data:
        raise AssertionError(f"sent {data!r}, got {echo!r}")


class PassedTest(harness.TestCase):

    def passed(self, host="127.0.0.1"):
        bound = bound_socket(host)
        self.addCleanup(bound.close)
        client = client_of(bound, "127.0.0.1" if host == "0.0.0.0" else None)
        self.addCleanup(client.close)
        return bound, client

    def echod(self, bound, *arguments, **options):
        number = bound.fileno()
        return Echod(*arguments, listen=f"fd://{number}", ready=1, pass_fds=(number,), **options)

    def test_fd(self):
        """A passed socket is served, by several workers too, and outlives echod."""
        bound, client = self.passed()
        for workers in ("1", "3"):
            with self.echod(bound, "--workers", workers):
                for i in range(50):
                    round_trip(client, b"%d" % i)
        with self.echod(bound):
            client.send(b"later")
            self.assertEqual(client.recv(10), b"later")

    def test_a_wildcard_answers_from_where_it_was_asked(self):
        """What echod needs to know of each datagram it asks for by itself."""
        bound, _ = self.passed("0.0.0.0")
        with self.echod(bound):
            for host in ("127.0.0.1", "127.0.0.5"):
                with client_of(bound, host) as client:
                    round_trip(client)

    def test_what_waited_before_the_start_is_answered(self):
        """Datagrams are not lost between a service manager and echod."""
        bound, client = self.passed()
        for i in range(20):
            client.send(b"%d" % i)
        with self.echod(bound):
            self.assertEqual([client.recv(10) for _ in range(20)], [b"%d" % i for i in range(20)])

    def test_a_service_that_nobody_uses_ends(self):
        """With an idle time-out a passed socket is left after it, with status 0."""
        bound, client = self.passed()
        for workers in ("1", "2"):
            with self.echod(bound, "--workers", workers, "--idle-timeout",
                            harness.scaled_ms(700)) as server:
                round_trip(client)
                server.wait_for_exit(harness.STATUS_STOPPED)

    def test_who_has_something_else_to_serve_stays(self):
        """An idle time-out of clients is none of echod's own."""
        bound, client = self.passed()
        number = bound.fileno()
        with Echod("--idle-timeout", "50ms", listen=[f"fd://{number}", "tcp://127.0.0.1:0"],
                   ready=2, pass_fds=(number,)) as server:
            for _ in range(3):
                idle = harness.connect(server.log.find(r"listening on (tcp://\S+)")[0].group(1))
                self.assertEqual(idle.recv(1), b"")  # its time-out, not echod's
                idle.close()
                round_trip(client)

    def test_a_reload_may_leave_nothing_else_to_serve(self):
        """From then on an idle time-out is echod's own, and not that of each worker."""
        bound, client = self.passed()
        listen = f"listen fd://{bound.fileno()},idle-timeout={harness.scaled_ms(700)}"
        path = f"{self.temporary_directory()}/echod.conf"

        def write(*lines):
            with open(path, "w", encoding="ascii") as file:
                file.write("\n".join((*lines, "workers 3", "")))

        write(listen, "listen tcp://127.0.0.1:0")
        with Echod(config=path, listen=(), ready=2, pass_fds=(bound.fileno(),)) as server:
            write(listen)
            server.signal(signal.SIGHUP)
            server.log.wait_for("no longer listening on tcp")
            round_trip(client)
            server.wait_for_exit(harness.STATUS_STOPPED)

    def test_a_socket_without_an_idle_time_out_is_never_left(self):
        """Only when each socket has one, and nothing comes to any of them, echod ends."""
        (short, _), (kept, client) = self.passed(), self.passed()
        listen = [f"fd://{short.fileno()},idle-timeout=50ms", f"fd://{kept.fileno()}"]
        with Echod(listen=listen, ready=2, pass_fds=(short.fileno(), kept.fileno())) as server:
            for _ in range(10):
                round_trip(client)
                time.sleep(0.05)
            self.assertIsNone(server.status)

    def test_workers_count_once_what_their_socket_dropped(self):
        """The system tells each of them the total of the socket that they share."""
        bound, client = self.passed()
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
        with self.echod(bound, "--workers", "3") as server:
            server.signal(signal.SIGSTOP)
            harness.wait_until(lambda: server.state() == "T", "echod stands")
            for _ in range(500):
                client.send(bytes(500))
            server.signal(signal.SIGCONT)
            server.stop()
        totals = parse_totals(server.log.find(harness.TOTALS_LINE)[-1].string)
        self.assertGreater(totals["overflowed"], 0)
        self.assertEqual(totals["datagrams_out"] + totals["overflowed"], 500)

    def test_a_queue_of_errors_that_its_opener_asked_for_wakes_nobody(self):
        """What the system reports there, of peers and of answers, echod does not read."""
        asked = ((socket.IPPROTO_IP, IP_RECVERR, 1),
                 (socket.SOL_SOCKET, SO_TIMESTAMPING, SOF_TIMESTAMPING_TX_SOFTWARE))
        for option in asked:
            bound, client = self.passed()
            bound.setsockopt(*option)
            with socket.socket(type=socket.SOCK_DGRAM) as gone:
                gone.bind(("127.0.0.1", 0))
                nobody = gone.getsockname()
            bound.sendto(b"is anybody there?", nobody)
            with self.subTest(option=option), self.echod(bound) as server:
                round_trip(client)
                server.expect_little_work()
                round_trip(client)

    def test_systemd(self):
        """systemd's ListenDatagram= is served as its ListenStream= is."""
        bound, client = self.passed()
        environment = {"LISTEN_FDS": "1", "LISTEN_FDNAMES": "echo"}
        as_systemd = f'exec 3<&{bound.fileno()}; export LISTEN_PID=$$; exec "$0" "$@"'
        with test_systemd.environment(**environment), \
                Echod(listen="systemd://echo", prefix=("sh", "-c", as_systemd),
                      pass_fds=(bound.fileno(),)) as server:
            round_trip(client)
            self.assertIn(f"127.0.0.1:{bound.getsockname()[1]}",
                          server.log.find("listening on.*")[0].group(0))

    def test_a_socket_without_a_port_is_refused(self):
        """Nobody could send anything there."""
        with socket.socket(type=socket.SOCK_DGRAM) as unbound:
            number = unbound.fileno()
            result = harness.run_echod("--listen", f"fd://{number}", pass_fds=(number,))
        self.assertEqual(result.returncode, harness.STATUS_SYSTEM)
        self.assertIn(f"fd://{number}", result.stderr)


    def test_standard_input(self):
        """Under inetd a "wait" service has its socket as standard input: that is not one client."""
        bound, _ = self.passed()
        result = harness.run_echod("--listen", "stdio:", stdin=bound)
        self.assertEqual(result.returncode, harness.STATUS_SYSTEM)
        self.assertIn("standard input is a datagram socket; write fd://0", result.stderr)


class InetdTest(harness.TestCase):

    def test_wait(self):
        """inetd starts echod for the first datagram, waits while it serves, and listens again."""
        inetd = self.need_program("inetutils-inetd", "/usr/sbin")
        port = harness.free_port(socket.SOCK_DGRAM)
        prefix = self.with_file("/etc/services", SERVICES.format(port=port))
        path = f"{self.temporary_directory()}/inetd.conf"
        with open(path, "w", encoding="ascii") as file:
            file.write(INETD.format(echod=harness.ECHOD, idle=harness.scaled_ms(500)))
        with SuperServer([*prefix, inetd, "--debug", "--pidfile", "--rate=1000000", path],
                         ready="^registered ") as server, \
                socket.socket(type=socket.SOCK_DGRAM) as client:
            client.settimeout(harness.PATIENCE_SECONDS)
            client.connect(("127.0.0.1", port))
            for _ in range(2):  # a second echod follows the first
                for i in range(100):
                    round_trip(client, b"%d" % i)
                harness.wait_until(lambda: not children_of(server.pid), "echod has ended")


def children_of(pid):
    """The processes that a process has started and that have not ended."""
    with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
        children = file.read().split()
    return [child for child in children if not is_zombie(child)]


def is_zombie(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as file:
            return file.read().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


if __name__ == "__main__":
    harness.main()
