#!/bin/sh
# xinetd.sh: xinetd with its own echo service, which forks for each client of a stream.
# Leaves its configuration in TMPDIR, which run removes.
# Run as: xinetd.sh PORT [udp]
set -eu

if [ "${2:-tcp}" = udp ]; then
    socket_type=dgram wait=yes
else
    socket_type=stream wait=no
fi
configuration=$(mktemp)
cat >"$configuration" <<END
defaults
{
    instances = UNLIMITED
    per_source = UNLIMITED
    cps = 1000000 1
}
service echo
{
    type = INTERNAL UNLISTED
    id = echo-$socket_type
    socket_type = $socket_type
    protocol = ${2:-tcp}
    port = $1
    bind = 127.0.0.1
    wait = $wait
    user = $(id -un)
}
END
exec xinetd -dontfork -filelog /dev/null -f "$configuration"
