"""
admin_client: asks the admin endpoint of an echod as an operator does.
Proves nothing by itself.
Used by the tests of the endpoint.
"""

import http.client
import json
import os
import shutil
import socket
import subprocess
import tempfile

import harness
from harness import Echod


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

    def ask(self, method, path, body=None, headers=None):
        self._connection.request(method, path, body, headers or {})
        return Answer(self._connection.getresponse())

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
