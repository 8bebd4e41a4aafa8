#!/bin/sh
# lintian.sh STATE - Debian's own checker has neither an error nor a warning for the packages, and nothing is overridden
set -eu
[ ! -e "$1/skipped" ] || { cat "$1/skipped"; exit 77; }
command -v lintian >/dev/null || { echo "skipped: lintian is not installed (script/setup system)"; exit 77; }
lintian --allow-root --no-override --fail-on error,warning "$1"/packages/*.deb
