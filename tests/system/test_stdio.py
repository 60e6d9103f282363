"""
test_stdio: "stdio:" and inetd's way join descriptors that echod was started with to the echo.
Sockets that are passed by another number are in test_listen.
Run by `run`, by automake, or alone.
"""

import fcntl
import os
import pty
import signal
import socket
import termios
import time
import tty

import harness
from harness import KIB, MIB, Background, Echod, Process


def pipe():
    """A pipe as two unbuffered files: the reading and the writing end."""
    reader, writer = os.pipe()
    return os.fdopen(reader, "rb", buffering=0), os.fdopen(writer, "wb", buffering=0)


def write_and_close(file, data):
    """Write everything to an unbuffered file and close it."""
    with file:
        view = memoryview(data)
        while view:
            view = view[file.write(view):]


class StdioTest(harness.TestCase):

    def stdio(self, stdin, stdout, arguments=(), **options):
        """An echod that serves its standard input and output."""
        return Echod(*arguments, listen="stdio:", ready=0, stdin=stdin, stdout=stdout, **options)

    def expect_end(self, server, byte_count):
        """Check that echod ends by itself when everything is back."""
        server.wait_for_exit(harness.STATUS_STOPPED)
        closed = server.wait_for_closed("client closed")
        self.assertEqual((closed.peer, closed.bytes_in, closed.bytes_out),
                         ("stdio", byte_count, byte_count))

    def test_pipes(self):
        """What comes in through one pipe goes out through another, at once and to the end."""
        with self.stdio(harness.PIPE, harness.PIPE) as server:
            server.stdin.write(b"hello\n")
            server.stdin.flush()
            self.assertEqual(server.stdout.read(6), b"hello\n")
            server.stdin.close()
            self.assertEqual(server.stdout.read(), b"")
            self.expect_end(server, 6)

    def test_half_of_a_pipe_with_a_slow_reader(self):
        """20 MB whose writer has long gone reach a reader that takes its time."""
        data = harness.random_bytes(20 * 1000 * 1000)
        with self.stdio(harness.PIPE, harness.PIPE) as server:
            writer = Background(write_and_close, server.stdin, data)
            time.sleep(1)  # slow is what is tested
            pieces = []
            while piece := server.stdout.read1(256 * KIB):
                pieces.append(piece)
                time.sleep(0.005)
            writer.result()
            self.assert_echo(b"".join(pieces), data)
            self.expect_end(server, len(data))

    def test_files(self):
        """A file as standard input is copied to a file as standard output."""
        data = harness.random_bytes(5 * MIB + 1)
        directory = self.temporary_directory()
        with open(f"{directory}/input", "wb") as file:
            file.write(data)
        with open(f"{directory}/input", "rb") as source, \
                open(f"{directory}/output", "wb") as target, \
                self.stdio(source, target) as server:
            self.expect_end(server, len(data))
        with open(f"{directory}/output", "rb") as file:
            self.assert_echo(file.read(), data)

    def test_a_file_and_a_pipe(self):
        """A file may be at either end while the other one is a pipe."""
        data = harness.random_bytes(5 * MIB + 1)
        directory = self.temporary_directory()
        with self.subTest("pipe to file"), open(f"{directory}/file", "wb") as target, \
                self.stdio(harness.PIPE, target) as server:
            write_and_close(server.stdin, data)
            self.expect_end(server, len(data))
        with self.subTest("file to pipe"), open(f"{directory}/file", "rb") as source, \
                self.stdio(source, harness.PIPE) as server:
            self.assert_echo(server.stdout.read(), data)
            self.expect_end(server, len(data))

    def test_files_go_on_where_they_stand(self):
        """A shared file is read and appended to from where others left it."""
        path = f"{self.temporary_directory()}/file"
        with open(path, "wb", buffering=0) as target:
            target.write(b"head,")
            with self.stdio(harness.PIPE, target) as server:
                write_and_close(server.stdin, b"body,")
                self.expect_end(server, 5)
            target.write(b"tail")
        with open(path, "rb") as file:
            self.assertEqual(file.read(), b"head,body,tail")

    def test_dev_null(self):
        """/dev/null is an empty input and an output that takes everything."""
        with self.subTest("input"), open("/dev/null", "rb") as source, \
                self.stdio(source, harness.PIPE) as server:
            self.assertEqual(server.stdout.read(), b"")
            self.expect_end(server, 0)
        with self.subTest("output"), open("/dev/null", "wb") as target, \
                self.stdio(harness.PIPE, target) as server:
            write_and_close(server.stdin, bytes(MIB))
            self.expect_end(server, MIB)

    def test_closed_standard_input_or_output_is_refused(self):
        """Where there is nothing to join, echod says so and ends with status 71."""
        for closed in ("<&-", ">&-"):
            with self.subTest(closed):
                self.assert_refused(
                    harness.run_echod("--listen", "stdio:",
                                      prefix=("sh", "-c", f'exec "$0" "$@" {closed}')), "stdio:")

    def test_a_full_device_ends_with_71(self):
        """An output that takes nothing is an error, and the exit status says so."""
        with open("/dev/full", "wb") as target, \
                self.stdio(harness.PIPE, target, may_log=".") as server:
            write_and_close(server.stdin, b"lost")
            server.wait_for_exit(harness.STATUS_SYSTEM)

    def test_a_terminal(self):
        """On a terminal each line comes back, and end-of-file ends echod."""
        ours, theirs = pty.openpty()
        with os.fdopen(ours, "r+b", buffering=0) as keyboard, os.fdopen(theirs, "r+b", 0) as screen:
            attributes = termios.tcgetattr(screen)
            attributes[tty.OFLAG] &= ~termios.OPOST
            attributes[tty.LFLAG] &= ~termios.ECHO
            termios.tcsetattr(screen, termios.TCSANOW, attributes)
            with self.stdio(screen, screen) as server:
                for line in (b"hello\n", b"world\n"):
                    keyboard.write(line)
                    echo = b""
                    while len(echo) < len(line):
                        echo += keyboard.read(100)
                    self.assertEqual(echo, line)
                keyboard.write(b"\x04")  # control-D
                self.expect_end(server, 12)

    def test_flags_of_shared_descriptors_are_restored(self):
        """After its end, whatever its reason, the shell's terminal or pipe blocks as before."""
        for ending in ("end of input", "TERM", "QUIT"):
            with self.subTest(ending):
                their_input, our_output = pipe()
                our_input, their_output = pipe()
                with their_input, our_output, our_input, their_output:
                    with self.stdio(their_input, their_output,
                                    arguments=["--drain-timeout", "100ms"]) as server:
                        our_output.write(b"x")
                        self.assertEqual(our_input.read(1), b"x")
                        if ending == "end of input":
                            our_output.close()
                        else:
                            server.signal(getattr(signal, f"SIG{ending}"))
                        server.wait_for_exit(0)
                    for shared in (their_input, their_output):
                        flags = fcntl.fcntl(shared, fcntl.F_GETFL)
                        self.assertFalse(flags & os.O_NONBLOCK)

    def test_flags_of_a_descriptor_that_did_not_block_stay(self):
        """A pipe that was non-blocking before is so afterwards."""
        their_input, our_output = pipe()
        with their_input, our_output:
            os.set_blocking(their_input.fileno(), False)
            with self.stdio(their_input, harness.PIPE) as server:
                our_output.close()
                self.expect_end(server, 0)
            self.assertFalse(os.get_blocking(their_input.fileno()))

    def test_a_reader_that_goes_away_ends_with_71(self):
        """When nobody reads the output any more echod ends, and the exit status says so."""
        with self.stdio(harness.PIPE, harness.PIPE, may_log=".") as server:
            server.stdin.write(b"x")
            server.stdin.flush()
            self.assertEqual(server.stdout.read(1), b"x")
            server.stdout.close()
            server.stdin.write(b"who reads this?")
            server.stdin.flush()
            server.wait_for_exit(harness.STATUS_SYSTEM)

    def test_term_drains_standard_input(self):
        """After TERM the echo goes on until the drain time-out, then echod ends with 0."""
        with self.stdio(harness.PIPE, harness.PIPE) as server:
            server.stdin.write(b"before")
            server.stdin.flush()
            self.assertEqual(server.stdout.read(6), b"before")
            server.signal(signal.SIGTERM)
            server.log.wait_for("draining: 1 connection")
            server.stdin.write(b"after")
            server.stdin.flush()
            self.assertEqual(server.stdout.read(5), b"after")
            write_and_close(server.stdin, b"")
            self.assertEqual(server.stdout.read(), b"")
            server.wait_for_exit(0)

    def test_stdio_beside_a_listener(self):
        """Clients of a listener are drained when standard input ends."""
        with Echod(listen=["stdio:", harness.LOOPBACK], ready=1,
                   stdin=harness.PIPE, stdout=harness.PIPE) as server:
            client = server.connect()
            harness.round_trip(client)
            server.stdin.close()
            server.wait_for_closed("client closed")
            server.log.wait_for("draining: 1 connection")
            harness.round_trip(client)
            client.close()
            server.wait_for_exit(0)


