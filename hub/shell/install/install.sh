#!/bin/sh
# Installs the Skerry agent on this device and enrolls it at the hub @HUB@:
#
#   curl -fsSk --pinnedpubkey sha256//@PIN@ @URL@/install |
#       sudo sh -s -- --token TOKEN [--name NAME] [--label KEY=VALUE ...] [--mqtt HOST:PORT] [--quota SIZE] [--discover]
#
# The token may come in SKERRY_TOKEN too. Nothing is changed before all that can be checked is checked. To run it twice
# is harmless; when it fails half-way it takes back what it did, and never what was here before, nor a key or a journal.
# Whatever it fetches comes from this hub, known by the same pin, and must have the sum that stands here. A proxy of the
# environment is used (sudo drops it: `sudo https_proxy=http://HOST:PORT sh -s ...`); it sees neither token nor package.
set -eu

url=@URL@
pin=@PIN@
# Debian, architecture, SHA-256, size and name of each package that this hub holds:
packages='@PACKAGES@'
# How the tokens of this hub end: its root's key, its name.
ours=@ROOT@.@SCOPE@

fetches=curl as_root='... | sudo sh -s -- --token TOKEN'
# from here on the same on a stick
state=/var/lib/skerry/agent
undo='' folder='' # undo: what dpkg is to do with the package if this fails

say() { printf '%-12s %s\n' "$1" "$2"; }
fail() { printf 'skerry: %s\n' "$*" >&2; exit 1; }

take_back() {
    code=$?
    trap - EXIT
    [ -z "$folder" ] || rm -rf "$folder"
    if [ "$code" != 0 ] && [ -n "$undo" ]; then
        if [ -e "$state/key.pem" ] || [ -e "$state/journal.db" ]; then undo=remove; fi
        if ! dpkg "--$undo" skerry-agent </dev/null >/dev/null 2>&1; then
            say 'left over' "skerry-agent could not be taken back: dpkg --$undo skerry-agent"
        elif [ "$undo" = purge ]; then
            say 'taken back' 'this device is as it was before'
        else
            say 'taken back' "the package is removed; what lies in $state stays"
        fi
    fi
    exit "$code"
}

# What this device is, and which package is for it: sets $sum, $size, $name.
check() {
    [ "$(id -u)" = 0 ] || fail "this takes root: $as_root"
    for program in dpkg apt-get sha256sum systemctl $fetches; do
        command -v "$program" >/dev/null || fail "$program is not on this device: the packages are for Debian with systemd"
    done
    [ -d /run/systemd/system ] || fail 'systemd does not run here, and it is what would run the agent'
    # shellcheck disable=SC1091 # the device's own
    release=$(. /etc/os-release && echo "${ID:-} ${VERSION_ID:-}")
    arch=$(dpkg --print-architecture)
    free=$(df -Pm /usr | awk 'END { print $4 }')
    say checking "this device: $arch, $release, $free MB free"
    offer=$(printf '%s\n' "$packages" | grep "^${release#debian } $arch ") || fail \
        "this hub holds no package for $release $arch (it has: $(printf '%s\n' "$packages" | awk '{ printf "%sdebian %s %s", sep, $1, $2; sep = ", " }')): \
copy one into the folder packages of its directory"
    # shellcheck disable=SC2086 # its words
    set -- $offer
    sum=$3 size=$4 name=$5
    [ "$free" -gt $((size / 100000)) ] || fail "$free MB are free, and the agent takes up to $((size / 100000)) MB: make room"
}

put_in_place() {
    version=${name#*_}
    version=${version%_*}
    before=$(dpkg-query --show --showformat='${db:Status-Status} ${Version}' skerry-agent 2>/dev/null) || before=''
    if [ "$before" = "installed $version" ]; then
        say installing "skerry-agent $version is here already"
        return
    fi
    folder=$(mktemp -d)
    say installing "skerry-agent $version ($((size / 1000000)) MB)"
    fetch
    [ "$(sha256sum "$folder/$name" | cut -c 1-64)" = "$sum" ] || fail \
        'what was fetched is not what this hub promised (cut off, or changed on the way): run this again'
    case $before in
    '' | not-installed*)
        undo=purge # of state, configuration and groups: only where none of them was
        if [ -e "$state" ] || [ -e /etc/skerry ] || getent group skerry skerry-operators | grep -q .; then undo=remove; fi
        ;;
    config-files*) undo=remove ;; # it was here, and its state may be
    esac
    # What its owner changed in /etc stays as it is, and nobody is asked: this line's input is the script.
    DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends -o APT::Sandbox::User=root \
        -o Dpkg::Use-Pty=0 -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold \
        "$folder/$name" </dev/null >"$folder/log" 2>&1 || {
        tail -n 8 "$folder/log" >&2
        fail "skerry-agent $version could not be installed (what apt-get said is above)"
    }
}

# up to here the same on a stick

fetch() {
    curl -fsSk --pinnedpubkey "sha256//$pin" --retry 3 -o "$folder/$name" "$url/install/$name" || fail \
        "the package could not be fetched from $url: look at the network, and run this again"
}

enroll() {
    if [ ! -e "$state/agent.json" ]; then say enrolling "at $url; the key is made here and stays here"; fi
    said=$(printf '%s\n' "$token" | skerry-agent enroll --token - "$@" 2>&1) || fail "${said#skerry-agent: }"
    undo='' # it is one of the fleet now: what fails from here on is no reason to forget that
    printf '%s\n' "$said" | grep -v -e '^trusting' -e '^Next:' || :
    systemctl start skerry-agent || fail "the agent does not start: systemctl status skerry-agent"
    say running "$(systemctl show --property=StatusText --value skerry-agent)"
    [ -z "${https_proxy:-${HTTPS_PROXY:-}}" ] || say proxy 'for what is fetched later name it in /etc/skerry/agent.env, too'
    echo 'Done. On this device:  skerry-agent status'
}

main() {
    token=${SKERRY_TOKEN:-} found=''
    left=$#
    while [ "$left" -gt 0 ]; do # what is for `skerry-agent enroll` goes to the end of the line
        option=$1
        shift
        left=$((left - 1))
        case $option in
        --discover)
            found=yes
            set -- "$@" "$option"
            continue
            ;;
        --token | --name | --label | --mqtt | --quota) [ "$left" -gt 0 ] || fail "$option wants a value" ;;
        *) fail "$option is unknown: there are --token, --name, --label, --mqtt, --quota and --discover" ;;
        esac
        if [ "$option" = --token ]; then token=$1; else set -- "$@" "$option" "$1"; fi
        shift
        left=$((left - 1))
    done
    [ -n "$found" ] || set -- "$@" --hub "$url"
    [ -n "$token" ] || fail 'a token is missing: skerry token create prints one, and --token takes it'
    check
    case $token in
    sk1.*."$ours") say trusting 'hub "@HUB@": it is the one that made the token' ;;
    sk1.*) fail 'this token is of another hub than @HUB@: run the line that was printed with the token' ;;
    *) fail 'this is no token: copy the whole text that skerry token create printed' ;;
    esac
    trap take_back EXIT
    trap 'exit 130' INT TERM HUP
    put_in_place
    enroll "$@"
}

# The last line, so that a script that was cut off on its way does nothing.
main "$@"
