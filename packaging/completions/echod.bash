# echod.bash: what bash offers behind echod.
# The options are those of echod --help; tests/check-completion compares them.

_echod() {
    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]} words
    local options='
        --listen --backlog --workers --max-connections
        --high-water --low-water --max-queued --rate-limit --rate-limit-total
        --udp-receive-buffer
        --accept-rate --accept-rate-per-source --max-connections-per-source
        --source-prefix-v4 --source-prefix-v6 --allow --deny --refuse-with
        --handshake-timeout --write-timeout --idle-timeout --lifetime --linger-timeout
        --drain-timeout
        --cert --key --client-ca --client-auth --tls-min --alpn --ciphers
        --pin-workers --no-shortcuts
        --user --group --chroot --sandbox --pid-file --admin
        --log-target --log-level --log-format
        --config --no-config --check
        --help --version
    '

    # Of an address, behind a comma.
    local listen_options='
        name log
        identify
        proxy proxy-from handshake-timeout
        cert key client-ca client-auth tls-min alpn ciphers
        idle-timeout lifetime write-timeout high-water low-water max-connections backlog
        rate-limit rate-limit-total
        accept-rate accept-rate-per-source max-connections-per-source
        source-prefix-v4 source-prefix-v6 allow deny refuse-with
        keepalive user-timeout nodelay fastopen v6only device mark freebind
        mode owner group
        low-ports rate udp-receive-buffer
        delay jitter corrupt seed
        bandwidth chunk stall-after close-after reset-after truncate-fin accept-delay refuse
        drop duplicate reorder truncate
    '

    local admin_options='mode owner group v6only device mark freebind'

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
    if [[ $before == --config ]]; then
        compopt -o filenames
        mapfile -t COMPREPLY < <(compgen -f -- "$word")
        return
    fi
    case $before in
    -l | --listen | :)
        compopt -o nospace
        words='tcp:// tls:// udp:// unix:/// tls+unix:/// fd:// tls+fd:// systemd:// tls+systemd:// stdio:'
        # shellcheck disable=SC2086 # these are several
        [[ $word != *,* ]] || words=$(printf "${word%,*},%s= " $listen_options)
        ;;
    --admin)
        compopt -o nospace
        words='tcp:// unix:///'
        # shellcheck disable=SC2086 # these are several
        [[ $word != *,* ]] || words=$(printf "${word%,*},%s= " $admin_options)
        ;;
    -w | --workers | --max-connections | --low-water | --udp-receive-buffer) words=auto ;;
    --user) words=$(compgen -u) ;;
    --group) words=$(compgen -g) ;;
    --pid-file | --cert | --key | --client-ca)
        compopt -o filenames
        mapfile -t COMPREPLY < <(compgen -f -- "$word")
        return
        ;;
    --chroot)
        compopt -o filenames
        mapfile -t COMPREPLY < <(compgen -d -- "$word")
        return
        ;;
    --sandbox) words='auto on off' ;;
    --log-target) words='stderr syslog' ;;
    --client-auth) words='auto off request require' ;;
    --refuse-with) words='reset close' ;;
    --tls-min) words='1.2 1.3' ;;
    --log-level) words='error warning info debug' ;;
    --log-format) words='text json' ;;
    --help) words=listen ;;
    --backlog | --high-water | --max-queued | --alpn | --ciphers) return ;;
    --lifetime | --*-timeout) return ;;
    *) words=$options ;;
    esac
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$word")
}

complete -F _echod echod
