"""
forgery: datagrams that say they come from elsewhere, and a network where that harms nobody.
Proves nothing by itself.
Used by the tests of forged datagrams, and of hostile clients.
"""

import os
import shutil
import socket
import struct
import subprocess
import sys

import harness

INSIDE = "ECHOD_TEST_NAMESPACE"  # set once a test runs in its namespace
LOOPBACK_ALONE = "ip link set lo up"


def checksum(data):
    """The Internet checksum (RFC 1071)."""
    total = sum(struct.unpack(f"!{(len(data) + 1) // 2}H", data + b"\0" * (len(data) % 2)))
    while total > 0xffff:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def raw_socket():
    """A socket for whole packets of IPv4."""
    raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
    return raw


def datagram(source, destination, data):
    """A packet with a datagram."""
    addresses = socket.inet_aton(source[0]) + socket.inet_aton(destination[0])
    udp = struct.pack("!HHHH", source[1], destination[1], 8 + len(data), 0) + data
    pseudo = addresses + struct.pack("!BBH", 0, socket.IPPROTO_UDP, len(udp))
    udp = udp[:6] + struct.pack("!H", checksum(pseudo + udp) or 0xffff) + udp[8:]
    header = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(udp), 0, 0, 64, socket.IPPROTO_UDP, 0)
    return header + addresses + udp


def forge(source, destination, data=b"forged"):
    """Send a datagram over IPv4 that says it comes from elsewhere."""
    with raw_socket() as raw:
        raw.sendto(datagram(source, destination, data), (destination[0], 0))


def is_inside():
    """Tell whether this process is in a namespace of its own."""
    return os.environ.get(INSIDE) == "1"


def enter_namespace(setup):
    """Run this program again in a network namespace; return why if there is none to be had."""
    for need in ("unshare", "ip"):
        if shutil.which(need) is None:
            return f"{need} is not installed"
    if subprocess.run(["unshare", *harness.AS_ROOT, "-n", "true"], stderr=subprocess.DEVNULL,
                      check=False).returncode != 0:
        return "no network namespace can be had"
    os.environ[INSIDE] = "1"
    os.execvp("unshare", ["unshare", *harness.AS_ROOT, "-n", "sh", "-c",
                          f'{setup} && exec "$0" "$@"', sys.executable, *sys.argv])


def run_inside(setup, main):
    """Run the tests of the calling file in a namespace, or skip them where there is none."""
    if not is_inside():
        reason = enter_namespace(setup)
        print(f"skipped: {reason}")
        sys.exit(1 if os.environ.get("ECHOD_TEST_NO_SKIP") == "1" else harness.STATUS_SKIPPED)
    main()
