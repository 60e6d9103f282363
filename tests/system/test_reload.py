"""
test_reload: HUP reads the configuration file again, and changes what can be changed under load.
What a file may say is in test_config.
Run by `run`, by automake, or alone.
"""

import contextlib
import os
import re
import select
import signal
import socket
import time

import harness
from harness import Background, Heartbeat, scaled_ms

IN_EFFECT = r"HUP: the configuration of \S+ is in effect"
NOT_CHANGED = r"HUP: the configuration is not changed"


def listening_inodes(server):
    """The sockets of a process that listen on TCP, each by its number in the kernel."""
    listening = set()
    for name in ("tcp", "tcp6"):
        with open(f"/proc/net/{name}", encoding="ascii") as table:
            rows = [line.split() for line in table.readlines()[1:]]
        listening |= {f"socket:[{row[9]}]" for row in rows if row[3] == "0A"}
    directory = f"/proc/{server.pid}/fd"
    held = set()
    for name in os.listdir(directory):
        with contextlib.suppress(FileNotFoundError):
            held.add(os.readlink(f"{directory}/{name}"))
    return held & listening


class ReloadTestCase(harness.TestCase):

    def setUp(self):
        self.directory = self.temporary_directory()
        self.path = os.path.join(self.directory, "echod.conf")
        self.first, self.second = (f"tcp://127.0.0.1:{harness.free_port()}" for _ in range(2))

    def write(self, *lines):
        """Replace the configuration file whole."""
        with open(self.path + ".new", "w", encoding="utf-8") as file:
            file.write("".join(f"{line}\n" for line in lines))
        os.rename(self.path + ".new", self.path)

    def start(self, *arguments, **keywords):
        """Start an echod that reads the file."""
        return harness.Echod(*arguments, config=self.path, listen=None, **keywords)

    def hang_up(self, server, pattern=IN_EFFECT):
        """Send HUP and wait for what comes of it; return the lines that this was."""
        since = len(server.log.lines)
        server.signal(signal.SIGHUP)
        server.log.wait_for(pattern, since=since)
        return "\n".join(server.log.lines[since:])

    def reload(self, server, *lines):
        """Write the file and let it be in effect."""
        self.write(*lines)
        return self.hang_up(server)

    def fail_to_reload(self, server, *lines):
        """Write a file that must change nothing; return what was logged."""
        self.write(*lines)
        return self.hang_up(server, NOT_CHANGED)


