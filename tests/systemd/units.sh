#!/bin/sh
# units.sh FOLDER SYSUSERS TMPFILES - systemd reads the units in FOLDER without a complaint, and finds little to worry about in
# the service
#
# The programs need not be installed for that: /bin/true stands in.
set -eu
units=$1 sysusers=$2 tmpfiles=$3

for tool in systemd-analyze systemd-sysusers systemd-tmpfiles; do
        command -v $tool >/dev/null || { echo "skipped: no $tool on this host"; exit 77; }
done

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cp "$units/vgpud@.socket" "$dir"
cp "$units/vgpud-metrics@.timer" "$units/vgpud-ram@.socket" "$dir"
for service in vgpud@.service vgpud-metrics@.service vgpud-ram@.service; do
        sed -E 's#^(Exec[A-Za-z]+=)[^ ]*/vgpu[a-z-]* #\1/bin/true #' "$units/$service" >"$dir/$service"
done
failed=0

# A key it does not know is only a warning to systemd, and a mistake to us.
systemd-analyze --man=no --recursive-errors=no verify "$dir/vgpud@.service" "$dir/vgpud@.socket" \
        "$dir/vgpud-metrics@.service" "$dir/vgpud-metrics@.timer" \
        "$dir/vgpud-ram@.service" "$dir/vgpud-ram@.socket" >"$dir/said" 2>&1 ||
        failed=1
cat "$dir/said"
! grep -qE 'vgpud(-metrics|-ram)?@' "$dir/said" || failed=1

# In tenths: an exposure of 1.0 passes. Who writes the metrics is root with one capability, which counts for a little more.
for service in vgpud@.service vgpud-ram@.service; do
        if systemd-analyze --no-pager security --offline=true --threshold=10 "$dir/$service" >"$dir/said" 2>&1; then
                grep -E '^✗|Overall' "$dir/said"
        else
                cat "$dir/said"
                failed=1
        fi
done

systemd-analyze --no-pager security --offline=true --threshold=20 "$dir/vgpud-metrics@.service" >"$dir/said" 2>&1 ||
        { cat "$dir/said"; failed=1; }

# User and groups, and the folders that belong to them, come to be on a host that has neither.
root=$dir/root
mkdir -p "$root/etc"
systemd-sysusers --root="$root" - <"$sysusers" || failed=1
grep -q '^vgpud:' "$root/etc/passwd" || { echo "no user vgpud"; failed=1; }
grep -q '^vgpu:.*:vgpud$' "$root/etc/group" || { echo "vgpud is not in the group vgpu"; failed=1; }
uid=$(sed -n 's/^vgpud:[^:]*:\([0-9]*\):.*/\1/p' "$root/etc/passwd")
if [ "$(id -u)" -eq 0 ]; then
        systemd-tmpfiles --root="$root" --create - <"$tmpfiles" || failed=1
        [ "$(stat -c '%a %u' "$root/run/vgpud")" = "755 $uid" ] || { echo "/run/vgpud is not vgpud's"; failed=1; }
        [ -d "$root/etc/vgpud" ] || { echo "no /etc/vgpud"; failed=1; }
fi
exit $failed
