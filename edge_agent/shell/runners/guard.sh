# The guard: keeps log files bounded while no agent lives. It sleeps in `read` as long as one does.
#
#   $1  the data directory    $2  the bound of one file in KiB    fd 3  a pipe whose other end the agent holds
#
# It ends when another agent has put its own guard in place, or when nothing runs here any more.
cd "$1" || exit 1
trap '' HUP INT TERM
echo $$ >guard
read -r _ <&3
exec 3<&-
while read -r mine <guard && [ "$mine" = $$ ]; do
    runs=
    for place in w/*/; do
        read -r _ end <"$place/exit" || continue
        [ "$end" = end ] && continue
        read -r pid _ <"$place/run" && [ -e "/proc/$pid" ] && runs=yes
    done 2>/dev/null
    [ "$runs" ] || exit 0
    find logs -name log -size +"$2"k | while read -r file; do
        [ -e "$file.2" ] && mv "$file.2" "$file.3"
        [ -e "$file.1" ] && mv "$file.1" "$file.2"
        tail -c "$2"k "$file" >"$file.1"
        : >"$file"
    done
    find w \( -name out -o -name err \) -size +"$2"k | while read -r file; do
        [ -e "$file.1" ] || head -c 28k "$file" >"$file.1"
        : >"$file"
    done
    sleep 1
done 2>/dev/null
