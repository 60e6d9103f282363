"""
test_supervisor: a real supervisord starts, stops and restarts echod the way operators do.
What echod itself makes of the signals is in test_signals.
Run by `run`, by automake, or alone.
"""

import contextlib
import json
import os
import re
import signal
import subprocess
import threading

import harness
from harness import Background, Process

COMMON = """
[supervisord]
nodaemon=true
logfile={directory}/supervisord.log
pidfile={directory}/supervisord.pid
childlogdir={directory}
{user}
[unix_http_server]
file={directory}/supervisor.sock
[rpcinterface:supervisor]
supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface
[supervisorctl]
serverurl=unix://{directory}/supervisor.sock
"""

SHIPPED = os.path.join(harness.HERE, "../../packaging/supervisor/echod.conf")
PROGRAM_ADDRESS = "tcp://127.0.0.1:13265"
SHARED_ADDRESS = "tcp://127.0.0.1:13266"
LONG_START_SECONDS = 60
SHARED_PROCESSES = ("echod-shared_00", "echod-shared_01")
SHARED_NAMES = tuple(f"echod-shared:{process}" for process in SHARED_PROCESSES)


class Supervisor(Process):
    """A supervisord with its configuration and its files in one directory."""

    def __init__(self, daemon, control, directory, program):
        self._control = control
        self._directory = directory
        self._configuration = f"{directory}/supervisord.conf"
        with open(self._configuration, "w", encoding="utf-8") as file:
            file.write(COMMON.format(directory=directory,
                                     user="user=root" if os.getuid() == 0 else ""))
            file.write(program)
        super().__init__([daemon, "-c", self._configuration], stdin=subprocess.DEVNULL,
                         stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def __enter__(self):
        try:
            harness.wait_until(lambda: os.path.exists(f"{self._directory}/supervisor.sock"),
                               "supervisord takes commands")
        except BaseException:
            self.kill()
            raise
        return self

    def __exit__(self, exception_type, exception, traceback):
        """Let supervisord end its children; only if it does not, end them all by force."""
        try:
            if self.status is None:
                self.signal(signal.SIGTERM)
                self.wait_for_exit(0)
        finally:
            children = self.children()
            self.kill()
            for pid in children:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            if exception_type is not None:
                for name in sorted(os.listdir(self._directory)):
                    if name.endswith(".log"):
                        print(f"--- {name}\n{self.read(name)[-5000:]}")

    def children(self):
        """The processes that supervisord started and that still run."""
        try:
            with open(f"/proc/{self.pid}/task/{self.pid}/children", encoding="ascii") as file:
                return [int(pid) for pid in file.read().split()]
        except FileNotFoundError:
            return []

    def control(self, *arguments):
        """Run supervisorctl and return what it prints."""
        return subprocess.run([self._control, "-c", self._configuration, *arguments],
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
                              encoding="utf-8", timeout=harness.PATIENCE_SECONDS).stdout

    def states(self):
        """What `supervisorctl status` says of each process, by its name."""
        return dict(line.split()[:2] for line in self.control("status").splitlines())

    # Its log tells the same without a supervisorctl, whose start costs more than what it asks for.

    def wait_for_state(self, state, name="echod"):
        """Wait until a process was RUNNING or FATAL once."""
        self.wait_for_text("supervisord.log", f"{name} entered {state} state")

    def pid_of(self, name="echod"):
        return int(self.wait_for_text("supervisord.log", f"spawned: '{name}' with pid (\\d+)").group(1))

    def path_of(self, name):
        """Where a file of the directory is."""
        return f"{self._directory}/{name}"

    def read(self, name):
        """A file of the directory as text."""
        try:
            with open(f"{self._directory}/{name}", encoding="utf-8") as file:
                return file.read()
        except FileNotFoundError:
            return ""

    def wait_for_text(self, name, pattern, count=1):
        """Wait until a file has so many matches and return the last one."""
        def matches():
            found = list(re.finditer(pattern, self.read(name), re.M))
            return found if len(found) >= count else None
        return harness.wait_until(matches, f"{count} times {pattern} in {name}")[-1]


class SupervisorTest(harness.TestCase):

    def supervise(self, program_address="tcp://127.0.0.1:0", shared_address=None, config=None,
                  start_seconds=1):
        """
        A supervisord that has the file which is shipped, with our paths and addresses, with a
        configuration file for echod, or none, and with more time for a start where a slow machine
        must not turn a failed one into a success.
        """
        daemon = self.need_program("supervisord")
        control = self.need_program("supervisorctl")
        directory = self.temporary_directory()
        with open(SHIPPED, encoding="ascii") as file:
            programs = file.read()
        options = f"--config {config}" if config else "--no-config"
        for ours, shipped in ((f"{directory}/run", "/run/echod"),
                              (f"{harness.ECHOD} {options}", "/usr/sbin/echod"),
                              (directory, "/var/log/supervisor"),
                              (program_address, PROGRAM_ADDRESS),
                              (f"startsecs={start_seconds}", "startsecs=1"),
                              (shared_address or SHARED_ADDRESS, SHARED_ADDRESS)):
            self.assertIn(shipped, programs)
            programs = programs.replace(shipped, ours)
        return Supervisor(daemon, control, directory, programs)

    def write_config(self, text, path=None):
        """Write a configuration file, a new one without a path, and return its path."""
        path = path or f"{self.temporary_directory()}/echod.conf"
        with open(path, "w", encoding="ascii") as file:
            file.write(text)
        return path

    def expect_status(self, supervisor, log, name):
        """echoctl is told how the service is, where there is libmicrohttpd."""
        path = supervisor.path_of(f"run/{name}")
        if harness.run_echod("--check", "--admin", "127.0.0.1:0").returncode == 0:
            supervisor.wait_for_text(log, f"operators are answered at unix://{path}")
            result = subprocess.run([harness.ECHOCTL, "--json", "-s", path, "status"], check=True,
                                    stdout=subprocess.PIPE, timeout=harness.PATIENCE_SECONDS)
            self.assertIn(json.loads(result.stdout)["pid"], supervisor.children())


class ProgramTest(SupervisorTest):

    LISTENING = r"info: \[echod\] listening on (\S+)$"

    def test_start_log_stop_and_restart(self):
        """As a program echod starts, its log is captured, and it stops with exit status 0."""
        with self.supervise() as supervisor:
            address = supervisor.wait_for_text("echod.log", self.LISTENING).group(1)
            supervisor.wait_for_state("RUNNING")
            with harness.connect(address) as client:
                self.assertEqual(harness.finish(client, b"supervised"), b"supervised")
            supervisor.wait_for_text("echod.log", "closed: client closed, in=10 out=10")
            self.assertIn("closed: client closed", supervisor.control("tail", "echod"))
            self.expect_status(supervisor, "echod.log", "admin.sock")

            self.assertIn("stopped", supervisor.control("stop", "echod"))
            supervisor.wait_for_text("echod.log", r"info: \[echod\] stopped$")
            supervisor.wait_for_text("supervisord.log", r"stopped: echod \(exit status 0\)")

            self.assertIn("started", supervisor.control("start", "echod"))
            address = supervisor.wait_for_text("echod.log", self.LISTENING, 2).group(1)
            before = supervisor.pid_of()
            with harness.connect(address) as client:
                harness.round_trip(client)
            self.assertIn("started", supervisor.control("restart", "echod"))
            address = supervisor.wait_for_text("echod.log", self.LISTENING, 3).group(1)
            self.assertNotEqual(supervisor.pid_of(), before)
            with harness.connect(address) as client:
                harness.round_trip(client)
            # The other form waits until it is asked for.
            self.assertEqual(supervisor.states(),
                             {"echod": "RUNNING", **dict.fromkeys(SHARED_NAMES, "STOPPED")})
        self.assertEqual(supervisor.read("supervisord.log").count("(exit status 0)"), 3)

    def test_stop_drains_within_the_patience_of_supervisord(self):
        """A client that never leaves does not make supervisord use KILL."""
        with self.supervise() as supervisor:
            address = supervisor.wait_for_text("echod.log", self.LISTENING).group(1)
            supervisor.wait_for_state("RUNNING")
            with harness.connect(address) as client:
                harness.round_trip(client)
                supervisor.control("stop", "echod")
                self.assertEqual(harness.receive_all(client), b"")
            supervisor.wait_for_text("supervisord.log", r"stopped: echod \(exit status 0\)")
            self.assertNotIn("SIGKILL", supervisor.read("supervisord.log"))

    def test_a_killed_echod_is_started_again(self):
        """An end that nobody asked for is no exit status 0, so that supervisord starts another."""
        with self.supervise() as supervisor:
            supervisor.wait_for_text("echod.log", self.LISTENING)
            supervisor.wait_for_state("RUNNING")
            os.kill(supervisor.pid_of(), signal.SIGKILL)
            address = supervisor.wait_for_text("echod.log", self.LISTENING, 2).group(1)
            with harness.connect(address) as client:
                harness.round_trip(client)

    def test_a_requested_stop_is_no_reason_to_start(self):
        """Who sends TERM without supervisord gets exit status 0, and no new echod."""
        with self.supervise() as supervisor:
            supervisor.wait_for_text("echod.log", self.LISTENING)
            supervisor.wait_for_state("RUNNING")
            os.kill(supervisor.pid_of(), signal.SIGTERM)
            supervisor.wait_for_text("supervisord.log", r"exited: echod \(exit status 0; expected\)")
            self.assertEqual(supervisor.states()["echod"], "EXITED")
            self.assertEqual(len(supervisor.children()), 0)
            self.assertEqual(supervisor.read("echod.log").count("listening on"), 1)

    def test_a_configuration_error_is_fatal(self):
        """A wrong option, and an address in use, lead to FATAL, and the log says why."""
        with harness.Echod() as other:
            mistakes = {
                "tcp://127.0.0.1:99999": r'^echod: --listen: "tcp://127.0.0.1:99999" has no port ',
                other.addresses[0]: r"error: \[echod\] .*" + re.escape(other.addresses[0]),
            }
            for address, sentence in mistakes.items():
                with self.subTest(address), \
                        self.supervise(address, start_seconds=LONG_START_SECONDS) as supervisor:
                    supervisor.wait_for_state("FATAL")
                    supervisor.wait_for_text("echod.log", sentence)
                    # Not one of its tries was taken for a start: it ended within startsecs.
                    self.assertNotIn("entered RUNNING", supervisor.read("supervisord.log"))

    def test_a_wrong_configuration_file_is_fatal(self):
        """It leads to FATAL within startsecs, too, and the log has each of its errors."""
        config = self.write_config("workers 0\nuser nobody-at-all\n")
        with self.supervise(config=config, start_seconds=LONG_START_SECONDS) as supervisor:
            supervisor.wait_for_state("FATAL")
            supervisor.wait_for_text("echod.log", f"^echod: {config}:1: workers: ", 2)
            supervisor.wait_for_text("echod.log", f"^echod: {config}:2: user: ", 2)
            self.assertIn("(exit status 78; not expected)", supervisor.read("supervisord.log"))
            self.assertNotIn("entered RUNNING", supervisor.read("supervisord.log"))

    def test_a_signal_reloads(self):
        """`supervisorctl signal HUP` takes a new file over, and leaves a wrong one alone."""
        config = self.write_config("")
        with self.supervise(config=config) as supervisor:
            supervisor.wait_for_text("echod.log", self.LISTENING)
            supervisor.wait_for_state("RUNNING")
            before = supervisor.pid_of()
            for text, line in (("workers 0\n", "the configuration is not changed"),
                               ("log-level debug\n", f"the configuration of {config} is in effect")):
                self.write_config(text, config)
                supervisor.control("signal", "HUP", "echod")
                supervisor.wait_for_text("echod.log", line)
            self.assertEqual(supervisor.pid_of(), before)


class FcgiProgramTest(SupervisorTest):

    def start_shared(self):
        """A supervisord that shall start the group, and the group's address."""
        address = f"tcp://127.0.0.1:{harness.free_port()}"
        return self.supervise(shared_address=address), address

    def start_group(self, supervisor):
        supervisor.control("start", "echod-shared:*")
        for name in SHARED_PROCESSES:
            supervisor.wait_for_state("RUNNING", name)

    def restart_each(self, supervisor):
        """Restart the processes as the file says; each is another one then."""
        before = [supervisor.pid_of(name) for name in SHARED_PROCESSES]
        for name in SHARED_NAMES:
            self.assertIn("started", supervisor.control("restart", name))
        after = [supervisor.pid_of(name) for name in SHARED_PROCESSES]
        self.assertEqual(len({*before, *after}), 4)

    def expect_clean_logs(self, supervisor):
        """Check that nothing went wrong, and that each line names its process."""
        for index in range(2):
            lines = supervisor.read(f"echod-shared_0{index}.log").splitlines()
            self.assertGreater(len(lines), 0)
            for line in lines:
                self.assertRegex(line, rf"^\S+ (info|warning): \[echod-shared_0{index}\] ")
        self.assertNotIn("SIGKILL", supervisor.read("supervisord.log"))

    def test_a_signal_reloads_each(self):
        """`supervisorctl signal HUP` reaches every process of the group."""
        config = self.write_config("")
        address = f"tcp://127.0.0.1:{harness.free_port()}"
        with self.supervise(shared_address=address, config=config) as supervisor:
            self.start_group(supervisor)
            self.expect_status(supervisor, "echod-shared_01.log", "admin-1.sock")
            supervisor.control("signal", "HUP", "echod-shared:*")
            for index in range(2):
                supervisor.wait_for_text(f"echod-shared_0{index}.log",
                                         f"the configuration of {config} is in effect")

    def test_restart_one_by_one_refuses_nobody(self):
        """
        Under echoprobe's load, a new connection for each message, not one of them fails. It is
        nice, so that the restart itself has the processor.
        """
        supervisor, address = self.start_shared()
        with supervisor:
            self.start_group(supervisor)
            load = Process(["nice", harness.ECHOPROBE, "--churn", "-P", "8", "--deadline", "2m",
                            "--json", address], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
            with load:
                output = Background(load.stdout.read)
                self.restart_each(supervisor)
                load.signal(signal.SIGINT)
                result = json.loads(output.result())
                load.wait_for_exit(0)
            print(f"{result['received']} connections ", end="", flush=True)
            self.assertGreater(result["received"], 100)
            self.assertEqual(result["received"], result["sent"])
            self.expect_clean_logs(supervisor)

    def test_restart_one_by_one_breaks_no_connection(self):
        """Two processes on one socket are restarted under load; every client is served."""
        supervisor, address = self.start_shared()
        with supervisor:
            self.start_group(supervisor)
            is_over = threading.Event()
            clients = [Background(self.connect_again_and_again, address, is_over, seed)
                       for seed in range(4)]
            self.restart_each(supervisor)
            is_over.set()
            served = [client.result() for client in clients]
            print(f"{sum(served)} connections ", end="", flush=True)
            self.assertGreater(min(served), 10)
            self.expect_clean_logs(supervisor)

    def connect_again_and_again(self, address, is_over, seed):
        """Be one client after the other until `is_over`; return how many they were."""
        data = harness.random_bytes(50000, seed)
        count = 0
        while not is_over.is_set():
            with harness.connect(address) as client:
                self.assert_echo(harness.finish(client, data), data)
            count += 1
            is_over.wait(0.02)  # leave the processor to what restarts
        return count


if __name__ == "__main__":
    harness.main()
