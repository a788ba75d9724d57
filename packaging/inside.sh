#!/bin/sh
# Runs in a clean tree of a Debian, with no network: /mnt holds wheels, packaging and what is being made (build.sh).
# Makes the virtual environments of agent and hub, each where it will lie on the device. VERSION: the package's; PARTS: agent, hub.
set -eu
export PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 PYTHONDONTWRITEBYTECODE=1 HOME=/tmp
umask 022
for part in $PARTS; do
    home=/usr/lib/skerry-$part/versions/$VERSION # side by side (protocol/upgrade)
    python3 -m venv --without-pip "$home"
    PYTHONPATH=/mnt/making "$home/bin/python" -m pip install --quiet --no-index --no-compile --no-cache-dir \
        --disable-pip-version-check --root-user-action=ignore --find-links /mnt/wheels "skerry[$part]"
    lib=$(echo "$home"/lib/python3.*/site-packages)
    if [ "$part" = agent ]; then rm -r "$lib/hub" "$home/bin/skerry"; fi
    find "$home/bin" ! -type d ! -name 'python*' ! -name 'skerry*' -delete
    find "$lib" -type d -name tests -prune -exec rm -r {} +
    # zstandard's second backend, which stands in for the first where there is none (12 MB).
    rm -f "$lib"/zstandard/_cffi.*.so
    rm -rf "${home:?}/include" "${home:?}/lib64"
    # By contents, not by dates: nothing of it is ever written on the device.
    "$home/bin/python" -m compileall -q -j 2 --invalidation-mode unchecked-hash "$lib"
    command=skerry
    [ "$part" = hub ] || command=skerry-agent
    sh /mnt/packaging/completions.sh "$home/bin/$command" "/mnt/making/$part-completions"
    mv "$home" "/mnt/making/$part"
done
