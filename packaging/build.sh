#!/bin/sh
# Builds skerry-agent and skerry-hub for one Debian: sh packaging/build.sh RELEASE ARCH (armhf: the agent alone)
#
# What comes from the network is fetched first, by this machine's pip, pinned by requirements.lock. The building itself
# happens in a clean tree of that Debian, with its own Python and no network at all (packaging/inside.sh).
# What is packed is what is committed, this script apart. VERSION: another than pyproject's; EFFORT: of xz, 0 to 9.
set -eu
release=$1 arch=$2
cd "$(dirname "$0")/.."
python=.venv/bin/python
fail() { echo "packages: $*" >&2; exit 1; }
command -v unshare >/dev/null || fail "unshare is not here: apt install util-linux"
parts='agent hub' compiled='' # of which PyPI has no wheel for that machine
case $arch in
amd64) machine=x86_64 triplet=x86_64-linux-gnu ;;
arm64) machine=aarch64 triplet=aarch64-linux-gnu ;;
armhf) machine=armv7l triplet=arm-linux-gnueabihf parts=agent compiled='cffi msgspec psutil pynacl zstandard' ;;
*) fail "nobody has tried $arch: amd64 and arm64 are built, and the agent for armhf" ;;
esac
command -v "$triplet-strip" >/dev/null || fail "no strip for $arch: apt install binutils-$(echo $triplet | tr _ -)"
top=$PWD/build/packages
tree=$top/trees/$release-$arch
wheels=$top/wheels/$release-$arch
work=$top/making/$release-$arch
packaging=$work/source/packaging
rm -rf "$work"
mkdir -p "$wheels" "$work/source"
git archive HEAD protocol edge_agent hub packaging pyproject.toml requirements.lock README.md LICENSE | tar -x -C "$work/source"
sh "$packaging/tree.sh" "$release" "$arch" "$tree"
# shellcheck disable=SC1091 # the tree's own
number=$(. "$tree/etc/os-release" && echo "$VERSION_ID")
minor=$(readlink "$tree/usr/bin/python3" | sed 's/^python3\.//')
libc=$(sed -n '/^Package: libc6$/,/^$/s/^Version: \([0-9.]*\).*/\1/p' "$tree/var/lib/dpkg/status")
version=${VERSION:-$(sed -n 's/^version = "\(.*\)"/\1/p' "$work/source/pyproject.toml")}
full=$version+deb$number

echo "fetching     wheels for Python 3.$minor on $arch"
sed -i "s/^version = .*/version = \"$version\"/" "$work/source/pyproject.toml"
sed -i "s/^VERSION = .*/VERSION = \"$version\"/" "$work/source/edge_agent/app.py"
rm -f "$wheels"/*.whl
$python -m pip wheel --quiet --quiet --no-deps --no-build-isolation --wheel-dir "$wheels" "$work/source"
cp -R "$($python -c 'import os, pip; print(os.path.dirname(pip.__file__))')" "$work/pip"
# shellcheck disable=SC2086 # a list of words
$python "$packaging/pins.py" "${parts##* }" ${compiled:+but $compiled} <"$work/source/requirements.lock" >"$work/pins"
platforms="--platform manylinux2014_$machine --platform linux_$machine"
for glibc in $(seq 17 "${libc#2.}"); do platforms="$platforms --platform manylinux_2_${glibc}_$machine"; done
# shellcheck disable=SC2086 # a list of words
$python -m pip download --quiet --quiet --no-deps --dest "$wheels" --require-hashes --requirement "$work/pins" --only-binary :all: \
    --implementation cp --python-version "3.$minor" --abi "cp3$minor" --abi abi3 --abi none $platforms
if [ -n "$compiled" ]; then
    sources=$work/sources made=$top/compiled/$release-$arch
    $python -m pip install --quiet --quiet --no-deps --target "$sources/tools" --require-hashes --requirement "$packaging/compile.lock"
    $python -m pip install --quiet --quiet --no-deps --target "$sources/tools" --no-index --find-links "$wheels" pycparser
    cp -R "$work/pip" "$sources/tools"
    # shellcheck disable=SC2086 # a list of words
    $python "$packaging/pins.py" agent only $compiled <"$work/source/requirements.lock" >"$work/pins"
    PYTHONPATH=$sources/tools $python -m pip download --quiet --quiet --no-deps --dest "$sources" --require-hashes --no-binary :all: \
        --no-build-isolation --requirement "$work/pins"
    sh "$packaging/compile.sh" "$tree" "$triplet" "$work/compiling" "$sources" "$made"
    for one in "$sources"/*.tar.gz; do
        one=${one##*/}
        cp "$made/${one%.tar.gz}"-*.whl "$wheels"
    done
