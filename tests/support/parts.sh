#!/bin/sh
# The real parts that the tests and the demo use beside Python: installed where this may be done, else named.
set -u
missing=
command -v mosquitto >/dev/null 2>&1 || [ -x /usr/sbin/mosquitto ] || missing="$missing mosquitto"
command -v mosquitto_pub >/dev/null 2>&1 || missing="$missing mosquitto-clients"
for part in "$@"; do  # further Debian packages that only some tests need
  dpkg -s "$part" >/dev/null 2>&1 || missing="$missing $part"
done
[ -z "$missing" ] && exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
  echo "installing$missing"
  { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing; } \
    >build/parts.log 2>&1 && exit 0
  tail -n 5 build/parts.log
fi
echo "not here and not installable from here:$missing. Tests that need them will be skipped; with Debian: sudo apt install$missing"
exit 0
