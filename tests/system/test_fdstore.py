"""
test_fdstore: a service manager keeps echod's sockets while echod is started anew.
The manager is a stand-in that does what sd_pid_notify_with_fds(3) and systemd.service(5) say of
FDSTORE; what systemd wants to know besides is in test_systemd.
Run by `run`, by automake, or alone.
"""

import contextlib
import os
import re
import signal
import socket
import sys
import threading

import harness
from harness import Echod

# Runs a program with descriptors from 3 on, as systemd does.
TRAMPOLINE = """
import fcntl, os, sys
passed = [fcntl.fcntl(int(fd), fcntl.F_DUPFD, 512) for fd in sys.argv[1].split(",") if fd]
for number, fd in enumerate(passed, 3):
    os.dup2(fd, number)
os.closerange(3 + len(passed), 1024)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=str(len(passed)),
                  LISTEN_FDNAMES=sys.argv[2])
os.execvp(sys.argv[3], sys.argv[3:])
"""

MAX_AT_ONCE = 253  # SCM_MAX_FD of Linux


class Manager:
    """A service manager that keeps so many sockets, and hands them to each process it starts."""

    def __init__(self, path, most=512):
        self.kept = []  # (name, descriptor)
        self.notes = []  # texts
        self._path = path
        self._most = most
        self._changed = threading.Condition()
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(path)
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self):
        while True:
            text, descriptors, _, _ = socket.recv_fds(self._socket, 4096, MAX_AT_ONCE)
            note = text.decode()
            if note == "end":
                return
            fields = dict(line.split("=", 1) for line in note.splitlines())
            with self._changed:
                self._follow(fields, descriptors)
                self.notes.append(note)
                self._changed.notify_all()

    def _follow(self, fields, descriptors):
        name = fields.get("FDNAME", "stored")
        if "FDSTOREREMOVE" in fields:
            for _, descriptor in [one for one in self.kept if one[0] == name]:
                os.close(descriptor)
            self.kept = [one for one in self.kept if one[0] != name]
        for descriptor in descriptors:
            known = [os.fstat(one).st_ino for _, one in self.kept]
            if "FDSTORE" in fields and len(known) < self._most and \
                    os.fstat(descriptor).st_ino not in known:
                # Without FDPOLL=0 a socket that is shut would be removed.
                assert fields["FDPOLL"] == "0", fields
                assert re.fullmatch("[!-9;-~]{1,255}", name), name
                self.kept.append((name, descriptor))
            else:
                os.close(descriptor)

    def names(self):
        """The names of what is kept, without what tells apart sockets of one address."""
        with self._changed:
            return sorted(name.split(",")[1] for name, _ in self.kept)

    def start(self, *arguments, passed=(), **options):
        """An echod that gets the sockets of a socket unit, and those that are kept."""
        given = [*passed, *self.kept]
        prefix = [sys.executable, "-ISc", TRAMPOLINE, ",".join(str(fd) for _, fd in given),
                  ":".join(name for name, _ in given)]
        os.environ["NOTIFY_SOCKET"] = self._path
        try:
            return Echod(*arguments, prefix=prefix, pass_fds=[fd for _, fd in given], **options)
        finally:
            del os.environ["NOTIFY_SOCKET"]

    def wait_for(self, pattern, since=0):
        """Wait until a note has come that matches."""
        def has_come():
            return any(re.search(pattern, note) for note in self.notes[since:])

        with self._changed:
            if not self._changed.wait_for(has_come, harness.PATIENCE_SECONDS):
                raise AssertionError(f"no {pattern} in {self.notes}")

    def close(self):
        """Stop the service: nothing is kept any more."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ours:
            ours.sendto(b"end", self._path)
        self._thread.join()
        self._socket.close()
        for _, descriptor in self.kept:
            os.close(descriptor)


class Crowd(threading.Thread):
    """Clients who come one after the other, each with a word that has to come back."""

    def __init__(self, addresses):
        super().__init__(daemon=True)
        self._addresses = addresses
        self._is_over = threading.Event()
        self.count = 0
        self.failure = None

    def run(self):
        try:
            while not self._is_over.is_set():
                for address in self._addresses:
                    with harness.connect(address) as client:
                        harness.round_trip(client, b"client %d" % self.count)
                self.count += 1
        except OSError as error:
            self.failure = error

    def end(self):
        self._is_over.set()
        self.join()
        if self.failure is not None:
            raise self.failure


def ask(address):
    """Send a datagram, and return the socket to which the answer comes."""
    asker = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    asker.settimeout(harness.PATIENCE_SECONDS)
    asker.connect(("127.0.0.1", int(address.rpartition(":")[2])))
    asker.send(b"asked meanwhile")
    return asker


class FdStoreTest(harness.TestCase):

    def manage(self, **options):
        manager = Manager(f"{self.temporary_directory()}/notify", **options)
        self.addCleanup(manager.close)
        return manager

    def test_a_restart_refuses_nobody(self):
        """Clients and datagrams that come while no echod runs are answered by the next one."""
        manager = self.manage()
        path = f"unix://{self.temporary_directory()}/echod.sock"
        listen = [harness.LOOPBACK, path, "udp://127.0.0.1:0"]
        since = 0
        server = manager.start("--workers", "2", listen=listen)
        crowd = None
        for _ in range(3):
            with server:
                addresses = server.addresses
                crowd = crowd or Crowd(addresses[:2])
                if not crowd.is_alive():
                    crowd.start()
                count = crowd.count
                harness.wait_until(lambda: crowd.count > count + 3, "clients are served")
                manager.wait_for("READY=1", since)  # after the sockets
                since = len(manager.notes)
                server.signal(signal.SIGTERM)
                server.wait_for_exit(0)
            with contextlib.ExitStack() as stack:
                clients = [stack.enter_context(harness.connect(address))
                           for address in addresses[:2] for _ in range(8)]
                askers = [stack.enter_context(ask(addresses[2])) for _ in range(8)]
                for client in clients:
                    client.sendall(b"sent meanwhile")
                server = manager.start("--workers", "2", listen=listen)
                for client in clients:
                    self.assertEqual(harness.receive_exactly(client, 14), b"sent meanwhile")
                for asker in askers:
                    self.assertEqual(asker.recv(64), b"asked meanwhile")
        with server:
            self.assertEqual(server.addresses, addresses)
            crowd.end()
            self.assertEqual(len(manager.kept), 2 + 1 + 2)

    def test_what_is_kept_follows_the_configuration(self):
        """A reload adds and removes; a start drops what it does not want, before it binds."""
        manager = self.manage()
        directory = self.temporary_directory()
        path, config = f"{directory}/echod.sock", f"{directory}/echod.conf"
        port, other = harness.free_port(), harness.free_port()

        def write(*lines):
            with open(config, "w", encoding="ascii") as file:
                file.write("".join(f"listen {line}\n" for line in lines))

        write(f"127.0.0.1:{port}", f"unix://{path},mode=0600")
        with manager.start(config=config, listen=None, ready=2) as server:
            first = [f"tcp%3A//127.0.0.1%3A{port}", "unix%3A//" + path]
            manager.wait_for("READY=1")
            self.assertEqual(manager.names(), first)
            write(f"127.0.0.1:{other}", f"unix://{path},mode=0600")
            since = len(manager.notes)
            server.signal(signal.SIGHUP)
            manager.wait_for("READY=1", since)
            self.assertEqual(manager.names(), [f"tcp%3A//127.0.0.1%3A{other}", first[1]])
            self.assertTrue(harness.is_refused(f"tcp://127.0.0.1:{port}"))
        # An address that overlaps, and permissions that are given when a socket is bound.
        write(f"0.0.0.0:{other}", f"unix://{path},mode=0660")
        with manager.start(config=config, listen=None, ready=2) as server:
            manager.wait_for("BARRIER=1")
            manager.wait_for("READY=1", len(manager.notes) - 1)
            self.assertEqual(manager.names(), [f"tcp%3A//0.0.0.0%3A{other}", first[1]])
            self.assertEqual(os.stat(path).st_mode & 0o777, 0o660)
            for address in (f"tcp://127.0.0.1:{other}", f"unix://{path}"):
                harness.round_trip(server.adopt(harness.connect(address)))

    def test_what_a_name_no_longer_stands_for_is_dropped(self):
        """A socket that is kept under the name of an address, but was bound to another one."""
        manager = self.manage()
        listen = [f"127.0.0.1:{harness.free_port()}"]
        with manager.start(listen=listen) as server:
            address = server.addresses[0]
            manager.wait_for("READY=1")
        [(name, descriptor)] = manager.kept
        os.close(descriptor)
        other = socket.create_server(("127.0.0.2", 0))
        other_address = f"tcp://127.0.0.2:{other.getsockname()[1]}"
        manager.kept = [(name, other.detach())]
        since = len(manager.notes)
        with manager.start(listen=listen) as server:
            manager.wait_for("READY=1", since)
            self.assertEqual(server.addresses, [address])
            harness.round_trip(server.connect())
            self.assertEqual([one for one, _ in manager.kept], [name])
            self.assertTrue(harness.is_refused(other_address))

    def test_another_number_of_workers(self):
        """Who waits for a worker that is no more is served, and so is who waits for one of few."""
        manager = self.manage()
        for before, after in ((3, 1), (1, 3)):
            since = len(manager.notes)
            with manager.start("--workers", str(before)) as server:
                address = server.addresses[0]
                manager.wait_for("READY=1", since)  # after the sockets
            with contextlib.ExitStack() as stack:
                clients = [stack.enter_context(harness.connect(address)) for _ in range(24)]
                with manager.start("--workers", str(after)):
                    for client in clients:
                        harness.round_trip(client)
                        client.close()

    def test_a_manager_that_keeps_nothing(self):
        """Without FileDescriptorStoreMax= each process binds its own, and takes a path over."""
        manager = self.manage(most=0)
        path = f"unix://{self.temporary_directory()}/echod.sock"
        for _ in range(2):
            with manager.start("--workers", "2", listen=[harness.LOOPBACK, path]) as server:
                for address in server.addresses:
                    harness.round_trip(server.adopt(harness.connect(address)))
            self.assertTrue(harness.is_refused(server.addresses[0]))
            self.assertTrue(harness.is_refused(path))

    def test_sockets_of_a_socket_unit_are_not_stored(self):
        """They are the manager's own, and what was kept is none of them."""
        manager = self.manage()
        with harness.listening_socket() as unit:
            for _ in range(2):
                with manager.start(listen=["systemd://", harness.LOOPBACK],
                                   passed=[("echod.socket", unit.fileno())]) as server:
                    manager.wait_for("READY=1")
                    self.assertEqual(manager.names(), ["tcp%3A//127.0.0.1%3A0"])
                    self.assertEqual(len(server.log.find("listening on")), 2)
                    self.assertFalse(server.log.find("warning"))
                    harness.round_trip(server.adopt(harness.connect(harness.address_of(unit))))


if __name__ == "__main__":
    harness.main()