fi

echo "building     in Debian $number ($release) $arch, Python 3.$minor, no network"
mkdir -p "$work/upper" "$work/overlay" "$work/merged"
# shellcheck disable=SC2016 # for the inner shell
unshare --mount --net --pid --fork --propagation private sh -eu -c '
    mount -t overlay overlay -o "lowerdir=$1,upperdir=$2/upper,workdir=$2/overlay" "$2/merged"
    mkdir -p "$2/merged/mnt/wheels" "$2/merged/mnt/packaging" "$2/merged/mnt/making"
    mount --bind "$3" "$2/merged/mnt/wheels"
    mount --bind "$2/source/packaging" "$2/merged/mnt/packaging"
    mount --bind "$2" "$2/merged/mnt/making"
    mount -t proc proc "$2/merged/proc"
    exec chroot "$2/merged" env -i VERSION="$4" PARTS="$5" sh /mnt/packaging/inside.sh' sh "$tree" "$work" "$wheels" "$full" "$parts"

# The package of $1, whose command is $2.
package() {
    name=skerry-$1 files=$work/files home=usr/lib/skerry-$1
    rm -rf "$files"
    for folder in DEBIAN usr/bin usr/lib/systemd/system etc/skerry "usr/share/doc/$name"; do mkdir -p "$files/$folder"; done
    mkdir -p "$files/$home/versions"
    mv "$work/$1" "$files/$home/versions/$full"
    cp -R "$work/$1-completions/." "$files/usr/share/"
    # Symbols for debuggers: two thirds of what some wheels weigh.
    find "$files" -name '*.so*' -exec "$triplet-strip" --strip-unneeded {} +
    ln -s "../lib/$name/current/bin/$2" "$files/usr/bin/$2"
    for unit in "$packaging/$1/$name"*.service "$packaging/$1/$name"*.path "$packaging/$1/$name"*.socket; do
        [ ! -e "$unit" ] || cp "$unit" "$files/usr/lib/systemd/system/"
    done
    cp "$packaging/$1/$1.env" "$files/etc/skerry/"
    cp "$packaging/README.md" "$files/usr/share/doc/$name/"
    cp "$work/source/LICENSE" "$files/usr/share/doc/$name/copyright"
    echo "/etc/skerry/$1.env" >"$files/DEBIAN/conffiles"
    for script in postinst prerm postrm; do
        sed "s/@VERSION@/$full/" "$packaging/$1/$script" >"$files/DEBIAN/$script"
        chmod 755 "$files/DEBIAN/$script"
    done
    size=$(du -sk --exclude=DEBIAN "$files" | cut -f 1)
    sed -e "s/@VERSION@/$full/" -e "s/@ARCH@/$arch/" -e "s/@PYTHON@/3.$minor/" \
        -e "s/@PYTHON_NEXT@/3.$((minor + 1))/" -e "s/@LIBC@/$libc/" -e "s/@SIZE@/$size/" \
        "$packaging/$1/control" >"$files/DEBIAN/control"
    (cd "$files" && find usr etc -type f -exec md5sum {} + >DEBIAN/md5sums)
    chmod -R u+rwX,go+rX,go-w "$files"
    made=${name}_${full}_$arch.deb
    dpkg-deb --root-owner-group -Zxz "-z${EFFORT:-6}" --build "$files" "$top/out/$made.part" >/dev/null
    mv "$top/out/$made.part" "$top/out/$made"
    echo "made         build/packages/out/$made: $(($(stat -c %s "$top/out/$made") / 1000)) kB, installed $size KiB"
}
mkdir -p "$top/out"
for part in $parts; do
    case $part in
    agent) package agent skerry-agent ;;
    hub) package hub skerry ;;
    esac
done
rm -rf "$work"
