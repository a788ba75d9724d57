# The shim as the launcher starts it: like shell/runners/shim.sh, but as root, and so it opens nothing by name that the
# agent's user could have put there. It starts one workload, waits, records how it ended.
#
#   $1  the absolute path of `sync`    then the words that become the workload, its user first of all
#   fd 0  the folder's `exit`, opened by the agent    fd 3  a pipe to the agent: a line or its end says "look again"
#   fd 4  the folder's `start`, under flock: held as long as this shim, or the not yet replaced child, lives
#   fd 5, 6  stdout and stderr of the workload    fd 7  its command and environment, which only its own user reads
#   fd 8  the launcher's own record of the process, under a lock of the shim's life    fd 9  the folder's `run`, opened by the agent
trap '' HUP INT QUIT TERM PIPE
sync=$1
shift
(
    trap - HUP INT QUIT TERM
    read -r stat </proc/self/stat && echo "$stat end" >&8 && echo "$stat end" >&9 || exit 125
    { echo >&3; } 2>/dev/null
    trap - PIPE
    exec "$@" </dev/null 8>&- 9>&-
) >&5 2>&6 5>&- 6>&-
code=$?
echo "$code end" >&0
exec 3>&- 5>&- 6>&- 7<&- 9>&-
exec "$sync" /proc/self/fd/0
