# echod.fish: what fish offers behind echod.
# The options are those of echod --help; tests/check-completion compares them.

function __echod_addresses
    set -l before (commandline -ct | string match -r '^.*,')
    if test -n "$before"
        printf "$before%s=\n" name log identify proxy proxy-from handshake-timeout \
            cert key client-ca client-auth tls-min alpn ciphers \
            idle-timeout lifetime write-timeout high-water low-water rate-limit rate-limit-total \
            accept-rate accept-rate-per-source max-connections-per-source \
            source-prefix-v4 source-prefix-v6 allow deny refuse-with \
            max-connections backlog keepalive user-timeout nodelay fastopen v6only device mark \
            freebind mode owner group low-ports rate udp-receive-buffer \
            delay jitter corrupt seed bandwidth chunk stall-after close-after reset-after \
            truncate-fin accept-delay refuse drop duplicate reorder truncate
        return
    end
    printf '%s\n' tcp:// tls:// udp:// unix:/// tls+unix:/// fd:// tls+fd:// systemd:// \
        tls+systemd:// stdio:
    for scheme in unix:// tls+unix://
        set -l start '^(--listen=)?'(string escape --style=regex $scheme)'(?=/)'
        set -l path (commandline -ct | string replace -fr $start '')
        set -l files $path*
        test -n "$path" -a -n "$files"; and printf "$scheme%s\n" $files
    end
end

function __echod_admin_addresses
    set -l before (commandline -ct | string match -r '^.*,')
    if test -n "$before"
        printf "$before%s=\n" mode owner group v6only device mark freebind
        return
    end
    printf '%s\n' tcp:// unix:///
    set -l path (commandline -ct | string replace -fr '^(--admin=)?unix://(?=/)' '')
    set -l files $path*
    test -n "$path" -a -n "$files"; and printf 'unix://%s\n' $files
end

complete -c echod -f
complete -c echod -s l -l listen -x -a '(__echod_addresses)' -d 'serve here'
complete -c echod -l backlog -x -d 'clients that may wait to be accepted'
complete -c echod -s w -l workers -x -a auto -d 'threads that serve'
complete -c echod -l max-connections -x -a auto -d 'accept no more at this many'
complete -c echod -l high-water -x -d 'pause reading at so much echo'
complete -c echod -l low-water -x -a auto -d 'read on at so much echo'
complete -c echod -l max-queued -x -d 'limit of what waits for all'
complete -c echod -l rate-limit -x -d 'read no faster from a client'
complete -c echod -l rate-limit-total -x -d 'and no faster from all'
complete -c echod -l udp-receive-buffer -x -a auto -d 'what a udp:// socket may hold unread'
complete -c echod -l accept-rate -x -d 'clients let in by each listener'
complete -c echod -l accept-rate-per-source -x -d 'and from each source'
complete -c echod -l max-connections-per-source -x -d 'refuse a source with this many'
complete -c echod -l source-prefix-v4 -x -d 'bits that tell IPv4 sources apart'
complete -c echod -l source-prefix-v6 -x -d 'bits that tell IPv6 sources apart'
complete -c echod -l allow -x -d 'refuse who comes from elsewhere'
complete -c echod -l deny -x -d 'refuse who comes from there'
complete -c echod -l refuse-with -x -a 'reset close' -d 'how a client is refused'
complete -c echod -l handshake-timeout -x -d 'end whose header or handshake takes so long'
complete -c echod -l write-timeout -x -d 'end who takes nothing for so long'
complete -c echod -l idle-timeout -x -d 'end who is silent for so long'
complete -c echod -l lifetime -x -d 'end who is so old'
complete -c echod -l linger-timeout -x -d 'time to take the rest and close'
complete -c echod -l drain-timeout -x -d 'time to stay after a stop'
complete -c echod -l cert -r -F -d 'certificates of TLS listeners'
complete -c echod -l key -r -F -d 'their keys'
complete -c echod -l client-ca -r -F -d 'CAs of clients'
complete -c echod -l client-auth -x -a 'auto off request require' -d 'whether clients show a certificate'
complete -c echod -l tls-min -x -a '1.2 1.3' -d 'oldest version of TLS'
complete -c echod -l alpn -x -d 'protocols, the preferred one first'
complete -c echod -l ciphers -x -d 'ciphers, the preferred one first'
complete -c echod -l pin-workers -d 'keep each worker on a CPU'
complete -c echod -l no-shortcuts -d 'use the buffers of libevent alone'
complete -c echod -l user -x -a '(__fish_complete_users)' -d 'become this user'
complete -c echod -l group -x -a '(__fish_complete_groups)' -d 'become this group'
complete -c echod -l chroot -x -a '(__fish_complete_directories)' -d 'see no files but those in a directory'
complete -c echod -l sandbox -x -a 'auto on off' -d 'let the kernel refuse what is not needed'
complete -c echod -l pid-file -r -F -d 'write the process number there'
complete -c echod -l admin -x -a '(__echod_admin_addresses)' -d 'answer operators here'
complete -c echod -l log-target -x -a 'stderr syslog' -d 'where to log'
complete -c echod -l log-level -x -a 'error warning info debug' -d 'lowest level that is logged'
complete -c echod -l log-format -x -a 'text json' -d 'form of log lines'
complete -c echod -l config -r -F -d 'read settings from a file'
complete -c echod -l no-config -d 'read no file'
complete -c echod -l check -d 'print what is in effect and exit'
complete -c echod -s h -l help -d 'print the options and exit'
complete -c echod -s V -l version -d 'print the version and exit'
