#!/bin/sh
# haproxy.sh: haproxy that takes TLS off, and behind it a plain echo server, its child.
# Leaves its configuration in TMPDIR, which run removes.
# Run as: haproxy.sh PORT FILE ECHO_PORT ECHO_PROGRAM, with a certificate and its key in FILE
set -eu

configuration=$(mktemp)
cat >"$configuration" <<END
global
    nbthread 1
    maxconn 1000
defaults
    mode tcp
    timeout connect 10s
    timeout client 1m
    timeout server 1m
listen echo
    bind 127.0.0.1:$1 ssl crt $2
    server plain 127.0.0.1:$3
END
"$4" "$3" &
exec haproxy -db -f "$configuration"
