"""
admin_stand_in: stands for an echod's admin endpoint, and answers well or with one thing wrong.
Proves nothing by itself: what echoctl must say of it stands in test_echoctl_answers.
Used by the files named test_echoctl*.
"""

import contextlib
import json
import os
import socket

import broken_servers
import harness

LISTENER = {
    "name": "public", "address": "tcp://0.0.0.0:7", "state": "listening", "datagrams": False,
    "tls": True, "open": 2, "max": 1000,
    "counters": {"accepted": 10, "refused": 1, "in_bytes": 2048, "out_bytes": 1024},
}
DATAGRAMS = {
    "name": "udp://0.0.0.0:7", "address": "udp://0.0.0.0:7", "state": "listening",
    "datagrams": True, "tls": False, "open": 0, "max": 0,
    "counters": {"datagrams_in": 5, "datagrams_out": 4, "datagram_in_bytes": 500,
                 "datagram_out_bytes": 400},
}
STATUS = {
    "version": "9.9.9", "pid": 4711, "hostname": "host", "started": "2026-11-30T01:02:03Z",
    "uptime_ms": 100000, "state": "running", "workers": 2, "log_level": "info", "log_dropped": 0,
    "reloads": 3, "connections": {"open": 2, "max": 1000, "accepted": 10, "refused": 1},
    "bytes": {"in": 2048, "out": 1024, "queued": 512}, "datagrams": {"in": 5, "out": 4},
    "loop_lag_ms": [0.1, 2.5], "can_act": True, "listeners": [LISTENER, DATAGRAMS],
    "what_only_a_newer_echod_tells": {"a": [1, {"b": None}]},
}


def connection(number, **members):
    """What is told of a connection."""
    return {"id": number, "listener": "public", "peer": f"192.0.2.1:{number}", "state": "open",
            "age_ms": 61000, "idle_ms": 250, "in_bytes": 100, "out_bytes": 100, "queued_bytes": 0,
            "worker": 0, **members}


def reply(body, status=200, content_type="application/json"):
    """The bytes of an answer."""
    if not isinstance(body, (str, bytes)):
        body = json.dumps(body) + "\n"
    if isinstance(body, str):
        body = body.encode()
    head = (f"HTTP/1.0 {status} Whatever\r\nContent-Type: {content_type}\r\n"
            f"Content-Length: {len(body)}\r\n\r\n")
    return head.encode() + body


def read_request(client):
    """Receive a request; return its method, target and body."""
    text = b""
    while b"\r\n\r\n" not in text:
        piece = client.recv(65536)
        if not piece:
            return None
        text += piece
    head, _, body = text.decode().partition("\r\n\r\n")
    length = int(head.lower().partition("content-length:")[2].split("\r\n")[0])
    body += broken_servers.read_exactly(client, length - len(body)).decode()
    method, target, _ = head.split(" ", 2)
    return method, target, body


class StandIn(broken_servers.TcpServer):
    """
    An admin endpoint on a Unix socket, or on TCP. `answer(client, method, target, body)` sends
    something or returns what to send; `requests` are those that came. A dictionary stands for one
    that maps "METHOD TARGET" to what is sent.
    """

    def __init__(self, answer, path=None):
        self._answer = answer if callable(answer) else lambda _, method, target, __: answer.get(
            f"{method} {target}", reply({"error": f"There is no {target}."}, 404))
        self.requests = []
        super().__init__(self._serve_one, path and harness.listening_socket(socket.AF_UNIX, path))
        self.place = path or "http://" + self.address.removeprefix("tcp://")

    def _serve_one(self, client, _):
        request = read_request(client)
        if request is not None:
            self.requests.append(request)
            client.sendall(self._answer(client, *request) or b"")

    def __exit__(self, *exception):
        super().__exit__(*exception)
        with contextlib.suppress(OSError):
            os.unlink(self.place)
