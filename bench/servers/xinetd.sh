#!/bin/sh
# xinetd.sh: xinetd with its own echo service, which forks for each client.
# Leaves its configuration in TMPDIR, which run removes.
# Run as: xinetd.sh PORT
set -eu

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
    id = echo-stream
    socket_type = stream
    protocol = tcp
    port = $1
    bind = 127.0.0.1
    wait = no
    user = $(id -un)
}
END
exec xinetd -dontfork -filelog /dev/null -f "$configuration"
