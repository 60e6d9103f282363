"""
measures: one figure of one server: a work under load, system calls, memory.
Knows nothing of rounds, ratios or tables.
Used by run and scrapes.
"""

import collections
import contextlib
import json
import os
import resource
import signal
import subprocess
import tempfile
import time

import rig

Work = collections.namedtuple("Work", "name about load unit calls_messages kind",
                              defaults=(rig.TCP,))


def _datagrams(name, about, load, calls_messages):
    return Work(name, about, "--work datagrams " + load, "datagram", calls_messages,
                rig.UDP)


def _tls(name, about, load, unit, calls_messages):
    return Work(name, about, "--tls " + load, unit, calls_messages, rig.TLS)


WORKS = [
    Work("w1", "1 connection, 64 B ping-pong", "--connections 1", "message", 3000),
    Work("w2a", "50 connections, 64 B ping-pong", "--connections 50", "message", 10000),
    Work("w2b", "1,000 connections, 64 B ping-pong", "--connections 1000", "message", None),
    Work("w3a", "10 connections, 16 KiB messages, 16 in flight",
         "--connections 10 --size 16384 --in-flight 16", "KiB", 5000),
    Work("w3b", "10 connections, 1 MiB messages, 2 in flight",
         "--connections 10 --size 1048576 --in-flight 2", "KiB", None),
    Work("w3f", "10 connections, 64 KiB messages, 256 in flight (16 MiB), read in pieces of 32 KiB: "
         "output blocks",
         "--connections 10 --size 65536 --in-flight 256 --receive 32768", "KiB", None),
    Work("w4", "50 connections at a time: connect, one 64 B echo, close",
         "--work churn --connections 50", "connection", 1000),
    _datagrams("u1", "1 flow, datagrams of 64 B, one at a time", "--connections 1", 3000),
    _datagrams("u2", "16 flows, datagrams of 64 B in bursts of 16",
               "--connections 16 --in-flight 16", 10000),
    _datagrams("u3", "4 flows, datagrams of 1,400 B in bursts of 64",
               "--connections 4 --size 1400 --in-flight 64", 10000),
    _datagrams("u4", "the same, sent as trains (GSO), as QUIC stacks send them",
               "--connections 4 --size 1400 --in-flight 64 --trains", 10000),
    _datagrams("u5", "4 flows, datagrams of 60,000 B in bursts of 2",
               "--connections 4 --size 60000 --in-flight 2", 3000),
    _tls("t1", "50 connections, 64 B ping-pong over TLS 1.3", "--connections 50", "message", 10000),
    _tls("t2", "10 connections, 16 KiB messages, 16 in flight, over TLS 1.3",
         "--connections 10 --size 16384 --in-flight 16", "KiB", 5000),
    _tls("t3", "10 connections at a time: connect, handshake of TLS 1.3, one 64 B echo, "
         "close_notify from both, close", "--work churn --connections 10", "connection", 1000),
    _tls("t3r", "the same, each with the session of one before",
         "--work churn --connections 10 --resume", "connection", 1000),
    _tls("t3p", "as t3, by a client that offers P-256 only",
         "--work churn --connections 10 --groups P-256", "connection", 1000),
    _tls("t3rp", "as t3r, by a client that offers P-256 only",
         "--work churn --connections 10 --resume --groups P-256", "connection", 1000),
]

KIND_OF = {work.name: work.kind for work in WORKS}

Sample = collections.namedtuple("Sample", "cpu_seconds units seconds p50_us p99_us generator_share "
                                "starved lost_share truncated")

Memory = collections.namedtuple("Memory", "bytes_each connections")

_WORDS = {1: "WRONG", 2: "lost", 3: "stalls", 4: "fails", 5: "full"}  # load's exit status
WARM_UP_SECONDS = 0.15
NOT_FOR_FORKS = ["w2b"]  # a thousand processes


