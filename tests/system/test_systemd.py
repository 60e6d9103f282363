"""
test_systemd: echod tells a service manager what systemd wants to know, and takes its sockets.
Reads the notes on a socket of its own; whether the unit is right is in tests/check-units.
Run by `run`, by automake, or alone.
"""

import contextlib
import ctypes
import os
import re
import signal
import socket
import threading
import time

import harness
from harness import Echod


class Manager:
    """The socket that a service manager reads, and the notes that came."""

    def __init__(self, name):
        self._name = name
        self.notes = []  # each a dict, with the time of its arrival as "at"
        self._changed = threading.Condition()
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(name)
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        while True:
            note = self._socket.recv(4096).decode()
            if note == "end":
                self._socket.close()
                return
            fields = dict(line.split("=", 1) for line in note.splitlines())
            with self._changed:
                self.notes.append({"at": time.monotonic(), **fields})
                self._changed.notify_all()

    def close(self, name):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ours:
            ours.sendto(b"end", name)

    def wait_for_all(self):
        """Wait until all that was sent before has come."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ours:
            ours.sendto(b"ALL=1", self._name)
        self.wait_for(ALL="1")

    def wait_for(self, since=0, **fields):
        """Wait for a note that has these fields with values that match, and return it."""
        def find():
            return next((note for note in self.notes[since:]
                         if all(re.fullmatch(pattern, note.get(name, ""))
                                for name, pattern in fields.items())), None)

        with self._changed:
            if not self._changed.wait_for(find, harness.PATIENCE_SECONDS):
                raise AssertionError(f"no note with {fields} in {self.notes}")
            return find()


@contextlib.contextmanager
def environment(**variables):
    """Set variables for the programs that are started in the `with` block."""
    os.environ.update(variables)
    try:
        yield
    finally:
        for name in variables:
            del os.environ[name]


@contextlib.contextmanager
def held_thread(tid):
    """Hold one thread of another process by ptrace(2), for the `with` block."""
    libc = ctypes.CDLL(None, use_errno=True)
    seize, interrupt, detach = 0x4206, 0x4207, 17  # linux/ptrace.h
    wait_for_threads = 0x40000000  # __WALL

    def ptrace(request):
        if libc.ptrace(request, tid, None, None) < 0:
            raise OSError(ctypes.get_errno(), "ptrace")

    ptrace(seize)
    try:
        ptrace(interrupt)
        os.waitpid(tid, wait_for_threads)
        yield
    finally:
        ptrace(detach)


class ManagedTest(harness.TestCase):

    def manage(self, name=None):
        """A service manager with a socket at a path or under a name that begins with @."""
        name = name or f"{self.temporary_directory()}/notify"
        address = name.replace("@", "\0", 1)
        manager = Manager(address)
        self.addCleanup(manager.close, address)
        return manager, {"NOTIFY_SOCKET": name}


class NotifyTest(ManagedTest):

    def test_a_reload_begins_and_ends(self):
        """Whether or not the new file is right, RELOADING with its time is followed by READY.

        Which of both it was, the status tells.
        """
        manager, variables = self.manage()
        path = f"{self.temporary_directory()}/echod.conf"
        with open(path, "w", encoding="ascii") as file:
            file.write("listen 127.0.0.1:0\n")
        with environment(**variables), Echod(config=path, listen=None,
                                             may_log="idle-timeout") as server:
            manager.wait_for(READY="1")
            for idle_timeout, status in (("1h", ""), ("never", "reload failed, see the log; "),
                                         ("2h", "")):
                with open(path, "w", encoding="ascii") as file:
                    file.write(f"listen 127.0.0.1:0\nidle-timeout {idle_timeout}\n")
                since = len(manager.notes)
                before_us = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
                server.signal(signal.SIGHUP)
                note = manager.wait_for(since, RELOADING="1", MONOTONIC_USEC=r"\d+")
                self.assertGreaterEqual(int(note["MONOTONIC_USEC"]), before_us)
                ready = manager.wait_for(manager.notes.index(note), READY="1")
                self.assertGreaterEqual(ready["at"], note["at"])
                self.assertEqual(ready["STATUS"], f"{status}0 connections")

    @contextlib.contextmanager
    def reload_under_way(self, server, manager):
        """In the `with` block, echod waits for one of its workers to change."""
        worker = max(map(int, os.listdir(f"/proc/{server.pid}/task")))
        with contextlib.ExitStack() as stack:
            try:
                stack.enter_context(held_thread(worker))
            except PermissionError as error:
                self.skipTest(f"no thread may be held: {error}")
            server.signal(signal.SIGHUP)
            manager.wait_for(RELOADING="1")
            yield

    def test_a_reload_that_is_wanted_during_another_one_follows(self):
        """What the file says by then is in effect in the end."""
        manager, variables = self.manage()
        path = f"{self.temporary_directory()}/echod.conf"
        with open(path, "w", encoding="ascii") as file:
            file.write("listen 127.0.0.1:0\nworkers 2\n")
        with environment(**variables), Echod(config=path, listen=None) as server:
            with self.reload_under_way(server, manager):
                with open(path, "w", encoding="ascii") as file:
                    file.write("listen 127.0.0.2:0\nworkers 2\n")
                server.signal(signal.SIGHUP)
                server.report()  # so the signal before has come
                self.assertFalse(server.log.find("is in effect"))
            server.log.wait_for("is in effect", count=2)
            server.log.wait_for(r"info: listening on tcp://127\.0\.0\.2:")
            manager.wait_for_all()
            states = [name for note in manager.notes for name in ("READY", "RELOADING")
                      if name in note]
            self.assertEqual(states, ["READY", "RELOADING", "READY", "RELOADING", "READY"])

    def test_a_reload_that_ends_while_echod_stops_is_not_ready(self):
        """STOPPING is the last state, and none begins that somebody asked for meanwhile."""
        manager, variables = self.manage()
        directory = self.temporary_directory()
        path, socket_path = f"{directory}/echod.conf", f"{directory}/echod.sock"
        text = "listen 127.0.0.1:0\nworkers 2\n"
        with open(path, "w", encoding="ascii") as file:
            file.write(text)
        with environment(**variables), Echod(config=path, listen=None) as server:
            with open(path, "w", encoding="ascii") as file:
                file.write(f"{text}listen unix://{socket_path}\n")
            with self.reload_under_way(server, manager):
                harness.wait_until(lambda: os.path.exists(socket_path), "the sockets are open")
                server.signal(signal.SIGHUP)
                server.report()  # so the signal before has come
                server.signal(signal.SIGTERM)
                stopping = manager.wait_for(STOPPING="1")
            server.wait_for_exit(0)
            server.log.wait_for("is in effect")
            manager.wait_for_all()
            after = manager.notes[manager.notes.index(stopping):]
            self.assertFalse([note for note in after if "READY" in note or "RELOADING" in note])

    def test_ready_once_every_address_is_served(self):
        """Whoever connects after READY is served, whichever address he asks."""
        directory = self.temporary_directory()
        for name in (None, f"@echod-test-{os.getpid()}"):
            manager, variables = self.manage(name)
            path = f"unix://{directory}/echod.sock"
            with self.subTest(name), environment(**variables), \
                    Echod("--workers", "2", listen=[harness.LOOPBACK, path], ready=0) as server:
                manager.wait_for(READY="1", STATUS="0 connections")
                with harness.connect(path) as client:
                    harness.round_trip(client)
                address = server.log.wait_for(harness.LISTENING_LINE).group(1)
                with harness.connect(address) as client:
                    harness.round_trip(client)

    def test_no_ready_if_it_cannot_serve(self):
        """An echod that is refused its address never says that it is ready."""
        manager, variables = self.manage()
        with Echod() as other, environment(**variables):
            self.assert_refused(harness.run_echod("--listen", other.addresses[0]))
        self.assertEqual(manager.notes, [])

    def test_stopping_comes_with_the_signal(self):
        """Both kinds of stop are told before the clients have left, once."""
        for number in (signal.SIGTERM, signal.SIGQUIT):
            manager, variables = self.manage()
            with self.subTest(number), environment(**variables), \
                    Echod("--drain-timeout", "1h") as server:
                client = server.connect()
                harness.round_trip(client)
                server.signal(number)
                manager.wait_for(STOPPING="1", STATUS="draining, 1 connections")
                if number == signal.SIGTERM:
                    harness.round_trip(client)
                    server.signal(number)
                server.wait_for_exit(0)
                self.assertEqual(sum("STOPPING" in note for note in manager.notes), 1)

    def test_status_follows_the_connections(self):
        """The number of connections is told again after it changed, and not otherwise."""
        manager, variables = self.manage()
        with environment(**variables), Echod() as server:
            clients = [server.connect() for _ in range(3)]
            for client in clients:
                harness.round_trip(client)
            manager.wait_for(STATUS="3 connections")
            clients[0].close()
            manager.wait_for(STATUS="2 connections")
            since = len(manager.notes)
            clients[1].close()
            manager.wait_for(since, STATUS="1 connections")

    def test_a_manager_that_has_gone_is_survived(self):
        """A note that nobody takes is a warning, and the echo goes on."""
        name = f"{self.temporary_directory()}/notify"
        manager = Manager(name)
        with environment(NOTIFY_SOCKET=name), Echod() as server:
            manager.wait_for(READY="1")
            manager.close(name)
            os.unlink(name)
            client = server.connect()
            harness.round_trip(client)
            server.log.wait_for("warning: the service manager takes no note: ")
            harness.round_trip(client)

    def test_a_socket_that_cannot_be_had_is_a_warning(self):
        """A wrong NOTIFY_SOCKET does not keep echod from serving."""
        with environment(NOTIFY_SOCKET="nonsense"), Echod() as server:
            server.log.wait_for("warning: NOTIFY_SOCKET=nonsense: ")
            harness.round_trip(server.connect())


class WatchdogTest(ManagedTest):

    INTERVAL = {"WATCHDOG_USEC": str(int(200000 * harness.SLOWNESS))}

    def test_the_watchdog_is_fed_until_the_end(self):
        """A sign of life comes again and again, also while echod drains."""
        manager, variables = self.manage()
        with environment(**variables, **self.INTERVAL), \
                Echod("--workers", "2", "--drain-timeout", "1h") as server:
            for _ in range(3):
                manager.wait_for(len(manager.notes), WATCHDOG="1")
            client = server.connect()
            harness.round_trip(client)
            threads = server.thread_count()
            server.signal(signal.SIGTERM)
            manager.wait_for(STOPPING="1")
            # One worker has nothing left to do, and has ended.
            harness.wait_until(lambda: server.thread_count() < threads, "a worker ends")
            for _ in range(3):
                manager.wait_for(len(manager.notes), WATCHDOG="1")
            client.close()
            server.wait_for_exit(0)

    def test_a_worker_that_hangs_is_given_away(self):
        """While one thread of several does not turn, no sign of life comes."""
        manager, variables = self.manage()
        with environment(**variables, **self.INTERVAL), Echod("--workers", "2") as server:
            manager.wait_for(WATCHDOG="1")
            worker = max(map(int, os.listdir(f"/proc/{server.pid}/task")))
            try:
                with held_thread(worker):
                    server.log.wait_for("warning: a worker hangs")
                    since = len(manager.notes)
                    time.sleep(5 * int(self.INTERVAL["WATCHDOG_USEC"]) / 1e6)
                    self.assertEqual(manager.notes[since:], [])
            except PermissionError as error:
                self.skipTest(f"no thread may be held: {error}")
            manager.wait_for(since, WATCHDOG="1")

    def test_the_watchdog_of_another_process_is_not_fed(self):
        """WATCHDOG_PID names another process: the sign of life is that one's."""
        manager, variables = self.manage()
        with environment(**variables, WATCHDOG_USEC="1000", WATCHDOG_PID="1"), Echod() as server:
            manager.wait_for(READY="1")
            for _ in range(100):
                harness.round_trip(server.connect())
        self.assertFalse([note for note in manager.notes if "WATCHDOG" in note])


