# The lease's warden: stops one workload once its lease has run out, whether or not an agent or its shim lives.
#
#   $1  the instance's folder    $2  seconds between SIGTERM and SIGKILL    fd 6  where a note to people goes
#   $3  where the workload's process is noted, when that is not `run` in the folder (the launcher trusts only its own)
#
# `lease` holds `SECONDS end`: the deadline on CLOCK_BOOTTIME, which is the clock of /proc/uptime (it counts a suspend
# of the device, and no setting of the date moves it). Who extends the lease replaces the file; what cannot be read
# extends nothing. It looks every 2 s, for `sleep` counts no suspend: so late, at most, is it after one, and that is a
# part of limits.LEASE_SLACK_S. It ends with the last process of the workload's group, and not before.
cd "$1" || exit 1
trap '' HUP INT QUIT TERM PIPE
deadline=0 shim=$PPID run=${3:-run}

# Tell whether something of the group lives. As long as a number is a group's, no new process gets it: one that bears it
# and began at another time (field 22 of its stat) is a stranger, and the group is gone. A stat with an odd name in it
# (a workload names itself) proves nothing.
lives() {
    pid='' line='' stat=''
    read -r line <"$run"
    case $line in
        *' end') pid=${line%% *} ;;
        *) kill -0 "$shim"; return ;;
    esac
    set -- ${line##*) }
    start=${20}
    read -r stat <"/proc/$pid/stat"
    set -- ${stat##*) }
    if [ $# -ge 20 ]; then
        [ "${20}" = "$start" ] || return 1
        [ "$1" = Z ] || return 0
    fi
    kill -0 "-$pid"
}

# Before its own setsid the leader has no group yet.
signal() { kill "-$1" "-$pid" || kill "-$1" "$pid"; }

{
    while lives; do
        read -r to end <lease && [ "$end" = end ] && case $to in *[!0-9]*) ;; *) deadline=$to ;; esac # some reckon with words
        now=$deadline
        read -r now _ </proc/uptime
        left=$((deadline - ${now%%.*}))
        [ "$left" -le 0 ] && [ "$pid" ] && break
        [ "$left" -gt 2 ] && left=2
        [ "$left" -gt 0 ] || left=1
        sleep "$left"
    done
    lives || exit 0
    : >expired
    echo 'skerry: stopped, because its lease has run out: no contact with the hub renewed it' >&6
    signal TERM
    left=$2
    while [ "$left" -gt 0 ] && lives; do
        sleep 1
        left=$((left - 1))
    done
    lives && signal KILL
} 2>/dev/null
