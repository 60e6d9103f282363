"""
test_listener_options: what one listener is told, and the others are not.
Which options there are, and what is wrong with one, is in test_usage and check_listener_options.
Run by `run`, by automake, or alone.
"""

import json
import os
import select
import signal

import harness
from harness import KIB, Echod, scaled_ms


class LimitTest(harness.TestCase):

    def test_a_listener_has_time_outs_of_its_own(self):
        """One listener ends who is silent; at the other the global setting counts."""
        with Echod(listen=(f"tcp://127.0.0.1:0,idle-timeout={scaled_ms(300)}",
                           harness.LOOPBACK)) as server:
            short, long = server.connect(0), server.connect(1)
            harness.round_trip(short)
            harness.round_trip(long)
            self.assertEqual(short.recv(1), b"")
            server.wait_for_closed("idle timeout")
            harness.round_trip(long)

    def test_a_listener_may_undo_a_global_limit(self):
        """What the listener is told wins, also where it is less strict."""
        with Echod("--idle-timeout", scaled_ms(300),
                   listen=(f"{harness.LOOPBACK},idle-timeout=0", harness.LOOPBACK)) as server:
            kept, ended = server.connect(0), server.connect(1)
            harness.round_trip(kept)
            harness.round_trip(ended)
            self.assertEqual(ended.recv(1), b"")
            harness.round_trip(kept)

    def test_a_listener_has_a_limit_of_connections(self):
        """At one listener's limit the next client waits there, and no other listener notices."""
        with Echod(listen=(f"{harness.LOOPBACK},max-connections=2,name=small",
                           harness.LOOPBACK)) as server:
            first, second = server.connect(0), server.connect(0)
            for client in (first, second):
                harness.round_trip(client)
            third = server.connect(0)
            third.sendall(b"wait")
            for _ in range(5):
                harness.round_trip(server.connect(1))
            third.setblocking(False)
            with self.assertRaises(BlockingIOError):
                third.recv(1)
            third.settimeout(harness.PATIENCE_SECONDS)
            harness.finish(first)
            self.assertEqual(harness.receive_exactly(third, 4), b"wait")

    def test_several_workers_share_a_listeners_limit(self):
        """Each worker may exceed it by one client that comes in that very moment, and no more."""
        with Echod("--workers", "2",
                   listen=(f"{harness.LOOPBACK},max-connections=2",)) as server:
            clients = [server.connect() for _ in range(12)]
            for client in clients:
                client.sendall(b"wait")
            for _ in range(len(clients)):  # who is served makes room for another
                served = next(client for client in clients
                              if client in select.select(clients, [], [],
                                                         harness.PATIENCE_SECONDS)[0])
                self.assertLessEqual(server.report()[0].open, 3)
                harness.finish(served)
                served.close()
                clients.remove(served)

    def test_a_listener_has_marks_of_its_own(self):
        """A client that never reads costs what its listener allows."""
        with Echod("--high-water", "64MiB", "--no-shortcuts",
                   listen=(f"{harness.LOOPBACK},high-water=64KiB",)) as server:
            client = server.connect()
            sent, = harness.fill([client])
            totals, _ = server.report()
            self.assertLess(totals.bytes_in - totals.bytes_out, 256 * KIB)
            self.assertEqual(len(harness.finish(client)), sent)


