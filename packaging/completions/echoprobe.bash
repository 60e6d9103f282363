# echoprobe.bash: what bash offers behind echoprobe.
# The options are those of echoprobe --help; tests/check-completion compares them.

_echoprobe() {
    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]} words
    local options='
        --targets --count --interval --size --timeout --deadline
        --ipv4 --ipv6 --bind --tos --ttl --proxy --proxy-source --identify
        --ca --cert --key --insecure --sni --alpn --resume --cert-days --quiet --timestamps
        --connections --duration --window --rate --stream --churn --threads
        --half-close --hold --find-idle-timeout --mtu
        --json --csv --json-lines --histogram --metrics --plugin --warning --critical
        --help --version
    '

    COMPREPLY=()
    # bash splits words at = and at colons.
    if [[ $before == : && ${COMP_WORDS[COMP_CWORD - 2]} == ?(tls+)unix && $word == ///* ]]; then
        compopt -o filenames
        mapfile -t COMPREPLY < <(compgen -f -P // -- "${word#//}")
        return
    elif [[ $word == = ]]; then
        word=
    elif [[ $before == = ]]; then
        before=${COMP_WORDS[COMP_CWORD - 2]}
    fi
    case $before in
    -i | --interval | -s | --size | --window) words=auto ;;
    --proxy) words='v1 v2' ;;
    --ca | --cert | --key | --targets | --csv | --json-lines | --histogram)
        compopt -o filenames
        mapfile -t COMPREPLY < <(compgen -f -- "$word")
        return
        ;;
    --sni | --alpn | --cert-days | --metrics) return ;;
    --proxy-source) words=local ;;
    -I | --bind) words=$(cd /sys/class/net 2>/dev/null && echo *) ;;
    -Q | --tos) words='cs0 cs1 cs2 cs3 cs4 cs5 cs6 cs7 af11 af12 af13 af21 af22 af23 af31 af32 af33
        af41 af42 af43 ef le voice-admit' ;;
    -t | --ttl) return ;;
    -c | -n | --count | -W | --timeout | --deadline | -P | --connections) return ;;
    -d | --duration | --rate | --threads | --hold | --warning | --critical) return ;;
    *)
        words=$options
        if [[ $word != -* ]]; then
            compopt -o nospace
            words='tcp:// tls:// udp:// unix:/// tls+unix:///'
        fi
        ;;
    esac
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$word")
}

complete -F _echoprobe echoprobe
