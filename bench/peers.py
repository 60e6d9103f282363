"""
peers: the servers that are compared, where each is found, and which version it is.
Knows nothing of what is measured.
Used by run.
"""

import collections
import os
import re
import shlex
import shutil
import subprocess

import rig

BASELINE = "epoll_level"
AGAIN = "epoll_level again"  # the baseline as one of the peers: shows how much is noise

# `commands` has one for each kind of rig's that the server speaks. One that leaves out {port} has the
# port of its service; {echo_port} is another one, for what stands behind it. `works` are the only ones
# that it is measured in, if not empty; with `has_log_pipe`, a reader reads its standard error, which
# otherwise goes to a file.
Peer = collections.namedtuple("Peer", "name commands forks version works has_log_pipe",
                              defaults=((), False))

HERE = os.path.dirname(os.path.abspath(__file__))

# Those that `make bench-quick` runs, besides the baseline.
QUICK = [AGAIN, "echod", "echod log file", "echod log pipe", "echod log json", "echod canonical",
         "libevent", "go"]

LOGGED = ["w4"]  # a line a connection
DATAGRAMS = ["u1", "u2", "u3", "u4", "u5"]
TLS = ["t1", "t2", "t3", "t3r", "t3p", "t3rp"]


def find(build, echod, also, certificate):
    """
    Return the servers that can be run here, by name, and sentences about the others. They have this
    certificate for TLS, or None.
    """
    found, missing = {}, []

    def add(name, program, arguments="{port}", forks=False, version="", hint=None, udp="",
            tls="", **more):
        path = program if os.path.sep in program else shutil.which(program)
        if path is not None and os.access(path, os.X_OK):
            commands = {rig.TCP: arguments and f"{shlex.quote(path)} {arguments}", rig.UDP: udp,
                        rig.TLS: "" if certificate is None else tls}
            words = {kind: [word.replace("{certificate}", str(certificate))
                            for word in shlex.split(command)]
                     for kind, command in commands.items() if command}
            found[name] = Peer(name, words, forks, version, **more)
        else:
            missing.append(f"{name}: {hint or program + ' is not installed'}")

    def built(name):
        return os.path.join(build, "bench", "servers", name)

    def here(name):
        return shlex.quote(os.path.join(HERE, "servers", name))

    logged_arguments = "--listen 127.0.0.1:{port}"
    for name in (BASELINE, AGAIN):
        add(name, built("epoll_level"), udp=f"{built('udp_loop')} {{port}}",
            tls=f"{built('tls_loop')} {{port}} {{certificate}}")
    if "--no-config" in _output(echod, "--help"):
        logged_arguments += " --no-config"
    echod_arguments = logged_arguments + " --log-level warning"
    echod_tls = f"{echod} " + echod_arguments.replace(
        "127.0.0.1:{port}", "tls://127.0.0.1:{port},cert={certificate}")
    add("echod", echod, echod_arguments, version=_said(echod, "--version"),
        udp=f"{echod} {echod_arguments.replace('--listen ', '--listen udp://')}", tls=echod_tls)
    if "--no-shortcuts" in _output(echod, "--help"):
        add("echod canonical", echod, echod_arguments + " --no-shortcuts",
            tls=echod_tls + " --no-shortcuts")
    else:
        missing.append("echod canonical: this echod has no --no-shortcuts")
    add("echod log file", echod, logged_arguments, works=LOGGED)
    add("echod log pipe", echod, logged_arguments, works=LOGGED, has_log_pipe=True)
    add("echod log json", echod, logged_arguments + " --log-format json", works=LOGGED)
    for name, command in also:
        program, _, arguments = command.partition(" ")
        if "{certificate}" in command:
            add(name, program, arguments="", tls=command)
        else:
            add(name, program, arguments)
    add("epoll_edge", built("epoll_edge"))
    add("io_uring", built("uring"), version=_library("liburing"), hint="built without liburing")
    add("libevent", built("libevent"), version=_library("libevent"))
    add("libev", built("libev"), version=_header("ev.h", "EV_VERSION"), hint="built without libev")
    add("libuv", built("libuv"), version=_library("libuv"), hint="built without libuv",
        udp=f"{built('udp_libuv')} {{port}}")
    add("go", built("go"), version=_said("go", "version"), hint="built without Go",
        udp=f"{built('udp-go')} {{port}}", tls=f"{built('tls-go')} {{port}} {{certificate}}")
    add("node", "node", f"{here('echo.js')} {{port}}", version=_said("node", "--version"),
        udp=f"node {here('udp.js')} {{port}}")
    add("mio", built("mio"), version=_mio(), hint="built without cargo or librust-mio-dev")
    if shutil.which("xinetd"):
        add("xinetd", os.path.join(HERE, "servers", "xinetd.sh"), forks=True,
            version=_said("xinetd", "-version"), udp=f"{here('xinetd.sh')} {{port}} udp")
    else:
        missing.append("xinetd: xinetd is not installed")
    if shutil.which("inetutils-inetd"):
        add("inetutils", os.path.join(HERE, "servers", "inetd.sh"), arguments="",
            version=_said("inetutils-inetd", "--version"), works=DATAGRAMS, udp=here("inetd.sh"))
    else:
        missing.append("inetutils: inetutils-inetd is not installed")
    add("socat", "socat", "TCP-LISTEN:{port},bind=127.0.0.1,fork,reuseaddr,backlog=4096 PIPE",
        forks=True, version=_said("socat", "-V"),
        udp="socat UDP-RECVFROM:{port},bind=127.0.0.1,fork PIPE",
        tls="socat OPENSSL-LISTEN:{port},bind=127.0.0.1,fork,reuseaddr,backlog=4096,"
            "cert={certificate},verify=0 PIPE")
    add("ncat", "ncat", "--listen 127.0.0.1 {port} --keep-open --max-conns 1000 --exec /bin/cat",
        forks=True, version=_said("ncat", "--version"),
        udp="ncat --udp --listen 127.0.0.1 {port} --keep-open --exec /bin/cat")
    for name in ("haproxy", "nginx"):  # and a child that they forward to
        if certificate is not None and shutil.which(name):
            add(name, os.path.join(HERE, "servers", f"{name}.sh"), arguments="", forks=True,
                version=_said(name, "-v"), works=TLS,
                tls=f"{here(name + '.sh')} {{port}} {{certificate}} {{echo_port}} "
                    f"{shlex.quote(built('epoll_level'))}")
        elif certificate is not None:
            missing.append(f"{name}: {name} is not installed")
    return found, missing


def _output(*command):
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              stdin=subprocess.DEVNULL, text=True, timeout=20, check=False)
    except OSError:
        return ""
    return done.stdout


def _said(*command):
    """The first version number that a program tells."""
    match = re.search(r"\d+(\.\d+)+\S*", _output(*command))
    return match.group().rstrip(",") if match else ""


def _library(name):
    return _said("pkg-config", "--modversion", name)


def _header(name, prefix):
    text = _output("sh", "-c", f"printf '#include <{name}>\\n{prefix}_MAJOR.{prefix}_MINOR\\n'"
                   " | ${CC:-cc} -E -P - 2>/dev/null | tail -1")
    return text.replace(" ", "").strip()


def _mio():
    names = os.listdir("/usr/share/cargo/registry") if os.path.isdir("/usr/share/cargo") else []
    return next((name[4:] for name in names if re.match(r"mio-\d", name)), "")
