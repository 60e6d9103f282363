"""
test_shortcuts: the shortcut of plain sockets and libevent's buffers return the same bytes.
Compares nothing but bytes; `make bench` shows what the shortcut is good for.
Run alone, by `run` or by make check.

Environment:
    ECHOD_TEST_SEEDS    seeds to try, such as 17 or 0-2999, to repeat a failure
"""

import functools
import os
import random
import select
import socket
import time

import harness
from harness import KIB, MIB, Background, Echod, Pattern

# Sizes at which one read, the scratch buffer or the pipe is just full, and their neighbours.
EDGES = [4 * KIB, 16 * KIB, 64 * KIB, 256 * KIB, MIB]

AT_A_TIME = 8


def seeds():
    """The seeds to try: fewer where each takes long."""
    text = os.environ.get("ECHOD_TEST_SEEDS") or ("0-299" if harness.SANITIZED else "0-999")
    first, _, last = text.partition("-")
    return range(int(first), int(last or first) + 1)


def random_size(chance):
    """Mostly small, at times at an edge, seldom large."""
    kind = chance.random()
    if kind < 0.6:
        return chance.randint(1, 2000)
    if kind < 0.9:
        return chance.choice(EDGES[:3]) + chance.randint(-1, 1)
    return chance.choice(EDGES) + chance.randint(-1, 1)


@functools.lru_cache
def pattern(number):
    """What a conversation sends: others at the same time send other bytes."""
    return Pattern(number)


class Conversation:
    """A client that sends, reads, stalls and ends as its seed says."""

    def __init__(self, address, seed):
        self._chance = random.Random(seed)
        small = self._chance.random() < 0.3
        self._client = harness.connect(address, receive_buffer=8 * KIB if small else None)
        self._client.setblocking(False)
        self._pattern = pattern(seed % AT_A_TIME)
        self._goal = sum(random_size(self._chance) for _ in range(self._chance.randint(1, 12)))
        self._sent = 0
        self._received = 0

    def run(self):
        """Talk to the end; fail if a byte is wrong, or one is missing after a half-close."""
        with self._client:
            while self._sent < self._goal:
                self._wait()
                self._send()
                self._receive()
                if self._chance.random() < 0.02:
                    time.sleep(0.001 * self._chance.random())  # an echo that finds a full socket
            if self._chance.random() < 0.2:  # leave in the middle, politely or not
                if self._client.family != socket.AF_UNIX and self._chance.random() < 0.5:
                    harness.reset(self._client)
                return
            self._client.shutdown(socket.SHUT_WR)
            while self._receive():
                select.select([self._client], [], [], harness.PATIENCE_SECONDS)
            if self._received != self._sent:
                raise AssertionError(f"{self._sent} bytes sent, {self._received} came back")

    def _wait(self):
        if not any(select.select([self._client], [self._client], [], harness.PATIENCE_SECONDS)):
            raise AssertionError(f"nothing moves after {self._received} bytes")

    def _send(self):
        if self._sent - self._received > 4 * MIB:
            return
        size = min(random_size(self._chance), self._goal - self._sent)
        try:
            self._sent += self._client.send(self._pattern.piece(self._sent, min(size, Pattern.PERIOD)))
        except BlockingIOError:
            pass

    def _receive(self):
        """Read at most once; return False at the end."""
        try:
            echo = self._client.recv(self._chance.choice([1, 1000, 16 * KIB, 256 * KIB]))
        except BlockingIOError:
            return True
        if echo != self._pattern.piece(self._received, len(echo)):
            raise AssertionError(f"a wrong echo after {self._received} bytes")
        self._received += len(echo)
        return bool(echo)


class ShortcutTest(harness.TestCase):

    limit_seconds = 240

    def talk(self, *arguments):
        """Hold every conversation with one echod, a few at a time, over TCP and a Unix socket."""
        listen = [harness.LOOPBACK, f"unix://{self.temporary_directory()}/echod.sock"]
        with Echod(*arguments, listen=listen) as server:
            left = list(seeds())
            while left:
                some, left = left[:AT_A_TIME], left[AT_A_TIME:]
                running = [Background(Conversation(server.addresses[seed % 2], seed).run)
                           for seed in some]
                for seed, conversation in zip(some, running):
                    with self.subTest(seed=seed):
                        conversation.result()

    def test_with_shortcuts(self):
        """Random sizes, stalls and ends: every byte comes back by the shortcut."""
        self.talk()

    def test_without_shortcuts(self):
        """The same conversations, byte for byte, through libevent's buffers."""
        self.talk("--no-shortcuts")


if __name__ == "__main__":
    harness.main()