class SocketsTest(harness.TestCase):

    def activate(self, targets, *arguments, names=None, options=(), **echod_options):
        """An echod that systemd-socket-activate starts when the first client connects."""
        prefix = [self.need_program("systemd-socket-activate"), *options]
        for name in ("UBSAN_OPTIONS", "ASAN_OPTIONS", "TSAN_OPTIONS", "LSAN_OPTIONS"):
            if name in os.environ:
                prefix += ["-E", name]
        for target in targets:
            prefix += ["-l", target]
        if names is not None:
            prefix += ["--fdname", names]
        return Echod(*arguments, prefix=prefix, ready=0, **echod_options)

    def poke(self, address):
        """Connect once somebody listens: the first client, who starts echod."""
        def try_to_connect():
            with contextlib.suppress(ConnectionRefusedError, FileNotFoundError):
                return harness.connect(address)
            return None

        return harness.wait_until(try_to_connect, f"somebody listens on {address}")

    def test_all_sockets_are_served(self):
        """systemd:// serves whatever was passed, TCP and Unix, and the client who came first."""
        self.need_program("systemd-socket-activate")
        port, path = harness.free_port(), f"{self.temporary_directory()}/passed.sock"
        addresses = [f"tcp://127.0.0.1:{port}", f"unix://{path}"]
        for workers in ("1", "2"):
            with self.subTest(workers=workers), \
                    self.activate([f"127.0.0.1:{port}", path], "--workers", workers,
                                  names="echo:local", listen="systemd://") as server:
                server.adopt(self.poke(addresses[0]))
                server.log.wait_for(rf"listening on systemd://echo \(127\.0\.0\.1:{port}\)")
                server.log.wait_for(rf"listening on systemd://local \({path}\)")
                for address in addresses:
                    for _ in range(10):
                        client = server.adopt(harness.connect(address))
                        harness.round_trip(client)
                self.assertFalse(server.log.find("warning"))
            self.assertTrue(os.path.exists(path))

    def test_sockets_are_chosen_by_name(self):
        """systemd://NAME serves those of that name; the others are named in a warning."""
        ports = [harness.free_port() for _ in range(3)]
        with self.activate([f"127.0.0.1:{port}" for port in ports], names="one:two:one",
                           listen=["systemd://one", harness.LOOPBACK]) as server:
            server.adopt(self.poke(f"tcp://127.0.0.1:{ports[0]}"))
            server.log.wait_for(r"listening on systemd://one \(", count=2)
            address = server.log.wait_for(r"listening on (tcp:\S+)").group(1)
            server.log.wait_for(r'warning: nobody serves descriptor 4, which was passed as "two"'
                                r": add --listen systemd://two, and restart echod$")
            for target in (*(f"tcp://127.0.0.1:{ports[index]}" for index in (0, 2)), address):
                harness.round_trip(server.adopt(harness.connect(target)))

    def test_what_was_passed_by_number(self):
        """fd://N takes a socket of systemd's, too; then nobody warns of it."""
        port = harness.free_port()
        with self.activate([f"127.0.0.1:{port}"], listen="fd://3") as server:
            harness.round_trip(server.adopt(self.poke(f"tcp://127.0.0.1:{port}")))
            self.assertFalse(server.log.find("warning"))

    def test_a_socket_that_a_reload_leaves_is_warned_of(self):
        """It stays open in systemd, and its clients would wait in vain; a restart takes it again."""
        port, path = harness.free_port(), f"{self.temporary_directory()}/echod.conf"
        own = f"tcp://127.0.0.1:{harness.free_port()}"

        def write(*addresses):
            with open(path, "w", encoding="ascii") as file:
                file.write("".join(f"listen {address}\n" for address in addresses))

        write("systemd://echo", own)
        with self.activate([f"127.0.0.1:{port}"], names="echo", listen=None, config=path,
                           may_log="systemd://echo") as server:
            harness.round_trip(server.adopt(self.poke(f"tcp://127.0.0.1:{port}")))
            self.assertFalse(server.log.find("warning"))
            write(own)
            server.signal(signal.SIGHUP)
            server.log.wait_for(r"warning: systemd://echo \(.*\): clients may go on to connect")
            write("systemd://echo", own)
            server.signal(signal.SIGHUP)
            server.log.wait_for(f"error: {path}:1: listen systemd://echo: it can be passed at the "
                                "start only; restart echod for it")

    def expect_refusal(self, *words, names=None, options=(), listen="systemd://echo"):
        """Check that an echod which gets a socket refuses to serve it."""
        path = f"{self.temporary_directory()}/passed.sock"
        with self.activate([path], names=names, options=options, listen=listen,
                           may_log=".") as server:
            if "-d" in options:
                harness.wait_until(lambda: os.path.exists(path), "the socket is there")
                with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as client:
                    client.sendto(b"wake up", path)
            else:
                server.adopt(self.poke(f"unix://{path}"))
            server.wait_for_exit(harness.STATUS_SYSTEM)
            server.log.wait_for_end()
            (line,) = server.log.find(harness.ERROR_LINE.pattern)
            for word in words:
                self.assertIn(word, line.string)

    def test_an_unknown_name_is_refused(self):
        """The sentence says which names there are."""
        self.expect_refusal("systemd://echo", "web", names="web")

    def test_a_datagram_socket_is_refused(self):
        """A socket without connections cannot be served."""
        self.expect_refusal("systemd://echo", "stream", names="echo", options=["-d"])

    def test_a_connection_is_refused(self):
        """With Accept=yes a connected socket is passed, which systemd:// does not serve."""
        port = harness.free_port()
        with self.activate([f"127.0.0.1:{port}"], options=["--accept"], listen="systemd://",
                           may_log=".") as server:
            server.adopt(self.poke(f"tcp://127.0.0.1:{port}"))
            server.log.wait_for("error: --listen systemd://.*: descriptor 3 does not listen; pass")
            server.signal(signal.SIGTERM)
            server.wait_for_exit(-signal.SIGTERM)

    def test_nothing_passed_is_refused(self):
        """Without systemd there is no socket of systemd's."""
        self.assert_refused(harness.run_echod("--listen", "systemd://"),
                            "systemd://", "nothing was passed", "LISTEN_FDS is not set")

    def test_sockets_of_another_process_are_refused(self):
        """A script between systemd and echod is found out."""
        with environment(LISTEN_FDS="1", LISTEN_PID="1"):
            self.assert_refused(harness.run_echod("--listen", "systemd://"),
                                "systemd://", "nothing was passed", "LISTEN_PID is 1")


if __name__ == "__main__":
    harness.main()