class ListenersTest(ReloadTestCase):

    def test_listeners_come_and_go(self):
        """New ones serve, and those that are gone refuse, while their connections live on."""
        for workers in (1, 3):
            with self.subTest(workers=workers):
                self.write(f"listen {self.first}", f"workers {workers}")
                with self.start() as server:
                    old = server.connect()
                    harness.round_trip(old)
                    text = self.reload(server, f"listen {self.first}", f"listen {self.second}",
                                       f"workers {workers}")
                    self.assertIn(f"listening on {self.second}", text)
                    self.assertNotIn(self.first, text)
                    clients = [server.adopt(harness.connect(self.second)) for _ in range(20)]
                    text = self.reload(server, f"listen {self.second}", f"workers {workers}")
                    self.assertIn(f"no longer listening on {self.first}", text)
                    self.assertTrue(harness.is_refused(self.first))
                    for client in (old, *clients, server.adopt(harness.connect(self.second))):
                        harness.round_trip(client)

    def test_a_listener_that_stays_keeps_its_socket(self):
        """It is the same socket before and after."""
        for workers in (1, 2):
            with self.subTest(workers=workers):
                self.write(f"listen {self.first}", f"workers {workers}")
                with self.start() as server:
                    before = listening_inodes(server)
                    self.assertEqual(len(before), workers)
                    self.reload(server, f"listen {self.second}", f"listen {self.first}",
                                f"workers {workers}", "backlog 7")
                    self.assertLess(before, listening_inodes(server))
                    self.reload(server, f"listen {self.first}", f"workers {workers}")
                    self.assertEqual(before, listening_inodes(server))

    def test_a_unix_socket_that_was_removed_is_made_anew(self):
        """A new one is at its path after a reload, whether or not the listeners changed."""
        path = f"{self.temporary_directory()}/echod.sock"
        self.write(f"listen {self.first}", f"listen unix://{path}")
        with self.start(ready=2) as server:
            inode = os.stat(path).st_ino
            for replace in (os.remove, lambda path: os.rename(path, f"{path}.old")):
                replace(path)
                text = self.hang_up(server)
                self.assertIn(f"no longer listening on unix://{path}", text)
                self.assertIn(f": listening on unix://{path}", text)
                harness.round_trip(server.adopt(harness.connect(f"unix://{path}")))
            self.assertNotIn("listening", self.hang_up(server))
            harness.round_trip(server.adopt(harness.connect(f"unix://{path}")))
        self.assertFalse(os.path.exists(path))

    def test_what_took_the_place_of_a_unix_socket_is_left_alone(self):
        """It is an error then, and all listeners stay."""
        path = f"{self.temporary_directory()}/echod.sock"
        self.write(f"listen {self.first}", f"listen unix://{path}")
        with self.start(ready=2, may_log=path) as server:
            os.remove(path)
            with socket.socket(socket.AF_UNIX) as other:
                other.bind(path)
                other.listen()
                text = self.fail_to_reload(server, f"listen {self.second}", f"listen unix://{path}")
                self.assertIn(f"error: {self.path}:2: listen unix://{path}: ", text)
                harness.round_trip(server.connect())
                self.assertTrue(harness.is_refused(self.second))
        self.assertTrue(os.path.exists(path))

    def expect_all_served(self, server, address, count, *lines):
        """Fill the one place for connections and the queue; serve all when the listener goes."""
        served = server.adopt(harness.connect(address))
        harness.round_trip(served)
        waiting = [server.adopt(harness.connect(address)) for _ in range(count)]
        limits = server.report()[0].accept_limits
        self.reload(server, f"listen {self.second}", "max-connections 1", *lines)
        for client in (served, *waiting):
            harness.round_trip(client)
        self.assertEqual(server.report()[0].accept_limits, limits)
        late = server.adopt(harness.connect(self.second))  # the limit holds for whoever comes
        late.sendall(b"x")
        for client in (served, *waiting):
            harness.round_trip(client)
            client.close()
        self.assertEqual(harness.receive_exactly(late, 1), b"x")

    def test_who_waits_at_a_listener_that_goes_is_served(self):
        """The kernel has connected these clients already, one more than the backlog says."""
        unix = f"unix://{self.directory}/goes.sock"
        for address in (self.first, unix):
            for after in (5, 1):
                with self.subTest(address=address, after=after):
                    self.write(f"listen {address}", "max-connections 1", "backlog 5")
                    with self.start() as server:
                        self.expect_all_served(server, address, 6, f"backlog {after}")

    def test_who_waits_at_a_passed_listener_that_goes_is_served(self):
        """Its backlog is the parent's, and not the one of the options."""
        with harness.listening_socket() as passed:
            passed.listen(20)
            self.write(f"listen fd://{passed.fileno()}", "max-connections 1", "backlog 2")
            with self.start(pass_fds=(passed.fileno(),)) as server:
                self.expect_all_served(server, harness.address_of(passed), 21, "backlog 2")

    def expect_room(self, server, address, *lines):
        """After a reload, 20 clients are connected while another one is served."""
        harness.round_trip(server.adopt(harness.connect(address)))
        self.reload(server, *lines)
        for _ in range(20):
            server.adopt(harness.connect(address))

    def test_a_larger_backlog_lets_more_clients_wait(self):
        """It counts for a listener that stays, too."""
        for address in (self.first, f"unix://{self.directory}/stays.sock"):
            lines = f"listen {address}", "max-connections 1"
            with self.subTest(address=address):
                self.write(*lines, "backlog 1")
                with self.start() as server:
                    self.expect_room(server, address, *lines, "backlog 20")

    def test_a_passed_listener_keeps_its_backlog(self):
        """A reload leaves it as the parent has set it."""
        with harness.listening_socket() as passed:
            passed.listen(20)
            lines = f"listen fd://{passed.fileno()}", "max-connections 1", "backlog 1"
            self.write(*lines)
            with self.start(pass_fds=(passed.fileno(),)) as server:
                self.expect_room(server, harness.address_of(passed), *lines)

    def test_who_is_reset_for_want_of_descriptors_is_said(self):
        """Nobody can be served without one."""
        self.write(f"listen {self.first}", "max-connections 1")
        with self.start(prefix=harness.with_file_limit(40)) as server:
            clients = [server.adopt(harness.connect(self.first)) for _ in range(60)]
            harness.round_trip(clients[0])
            text = self.reload(server, f"listen {self.second}", "max-connections 1")
            self.assertIn(f"clients that wait at {self.first} are not accepted, and are reset: "
                      "Too many open files", text)
            harness.round_trip(clients[0])

    def test_unix_sockets_come_and_go(self):
        """The socket of a listener that goes is removed; one that stays is not touched."""
        stays, comes = (f"unix://{self.directory}/{name}.sock" for name in ("stays", "comes"))
        self.write(f"listen {stays}")
        with self.start() as server:
            inode = os.stat(stays[len("unix://"):]).st_ino
            for _ in range(3):
                self.reload(server, f"listen {stays}", f"listen {comes}")
                client = server.adopt(harness.connect(comes))
                harness.round_trip(client)
                self.reload(server, f"listen {stays}")
                self.assertFalse(os.path.exists(comes[len("unix://"):]))
                harness.round_trip(client)
                harness.round_trip(server.adopt(harness.connect(stays)))
            self.assertEqual(os.stat(stays[len("unix://"):]).st_ino, inode)
        self.assertFalse(os.path.exists(stays[len("unix://"):]))

    def test_an_address_may_stand_there_twice(self):
        """Two listeners with port 0 are two, and losing one keeps the other."""
        self.write(f"listen {harness.LOOPBACK}", f"listen {harness.LOOPBACK}")
        with self.start(ready=2) as server:
            first, second = server.addresses
            self.reload(server, f"listen {harness.LOOPBACK}")
            harness.round_trip(server.connect(0))
            self.assertTrue(harness.is_refused(second))
            self.assertNotEqual(first, second)

    def test_listeners_of_the_command_line_stay(self):
        """What the command line gives wins over every file."""
        self.write(f"listen {self.second}")
        with self.start("--listen", self.first) as server:
            self.reload(server, f"listen tcp://127.0.0.1:{harness.free_port()}", "idle-timeout 1h")
            harness.round_trip(server.connect())
            self.assertTrue(harness.is_refused(self.second))

    def test_a_passed_listener_stays_and_goes_and_does_not_come_back(self):
        """A parent can pass sockets at the start only."""
        with harness.listening_socket() as passed:
            name = f"fd://{passed.fileno()}"
            self.write(f"listen {name}")
            with self.start(pass_fds=(passed.fileno(),), may_log="passed at the start") as server:
                self.reload(server, f"listen {name}", f"listen {self.first}")
                harness.round_trip(server.adopt(harness.connect(harness.address_of(passed))))
                text = self.reload(server, f"listen {self.first}")
                self.assertRegex(text, rf"warning: {name} \(.*\): clients may go on to connect there")
                text = self.fail_to_reload(server, f"listen {self.first}", f"listen {name}")
                self.assertIn(f":2: listen {name}: it can be passed at the start only", text)
                harness.round_trip(server.adopt(harness.connect(self.first)))

    def test_a_client_that_was_passed_stays(self):
        """It is served to its end, whatever the file says."""
        ours, theirs = harness.tcp_pair()
        with ours, theirs:
            self.write(f"listen fd://{theirs.fileno()}", f"listen {self.first}")
            with self.start(pass_fds=(theirs.fileno(),), ready=1) as server:
                theirs.close()
                server.log.wait_for("serving fd://")
                harness.round_trip(ours)
                self.reload(server, f"listen {self.first}", "idle-timeout 1h")
                self.assertEqual(harness.finish(ours, b"the rest"), b"the rest")
                server.wait_for_exit(0)


