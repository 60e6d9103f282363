#!/bin/sh
# inetd.sh: GNU inetutils' inetd with its own echo of datagrams, on the only port it has for it: 7.
# Leaves its configuration in TMPDIR, which run removes.
# Run as: inetd.sh
set -eu

configuration=$(mktemp)
echo "127.0.0.1:echo dgram udp wait $(id -un) internal" >"$configuration"
exec inetutils-inetd --debug --pidfile="$configuration.pid" "$configuration"
