"""
balancers: real haproxy and nginx in front of servers, as long as a `with` block lasts.
Proves nothing by itself.
Used by the tests of the PROXY protocol, of TLS, of the identity, of restarts and of drains.
"""

import contextlib
import csv
import os
import re
import socket
import subprocess

import harness

CONFIGURATION = os.path.join(harness.HERE, "../../packaging/haproxy/haproxy.cfg")

SILENT = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}


def _place(address):
    """Host and port, without what is spoken there."""
    return address.partition("://")[2]


@contextlib.contextmanager
def haproxy(test, *servers, front="", back=""):
    """A haproxy in front of these addresses, one after the other; its own address.

    `front` stands behind where it listens, `back` behind each server.
    """
    program = test.need_program("haproxy", "/usr/sbin", "/sbin")
    path = f"{test.temporary_directory()}/haproxy.cfg"
    with harness.listening_socket() as listener:
        lines = ["defaults", "mode tcp", "timeout connect 1m", "timeout client 1m",
                 "timeout server 1m", "listen echo", "balance roundrobin",
                 f"bind fd@{listener.fileno()} {front}"]
        lines += [f"server echod{i} {_place(server)} {back}" for i, server in enumerate(servers)]
        with open(path, "w", encoding="ascii") as file:
            file.write("\n".join(lines) + "\n")
        with harness.Process([program, "-db", "-q", "-f", path], pass_fds=(listener.fileno(),),
                             **SILENT):
            yield harness.address_of(listener)


@contextlib.contextmanager
def nginx(test, server, *directives):
    """An nginx in front of an address, with these directives of its stream module; its address."""
    program = test.need_program("nginx", "/usr/sbin")
    directory = test.temporary_directory()
    port = harness.free_port()
    with open(f"{directory}/nginx.conf", "w", encoding="ascii") as file:
        file.write(f"""
include /etc/nginx/modules-enabled/*stream*.conf;
daemon off;
master_process off;
pid {directory}/nginx.pid;
error_log stderr;
events {{ }}
stream {{
    server {{
        listen 127.0.0.1:{port};
        proxy_pass {_place(server)};
        {" ".join(f"{directive};" for directive in directives)}
    }}
}}
""")
    with harness.Process([program, "-c", f"{directory}/nginx.conf"], **SILENT):
        address = f"tcp://127.0.0.1:{port}"
        harness.wait_until(lambda: not harness.is_refused(address), "nginx listens")
        yield address


class ShippedHaproxy(harness.LoggedProcess):
    """
    A haproxy with the configuration as shipped; addresses and paths are in its environment.

    listen         where it takes clients
    servers        the addresses of echod by the names that the configuration has
    configuration  another text than that which is shipped
    """

    def __init__(self, program, directory, listen, servers, configuration=CONFIGURATION, *,
                 prefix=(), pass_fds=()):
        self._socket = f"{directory}/haproxy.sock"
        self._servers = list(servers)
        values = {name.upper(): address for name, address in servers.items()}
        values.update(LISTEN=listen, ADMIN_SOCKET=self._socket)
        super().__init__([*prefix, program, "-db", "-f", configuration], "haproxy",
                         env={**os.environ, **values}, pass_fds=pass_fds)
        with open(configuration, encoding="ascii") as file:
            self._text = file.read()

    def wait_until_ready(self):
        harness.wait_until(self._takes_commands, "haproxy takes commands")
        for server in self._servers:
            self.wait_until_healthy(server)

    def _takes_commands(self):
        if self.status is not None:
            raise AssertionError(f"haproxy ended with status {self.status}")
        try:
            return self.ask("show version")
        except (FileNotFoundError, ConnectionRefusedError):
            return False

    def ask(self, command):
        """Send a command to the runtime API and return what it says."""
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(harness.PATIENCE_SECONDS)
            client.connect(self._socket)
            client.sendall(f"{command}\n".encode())
            return harness.receive_all(client).decode()

    def facts(self, server):
        """What haproxy counts for a server: a dictionary of texts, as the fields are named."""
        table = self.ask("show stat echod 4 -1").lstrip("# ").splitlines()
        (row,) = [row for row in csv.DictReader(table) if row["svname"] == server]
        return row

    def client_count(self, server):
        return int(self.facts(server)["scur"])

    def wait_until_healthy(self, server):
        def is_healthy():
            facts = self.facts(server)
            return facts["status"] == "UP" and facts["check_status"].endswith("L7OK")
        harness.wait_until(is_healthy, f"{server} is healthy")

    def follow(self, words, server):
        """Run the command of the configuration's comments that has these words, for this server."""
        commands = re.findall(r"^# +(ask\(\) .+|ask \".+)$", self._text, re.M)
        (command,) = [command for command in commands if words in command]
        script = f"{commands[0]}\n{command}".replace("/run/haproxy/echod.sock", self._socket)
        return subprocess.run(["sh", "-ec", script.replace("echod1", server)], check=True,
                              text=True, stdout=subprocess.PIPE).stdout.strip()
