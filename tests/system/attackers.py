"""
attackers: hostile clients of every kind at once, and what each kind saw.
Knows nothing of what is right: what echod has to make of them is in `hostile`.
Run by `hostile` as a process of its own, so that what it takes of the CPUs is not echod's.

Usage: attackers.py PLAN
    PLAN    a JSON object: "kinds": {NAME: ARGUMENTS}, "seconds": for how long they attack

Says "here" when those who stay are connected, tells what was counted as a JSON object when all have
done their part, and goes when standard input ends.
"""

import contextlib
import json
import os
import select
import socket
import sys
import time

import forgery
import harness
from harness import KIB

TURN_SECONDS = 0.01
MOST_IN_TURN = 100
QUIET_SECONDS = 0.3 * harness.SLOWNESS
WAITING = 1000  # at most, in a backlog of 4096
DRIP = b"."


def connect(address):
    """Connect; nothing waits on the socket."""
    client = harness.connect(address)
    client.setblocking(False)
    return client


class Kind:
    """Clients of one kind. What is counted stands in `counts`, by name."""

    def __init__(self, **counts):
        self.counts = counts

    def arrive(self):
        """Connect those who stay."""

    def act(self, share):
        """Do some of the part that is due when this share of the time has passed."""

    def is_done(self):
        """Tell whether all of it is done."""
        return True

    def leave(self):
        """Go in order, where there is one; the others just vanish with the process."""


class Comers(Kind):
    """They come one after the other, so many in all, and are counted by this name."""

    def __init__(self, count, name, **counts):
        super().__init__(**{name: 0}, **counts)
        self._count, self._name = count, name

    def act(self, share):
        """None comes so late that others do not have their turn."""
        came = self.counts[self._name]
        for number in range(came, min(int(share * self._count), came + MOST_IN_TURN)):
            self.come(number)
            self.counts[self._name] += 1

    def come(self, number):
        """The one of this number does what it comes for."""
        raise NotImplementedError

    def is_done(self):
        return self.counts[self._name] == self._count


