# The shim: starts one workload, waits, records how it ended. It outlives the agent and needs nothing of it.
#
#   $1  the instance's folder    $2  the absolute path of `sync`
#   $3  the warden of the lease (lease.sh), which goes on without the shim; $4 its second argument. Only with `lease`
#   fd 3  a pipe to the agent: a line or the end of it says "look into the folder again"; the agent may be gone
#   fd 4  the folder's `start`, under flock: held as long as this shim, or the not yet replaced child, lives
#   fd 5, 6  stdout and stderr of the workload
#
# `run` is written before any code of the workload runs, so: no `run` and the lock free = it never started.
# `exit` was filled by the agent beforehand, so that a full disk cannot swallow the exit code; it counts only with
# the word `end` behind the number. Only built-ins are used where a fork can be saved.
cd "$1" || exit 1
trap '' HUP INT QUIT TERM PIPE
if [ -e lease ]; then /bin/sh "$3" "$1" "$4" 3>&- 4>&- 5>&- & fi
(
    trap - HUP INT QUIT TERM
    read -r stat </proc/self/stat && echo "$stat end" >run || exit 125
    { echo >&3; } 2>/dev/null
    trap - PIPE
    . ./start
) >&5 2>&6 5>&- 6>&-
code=$?
echo "$code end" 1<>exit
exec 3>&- 5>&- 6>&-
exec "$2" exit
