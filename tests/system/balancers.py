"""
balancers: real haproxy and nginx in front of servers, as long as a `with` block lasts.
Proves nothing by itself.
Used by the tests of the PROXY protocol, of TLS and of the identity.
"""

import contextlib
import subprocess

import harness

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