class NeverReaders(Kind):
    """They send as much as they get rid of, and read nothing."""

    PIECE = bytes(64 * KIB)

    def __init__(self, address, count):
        super().__init__(connected=0, sent_bytes=0)
        self._address, self._count, self._clients = address, count, []
        self._next = 0

    def arrive(self):
        self._clients = [connect(self._address) for _ in range(self._count)]
        self.counts["connected"] = len(self._clients)

    def act(self, share):
        """
        One begins after the other, until half of the time is over: how fast much is echoed is not the
        question here. A tenth of those who have begun try in each turn.
        """
        begun = int(min(2 * share, 1) * self._count)
        for number in range(self._next, self._next + begun // 10):
            with contextlib.suppress(BlockingIOError):
                self.counts["sent_bytes"] += self._clients[number % begun].send(self.PIECE)
        self._next += begun // 10


class Drippers(Kind):
    """Each sends a byte a second, and checks its echo."""

    def __init__(self, address, count, seconds):
        super().__init__(connected=0, sent_bytes=0, echoed_bytes=0)
        self._address, self._count, self._clients = address, count, []
        self._seconds = seconds

    def arrive(self):
        self._clients = [connect(self._address) for _ in range(self._count)]
        self.counts["connected"] = len(self._clients)

    def act(self, share):
        due = int(share * self._seconds * self._count)
        while self.counts["sent_bytes"] < due:
            client = self._clients[self.counts["sent_bytes"] % self._count]
            self._take_echo(client)
            self.counts["sent_bytes"] += client.send(DRIP)

    def _take_echo(self, client):
        try:
            echo = client.recv(100)
        except BlockingIOError:
            return
        assert echo == DRIP * len(echo) and echo, echo
        self.counts["echoed_bytes"] += len(echo)

    def leave(self):
        for client in self._clients:
            client.settimeout(harness.PATIENCE_SECONDS)
            self.counts["echoed_bytes"] += len(harness.finish(client))
            client.close()


class Resetters(Comers):
    """They connect, say something or not, and reset."""

    def __init__(self, address, count):
        super().__init__(count, "connected")
        self._address = address

    def come(self, number):
        """Whoever waits for an echo is behind all others: so the backlog never overflows."""
        client = harness.connect(self._address)
        if number % WAITING == 0:
            harness.round_trip(client)
        elif number % 2:
            client.send(b"echo that nobody reads")
        harness.reset(client)


class Unwelcome(Comers):
    """They connect, say one of these things, and wait until they are ended."""

    def __init__(self, address, count, words):
        super().__init__(count, "connected", reset=0, closed=0, still_here=0)
        self._address = address
        self._words = [bytes.fromhex(word) for word in words]
        self._clients = {}  # by their descriptors
        self._poll = select.epoll()

    def act(self, share):
        super().act(share)
        self._look_at_all(0)

    def leave(self):
        """Once no more of them are ended."""
        while self._look_at_all(QUIET_SECONDS):
            pass
        self.counts["still_here"] = len(self._clients)

    def come(self, number):
        """Whichever call comes first is told of a reset, and no later one."""
        client = None
        try:
            client = connect(self._address)
            client.send(self._words[number % len(self._words)])
        except ConnectionResetError:
            self.counts["reset"] += 1
            if client:
                client.close()
            return
        self._clients[client.fileno()] = client
        self._poll.register(client, select.EPOLLIN)

    def _look_at_all(self, seconds):
        """Tell whether there was something to see."""
        ready = self._poll.poll(seconds)
        for descriptor, _ in ready:
            self._look(self._clients[descriptor])
        return bool(ready)

    def _look(self, client):
        try:
            if client.recv(4 * KIB):
                return  # an alert, or an echo
            self.counts["closed"] += 1
        except ConnectionResetError:
            self.counts["reset"] += 1
        del self._clients[client.fileno()]
        client.close()


class SlowOperators(Kind):
    """They send a request a byte at a time, and come again when they are ended."""

    REQUEST = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nX-Slow: "
    IN_TURN = 10

    def __init__(self, address, count):
        super().__init__(connected=0, ended=0)
        self._address, self._count, self._clients = address, count, []

    def arrive(self):
        self._clients = [self._come() for _ in range(self._count)]

    def _come(self):
        """A blocking socket waits for room in the backlog of a Unix socket."""
        client = socket.socket(socket.AF_UNIX)
        client.connect(self._address.removeprefix("unix://"))
        client.setblocking(False)
        self.counts["connected"] += 1
        return client, iter(self.REQUEST)

    def act(self, share):
        """The next byte of some of them, who then stand behind the others."""
        now, later = self._clients[:self.IN_TURN], self._clients[self.IN_TURN:]
        self._clients = later + [self._go_on(*one) for one in now]

    def _go_on(self, client, rest):
        try:
            client.send(bytes([next(rest, ord("x"))]))
            return client, rest
        except ConnectionError:
            client.close()
            self.counts["ended"] += 1
            return self._come()


class Forgers(Comers):
    """They send datagrams whose source is a service of another host."""

    def __init__(self, address, count, source):
        super().__init__(count, "sent")
        port = harness.port_of(address)
        self._raw = forgery.raw_socket()
        self._packet = forgery.datagram(tuple(source), ("127.0.0.1", port), b"forged")

    def come(self, number):
        self._raw.sendto(self._packet, ("127.0.0.1", 0))


KINDS = {"never_readers": NeverReaders, "drippers": Drippers, "resetters": Resetters,
         "slow_operators": SlowOperators, "forgers": Forgers, "beyond_limit": Unwelcome,
         "junk_tls": Unwelcome, "junk_proxy": Unwelcome}


def attack(kinds, seconds):
    """Let each do its part again and again until the time is over, and to its end."""
    begin = time.monotonic()
    share = 0.0
    while share < 1 or not all(kind.is_done() for kind in kinds):
        share = min((time.monotonic() - begin) / seconds, 1.0)
        for kind in kinds:
            kind.act(share)
        time.sleep(TURN_SECONDS)


def settle(kinds, is_over):
    """Let them go on with what goes by itself, until nobody needs them."""
    while not is_over():
        for kind in kinds:
            kind.act(1)
        time.sleep(TURN_SECONDS)


def input_is_over():
    return bool(select.select([sys.stdin], [], [], 0)[0])


def main():
    os.nice(5)
    plan = json.loads(sys.argv[1])
    kinds = {name: KINDS[name](**arguments) for name, arguments in plan["kinds"].items()}
    for kind in kinds.values():
        kind.arrive()
    print("here", flush=True)
    attack(kinds.values(), plan["seconds"])
    print("done", flush=True)
    settle(kinds.values(), input_is_over)
    for kind in kinds.values():
        kind.leave()
    print(json.dumps({name: kind.counts for name, kind in kinds.items()}), flush=True)


if __name__ == "__main__":
    main()
