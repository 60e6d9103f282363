"""
admin_client: asks the admin endpoint of an echod as an operator does.
Proves nothing by itself.
Used by the tests of the endpoint.
"""

import errno
import http.client
import json
import os
import shutil
import socket
import subprocess
import tempfile

import harness
from harness import Echod


ADMIN_LINE = r"operators are answered at (\S+)"
LOOPBACK = "127.0.0.1:0"


class _UnixConnection(http.client.HTTPConnection):

    def __init__(self, path):
        super().__init__("localhost", timeout=harness.PATIENCE_SECONDS)
        self._path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


class Answer:
    """A status, headers and a body."""

    def __init__(self, response):
        self.status, self.headers = response.status, response.headers
        self.text = response.read().decode()

    @property
    def json(self):
        assert self.text.endswith("}\n"), self.text
        assert self.headers["Content-Type"] == "application/json", self.headers
        return json.loads(self.text)

    @property
    def error(self):
        assert set(self.json) == {"error"}, self.json
        return self.json["error"]


class Operator:
    """One who asks over one connection, or with a new one where it was closed."""

    def __init__(self, address):
        if address.startswith("unix://"):
            self._connection = _UnixConnection(address.removeprefix("unix://"))
        else:
            host, _, port = address.removeprefix("tcp://").rpartition(":")
            self._connection = http.client.HTTPConnection(
                host, int(port), timeout=harness.PATIENCE_SECONDS)

    def begin(self, method, path, body=None, headers=None):
        """Ask, and leave the answer to `end`."""
        self._connection.request(method, path, body, headers or {})

    def end(self):
        return Answer(self._connection.getresponse())

    def ask(self, method, path, body=None, headers=None):
        self.begin(method, path, body, headers)
        return self.end()

    def get(self, path):
        return self.ask("GET", path)

    def close(self):
        self._connection.close()


def can_serve():
    """Tell whether this build has an admin endpoint."""
    result = subprocess.run([harness.ECHOD, "--no-config", "--check", "--admin", "127.0.0.1:0"],
                            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
    return result.returncode == 0


class AdminTestCase(harness.TestCase):
    """Tests of an echod that answers operators at a Unix socket, by which they may act."""

    def setUp(self):
        if not can_serve():
            self.skipTest("this echod was built without an admin endpoint")
        self.directory = tempfile.mkdtemp(prefix="echod-")
        self.addCleanup(shutil.rmtree, self.directory, ignore_errors=True)
        self.path = os.path.join(self.directory, "admin.sock")

    def serve(self, *arguments, **more):
        return Echod(*arguments, "--admin", f"unix://{self.path}", **more)

    def operator(self, server, address=None):
        """An operator, who is gone before the server is stopped."""
        return server.adopt(Operator(address or f"unix://{self.path}"))


def address_of(server, index=0):
    """The index-th address where an echod answers operators."""
    line = server.log.wait_for(ADMIN_LINE, index + 1)
    return (line if index == 0 else line[index]).group(1)


def ask(address, path, method="GET", body=None, headers=None):
    """Ask once."""
    operator = Operator(address)
    try:
        return operator.ask(method, path, body, headers)
    finally:
        operator.close()


def exchange(address, request):
    """Send bytes, and return all that comes until the connection ends; a reset is an end, too."""
    with harness.connect(address) as client:
        answer = b""
        try:
            client.sendall(request)
            client.shutdown(socket.SHUT_WR)
            while piece := client.recv(65536):
                answer += piece
        except OSError as error:
            if error.errno not in (errno.ECONNRESET, errno.EPIPE, errno.ENOTCONN):
                raise
        return answer
