#!/bin/sh
# Compiles wheels that nobody publishes for this machine: sh packaging/compile.sh TREE TRIPLET WORK SOURCES OUT
#
# SOURCES holds pinned source distributions, and in tools/ what building them takes (compile.lock); wheels go to OUT. It
# happens in a copy of the tree, by its own Python, emulated, and by this machine's cross compiler, which is not. Headers come
# from Debian; the building itself has no network. libsodium's own tests are left out: emulated, nobody would wait for them.
set -eu
tree=$1 triplet=$2 work=$3 sources=$4 out=$5
fail() { echo "packages: $*" >&2; exit 1; }
command -v "$triplet-gcc" >/dev/null || fail "no compiler for $triplet: apt install gcc-$triplet"
mkdir -p "$work/upper" "$work/overlay" "$work/merged" "$out"
# $1: mount, or net, which has no network; $2: what to do there.
inside() {
    # shellcheck disable=SC2016 # for the inner shell
    unshare --mount "--$1" --pid --fork --propagation private sh -eu -c '
        merged=$2/merged
        mount -t overlay overlay -o "lowerdir=$1,upperdir=$2/upper,workdir=$2/overlay" "$merged"
        mount -t proc proc "$merged/proc"
        mount --bind /dev "$merged/dev"
        cp /etc/resolv.conf /etc/hosts "$merged/etc/"
        for folder in /usr/lib64 "/usr/lib/$(uname -m)-linux-gnu" /usr/lib/gcc-cross "/usr/$3"; do
            mkdir -p "$merged$folder"
            mount --bind "$folder" "$merged$folder"
        done
        ln -sfn usr/lib64 "$merged/lib64"
        cp -L /usr/bin/"$3"-* "$merged/usr/bin/" # a compiler looks for its parts from where it lies
        for tool in ar as gcc ld nm ranlib strip; do ln -sfn "$3-$tool" "$merged/usr/bin/$tool"; done
        mkdir -p "$merged/mnt/sources" "$merged/mnt/out"
        mount --bind "$4" "$merged/mnt/sources"
        mount --bind "$5" "$merged/mnt/out"
        exec chroot "$merged" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 HOME=/tmp DEBIAN_FRONTEND=noninteractive \
            LIBSODIUM_MAKE_ARGS="-j2 TESTS= check_PROGRAMS=" sh -eu -c "$6"' sh "$tree" "$work" "$triplet" "$sources" "$out" "$2"
}
inside mount 'apt-get update -qq && apt-get install -y -qq --no-install-recommends python3-dev libffi-dev libc6-dev make' >"$work/log" 2>&1 ||
    fail "headers could not be installed in a copy of the tree, see $work/log"
# shellcheck disable=SC2016 # for the shell there
inside net '
    python3 -m venv --without-pip /tmp/venv
    export PYTHONPATH=/mnt/sources/tools
    pip="/tmp/venv/bin/python -m pip --disable-pip-version-check --no-cache-dir"
    for one in /mnt/sources/cffi-*.tar.gz /mnt/sources/*.tar.gz; do # cffi first: others are built with it
        name=${one##*/}
        if [ -z "$(find /mnt/out -iname "${name%.tar.gz}-*.whl")" ]; then # else it was made before
            echo "compiling    ${name%.tar.gz}"
            $pip wheel --quiet --no-deps --no-index --no-build-isolation --wheel-dir /mnt/out "$one"
        fi
        case $name in cffi-*) $pip install --quiet --no-deps --no-index "$(echo /mnt/out/cffi-*.whl)" ;; esac
    done'
