"""
test_limits: time-outs and limits do what their options say, and a shortage passes.
How limits are written, and what is refused, is in test_usage.
Run by `run`, by automake, or alone.
"""

import contextlib
import json
import re
import selectors
import socket
import time

import harness
from harness import KIB, MIB, Background, Echod, Stream, scaled_ms


class TimeoutTest(harness.TestCase):

    def test_idle_timeout_ends_a_silent_client(self):
        """A client that moves no byte gets our FIN, and the log says why."""
        with Echod("--idle-timeout", scaled_ms(300)) as server:
            client = server.connect()
            harness.round_trip(client)
            self.assertEqual(harness.receive_all(client), b"")
            client.close()
            closed = server.wait_for_closed("idle timeout")
            self.assertEqual((closed.bytes_in, closed.bytes_out), (4, 4))

    def test_idle_timeout_spares_a_client_that_moves(self):
        """Each byte starts the idle time anew, so that a slow client may stay."""
        with Echod("--idle-timeout", scaled_ms(1000)) as server:
            client = server.connect()
            for _ in range(50):
                harness.round_trip(client)
                time.sleep(0.05 * harness.SLOWNESS)  # slow is what is tested
            self.assertEqual(harness.finish(client), b"")
            server.wait_for_closed("client closed")

    def test_idle_timeout_spares_a_client_that_only_receives(self):
        """While echo leaves the client is not idle, though it sends nothing more."""
        data = harness.random_bytes(16 * MIB)
        with Echod("--idle-timeout", scaled_ms(3000), "--high-water", "16MiB") as server:
            client = server.connect(receive_buffer=64 * KIB)
            sender = Background(client.sendall, data)
            received = 0
            for _ in range(100):
                received += len(client.recv(64 * KIB))
                time.sleep(0.04 * harness.SLOWNESS)  # slow is what is tested
            received += len(harness.receive_exactly(client, len(data) - received))
            sender.result()
            self.assertEqual(received, len(data))
            self.assertEqual(harness.finish(client), b"")

    def test_lifetime_ends_a_busy_client_that_loses_nothing(self):
        """At the end of its life even a busy client gets back all that echod received, then FIN."""
        with Echod("--lifetime", scaled_ms(500), "--linger-timeout", "1h") as server:
            stream = Stream(server.connect())
            received = stream.wait_for_fin()
            closed = server.wait_for_closed("lifetime over")
            self.assertEqual((closed.bytes_in, closed.bytes_out), (received, received))
            self.assertGreaterEqual(float(closed.age), 0.45 * harness.SLOWNESS)

    def test_write_timeout_ends_a_client_that_never_reads(self):
        """A client that takes none of its echo is ended, with FIN or without."""
        for ends in ("with FIN", "without FIN"):
            with self.subTest(ends), Echod("--write-timeout", scaled_ms(300),
                                           "--linger-timeout", scaled_ms(100)) as server:
                client = server.connect()
                with contextlib.suppress(ConnectionError):  # it may end before all is full
                    harness.fill([client], quiet_seconds=0.1)
                    if ends == "with FIN":
                        client.shutdown(socket.SHUT_WR)
                server.wait_for_closed("write timeout")

    def test_write_timeout_spares_a_slow_reader(self):
        """A client that takes a little now and then keeps its connection and all its bytes."""
        data = harness.random_bytes(4 * MIB)
        with Echod("--write-timeout", scaled_ms(1000)) as server:
            client = server.connect(receive_buffer=32 * KIB)
            sender = Background(client.sendall, data)
            received = 0
            for _ in range(50):
                received += len(harness.receive_exactly(client, 32 * KIB))
                time.sleep(0.05 * harness.SLOWNESS)  # slow is what is tested
            received += len(harness.receive_exactly(client, len(data) - received))
            sender.result()
            self.assertEqual(received, len(data))

    def test_linger_timeout_ends_a_client_that_never_closes(self):
        """After our FIN a client that stays is waited for, but not for ever."""
        with Echod("--lifetime", scaled_ms(100), "--linger-timeout", scaled_ms(400)) as server:
            client = server.connect()
            self.assertEqual(harness.receive_all(client), b"")
            begin = time.monotonic()
            closed = server.wait_for_closed("lifetime over")
            self.assertGreater(time.monotonic() - begin, 0.2 * harness.SLOWNESS)
            self.assertGreaterEqual(float(closed.age), 0.4 * harness.SLOWNESS)
            server.expect_idle_descriptors()

    def test_linger_timeout_0_ends_a_client_at_once(self):
        """Without lingering nobody waits for the client's FIN."""
        with Echod("--lifetime", scaled_ms(100), "--linger-timeout", "0") as server:
            client = server.connect()
            server.wait_for_closed("lifetime over")
            server.expect_idle_descriptors()
            with contextlib.suppress(ConnectionResetError):
                self.assertEqual(harness.receive_all(client), b"")