class Bench:
    """Where the generator is, and which CPU it shares with the server."""

    def __init__(self, load, cpu):
        self.load = load
        self.cpu = cpu

    @contextlib.contextmanager
    def generator(self, port, *arguments, cpus=None, urgent=False):
        """Run load against a port, on the CPU that it shares with the server unless told."""
        with rig.Process([self.load, "--port", port, *arguments],
                         cpus or {self.cpu}, urgent,
                         stdin=subprocess.PIPE, stdout=subprocess.PIPE) as generator:
            yield generator

    def measure(self, peer, work, seconds):
        """Load a fresh server for so long; return a Sample."""
        with rig.running(peer, {self.cpu}, work.kind) as (server, port), \
                self.generator(port, *work.load.split(), "--warm-up", WARM_UP_SECONDS,
                                "--seconds", seconds, "--hold") as generator:
            expect(generator, "begin")
            begin = time.monotonic(), server.cpu_seconds(peer.forks)
            expect(generator, "end")
            end = time.monotonic(), server.cpu_seconds(peer.forks)
            generator.stdin.close()
            return _sample(work, json.loads(read_line(generator)), begin, end)

    def count_calls(self, peer, work):
        """Return system calls per message (w4: per connection), as strace counts them."""
        with rig.running(peer, {self.cpu}, work.kind) as (server, port), \
                tempfile.NamedTemporaryFile("r") as summary, \
                rig.Process(["strace", "-f", "-c", "-o", summary.name, "-p", server.pid],
                            {self.cpu}) as strace:
            _wait_until_traced(server, strace)
            with self.generator(port, *work.load.split(), "--seconds", 10,
                                 "--count", work.calls_messages) as generator:
                expect(generator, "begin")
                expect(generator, "end")
                messages = json.loads(read_line(generator))["messages"]
            if messages == 0:
                raise rig.Failure("slow", "not one message was complete")
            os.kill(strace.pid, signal.SIGINT)
            strace.wait()
            return _count_in(summary) / messages

    def measure_memory(self, peer, connections):
        """Return what each idle connection that echoed once costs, of so many or, failing that,
        of half as many: Go's splice takes three descriptors for each."""
        try:
            return self._measure_memory(peer, connections)
        except rig.Failure:
            return self._measure_memory(peer, connections // 2)

    def _measure_memory(self, peer, connections):
        """Several servers share out what the limit of open files forbids one of them."""
        with contextlib.ExitStack() as stack:
            servers = []
            for share in _shares(connections):
                server, port = stack.enter_context(rig.running(peer, {self.cpu}))
                servers.append((server, server.private_bytes()))
                generator = stack.enter_context(
                    self.generator(port, "--work", "idle", "--connections", share))
                expect(generator, "held")
            grown = sum(server.private_bytes() - before for server, before in servers)
            return Memory(grown / connections, connections)

    def cost_of_message(self, placed, seconds):
        """
        Return CPU time per message of servers that run at once: `placed` are peers with the CPUs
        of each. Every CPU also has a generator.
        """
        with contextlib.ExitStack() as stack:
            servers, generators = [], []
            for peer, cpus in placed:
                server, port = stack.enter_context(rig.running(peer, cpus))
                servers.append(server)
                generators += [
                    stack.enter_context(self.generator(
                        port, "--connections", 50, "--warm-up", WARM_UP_SECONDS,
                        "--seconds", seconds, "--hold", cpus={cpu})) for cpu in cpus]

            def reading(word):
                for generator in generators:
                    expect(generator, word)
                return time.monotonic(), sum(server.cpu_seconds(False) for server in servers)

            begin, end = reading("begin"), reading("end")
            messages = 0
            for generator in generators:
                generator.stdin.close()
                messages += json.loads(read_line(generator))["messages"]
            return (end[1] - begin[1]) / (end[0] - begin[0]) * seconds / messages


def _shares(connections):
    """As few shares as the limit of open files allows."""
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[0] - 200
    count = -(-connections // most)
    return [connections // count + (i < connections % count) for i in range(count)]


def read_line(generator):
    """Return the next line of a process; raise Failure if it has ended."""
    line = generator.stdout.readline()
    if line == "":
        status, errors = generator.wait()
        raise rig.Failure(_WORDS.get(status, "fails"), errors or f"load: status {status}")
    return line.strip()


def expect(generator, word):
    """Wait until load says this word."""
    line = read_line(generator)
    if line != word:
        raise rig.Failure("fails", f"load said '{line}', not '{word}'")


def _sample(work, result, begin, end):
    """
    `begin` and `end` are (when, CPU time) of the server while the load was the same as when it was
    counted. It does not matter that they were read a moment later.
    """
    seconds = result["seconds"]
    cpu_seconds = (end[1] - begin[1]) / (end[0] - begin[0]) * seconds
    units = result["bytes"] / 1024 if work.unit == "KiB" else result["messages"]
    if result["messages"] == 0 or cpu_seconds <= 0:
        raise rig.Failure("slow", "not one message was complete")
    return Sample(cpu_seconds, units, seconds, result["p50_us"], result["p99_us"],
                  result["own_cpu_seconds"] / seconds, result["starved"],
                  result["lost"] / (result["lost"] + result["messages"]), result["truncated"])


def _wait_until_traced(server, strace):
    while True:
        with open(f"/proc/{server.pid}/status", encoding="ascii", errors="replace") as status:
            if "TracerPid:\t0\n" not in status.read():
                return
        if strace.has_ended():
            raise rig.Failure("-", f"strace: {strace.wait()[1]}")


def _count_in(summary):
    """The fourth column of `strace -c`, without its last line, which is the sum."""
    calls = 0
    for line in summary:
        words = line.split()
        if len(words) >= 5 and words[0][0].isdigit() and words[-1] != "total":
            calls += int(words[3])
    return calls