class InetdTest(harness.TestCase):

    def inetd(self, address, client_socket):
        """An echod whose standard descriptors are all one connected socket, as inetd starts it."""
        return Process([harness.ECHOD, "--no-config", "--log-level", "debug", "--listen", address],
                       stdin=client_socket, stdout=client_socket, stderr=client_socket)

    def test_no_mistake_is_told_to_the_client(self):
        """What is wrong with options or a file is no business of whoever connects."""
        path = f"{self.temporary_directory()}/echod.conf"
        with open(path, "w", encoding="ascii") as file:
            file.write("secret-of-the-house 1\n")
        for arguments in (["--config", path], ["--no-such-option"], ["--log-target", "syslog"]):
            with self.subTest(arguments=arguments):
                ours, theirs = harness.tcp_pair()
                with ours, Process([harness.ECHOD, *arguments, "--listen", "unix:///no/such/path/e"],
                                   stdin=theirs, stdout=theirs, stderr=theirs) as server:
                    theirs.close()
                    self.assertEqual(harness.receive_all(ours), b"")
                    harness.wait_until(lambda: server.status is not None, "echod gives up")

    def test_no_log_line_gets_into_the_echo(self):
        """Under inetd the client gets its own bytes and nothing else."""
        data = harness.random_bytes(3 * MIB)
        for address in ("stdio:", "fd://0"):
            for family in (socket.AF_INET, socket.AF_UNIX):
                with self.subTest(address=address, family=family):
                    ours, theirs = self.connected_pair(family)
                    with ours, theirs, self.inetd(address, theirs) as server:
                        theirs.close()
                        self.assert_echo(harness.finish(ours, data), data)
                        server.wait_for_exit(0)

    def test_no_log_line_follows_a_signal(self):
        """USR1 and TERM do not bring their lines to the client either."""
        for address in ("stdio:", "fd://0"):
            with self.subTest(address=address):
                ours, theirs = self.connected_pair(socket.AF_INET)
                with ours, theirs, self.inetd(address, theirs) as server:
                    theirs.close()
                    harness.round_trip(ours)
                    server.signal(signal.SIGUSR1)
                    harness.round_trip(ours)
                    server.signal(signal.SIGTERM)
                    harness.round_trip(ours)
                    self.assertEqual(harness.finish(ours), b"")
                    server.wait_for_exit(0)

    def connected_pair(self, family):
        """Two sockets that are connected with each other, ours and echod's."""
        if family == socket.AF_INET:
            return harness.tcp_pair()
        ours, theirs = socket.socketpair()
        ours.settimeout(harness.PATIENCE_SECONDS)
        return ours, theirs


if __name__ == "__main__":
    harness.main()