class LimitsTest(ReloadTestCase):

    def test_time_outs_are_those_of_the_beginning(self):
        """A new time-out is for new clients; one that is there keeps the one it began with."""
        self.write(f"listen {self.first}", "idle-timeout 1h")
        with self.start() as server:
            old = server.connect()
            harness.round_trip(old)
            self.reload(server, f"listen {self.first}", f"idle-timeout {scaled_ms(100)}")
            self.assertEqual(harness.receive_all(server.connect()), b"")
            server.wait_for_closed("idle timeout")
            harness.round_trip(old)
            self.reload(server, f"listen {self.first}")
            harness.round_trip(server.connect())
            harness.round_trip(old)

    def test_a_time_out_that_is_gone_still_ends_who_began_with_it(self):
        """Its deadline stays armed when the file no longer has it."""
        self.write(f"listen {self.first}", f"lifetime {scaled_ms(500)}")
        with self.start() as server:
            old = server.connect()
            harness.round_trip(old)
            for _ in range(3):
                self.reload(server, f"listen {self.first}")
            self.assertEqual(harness.receive_all(old), b"")
            server.wait_for_closed("lifetime over")
            self.reload(server, f"listen {self.first}")  # frees what that client used

    def test_the_limit_of_connections_rises_and_falls(self):
        """Clients that wait are let in when there may be more, and wait when there may be fewer."""
        for workers in (1, 2):
            with self.subTest(workers=workers):
                self.write(f"listen {self.first}", "max-connections 2", f"workers {workers}")
                with self.start() as server:
                    clients = [server.connect() for _ in range(2)]
                    for client in clients:
                        harness.round_trip(client)
                    waiting = server.connect()
                    self.reload(server, f"listen {self.first}", "max-connections 3",
                                f"workers {workers}")
                    harness.round_trip(waiting)
                    self.reload(server, f"listen {self.first}", "max-connections 1",
                                f"workers {workers}")
                    last = server.connect()
                    last.sendall(b"x")
                    for client in (*clients, waiting):
                        harness.round_trip(client)
                        client.close()
                    self.assertEqual(harness.receive_exactly(last, 1), b"x")

    def test_the_drain_time_out_changes(self):
        """It is of the process, and the newest counts for everybody."""
        self.write(f"listen {self.first}", "drain-timeout 1h")
        with self.start() as server:
            client = server.connect()
            harness.round_trip(client)
            self.reload(server, f"listen {self.first}", f"drain-timeout {scaled_ms(100)}")
            server.signal(signal.SIGTERM)
            self.assertEqual(harness.receive_all(client), b"")
            client.close()
            server.wait_for_exit(0)

    def test_level_and_format_of_the_log_change(self):
        """Lines that come from now on are written that way."""
        self.write(f"listen {self.first}")
        with self.start() as server:
            text = self.reload(server, f"listen {self.first}", "log-level debug", "log-format json")
            self.assertIn('"level":"info","message":"HUP: ', text)
            harness.round_trip(server.connect())
            server.log.wait_for(r'^\{.*"level":"debug".*opened')
            self.reload(server, f"listen {self.first}")
            since = len(server.log.lines)
            client = server.connect()
            harness.finish(client)
            server.wait_for_closed(since=since)
            self.assertFalse(server.log.find("debug", since))

    def test_what_needs_a_restart_is_named(self):
        """It keeps its value, and the rest is in effect."""
        self.write(f"listen {self.first}", "workers 2")
        with self.start() as server:
            threads = server.thread_count()
            text = self.reload(server, f"listen {self.second}", "workers 3", "pin-workers")
            self.assertIn(f"{self.path}:2: workers: 3 takes effect when echod is restarted; until "
                          "then it is 2", text)
            self.assertIn(f"{self.path}:3: pin-workers: yes takes effect when echod is restarted; "
                          "until then it is no", text)
            text = self.reload(server, f"listen {self.second}")
            self.assertIn("warning: workers: 1 takes effect when echod is restarted; until then "
                          "it is 2", text)
            server.wait_for_threads(threads)
            harness.round_trip(server.adopt(harness.connect(self.second)))


    def test_workers_that_the_limit_of_connections_did_not_allow_need_a_restart(self):
        """It allows no more workers than connections, and threads are made at the start."""
        self.write(f"listen {self.first}", "workers 4", "max-connections 2")
        with self.start() as server:
            threads = server.thread_count()
            text = self.reload(server, f"listen {self.first}", "workers 4", "max-connections 3")
            self.assertIn("warning: workers: with this max-connections there are 3 when echod is "
                          "restarted; until then there are 2", text)
            server.wait_for_threads(threads)
            for count in (2, 1):
                text = self.reload(server, f"listen {self.first}", "workers 4",
                                   f"max-connections {count}")
                self.assertNotIn("workers", text)


