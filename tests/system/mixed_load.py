"""
mixed_load: listeners of every kind, the clients that load them for some seconds, and what each listener
has to have counted of these by what the clients themselves have counted.
Knows nothing of reloads and operators, and does not ask echod: those are `soak`.
Used by `soak`.
"""

import collections
import json
import socket
import subprocess
import time

import harness
from harness import KIB

SIZE = 100
PAUSE_SECONDS = 0.02  # of a client here, which is one of many
AMOUNT = 1000         # after which a listener ends a connection
SLOW_BYTES = 2 * harness.MIB
DATAGRAMS_IN_TURN = 20

# What the listeners are told, and how echoprobe loads them: by connections that last, by some that are
# replaced with each message, by sockets; little and often, and much. Of datagrams no more are under way
# than wait in any receive buffer. Less than a core has to do with all of it, so that others go on.
LISTENERS = {
    "plain": ("tcp://127.0.0.1:0", [
        "-s 1 -P 8 --rate 800/s", "-s 100 -P 4 --churn --rate 100/s", "-s 16KiB -P 4 --rate 200/s",
        "-s 1MiB -P 2 --rate 6/s"]),
    "shared": ("tcp://127.0.0.1:0,rate-limit=1GiB/s", [
        "-s 100 -P 4 --rate 200/s", "-s 100 -P 4 --churn --rate 50/s"]),
    "late": ("tcp://127.0.0.1:0,delay=1ms,jitter=1ms", ["-s 100 -P 4 --window 100 --rate 400/s"]),
    "local": ("unix://DIRECTORY/local", [
        "-s 1KiB -P 4 --rate 400/s", "-s 100 -P 4 --churn --rate 100/s"]),
    "proxied": ("tcp://127.0.0.1:0,proxy=any", [
        "--proxy v1 -s 100 -P 4 --churn --rate 50/s", "--proxy v2 -s 4KiB -P 4 --rate 100/s"]),
    "secret": ("tls://127.0.0.1:0,cert=CERTIFICATE", [
        "--insecure -s 4KiB -P 4 --rate 200/s", "--insecure -s 100 -P 2 --churn --rate 20/s",
        "--insecure --resume -s 100 -P 2 --churn --rate 20/s"]),
    "datagrams": ("udp://127.0.0.1:0", [
        "-s 100 -P 4 --window 8 --rate 400/s", "-s 1400 -P 4 --window 8 --rate 100/s"]),
    "choosy": ("tcp://127.0.0.1:0,refuse=20%,seed=1", []),
    "closing": (f"tcp://127.0.0.1:0,close-after={AMOUNT}", []),
    "resetting": (f"tcp://127.0.0.1:0,reset-after={AMOUNT}", []),
    "changing": ("tcp://127.0.0.1:0,corrupt=1%,seed=1", []),
    "lossy": ("udp://127.0.0.1:0,drop=5%,duplicate=5%,seed=1", []),
}


def served(connects, count_bytes, end="client_closed"):
    """What is counted of so many connections that are over."""
    return {"accepted": connects, "in_bytes": count_bytes, "out_bytes": count_bytes,
            f"ended_{end}": connects}


# --- clients of echoprobe -------------------------------------------------------------------------


