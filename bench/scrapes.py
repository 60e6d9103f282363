"""
scrapes: the echo's p99 while clients of the admin endpoint ask the echod that echoes, or another one.
Knows nothing of rounds, ratios or tables.
Used by run.
"""

import collections
import contextlib
import json
import os
import subprocess

import measures
import rig

SCRAPES_PER_SECOND = 1000
SCRAPERS = f"--work scrapes --connections 8 --rate {SCRAPES_PER_SECOND}"
MUTE = "--work mute --connections 100"

# Who asks: `clients` as load has them, at the echod that echoes if there is an `elsewhere`, in which
# they ask another one: so it takes as much CPU time from the echo.
Situation = collections.namedtuple("Situation", "name clients elsewhere", defaults=(None, None))

NOBODY = Situation("nobody")
AGAIN = Situation("nobody again")
SCRAPED = Situation("1,000/s", SCRAPERS, Situation("1,000/s elsewhere", SCRAPERS))
MUTE_HERE = Situation("mute", MUTE, Situation("mute elsewhere", MUTE))
SITUATIONS = [NOBODY, SCRAPED.elsewhere, SCRAPED, AGAIN, MUTE_HERE.elsewhere, MUTE_HERE]

ECHOES = "--connections 50 --rate 2000/s --json"  # far from what a CPU can do
SECONDS = 1


def measure(bench, build, peer, situation):
    """Return the p99 of echoes in µs. All processes may use all CPUs, as where echod is used."""
    with contextlib.ExitStack() as stack:
        port, here = _start(stack, peer)
        _, other = _start(stack, peer)
        if situation.clients is None:
            return _p99_us(build, port)
        clients = stack.enter_context(bench.generator(
            here if situation.elsewhere else other, *situation.clients.split(),
            "--seconds", SECONDS, "--hold", cpus=rig.CPUS, urgent=True))
        measures.expect(clients, "begin")
        p99_us = _p99_us(build, port)
        measures.expect(clients, "end")
        clients.stdin.close()
        _check(situation, json.loads(measures.read_line(clients)))
        return p99_us


def _start(stack, peer):
    """Start an echod with an admin endpoint; return the ports of its echo and of that."""
    admin_port = rig.free_port(rig.TCP)
    command = [*peer.commands[rig.TCP], "--admin", f"tcp://127.0.0.1:{admin_port}"]
    peer = peer._replace(commands={rig.TCP: command})
    _, port = stack.enter_context(rig.running(peer, rig.CPUS, urgent=True))
    return port, admin_port


def _p99_us(build, port):
    """Have echoprobe send on a schedule, and count from when each message was due."""
    command = [os.path.join(build, "echoprobe"), *ECHOES.split(), "--duration", f"{SECONDS}s",
               f"127.0.0.1:{port}"]
    with rig.Process(command, rig.CPUS, urgent=True, stdout=subprocess.PIPE) as echoprobe:
        result = json.loads(measures.read_line(echoprobe))
    if result["status"] != 0:
        raise rig.Failure("lost", f"echoprobe lost {result['lost']} messages")
    return result["rtt_us"]["p99"]


def _check(situation, result):
    """Without so many scrapes the figure would say nothing."""
    rate = result["messages"] / result["seconds"]
    if situation.clients == SCRAPERS and rate < 0.95 * SCRAPES_PER_SECOND:
        raise rig.Failure("slow", f"only {rate:.0f} scrapes a second were answered")
