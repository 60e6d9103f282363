# echoctl.bash: what bash offers behind echoctl.
# The options and commands are those of echoctl --help; tests/check-completion compares them.

# Print what a command needs: ids of connections, or names of listeners, if the service tells.
_echoctl_operands() {
    case $1 in
    connection | close) echoctl connections 2>/dev/null | awk 'NR > 1 { print $1 }' ;;
    pause | resume) echoctl listeners 2>/dev/null | awk 'NR > 1 { print $1 }' ;;
    log-level) echo error warning info debug ;;
    esac
}

_echoctl() {
    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]} words each
    local options='
        --socket --timeout --json
        --listener --peer --state --min-idle --min-age --min-queued --limit --all
        --abort --wait --count --interval --help --version
    '
    local commands='
        status top listeners connections connection close pause resume drain reload log-level
        ready metrics
    '

    COMPREPLY=()
    if [[ $word == = ]]; then
        word=
    elif [[ $before == = ]]; then
        before=${COMP_WORDS[COMP_CWORD - 2]}
    fi
    case $before in
    -s | --socket)
        compopt -o filenames
        mapfile -t COMPREPLY < <(compgen -f -- "$word")
        return
        ;;
    --timeout) words=auto ;;
    --state) words='handshake greeting open draining lingering' ;;
    --listener) words=$(_echoctl_operands pause) ;;
    --peer | --min-idle | --min-age | --min-queued | --limit) return ;;
    -n | --count | -d | --interval) return ;;
    *)
        words=$commands
        for each in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
            [[ " ${commands//[$'\n']/ } " != *" $each "* ]] || words=$(_echoctl_operands "$each")
        done
        [[ $word != -* ]] || words=$options
        ;;
    esac
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$word")
}

complete -F _echoctl echoctl
