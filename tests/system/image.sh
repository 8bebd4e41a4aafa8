#!/bin/sh
# image.sh - make the Debian that the system tests boot, unless it is there, and print the folder it is in
#
# A minimal system with systemd and the libraries that our packages depend on, so that the tests need no network. It is made once:
# it lies in a cache under a name that is a hash of this recipe. Packages come from where this machine's own do.
set -eu
recipe='systemd systemd-sysv libuv1 liburing2 libinih1 libpng16-16 libjson-c5 acl procps'
suite=bookworm

skip() {
        echo "skipped: $1" >&2
        exit 77
}
[ "$(id -u)" -eq 0 ] || skip "a system to test in takes root"
for tool in debootstrap systemd-nspawn unshare nsenter dpkg-deb; do
        command -v "$tool" >/dev/null || skip "$tool is not installed (script/setup system)"
done

cache=${XDG_CACHE_HOME:-/var/cache}/vgpud-test
mkdir -p "$cache"
key=$({ cat "$0"; dpkg --print-architecture; } | sha256sum | cut -c1-16)
image=$cache/$suite-$key
exec 9>"$cache/lock"
flock 9
if [ -d "$image" ]; then
        touch "$image"
        echo "$image"
        exit 0
fi

# The first Debian archive that apt here knows, by whichever proxy it goes through.
mirror=$(apt-get indextargets --format '$(REPO_URI) $(RELEASE)' 2>/dev/null |
        awk -v suite="$suite" '$2 == suite { print $1; exit }')
[ -n "$mirror" ] || skip "apt has no archive of $suite here to make a system from"
proxy=$(apt-config shell p Acquire::http::Proxy)
eval "$proxy"
[ -z "${p-}" ] || export http_proxy="$p"

new=$(mktemp -d "$cache/new.XXXXXX")
trap 'rm -rf "$new"' EXIT
trap 'exit 1' HUP INT TERM
echo "Making a Debian $suite to test in, once..." >&2
debootstrap --variant=minbase --include="$(echo "$recipe" | tr ' ' ,)" "$suite" "$new/root" "$mirror" >"$new/log" 2>&1 || {
        tail -n 5 "$new/log" >&2
        skip "debootstrap could not make a system from $mirror"
}

# An empty machine-id is made anew at each boot, without the questions of a first one.
root=$new/root
: >"$root/etc/machine-id"
echo vgpud-test >"$root/etc/hostname"
rm -rf "$root"/var/cache/apt/* "$root"/var/lib/apt/lists/* "$root"/usr/share/locale/* "$root"/usr/share/doc/*
rm -f "$root"/etc/systemd/system/timers.target.wants/* "$root"/etc/systemd/system/multi-user.target.wants/systemd-networkd.service \
        "$root"/etc/systemd/system/sockets.target.wants/systemd-networkd.socket

# What former recipes made goes, when nobody has booted it for a week.
find "$cache" -mindepth 1 -maxdepth 1 -name "$suite-*" -mtime +7 -exec rm -rf {} +
mv "$root" "$image"
touch "$image"
echo "$image"