class FaultTest(ReloadTestCase):

    def test_a_bad_file_changes_nothing_and_says_why(self):
        """All of its errors are logged, and in the end that nothing was changed."""
        self.write(f"listen {self.first}", "idle-timeout 1h")
        with self.start(may_log=self.path) as server:
            before = listening_inodes(server)
            text = self.fail_to_reload(server, f"listen {self.second}", "workers 0", "colour blue",
                                       f"idle-timeout {scaled_ms(1)}", "log-level error")
            self.assertIn(f'error: {self.path}:2: workers: "0" is out of range', text)
            self.assertIn(f'error: {self.path}:3: "colour" is no setting', text)
            self.assertEqual(text.count(" error: "), 2)
            self.assertTrue(text.splitlines()[-1].endswith(NOT_CHANGED), text)
            self.assertEqual(before, listening_inodes(server))
            harness.round_trip(server.connect())
            self.reload(server, f"listen {self.second}")
            harness.round_trip(server.adopt(harness.connect(self.second)))

    def test_a_missing_file_changes_nothing(self):
        """It was there at the start, and is wanted."""
        self.write(f"listen {self.first}")
        with self.start(may_log=self.path) as server:
            os.remove(self.path)
            text = self.hang_up(server, NOT_CHANGED)
            self.assertIn(f"error: {self.path}: No such file or directory", text)
            harness.round_trip(server.connect())

    def test_a_port_in_use_changes_nothing(self):
        """Not even the other listeners, nor any limit."""
        third = f"unix://{self.directory}/third.sock"
        self.write(f"listen {self.first}")
        with self.start(may_log="listen") as server, harness.listening_socket() as busy:
            before = listening_inodes(server)
            address = harness.address_of(busy)
            text = self.fail_to_reload(server, f"listen {third}", f"listen {self.second}",
                                       f"listen {address}", "listen unix:///nowhere/x",
                                       f"idle-timeout {scaled_ms(1)}")
            self.assertIn(f"{self.path}:3: listen {address}: Address already in use", text)
            self.assertIn(f"{self.path}:4: listen unix:///nowhere/x: No such file", text)
            self.assertEqual(before, listening_inodes(server))
            self.assertFalse(os.path.exists(third[len("unix://"):]))
            client = server.connect()
            harness.round_trip(client)
            self.assertTrue(harness.is_refused(self.second))
            harness.round_trip(client)

    def test_an_address_that_overlaps_with_an_own_one_needs_two_reloads(self):
        """It is echod itself that listens there, which the sentence says."""
        all_of_them = f"tcp://0.0.0.0:{harness.port_of(self.first)}"
        for workers in (1, 2):
            for old, new in ((self.first, all_of_them), (all_of_them, self.first)):
                with self.subTest(workers=workers, old=old):
                    self.write(f"listen {old}", f"workers {workers}")
                    with self.start(may_log="echod itself") as server:
                        text = self.fail_to_reload(server, f"listen {new}", f"workers {workers}")
                        self.assertIn(f"{self.path}:1: listen {new}: Address already in use; echod "
                                      f"itself listens on {old}: ", text)
                        self.reload(server, f"listen {self.second}", f"workers {workers}")
                        self.reload(server, f"listen {new}", f"workers {workers}")
                        harness.round_trip(server.adopt(harness.connect(self.first)))

    def test_a_file_that_was_emptied_is_warned_of(self):
        """An editor may write at this moment. Who never set anything there, or no more, knows."""
        warning = f"warning: {self.path}: sets nothing any more"
        self.write("idle-timeout 1h")
        with harness.Echod(config=self.path) as server:
            self.assertNotIn(warning, self.reload(server, "idle-timeout 2h"))
            self.assertIn(warning, self.reload(server))
            self.assertNotIn(warning, self.reload(server, "# nothing"))

    def test_hup_without_a_file_changes_nothing(self):
        """It is said, and no reason to end."""
        with harness.Echod() as server:
            text = self.hang_up(server, NOT_CHANGED)
            self.assertIn("there is no configuration file to read again", text)
            harness.round_trip(server.connect())

    def test_hup_as_soon_as_echod_listens(self):
        """The first HUP is not lost and kills nobody."""
        self.write(f"listen {self.first}")
        with self.start() as server:
            self.reload(server, f"listen {self.second}")
            harness.round_trip(server.adopt(harness.connect(self.second)))

    def test_hup_while_draining_changes_nothing(self):
        """Whoever is about to end opens nothing any more."""
        self.write(f"listen {self.first}", "drain-timeout 1h")
        with self.start() as server:
            client = server.connect()
            harness.round_trip(client)
            server.signal(signal.SIGTERM)
            server.log.wait_for("draining: 1 connection")
            self.write(f"listen {self.second}")
            self.hang_up(server, "HUP: echod is about to end, and reloads no more")
            self.assertTrue(harness.is_refused(self.second))
            self.assertEqual(harness.finish(client, b"still here"), b"still here")
            client.close()
            server.wait_for_exit(0)

    def test_a_stop_while_it_changes_comes_through(self):
        """TERM or QUIT right behind HUP ends echod in order."""
        for number in (signal.SIGTERM, signal.SIGQUIT):
            for workers in (1, 4):
                with self.subTest(signal=number, workers=workers):
                    self.write(f"listen {self.first}", f"workers {workers}")
                    with self.start() as server:
                        harness.round_trip(server.connect())
                        self.write(f"listen {self.second}", f"workers {workers}",
                                   "drain-timeout 0", "linger-timeout 0")
                        server.signal(signal.SIGHUP)
                        server.signal(number)
                        server.close_clients()
                        server.wait_for_exit(0)

    def test_many_hups_at_once_coalesce(self):
        """However many come, the last file is in effect in the end."""
        self.write(f"listen {self.first}", "workers 4")
        with self.start() as server:
            heartbeat = Heartbeat(server.connect())
            for _ in range(200):
                os.kill(server.pid, signal.SIGHUP)
            self.write(f"listen {self.second}", "workers 4")
            server.signal(signal.SIGHUP)
            server.log.wait_for(f"listening on {self.second}")
            heartbeat.wait_for_beats(10)
            heartbeat.stop()
            harness.round_trip(server.adopt(harness.connect(self.second)))
            self.assertLessEqual(len(server.log.find(IN_EFFECT)), 202)

    def test_a_limit_of_files_stops_a_reload_and_not_the_service(self):
        """Without descriptors for a new listener nothing changes."""
        self.write(f"listen {self.first}", "workers 2")
        with self.start(prefix=harness.with_file_limit(40), may_log="listen") as server:
            lines = [f"listen {harness.LOOPBACK}" for _ in range(20)]
            text = self.fail_to_reload(server, f"listen {self.first}", *lines, "workers 2")
            self.assertIn("Too many open files", text)
            harness.round_trip(server.connect())


    def test_listeners_that_leave_no_room_for_clients_are_refused(self):
        """They could be opened, but nobody could be served there."""
        path = f"{self.directory}/echod.sock"
        self.write(f"listen {self.first}", "workers 2")
        with self.start(prefix=harness.with_file_limit(40), may_log="open files") as server:
            before = listening_inodes(server)
            lines = [f"listen {harness.LOOPBACK}" for _ in range(6)]
            text = self.fail_to_reload(server, f"listen unix://{path}", *lines, "workers 2")
            self.assertIn("the limit of open files is 40, but 2 workers with 7 listeners need 41; "
                          "raise it", text)
            self.assertEqual(before, listening_inodes(server))
            self.assertFalse(os.path.exists(path))
            harness.round_trip(server.connect())
            self.reload(server, f"listen {self.second}", "workers 2")
            harness.round_trip(server.adopt(harness.connect(self.second)))

    def test_listeners_that_go_leave_their_descriptors_to_clients(self):
        """The limit that descriptors set is the same after one listener was replaced by another."""
        self.write(f"listen {self.first}", "max-connections 100")
        with self.start(prefix=harness.with_file_limit(100)) as server:
            possible = r"allows about (\d+) connections, not 100"
            before = server.log.wait_for(possible).group(1)
            text = self.reload(server, f"listen {self.second}", "max-connections 100")
            self.assertIn(f"allows about {before} connections, not 100", text)