class Probe:
    """
    An echoprobe that loads one listener. What is due and cannot be sent yet comes later, and none is given
    up, however slow the machine is. Of it and the others `counts` is what the listener has to have
    counted, once `wait` has returned.
    """

    def __init__(self, name, address, words, seconds):
        self.name = name
        self._process = subprocess.Popen(
            [harness.ECHOPROBE, "--json", "-W", "1h", "-d", f"{seconds:g}", *words.split(), address],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        self._seen = None

    def is_running(self):
        return self._process.poll() is None

    def wait(self):
        """Wait until it is over; fails unless each echo came."""
        with self._process:
            self._seen = json.loads(self._process.stdout.read())
        seen = self._seen
        assert self._process.returncode == 0 and seen["received"] == seen["sent"] > 0, seen

    def counts(self):
        seen = self._seen
        total = seen["received"] * seen["size_bytes"]
        if self.name == "datagrams":
            return {"datagrams_in": seen["received"], "datagrams_out": seen["received"],
                    "datagram_in_bytes": total, "datagram_out_bytes": total}
        counts = served(seen["connects"], total)
        if self.name == "secret":
            counts.update(tls_handshakes=seen["connects"], tls_resumed=seen["resumed"])
        return counts

    def close(self):
        """Let nothing of it stay, wherever it is."""
        self._process.kill()
        self._process.wait()
        self._process.stdout.close()


# --- clients who do what echoprobe does not ---------------------------------------------------------


def reset_one(address):
    """Reset after an echo, and before anything is said."""
    client = harness.connect(address)
    harness.round_trip(client, bytes(SIZE))
    harness.reset(client)
    harness.reset(harness.connect(address))
    return {"accepted": 2, "in_bytes": SIZE, "out_bytes": SIZE, "ended_reset_by_client": 2}


def read_slowly(address):
    """Send until nothing goes any more, read all of it a little at a time, and FIN."""
    with harness.connect(address) as client:
        sent = send_what_goes(client)
        missing = sent
        while missing > 0:
            piece = client.recv(min(missing, 64 * KIB))
            assert piece, f"an end {missing} bytes before all of {sent} is echoed"
            missing -= len(piece)
            time.sleep(PAUSE_SECONDS / 2)
        assert harness.finish(client) == b""
    return served(1, sent)


def send_what_goes(client):
    """Send up to SLOW_BYTES; return how much it was when there was no more room."""
    sent = 0
    client.setblocking(False)
    try:
        while sent < SLOW_BYTES:
            sent += client.send(bytes(64 * KIB))
    except BlockingIOError:
        pass
    client.settimeout(harness.PATIENCE_SECONDS)
    return sent


def choose_one(address):
    """Be served, or else refused."""
    try:
        with harness.connect(address) as client:
            harness.round_trip(client, bytes(SIZE))
        return served(1, SIZE)
    except ConnectionResetError:
        return {**served(1, 0, "refused_on_purpose"), "impair_refused": 1}


def be_ended(address, how):
    """Send as much as is echoed before the listener ends it."""
    with harness.connect(address) as client:
        client.sendall(bytes(AMOUNT))
        assert harness.receive_exactly(client, AMOUNT) == bytes(AMOUNT)
        try:
            end = client.recv(1)
            assert (end, how) == (b"", "closed"), (end, how)
        except ConnectionResetError:
            assert how == "reset"
    return {**served(1, AMOUNT, f"{how}_on_purpose"), f"impair_{how}": 1}


def be_closed(address):
    """See FIN after so much."""
    return be_ended(address, "closed")


def be_reset(address):
    """See RST after so much."""
    return be_ended(address, "reset")


def be_changed(address):
    """Count the bytes that do not come back as they were."""
    with harness.connect(address) as client:
        echo = harness.finish(client, bytes(AMOUNT))
    assert len(echo) == AMOUNT
    return {**served(1, AMOUNT), "impair_corrupted_bytes": AMOUNT - echo.count(0)}


SCRIPTS = (("plain", reset_one), ("plain", read_slowly), ("local", read_slowly), ("choosy", choose_one),
           ("closing", be_closed), ("resetting", be_reset), ("changing", be_changed))


class Script:
    """A client that does one thing again and again until the time is over."""

    def __init__(self, name, address, do, seconds):
        self.name = name
        self._counts = collections.Counter()
        self._acting = harness.Background(self._act, do, address, time.monotonic() + seconds)

    def _act(self, do, address, end):
        while time.monotonic() < end:
            self._counts.update(do(address))
            time.sleep(PAUSE_SECONDS)

    def is_running(self):
        return self._acting.is_alive()

    def wait(self):
        self._acting.result()

    def counts(self):
        return self._counts

    def close(self):
        """It ends by itself."""


class Loser:
    """Sends datagrams, some of which are lost or come twice; which, only the answers tell."""

    name = "lossy"

    def __init__(self, address, seconds):
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.connect(("127.0.0.1", harness.port_of(address)))
        self._socket.setblocking(False)
        self._sent, self._answers = 0, collections.Counter()
        self._sending = harness.Background(self._send, time.monotonic() + seconds)

    def _send(self, end):
        """What was answered waits in the socket at the next turn, and has room there."""
        while time.monotonic() < end:
            for number in range(self._sent, self._sent + DATAGRAMS_IN_TURN):
                self._socket.send(number.to_bytes(SIZE, "big"))
            self._sent += DATAGRAMS_IN_TURN
            time.sleep(10 * PAUSE_SECONDS)
            self._receive()

    def _receive(self):
        try:
            while True:
                self._answers[self._socket.recv(SIZE)] += 1
        except BlockingIOError:
            pass

    def is_running(self):
        return self._sending.is_alive()

    def wait(self):
        self._sending.result()

    def counts(self):
        """How many answers there are is known when no more come: these are those that have come."""
        self._receive()
        count = sum(self._answers.values())
        return {"datagrams_in": self._sent, "datagram_in_bytes": self._sent * SIZE,
                "datagrams_out": count, "datagram_out_bytes": count * SIZE,
                "impair_dropped": self._sent - len(self._answers),
                "impair_duplicated": count - len(self._answers)}

    def close(self):
        self._socket.close()


# --- all of them ------------------------------------------------------------------------------------


def listeners(directory, certificate):
    """The address of each listener, by its name; those for TLS where there is a certificate."""
    return {name: f"{address},name={name}".replace("DIRECTORY", directory)
            .replace("CERTIFICATE", certificate or "")
            for name, (address, _) in LISTENERS.items() if certificate or name != "secret"}


def begin(addresses, seconds):
    """Load each listener in every way for so many seconds."""
    loads = [Probe(name, address, words, seconds)
             for name, address in addresses.items() for words in LISTENERS[name][1]]
    loads += [Script(name, addresses[name], do, seconds) for name, do in SCRIPTS]
    return loads + [Loser(addresses["lossy"], seconds)]
