# echoctl.fish: what fish offers behind echoctl.
# The options and commands are those of echoctl --help; tests/check-completion compares them.

set -l commands status top listeners connections connection close pause resume drain reload log-level ready metrics

function __echoctl_first_column
    echoctl $argv 2>/dev/null | awk 'NR > 1 { print $1 }'
end

complete -c echoctl -f
complete -c echoctl -n "not __fish_seen_subcommand_from $commands" -a status -d 'what the service is'
complete -c echoctl -n "not __fish_seen_subcommand_from $commands" -a top -d 'what happens in a second'
complete -c echoctl -n "not __fish_seen_subcommand_from $commands" -a listeners -d 'what it listens on'
complete -c echoctl -n "not __fish_seen_subcommand_from $commands" -a connections -d 'who is connected'
complete -c echoctl -n "not __fish_seen_subcommand_from $commands" -a connection -d 'all of one connection'
complete -c echoctl -n "not __fish_seen_subcommand_from $commands" -a close -d 'end connections'
complete -c echoctl -n "not __fish_seen_subcommand_from $commands" -a pause -d 'let a listener accept nobody'
complete -c echoctl -n "not __fish_seen_subcommand_from $commands" -a resume -d 'let it accept again'
complete -c echoctl -n "not __fish_seen_subcommand_from $commands" -a drain -d 'end the service with its connections'
complete -c echoctl -n "not __fish_seen_subcommand_from $commands" -a reload -d 'read the configuration again'
complete -c echoctl -n "not __fish_seen_subcommand_from $commands" -a log-level -d 'what is logged'
complete -c echoctl -n "not __fish_seen_subcommand_from $commands" -a ready -d 'exit with 0 if it is ready'
complete -c echoctl -n "not __fish_seen_subcommand_from $commands" -a metrics -d 'what monitoring is told'
complete -c echoctl -n '__fish_seen_subcommand_from connection close' -a '(__echoctl_first_column connections)'
complete -c echoctl -n '__fish_seen_subcommand_from pause resume' -a '(__echoctl_first_column listeners)'
complete -c echoctl -n '__fish_seen_subcommand_from log-level' -a 'error warning info debug'
complete -c echoctl -s s -l socket -r -F -d 'where the admin endpoint is'
complete -c echoctl -l timeout -x -a auto -d 'how long an answer may take'
complete -c echoctl -s j -l json -d 'print what the service answers'
complete -c echoctl -l listener -x -a '(__echoctl_first_column listeners)' -d 'those of this listener'
complete -c echoctl -l peer -x -d 'those from this address or network'
complete -c echoctl -l state -x -a 'handshake greeting open draining lingering' -d 'those in this state'
complete -c echoctl -l min-idle -x -d 'those that have been idle for so long'
complete -c echoctl -l min-age -x -d 'those that are so old'
complete -c echoctl -l min-queued -x -d 'those for which so much waits'
complete -c echoctl -l limit -x -d 'no more than so many'
complete -c echoctl -s a -l all -d 'however many there are'
complete -c echoctl -l abort -d 'reset instead of closing'
complete -c echoctl -s w -l wait -d 'end when the service has ended'
complete -c echoctl -s n -l count -x -d 'end after so many times'
complete -c echoctl -s d -l interval -x -d 'how often it is asked'
complete -c echoctl -s h -l help -d 'print the options and exit'
complete -c echoctl -s V -l version -d 'print the version and exit'
