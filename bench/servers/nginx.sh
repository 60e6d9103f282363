#!/bin/sh
# nginx.sh: nginx that takes TLS off streams, and behind it a plain echo server, its child.
# Leaves its configuration in TMPDIR, which run removes.
# Run as: nginx.sh PORT FILE ECHO_PORT ECHO_PROGRAM, with a certificate and its key in FILE
set -eu

configuration=$(mktemp)
cat >"$configuration" <<END
include /etc/nginx/modules-enabled/*stream*.conf;
daemon off;
master_process off;
pid $configuration.pid;
error_log stderr;
events {
    worker_connections 10000;
}
stream {
    server {
        listen 127.0.0.1:$1 ssl;
        ssl_certificate $2;
        ssl_certificate_key $2;
        ssl_protocols TLSv1.3;
        proxy_pass 127.0.0.1:$3;
    }
}
END
"$4" "$3" &
exec nginx -c "$configuration"