class LogTest(harness.TestCase):

    def test_a_name_stands_in_every_line(self):
        """Listening, clients and totals name the listener, in text and in JSON."""
        with Echod("--log-level", "debug", listen=(f"{harness.LOOPBACK},name=public",
                                                   harness.LOOPBACK)) as server:
            server.log.wait_for("listening on tcp://127.0.0.1:[0-9]+ listener=public$")
            for index in (0, 1):
                harness.finish(server.connect(index), b"four")
            server.log.wait_for("opened listener=public$")
            server.log.wait_for("closed: client closed, in=4 out=4 age=[0-9.]+s listener=public$")
            server.log.wait_for("closed: client closed, in=4 out=4 age=[0-9.]+s$")
            server.signal(signal.SIGUSR1)
            server.log.wait_for("listener public: open=0 accepted=1 refused=0 in=4 out=4 ")
            server.log.wait_for("listener tcp://127.0.0.1:[0-9]+: open=0 accepted=1 ")

    def test_the_name_is_a_fact_of_json(self):
        with Echod("--log-format", "json", listen=(f"{harness.LOOPBACK},name=public",),
                   ready=1) as server:
            harness.finish(server.connect(), b"four")
            server.log.wait_for('"reason":"client closed"')
            closed = json.loads(next(line for line in server.log.lines if '"reason"' in line))
            self.assertEqual(closed["listener"], "public")

    def test_a_listener_may_be_kept_out_of_the_log(self):
        """off: none of its connections; closed: no line about the beginning."""
        with Echod("--log-level", "debug",
                   listen=(f"{harness.LOOPBACK},log=off,name=checks",
                           f"{harness.LOOPBACK},log=closed,name=few",
                           f"{harness.LOOPBACK},log=all,name=all")) as server:
            for index in (0, 1, 2):
                harness.finish(server.connect(index))
            server.log.wait_for("closed: .* listener=few$")
            server.log.wait_for("closed: .* listener=all$")
            self.assertEqual(len(server.log.find("connection [0-9]+ .* listener=checks")), 0)
            self.assertEqual(len(server.log.find("opened listener=few")), 0)
            self.assertEqual(len(server.log.find("opened listener=all")), 1)
            server.signal(signal.SIGUSR1)
            server.log.wait_for("listener checks: open=0 accepted=1 ")


class ReloadTest(harness.TestCase):

    def setUp(self):
        self.path = f"{self.temporary_directory()}/echod.conf"
        self.port = harness.free_port()

    def write(self, options):
        with open(self.path, "w", encoding="ascii") as file:
            file.write(f"listen tcp://127.0.0.1:{self.port}{options}\n")

    def reload(self, server, options):
        since = len(server.log.lines)
        self.write(options)
        server.signal(signal.SIGHUP)
        server.log.wait_for("is in effect", since=since)

    def inodes(self, server):
        """The sockets that listen."""
        found = set()
        for name in os.listdir(f"/proc/{server.pid}/fd"):
            try:
                found.add(os.readlink(f"/proc/{server.pid}/fd/{name}"))
            except OSError:
                pass
        return {link for link in found if link.startswith("socket:")}

    def test_options_change_for_those_who_come(self):
        """The socket stays, and so does a client with the limits that he began with."""
        self.write("")
        with Echod(config=self.path, listen=()) as server:
            before = self.inodes(server)
            kept = server.connect()
            harness.round_trip(kept)
            self.reload(server, f",idle-timeout={scaled_ms(300)},name=strict")
            self.assertLessEqual(before, self.inodes(server))
            strict = server.connect()
            harness.round_trip(strict)
            self.assertEqual(strict.recv(1), b"")
            server.log.wait_for("idle timeout, .* listener=strict$")
            harness.round_trip(kept)
            self.reload(server, "")
            free = server.connect()
            harness.round_trip(free)
            harness.round_trip(kept)

    def test_a_refused_reload_keeps_the_options(self):
        """What is wrong elsewhere in the file changes no listener."""
        self.write(f",idle-timeout={scaled_ms(300)}")
        with Echod(config=self.path, listen=(), may_log="low-water|no option") as server:
            since = len(server.log.lines)
            self.write(",idle-timeout=0,mode=0660")
            server.signal(signal.SIGHUP)
            server.log.wait_for('"mode" is no option of tcp://; these are: name, ', since=since)
            server.log.wait_for("is not changed", since=since)
            client = server.connect()
            harness.round_trip(client)
            self.assertEqual(client.recv(1), b"")


if __name__ == "__main__":
    harness.main()