class ConnectionLimitTest(harness.TestCase):

    def test_at_max_connections_the_listener_pauses_and_resumes(self):
        """One client too many waits in the backlog and is served when another one leaves."""
        with Echod("--max-connections", "2") as server:
            served = [server.connect() for _ in range(2)]
            for client in served:
                harness.round_trip(client)
            waiting = server.connect()
            waiting.sendall(b"patience")
            waiting.settimeout(0.3)
            with self.assertRaises(TimeoutError):
                waiting.recv(1)
            self.assertEqual(server.report()[0].open, 2)

            served[0].close()
            waiting.settimeout(harness.PATIENCE_SECONDS)
            self.assertEqual(harness.receive_exactly(waiting, 8), b"patience")
            totals = server.report()[0]
            self.assertEqual((totals.open, totals.accepted), (2, 3))
            self.assertGreaterEqual(totals.accept_limits, 1)
            self.assertEqual(totals.accept_shortages, 0)

    def test_many_clients_pass_through_a_small_limit(self):
        """With room for 3, 200 clients who come at once are all served, one after the other."""
        with Echod("--max-connections", "3") as server:
            clients = [server.connect() for _ in range(200)]
            for number, client in enumerate(clients):
                data = b"client %d" % number
                self.assert_echo(harness.finish(client, data), data)
                client.close()
            self.assertEqual(server.stop().accepted, 200)

    def test_the_soft_file_limit_is_raised_to_the_hard_one(self):
        """A low soft limit, as a login shell may have it, does not limit the clients."""
        with Echod(prefix=("sh", "-c", 'ulimit -S -n 64 && exec "$0" "$@"')) as server:
            soft, hard = server.open_file_limits()
            self.assertEqual(soft, hard)
            for client in [server.connect() for _ in range(100)]:
                harness.round_trip(client)

    def test_many_workers_start_with_as_many_files_as_they_ask_for(self):
        """With too few descriptors echod says how many it needs, and these are enough."""
        arguments = ("--workers", "16")
        result = harness.run_echod(*arguments, "--listen", harness.LOOPBACK,
                                   prefix=harness.with_file_limit(30))
        self.assertEqual(result.returncode, harness.STATUS_SYSTEM)
        needed = re.search(r"16 workers with 1 listener need (\d+); raise it", result.stderr).group(1)
        with Echod(*arguments, prefix=harness.with_file_limit(needed)) as server:
            for _ in range(16):
                harness.round_trip(server.connect())

    def test_the_default_limit_stays_below_the_file_limit(self):
        """With 64 descriptors echod pauses before it runs out of them."""
        with Echod(prefix=harness.with_file_limit(64)) as server:
            clients = [server.connect() for _ in range(100)]
            harness.round_trip(clients[0])
            totals = harness.wait_until(
                lambda: next(filter(lambda totals: totals.accept_limits, [server.report()[0]]),
                             None), "the limit is reached")
            self.assertEqual(totals.accept_shortages, 0)
            self.assertGreater(totals.open, 16)
            self.assertLess(totals.open, 64)

    def test_backlog_bounds_the_clients_that_wait(self):
        """As many clients as --backlog says wait for their turn; the others do not get in."""
        connected = {}
        for backlog in (1, 50):
            with Echod("--max-connections", "1", "--backlog", str(backlog)) as server:
                harness.round_trip(server.connect())
                connected[backlog] = self.count_connected(server, 30)
        # The kernel lets one more wait than listen(2) was told.
        self.assertEqual(connected, {1: 2, 50: 30})

    def count_connected(self, server, count):
        """Begin to connect so many clients and return how many of them get through."""
        _, target = harness.socket_address(server.addresses[0])
        with selectors.DefaultSelector() as selector:
            for _ in range(count):
                client = server.adopt(socket.socket())
                client.setblocking(False)
                with contextlib.suppress(BlockingIOError):
                    client.connect(target)
                selector.register(client, selectors.EVENT_WRITE)
            connected = 0
            while ready := selector.select(0.3):
                for key, _ in ready:
                    selector.unregister(key.fileobj)
                    connected += 1
            return connected


class ShortageTest(harness.TestCase):

    PAUSE_LINE = r"warning: listener small pauses: Too many open files"

    def test_a_shortage_of_descriptors_costs_no_cpu_and_passes(self):
        """With 64 descriptors and 1,000 clients echod waits quietly until one leaves."""
        with Echod("--max-connections", "2000", listen=f"{harness.LOOPBACK},name=small",
                   prefix=harness.with_file_limit(64)) as server:
            clients = [server.connect() for _ in range(1000)]
            server.log.wait_for(self.PAUSE_LINE)
            harness.round_trip(clients[0])

            server.expect_little_work(3)
            harness.round_trip(clients[0])

            totals = server.report()[0]
            self.assertGreater(totals.accept_shortages, 0)
            first_waiting = clients[totals.accepted]
            first_waiting.sendall(b"at last")
            clients[0].close()
            begin = time.monotonic()
            self.assertEqual(harness.receive_exactly(first_waiting, 7), b"at last")
            print(f"served again after {(time.monotonic() - begin) * 1000:.0f} ms ",
                  end="", flush=True)

            for client in clients[1:]:
                harness.round_trip(client)
                client.close()
            self.expect_a_warning_a_second(server)

    def test_in_json_the_listener_that_pauses_is_a_fact(self):
        with Echod("--max-connections", "2000", "--log-format", "json", ready=1,
                   listen=f"{harness.LOOPBACK},name=small",
                   prefix=harness.with_file_limit(64)) as server:
            clients = [server.connect() for _ in range(100)]
            line = server.log.wait_for('"message":"listener small pauses: ').string
            self.assertEqual(json.loads(line)["listener"], "small")
            harness.round_trip(clients[0])

    def expect_a_warning_a_second(self, server):
        """Check by their own times that pause warnings lie a second apart."""
        times = []
        for line in server.log.lines:
            if re.search(self.PAUSE_LINE, line):
                hours, minutes, seconds = re.search(r"T(\d+):(\d+):([\d.]+)Z", line).groups()
                times.append((int(hours) * 60 + int(minutes)) * 60 + float(seconds))
        gaps = [(after - before) % 86400 for before, after in zip(times, times[1:])]
        self.assertGreaterEqual(min(gaps, default=1), 0.95)


if __name__ == "__main__":
    harness.main()