class LoadTest(ReloadTestCase):

    RELOADS = 100
    WARM_UP = 20
    RATE = 300  # new connections a second
    GROWTH_BYTES = (320 if harness.SANITIZED else 2) * harness.MIB  # sanitizers keep 256 MiB to free later

    def connect_and_echo(self, addresses, is_over):
        """Connect, echo and finish at the rate until the event is set; return how often."""
        count = 0
        begin = time.monotonic()
        data = harness.random_bytes(2000)
        while not is_over():
            client = harness.connect(addresses[count % len(addresses)])
            with client:
                if harness.finish(client, data) != data:
                    raise AssertionError(f"connection {count} lost bytes")
            count += 1
            if count >= 100 * self.RATE:
                raise AssertionError("the reloads do not come to an end")
            time.sleep(max(0, begin + count / self.RATE - time.monotonic()))
        return count

    def reload_under_load(self, workers):
        """Alternate two files under load; return how many connections there were."""
        stays = [self.first, f"unix://{self.directory}/stays.sock"]
        common = [*(f"listen {address}" for address in stays), f"workers {workers}"]
        files = ([*common, "idle-timeout 1h", "log-level debug", "max-connections 1000"],
                 [*common, f"listen {self.second}", "high-water 64KiB", "no-shortcuts",
                  f"listen unix://{self.directory}/comes.sock", "max-queued 1MiB", "backlog 128"])
        reloads = 0
        self.write(*files[0])
        with self.start(ready=2) as server:
            heartbeat = Heartbeat(server.connect())
            stream = harness.Stream(server.adopt(harness.connect(stays[1])))
            load = Background(self.connect_and_echo, stays, lambda: reloads >= self.RELOADS)
            for number in range(self.RELOADS):
                self.reload(server, *files[(number + 1) % 2])
                if number % 2 == 0:
                    harness.round_trip(server.adopt(harness.connect(self.second)))
                if number + 1 == self.WARM_UP:
                    warm_bytes = server.resident_bytes()
                self.assertTrue(load.is_alive() or load.result())
                time.sleep(0.03)  # the load is what is tested, not how fast reloads follow
                reloads = number + 1
            count = load.result()
            growth = server.resident_bytes() - warm_bytes
            heartbeat.stop()
            stream.finish()
            server.close_clients()
            closed = server.wait_for_closed(count=1)
            self.assertEqual(closed.bytes_in, closed.bytes_out)
            self.assertLess(growth, self.GROWTH_BYTES)
            totals = server.report()[0]
            self.assertEqual(totals.refused, 0)
            self.assertGreaterEqual(totals.accepted, count)
        return count, growth

    def test_a_hundred_reloads_under_load(self):
        """No connection fails, no byte is lost, no descriptor leaks, and memory stays flat."""
        for workers in (1, 2):
            with self.subTest(workers=workers):
                count, growth = self.reload_under_load(workers)
                print(f"{count} connections, {growth // harness.KIB} KiB more ", end="", flush=True)
                self.assertGreater(count, 100)


