"""
test_listener_options: what one listener is told, and the others are not.
Which options there are, and what is wrong with one, is in test_usage and check_listener_options.
Run by `run`, by automake, or alone.
"""

import contextlib
import grp
import json
import os
import select
import signal
import socket
import subprocess

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

    def test_a_listener_has_a_lifetime_and_a_write_timeout_of_its_own(self):
        """One ends who is old, another who does not read."""
        with Echod("--linger-timeout", scaled_ms(100),
                   listen=(f"{harness.LOOPBACK},lifetime={scaled_ms(300)}",
                           f"{harness.LOOPBACK},write-timeout={scaled_ms(300)}")) as server:
            harness.round_trip(server.connect(0))
            server.wait_for_closed("lifetime over")
            with contextlib.suppress(ConnectionError):  # it may end before all is full
                harness.fill([server.connect(1)], quiet_seconds=0.1)
            server.wait_for_closed("write timeout")

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


class SocketTest(harness.TestCase):
    """What reaches the sockets of clients, as the kernel tells."""

    def client_sockets(self, server):
        """The options of the sockets that are echod's ends of connections, by ss(8)."""
        ss = self.need_program("ss", "/usr/sbin", "/sbin")
        port = harness.port_of(server.addresses[0])
        result = subprocess.run([ss, "-Htno", "state", "established", f"( sport = :{port} )"],
                                stdout=subprocess.PIPE, check=True, encoding="ascii")
        return result.stdout

    def test_keepalive_is_inherited(self):
        """By default a client is probed after two hours of silence, or when the listener says."""
        for option, timer in (("", "keepalive,119min"), (",keepalive=100", "keepalive,1min3"),
                              (",keepalive=off", None)):
            with self.subTest(option), Echod(listen=harness.LOOPBACK + option) as server:
                harness.round_trip(server.connect())
                if timer is None:
                    harness.wait_until(lambda: "timer" not in self.client_sockets(server),
                                       "no timer is set")
                else:
                    harness.wait_until(lambda: f"timer:({timer}" in self.client_sockets(server),
                                       "the timer of keep-alive is set")

    def test_a_reload_changes_what_clients_inherit(self):
        """An option of the socket changes while it listens, for those who come."""
        path = f"{self.temporary_directory()}/echod.conf"
        port = harness.free_port()

        def write(options):
            with open(path, "w", encoding="ascii") as file:
                file.write(f"listen tcp://127.0.0.1:{port}{options}\n")

        write(",keepalive=off")
        with Echod(config=path, listen=()) as server:
            write(",keepalive=100")
            server.signal(signal.SIGHUP)
            server.log.wait_for("is in effect")
            harness.round_trip(server.connect())
            harness.wait_until(lambda: "timer:(keepalive" in self.client_sockets(server),
                               "the timer of keep-alive is set")
            since = len(server.log.lines)
            write(",freebind")
            server.signal(signal.SIGHUP)
            server.log.wait_for("warning: tcp://127.0.0.1:[0-9]+ keeps its device, ", since=since)

    def test_v6only_off_serves_both_families(self):
        """[::] then serves IPv4, and the log shows who that is."""
        with Echod(listen="[::]:0,v6only=off") as server:
            port = harness.port_of(server.addresses[0])
            for host in ("127.0.0.1", "::1"):
                with socket.create_connection((host, port)) as client:
                    harness.round_trip(client)
            server.log.wait_for(r"connection \d+ 127\.0\.0\.1:\d+ closed")
            server.log.wait_for(r"connection \d+ \[::1\]:\d+ closed")

    def test_freebind_binds_what_is_not_there_yet(self):
        """An address that comes later can be bound; without the option it is an error."""
        self.assert_refused(harness.run_echod("--listen", "192.0.2.1:0"),
                            "192.0.2.1:0: Cannot assign")
        with Echod(listen="192.0.2.1:0,freebind"):
            pass

    def test_a_device_that_is_not_there_is_named(self):
        """A refused option is named with its address."""
        self.assert_refused(harness.run_echod("--listen", "127.0.0.1:0,device=nowhere0"),
                            "tcp://127.0.0.1:0: device: ")
        if os.geteuid() == 0:
            with Echod(listen="127.0.0.1:0,device=lo") as server:
                harness.round_trip(server.connect())


