"""
test_failed_allocations: the Nth allocation fails, once or from then on, for N = 1, 2, 3 and so on
until a pass needs none that fails, at the start, for clients, reload, report and stop of echod, and
while echoprobe runs.
Refused system calls are in test_injected_errors.
Run alone, by `run` or by make check.

Environment:
    ECHOD_TEST_STRIDE    try each so manieth N; default: 11; `make check-faults` tries every one
"""

import contextlib
import os
import signal
import socket

import failing_malloc
import harness
from failing_malloc import FOR_EVER, FailingMalloc
from harness import LISTENING_LINE, Echod, round_trip

STRIDE = int(os.environ.get("ECHOD_TEST_STRIDE") or 11)
MOST_ALLOCATIONS = 1000  # of anything that is tried here; more is a test that never ends

MODES = {"once": 1, "three": 3, "from then on": FOR_EVER}
RELOAD_END = r"HUP: (the configuration is not changed|the configuration of \S+ is in effect)"
SENTENCE = r"[Mm]emory|cannot|no thread|not changed|name resolution|service not known"
TCP, OTHER_TCP = "tcp://127.0.0.1:0,name=first", "tcp://127.0.0.1:0,name=other"


class FailedAllocations(harness.TestCase):
    """
    No host is looked up for the first time without memory: the C library crashes then (glibc 2.36,
    nss/nss_database.c:402, and its assertion in line 291), or keeps a lock and waits for it when it
    looks up the next (resolv/resolv_conf.c:88), and no caller can prevent that. Of the latter a
    reload has a deadline.
    """

    limit_seconds = 300

    def setUp(self):
        failing_malloc.need(self)
        self.directory = self.temporary_directory()
        self.malloc = FailingMalloc(f"{self.directory}/plan")
        self.config = f"{self.directory}/echod.conf"

    def configure(self, *lines):
        """Write a configuration, as an editor does: the new file takes the place of the old."""
        path = f"{self.config}.new"
        with open(path, "w", encoding="ascii") as file:
            file.writelines(f"{line}\n" for line in lines)
        os.replace(path, self.config)

    def each_failure(self, attempt):
        """Call `attempt` with the number and count of allocations to fail, until none did."""
        for mode, count in MODES.items():
            for number in range(1, MOST_ALLOCATIONS, STRIDE):
                self.malloc.stop()
                with self.subTest(mode, number=number):
                    attempt(number, count)
                if self.malloc.failed == 0:
                    break
            else:
                self.fail("every attempt had an allocation that failed")
            self.assertGreater(number, 1, "nothing was ever allocated")

    def start(self, *options, sandbox="off", **settings):
        """libseccomp alone has thousands of allocations; it is tried by itself."""
        return Echod(*options, "--sandbox", sandbox, prefix=self.malloc.prefix, may_log=SENTENCE, **settings)

    # Start.

    def try_start(self, echod):
        """It listens and serves, or ends with a sentence."""
        with echod:
            harness.wait_until(lambda: echod.status is not None or
                               echod.log.find(LISTENING_LINE), "it listens or ends")
            self.malloc.stop()
            if echod.status is None:
                address = echod.log.wait_for(LISTENING_LINE).group(1)
                with harness.connect(address) as client:
                    round_trip(client)
            else:
                echod.wait_for_exit(harness.STATUS_SYSTEM)
                echod.log.wait_for_end()
                self.assertRegex("\n".join(echod.log.lines), SENTENCE)

    def test_a_start_says_why_not(self):
        def attempt(number, count):
            self.malloc.fail(number, count)
            self.try_start(self.start("--listen", "udp://127.0.0.1:0", "--workers", "2", ready=0))

        self.each_failure(attempt)

    def test_a_sandbox_says_why_not(self):
        """
        It is there whole, or echod does not serve; a few of very many allocations fail. Later ones are
        those by which libseccomp (2.5.4) makes a program of its rules: it does not survive them.
        """
        for count in (1, FOR_EVER):
            for number in (150, 300, 600, 1200):
                with self.subTest(number=number, count=count):
                    self.malloc.fail(number, count)
                    self.try_start(self.start(sandbox="auto", ready=0))

    def test_a_start_with_a_file_says_why_not(self):
        def attempt(number, count):
            self.malloc.fail(number, count)
            self.try_start(self.start("--idle-timeout", "1h", config=self.config, listen=None,
                                      ready=0))

        self.configure(f"listen {TCP}", f"listen unix://{self.directory}/s,mode=0600",
                       f"pid-file {self.directory}/pid",
                       "workers 2", "write-timeout 5s", "low-water 1KiB")
        self.each_failure(attempt)

    def test_an_error_of_a_file_remains_one(self):
        def attempt(number, count):
            self.malloc.fail(number, count)
            result = harness.run_echod("--config", self.config, prefix=self.malloc.prefix)
            if self.malloc.failed > 0 and "memory" in result.stderr:
                self.assertEqual(result.returncode, harness.STATUS_SYSTEM, result.stderr)
            else:
                self.assertEqual(result.returncode, harness.STATUS_CONFIG, result.stderr)

        self.configure(f"listen {TCP}", "workers many", "no-such-setting 1")
        self.each_failure(attempt)

    def test_what_only_prints_prints_all_or_says_why_not(self):
        for options in [("--help",), ("--version",), ("--help=listen",), ("--check",)]:
            complete = harness.run_echod(*options).stdout

            def attempt(number, count, options=options, complete=complete):
                self.malloc.fail(number, count)
                result = harness.run_echod(*options, prefix=self.malloc.prefix)
                if result.returncode == 0:
                    self.assertEqual(result.stdout, complete)
                else:
                    self.assertEqual(result.returncode, harness.STATUS_SYSTEM, result.stderr)
                    self.assertRegex(result.stderr, SENTENCE)

            self.each_failure(attempt)

    # Clients.

    def test_a_client_is_served_or_refused_and_counted(self):
        def attempt(number, count):
            with self.start("--workers", "2") as echod:
                self.malloc.fail(number, count)
                client = harness.connect(echod.addresses[0])
                was_served = self.is_served(client)
                self.malloc.stop()
                with harness.connect(echod.addresses[0]) as after:
                    round_trip(after)
                if not was_served:
                    was_served = self.is_served(client)
                client.close()
                echod.wait_for_closed(count=1 + was_served)
                totals = echod.stop()
                self.assertEqual(totals.accepted, 1 + was_served)
                if not was_served:
                    self.assertGreater(totals.refused + totals.accept_shortages, 0)

        self.each_failure(attempt)

    def test_a_client_of_a_proxy_is_served_or_ended(self):
        """Its header may take memory, too; the next one is served."""
        header = b"PROXY TCP4 192.0.2.1 198.51.100.1 56324 443\r\n"

        def attempt(number, count):
            with self.start(listen=f"{harness.LOOPBACK},proxy=any") as echod:
                self.malloc.fail(number, count)
                client = echod.connect()
                with contextlib.suppress(ConnectionError, TimeoutError):
                    client.sendall(header)
                    self.is_served(client)
                self.malloc.stop()
                with harness.connect(echod.addresses[0]) as after:
                    after.sendall(header)
                    round_trip(after)

        self.each_failure(attempt)

    def is_served(self, client):
        """Tell whether the echo comes; what comes must be right."""
        client.settimeout(0.2)
        try:
            client.sendall(b"ping")
            echo = client.recv(100)
        except (TimeoutError, ConnectionError):
            return False
        finally:
            client.settimeout(harness.PATIENCE_SECONDS)
        self.assertIn(echo, (b"ping", b""))
        return echo == b"ping"

    def test_datagrams_return_or_do_not(self):
        def attempt(number, count):
            with self.start(listen="udp://127.0.0.1:0") as echod, \
                    socket.socket(type=socket.SOCK_DGRAM) as client:
                client.connect(("127.0.0.1", harness.port_of(echod.addresses[0])))
                self.malloc.fail(number, count)
                for datagram in [b"one", bytes(60000), b""]:
                    client.settimeout(0.2)
                    with contextlib.suppress(TimeoutError):
                        client.send(datagram)
                        self.assertEqual(client.recv(65535), datagram)
                self.malloc.stop()
                client.settimeout(harness.PATIENCE_SECONDS)
                client.send(b"after")
                while client.recv(65535) != b"after":
                    pass

        with self.start(listen="udp://127.0.0.1:0") as echod, \
                socket.socket(type=socket.SOCK_DGRAM) as client:
            client.connect(("127.0.0.1", harness.port_of(echod.addresses[0])))
            client.settimeout(harness.PATIENCE_SECONDS)
            self.malloc.fail(FOR_EVER)
            client.send(b"one")
            client.recv(100)
            if self.malloc.count == 0:
                return  # an echo that needs no memory cannot lack it
        self.each_failure(attempt)

    # Reload.

    def reload(self, echod):
        """Reload, and tell whether the new configuration is in effect."""
        since = len(echod.log.lines)
        echod.signal(signal.SIGHUP)
        echod.log.wait_for(RELOAD_END + "|does not (listen|serve)|for now", since=since)
        self.malloc.stop()  # a worker that lacks memory tries again
        return "in effect" in echod.log.wait_for(RELOAD_END, since=since).group()

    def listeners(self, echod):
        """Those of which USR1 tells what was counted."""
        since = len(echod.log.lines)
        echod.signal(signal.SIGUSR1)
        echod.log.wait_for(harness.REPORT_LINE, since=since)  # the last to come: a client is there
        return [match.group(1) for match in echod.log.find(r" listener (\S+): ", since)]

    def check_reload(self, number, count):
        before = [f"listen {TCP}", "workers 2", "idle-timeout 1h", "log-level info",
                  "listen tcp://localhost:0,name=named"]
        after = [f"listen {TCP},idle-timeout=5m", f"listen {OTHER_TCP},max-connections-per-source=50",
                 "workers 2", f"listen unix://{self.directory}/s", "listen tcp://localhost:0",
                 "listen udp://127.0.0.1:0", "idle-timeout 2h", "max-connections 100"]
        self.configure(*before)
        with self.start(config=self.config, listen=None, ready=1) as echod:
            client = echod.connect()
            round_trip(client)
            descriptors = echod.descriptor_count()
            self.configure(*after)
            self.malloc.fail(number, count)
            was_changed = self.reload(echod)
            round_trip(client)
            with harness.connect(echod.addresses[0]) as newcomer:
                round_trip(newcomer)
            if not was_changed:
                self.assertEqual(self.listeners(echod), ["first", "named"])
                self.assertEqual(os.path.exists(f"{self.directory}/s"), False)
                harness.wait_until(lambda: echod.descriptor_count() == descriptors,
                                   "a failed reload keeps no descriptor")
            self.assertTrue(self.reload(echod))
            with harness.connect(f"unix://{self.directory}/s") as newcomer:
                round_trip(newcomer)
            round_trip(client)
            self.configure(*before)
            self.assertTrue(self.reload(echod))
            round_trip(client)
            harness.wait_until(lambda: echod.descriptor_count() == descriptors,
                               "the descriptors of what has gone are closed")

    def test_a_reload_changes_all_or_nothing(self):
        self.each_failure(self.check_reload)

    # Report and stop.

    def finish_while_draining(self, client):
        """Without memory for the drain timeout, it is over at once; else the client is served."""
        with contextlib.suppress(ConnectionError, OSError):
            self.assertIn(harness.finish(client, b"the rest"), (b"the rest", b""))
        client.close()

    def test_a_report_and_a_stop_need_no_memory(self):
        def attempt(number, count):
            with self.start("--workers", "2", "--drain-timeout", "1h") as echod:
                client = echod.connect()
                round_trip(client)
                self.malloc.fail(number, count)
                echod.report()
                echod.signal(signal.SIGTERM)
                self.finish_while_draining(client)
                echod.wait_for_closed("client closed|drained")
                echod.wait_for_exit(harness.STATUS_STOPPED)
                self.malloc.stop()

        self.each_failure(attempt)

    # echoprobe.

    def check_runs(self, *arguments):
        """It ends with the system's status and a sentence, or there was enough memory."""
        def attempt(number, count):
            self.malloc.fail(number, count)
            result = harness.probe(*arguments, prefix=self.malloc.prefix)
            self.assertIn(result.status, (0, harness.STATUS_SYSTEM), result.text)
            if result.status != 0:
                self.assertRegex(result.errors, rf"^echoprobe: .*(?:{SENTENCE})")

        self.each_failure(attempt)

    def test_echoprobe_runs_or_says_why_not(self):
        with Echod(listen=[TCP, "udp://127.0.0.1:0", "tcp://127.0.0.1:0,proxy=v2"]) as echod:
            for address in echod.addresses[:2]:
                self.check_runs("-c", "1", address)
            self.check_runs("-c", "1", "--proxy=v2", echod.addresses[2])


if __name__ == "__main__":
    harness.main()