class NamesTest(ReloadTestCase):

    def setUp(self):
        """A name server that answers when told to, and a prefix for an echod that asks it."""
        super().setUp()
        self.name_server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.addCleanup(self.name_server.close)
        try:
            self.name_server.bind(("127.0.0.77", 53))
        except OSError as error:
            self.skipTest(f"no name server can be played here: {error}")
        self.prefix = self.prefix_that_asks("timeout:30 attempts:3")

    def prefix_that_asks(self, options):
        return self.with_file("/etc/resolv.conf", f"nameserver 127.0.0.77\noptions {options}\n")

    def ask(self, server):
        """Let echod look up a name, which takes a minute and a half without an answer."""
        self.write(f"listen {self.first}", "listen nobody-answers.test:0", "idle-timeout 1h")
        server.signal(signal.SIGHUP)
        harness.wait_until(lambda: server.thread_count() > self.threads, "a thread looks it up")

    def answer(self, server):
        """Say of whatever is asked that there is no such name, until nobody looks it up."""
        self.name_server.setblocking(False)
        while server.thread_count() > self.threads:
            if select.select([self.name_server], [], [], 0.01)[0]:
                query, resolver = self.name_server.recvfrom(512)
                self.name_server.sendto(query[:2] + b"\x81\x83" + query[4:], resolver)  # RFC 1035

    def test_echod_serves_and_ends_while_a_name_is_looked_up(self):
        self.write(f"listen {self.first}")
        with self.start(prefix=self.prefix) as server:
            self.threads = server.thread_count()
            self.ask(server)
            harness.round_trip(server.connect())
            server.report()  # the main thread answers
            begin = time.monotonic()
            self.assertEqual(server.stop().open, 0)
            self.assertLess(time.monotonic() - begin, harness.PATIENCE_SECONDS)

    @contextlib.contextmanager
    def draining_while_a_name_is_looked_up(self):
        """An echod, and the client that it waits for."""
        self.write(f"listen {self.first}", "drain-timeout 1h")
        with self.start(prefix=self.prefix) as server:
            self.threads = server.thread_count()
            client = server.connect()
            harness.round_trip(client)
            self.ask(server)
            server.signal(signal.SIGTERM)
            server.log.wait_for("draining: 1 connection")
            yield server, client

    def test_a_client_is_drained_while_a_name_is_looked_up(self):
        with self.draining_while_a_name_is_looked_up() as (server, client):
            harness.round_trip(client)
            self.assertEqual(harness.finish(client, b"rest"), b"rest")
            server.wait_for_exit(0)

    def test_a_look_up_that_ends_during_a_drain_changes_nothing(self):
        """What it was for is forgotten: nothing is opened, and nobody told of an error."""
        with self.draining_while_a_name_is_looked_up() as (server, client):
            self.answer(server)
            self.assertEqual(harness.finish(client, b"rest"), b"rest")
            server.wait_for_exit(0)
            server.log.wait_for_end()
            self.assertFalse(server.log.find("HUP"))


    def end_before_it_serves(self, number, prefix, pid_of):
        """
        Stop an echod that looks up a name at its start, another one for each signal. It is soon over,
        since under the sanitizer of threads a handler waits until the look-up has ended.
        """
        command = [*self.prefix_that_asks("timeout:5 attempts:1"), *prefix, harness.ECHOD,
                   "--no-config", "--listen", f"{number.name}.test:0"]
        with harness.Process(command) as process:
            self.name_server.settimeout(harness.PATIENCE_SECONDS)
            while number.name.encode() not in self.name_server.recvfrom(512)[0]:
                pass
            os.kill(pid_of(process), number)
            process.wait_for_exit(0)

    def test_a_stop_ends_a_start_that_waits_for_a_name(self):
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT):
            with self.subTest(number):
                self.end_before_it_serves(number, (), lambda process: process.pid)

    def test_a_stop_ends_process_1_that_waits_for_a_name(self):
        """What the entry point of a container does not catch, it does not hear."""
        def child_of(process):
            with open(f"/proc/{process.pid}/task/{process.pid}/children", encoding="ascii") as file:
                return int(file.read())

        self.end_before_it_serves(signal.SIGTERM, ("unshare", "-pf", "--kill-child"), child_of)


