# echoprobe.fish: what fish offers behind echoprobe.
# The options are those of echoprobe --help; tests/check-completion compares them.

function __echoprobe_addresses
    printf '%s\n' tcp:// tls:// udp:// unix:/// tls+unix:///
    for scheme in unix:// tls+unix://
        set -l path (commandline -ct | string replace -fr '^'(string escape --style=regex $scheme)'(?=/)' '')
        set -l files $path*
        test -n "$path" -a -n "$files"; and printf "$scheme%s\n" $files
    end
end

complete -c echoprobe -f -a '(__echoprobe_addresses)'
complete -c echoprobe -l targets -r -F -d 'probe the targets that a file names'
complete -c echoprobe -s c -s n -l count -x -d 'stop after so many echoes'
complete -c echoprobe -s i -l interval -x -a auto -d 'time between messages'
complete -c echoprobe -s s -l size -x -a auto -d 'bytes of a message'
complete -c echoprobe -s W -l timeout -x -d 'an echo is lost after so long'
complete -c echoprobe -l deadline -x -d 'end after so long, whatever happens'
complete -c echoprobe -s 4 -l ipv4 -d 'use IPv4 alone'
complete -c echoprobe -s 6 -l ipv6 -d 'use IPv6 alone'
complete -c echoprobe -s I -l bind -x -a '(__fish_print_interfaces)' -d 'send from this address or interface'
complete -c echoprobe -s Q -l tos -x -a 'cs0 cs1 cs2 cs3 cs4 cs5 cs6 cs7 af11 af12 af13 af21 af22 af23 af31 af32 af33 af41 af42 af43 ef le voice-admit' -d 'mark packets'
complete -c echoprobe -s t -l ttl -x -d 'time to live'
complete -c echoprobe -l proxy -x -a 'v1 v2' -d 'begin with a PROXY protocol header'
complete -c echoprobe -l identify -d 'show who serves, and count the backends'
complete -c echoprobe -l proxy-source -x -a local -d 'the client that the header names'
complete -c echoprobe -l ca -r -F -d 'trusted certificates'
complete -c echoprobe -l cert -r -F -d 'our certificate'
complete -c echoprobe -l key -r -F -d 'its key'
complete -c echoprobe -l insecure -d 'take any certificate'
complete -c echoprobe -l sni -x -d 'the name that is asked for'
complete -c echoprobe -l alpn -x -d 'protocols that are offered'
complete -c echoprobe -l resume -d 'resume the session of an earlier connection'
complete -c echoprobe -l cert-days -x -d 'warn of a certificate that ends within so many days'
complete -c echoprobe -s q -l quiet -d 'print only the first line and the summary'
complete -c echoprobe -s D -l timestamps -d 'print the time before each line'
complete -c echoprobe -s P -l connections -x -d 'connections at a time'
complete -c echoprobe -s d -l duration -x -d 'send for so long'
complete -c echoprobe -l window -x -a auto -d 'messages under way on each connection'
complete -c echoprobe -l rate -x -d 'messages a second over all connections'
complete -c echoprobe -l stream -d 'measure throughput'
complete -c echoprobe -l churn -d 'a new connection for each echo'
complete -c echoprobe -l threads -x -d 'threads that share the connections'
complete -c echoprobe -l half-close -d 'check: all returns after FIN'
complete -c echoprobe -l hold -x -d 'check: an echo after so much silence'
complete -c echoprobe -l find-idle-timeout -d 'check: the longest silence that is survived'
complete -c echoprobe -l mtu -d 'check: the largest datagram that returns'
complete -c echoprobe -l metrics -x -d 'serve metrics to Prometheus'
complete -c echoprobe -l plugin -d 'print one line for a monitoring system'
complete -c echoprobe -l warning -x -d 'limits for a warning'
complete -c echoprobe -l critical -x -d 'limits for critical'
complete -c echoprobe -l json -d 'print one JSON object'
complete -c echoprobe -l csv -r -F -d 'write a line for each message'
complete -c echoprobe -l json-lines -r -F -d 'write an object for each message or second'
complete -c echoprobe -l histogram -r -F -d 'write the round trips for a plotter'
complete -c echoprobe -s h -l help -d 'print the options and exit'
complete -c echoprobe -s V -l version -d 'print the version and exit'
