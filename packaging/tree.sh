#!/bin/sh
# A clean Debian to build and test in, made once: sh packaging/tree.sh RELEASE ARCH FOLDER
# It is what a small Debian has: systemd and Python, no pip, no compiler. Needs root, debootstrap and Debian's packages.
set -eu
release=$1 arch=$2 folder=$3
fail() { echo "packages: $*" >&2; exit 1; }
[ "$(id -u)" = 0 ] || fail "a Debian tree is made as root"
# Programs of another machine are emulated, by all of this kernel until it boots again; F: also where qemu is not seen.
emulate() {
    [ ! -e "/proc/sys/fs/binfmt_misc/qemu-$1" ] || return 0
    command -v "qemu-$1-static" >/dev/null || fail "nothing here emulates $1: apt install qemu-user-static"
    [ -e /proc/sys/fs/binfmt_misc/register ] || mount -t binfmt_misc binfmt_misc /proc/sys/fs/binfmt_misc
    printf '%s' ":qemu-$1:M::$2:$3:$(command -v "qemu-$1-static"):F" >/proc/sys/fs/binfmt_misc/register
}
native=$(dpkg --print-architecture)
case $arch in
"$native") ;;
arm64)
    emulate aarch64 '\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00' \
        '\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff'
    ;;
armhf)
    emulate arm '\x7fELF\x01\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\x28\x00' \
        '\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff'
    ;;
esac
[ ! -e "$folder/etc/debian_version" ] || exit 0
command -v debootstrap >/dev/null || fail "debootstrap is not here: apt install debootstrap"
parts=systemd,systemd-sysv,dbus,python3,iproute2,procps,ca-certificates,curl
echo "making       a clean Debian $release for $arch (once; a minute, emulated five)"
rm -rf "$folder.part"
mkdir -p "$(dirname "$folder")"
log="$folder.log"
set -- --variant=minbase --arch="$arch" --include="$parts"
[ "$arch" = "$native" ] || set -- --foreign "$@"
debootstrap "$@" "$release" "$folder.part" >"$log" 2>&1 || fail "debootstrap failed, see $log"
if [ "$arch" != "$native" ]; then
    chroot "$folder.part" /debootstrap/debootstrap --second-stage >>"$log" 2>&1 ||
        fail "the second stage failed, see $log: are programs for $arch emulated here (qemu-user-static, binfmt_misc)?"
fi
rm -f "$folder.part"/var/cache/apt/archives/*.deb
mv "$folder.part" "$folder"