class StartTest(ReloadTestCase):

    def test_hup_during_the_start_is_answered_afterwards(self):
        """Who changes the file while it is read is neither forgotten, nor the end of echod."""
        path = f"{self.temporary_directory()}/echod.conf"
        line_count = 50000
        while not self.is_hup_of_the_start_answered(path, line_count):
            line_count *= 2
            self.assertLess(line_count, 10_000_000, "echod reads faster than it can be stopped")

    def is_hup_of_the_start_answered(self, path, line_count):
        """Send HUP while a file of so many lines is read; False: it had been read already."""
        with open(path, "w", encoding="ascii") as file:
            file.write("listen 127.0.0.1:0\n" + "workers 1\n" * line_count)

        def holds_hup():
            with open(f"/proc/{server.pid}/status", encoding="ascii") as file:
                return int(re.search(r"(?m)^SigBlk:\s+(\w+)$", file.read()).group(1), 16) & 1

        with harness.Echod(config=path, listen=None, ready=0) as server:
            harness.wait_until(lambda: holds_hup() or server.log.find("listening"), "it has begun")
            os.kill(server.pid, signal.SIGSTOP)
            harness.wait_until(lambda: server.state() == "T", "it is stopped")
            is_early = bool(holds_hup()) and not server.log.find("listening")
            os.kill(server.pid, signal.SIGHUP)
            os.kill(server.pid, signal.SIGCONT)
            server.log.wait_for("HUP: the configuration of .* is in effect")
        return is_early


if __name__ == "__main__":
    harness.main()