class UnixTest(harness.TestCase):

    def test_permissions_are_set(self):
        """The mode that was asked for is there from the first moment."""
        path = f"{self.temporary_directory()}/echod.sock"
        for mode in (0o600, 0o660, 0o666):
            with Echod(listen=f"unix://{path},mode={mode:04o}") as server:
                self.assertEqual(os.stat(path).st_mode & 0o777, mode)
                harness.round_trip(server.connect())

    def test_an_owner_is_set(self):
        """A number or a name, which needs root."""
        self.need_other_users()
        path = f"{self.temporary_directory()}/echod.sock"
        with Echod(listen=f"unix://{path},owner=12345,group=nogroup") as server:
            self.assertEqual(os.stat(path).st_uid, 12345)
            self.assertEqual(os.stat(path).st_gid, grp.getgrnam("nogroup").gr_gid)
            harness.round_trip(server.connect())

    def test_what_somebody_puts_in_its_place_is_left_alone(self):
        """Who may write to the directory can put a link there as soon as the socket is bound."""
        strace = self.need_program("strace")
        directory = self.temporary_directory()
        path, victim = f"{directory}/echod.sock", f"{directory}/victim"
        slowly = ["env", "ASAN_OPTIONS=detect_leaks=0", strace, "-D", "-f", "-qq", "-o",
                  os.devnull, "-e", "inject=bind,chmod,chown:delay_exit=300000"]
        owner = ",owner=12345" if os.geteuid() == 0 else ""
        for options in ("mode=0666", f"mode=0666{owner}"):
            with self.subTest(options):
                with open(victim, "w", encoding="ascii"):
                    os.chmod(victim, 0o600)
                before = os.stat(victim)
                with Echod(listen=f"unix://{path},{options}", ready=0, prefix=slowly,
                           may_log="Stale") as server:
                    harness.wait_until(lambda: os.path.lexists(path), "the socket is bound")
                    os.rename(path, f"{path}.moved")
                    os.symlink(victim, path)
                    harness.wait_until(lambda server=server: server.status is not None or
                                       server.log.find(harness.LISTENING_LINE), "it starts or ends")
                    if server.status is not None:
                        server.wait_for_exit(harness.STATUS_SYSTEM)
                after = os.stat(victim)
                self.assertEqual((after.st_mode, after.st_uid), (before.st_mode, before.st_uid))
                os.unlink(f"{path}.moved")
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(path)

    def test_an_abstract_name_is_served(self):
        """It has no path, and two echod cannot have it."""
        name = f"echod-test-{os.getpid()}"
        with Echod(listen=f"unix://@{name}") as server:
            with socket.socket(socket.AF_UNIX) as client:
                client.settimeout(harness.PATIENCE_SECONDS)
                client.connect(f"\0{name}")
                harness.round_trip(client)
            result = harness.probe("-c", "1", f"unix://@{name}")
            self.assertEqual(result.status, 0, result)
            server.wait_for_closed(count=2)
            self.assert_refused(harness.run_echod("--listen", f"unix://@{name}"),
                                f"unix://@{name}: Address already in use")

    def test_a_comma_in_a_path_is_encoded(self):
        """The log and --check write it so that it can be read again."""
        directory = self.temporary_directory()
        with Echod(listen=f"unix://{directory}/a%2Cb") as server:
            self.assertTrue(os.path.exists(f"{directory}/a,b"))
            self.assertEqual(server.addresses, [f"unix://{directory}/a%2Cb"])


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

    def test_what_counts_when_a_socket_is_bound_is_kept(self):
        """A warning names these options, and the help of listeners names the same."""
        kept = ("v6only", "device", "mark", "freebind", "mode", "owner", "group")
        socket_path = f"{self.temporary_directory()}/echod.sock"

        def write(mode):
            with open(self.path, "w", encoding="ascii") as file:
                file.write(f"listen unix://{socket_path},mode={mode}\n")

        write("0600")
        with Echod(config=self.path, listen=()) as server:
            write("0666")
            server.signal(signal.SIGHUP)
            warning = server.log.wait_for("keeps its .* until echod is restarted").group(0)
            server.log.wait_for("is in effect")
            self.assertEqual(os.stat(socket_path).st_mode & 0o777, 0o600)
        text = harness.run_echod("--help=listen").stdout.partition("\n\n")[0]
        for name in kept:
            self.assertIn(name, warning)
            self.assertIn(name, " ".join(text.split()).rpartition(", but ")[2])

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
