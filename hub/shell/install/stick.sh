#!/bin/sh
# Installs the Skerry agent from this stick, with no network, for the hub @HUB@:
#
#   sudo sh ./install [NAME]
#
# NAME is which of the devices that this stick was made for this one is; it may be left out when there is but one. What
# the stick brings runs at once; the device enrolls when it first reaches its hub. To run it twice is harmless; when it
# fails half-way it takes back what it did, and never what was here before, nor a key or a journal.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
# Debian, architecture, SHA-256, size and name of each package on this stick:
packages='@PACKAGES@'
fetches='' as_root='sudo sh ./install'
@SHARED@
fetch() {
    cp "$here/$name" "$folder/$name" || fail "$name cannot be read from the stick: is it in? make it anew"
}

enroll() {
    said=$(skerry-agent enroll --from "$here" --name "$device" 2>&1) || fail "${said#skerry-agent: }"
    undo='' # what runs here from now on is no reason to go
    printf '%s\n' "$said" | grep -v -e '^Next:' || :
    systemctl start skerry-agent || fail "the agent does not start: systemctl status skerry-agent"
    said=$(skerry-agent import "$here" 2>&1) || fail "${said#skerry-agent: }"
    printf '%s\n' "$said" | grep -v -e '^Next:' || :
    echo 'Done. On this device:  skerry-agent status'
}

main() {
    [ $# -le 1 ] || fail 'this takes one name, or none: sudo sh ./install [NAME]'
    device=${1:-}
    check
    trap take_back EXIT
    trap 'exit 130' INT TERM HUP
    put_in_place
    enroll
}

# The last line, so that a script that was copied half does nothing.
main "$@"
