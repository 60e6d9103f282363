"""
relay: a path for datagrams between echoprobe and an echo service that loses, doubles, reorders,
delays, cuts and changes them, and counts what it did.
Echoes nothing itself.
Used by test_echoprobe_relay.
"""

import collections
import select
import socket
import threading
import time


class Relay:
    """
    Passes datagrams of one client on to a service and its answers back, in a thread.

    There and back, `forth` and `back` are called with each datagram and its number, which counts
    from 0; they return what to pass on: a list of datagrams, or of (seconds, datagram) for what is
    to leave later. `counts` is theirs, to note what they did.
    """

    def __init__(self, server, forth=None, back=None):
        host, _, port = server.removeprefix("udp://").rpartition(":")
        self._server = (host, int(port))
        self._forth = forth or (lambda relay, data, number: [data])
        self._back = back or (lambda relay, data, number: [data])
        self._front, self._rear = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
                                   for _ in range(2))
        self._front.bind(("127.0.0.1", 0))
        self._rear.bind(("127.0.0.1", 0))
        self._wake, self._waker = socket.socketpair()
        self._later = []  # (when, socket, address, datagram)
        self._client = None
        self.counts = collections.Counter()
        self.address = f"udp://127.0.0.1:{self._front.getsockname()[1]}"

    def __enter__(self):
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *exception):
        self._waker.send(b"x")
        self._thread.join()
        for each in (self._front, self._rear, self._wake, self._waker):
            each.close()

    def _pass_on(self, datagrams, through, address):
        for each in datagrams:
            if isinstance(each, tuple):
                self._later.append((time.monotonic() + each[0], through, address, each[1]))
            else:
                through.sendto(each, address)

    def _pass_due(self):
        """Send what was delayed and is due; return the seconds until the next is."""
        now = time.monotonic()
        for each in [each for each in self._later if each[0] <= now]:
            self._later.remove(each)
            each[1].sendto(each[3], each[2])
        return min((each[0] for each in self._later), default=now + 60) - now

    def _run(self):
        there = came = 0
        while True:
            ready = select.select([self._front, self._rear, self._wake], [], [],
                                  self._pass_due())[0]
            if self._wake in ready:
                return
            if self._rear in ready:
                data = self._rear.recv(65536)
                self._pass_on(self._back(self, data, came), self._front, self._client)
                came += 1
            if self._front in ready:
                data, self._client = self._front.recvfrom(65536)
                self._pass_on(self._forth(self, data, there), self._rear, self._server)
                there += 1


# --- what a path does ---------------------------------------------------------------------------


def losing(which):
    """Loses each datagram for whose number `which` holds."""
    def act(relay, data, number):
        if not which(number):
            return [data]
        relay.counts["lost"] += 1
        return []

    return act


def doubling(which):
    def act(relay, data, number):
        if not which(number):
            return [data]
        relay.counts["doubled"] += 1
        return [data, data]

    return act


def swapping(which):
    """Passes a datagram on behind its successor."""
    held = []

    def act(relay, data, number):
        if which(number):
            held.append(data)
            relay.counts["swapped"] += 1
            return []
        return [data, *[held.pop() for _ in list(held)]]

    return act


def delaying(seconds, which):
    def act(relay, data, number):
        if not which(number):
            return [data]
        relay.counts["delayed"] += 1
        return [(seconds, data)]

    return act


def cutting(length, which):
    def act(relay, data, number):
        if not which(number):
            return [data]
        relay.counts["cut"] += 1
        return [data[:length]]

    return act


def changing(place, which):
    """Flips a bit of the byte at this place."""
    def act(relay, data, number):
        if not which(number):
            return [data]
        relay.counts["changed"] += 1
        return [data[:place] + bytes([data[place] ^ 1]) + data[place + 1:]]

    return act


def first_of(*acts):
    """Lets the first of these that does anything to a datagram do it."""
    def act(relay, data, number):
        for each in acts:
            passed = each(relay, data, number)
            if passed != [data]:
                return passed
        return [data]

    return act
