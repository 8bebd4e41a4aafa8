#!/bin/sh
# catalog.sh CATALOG EVENTS - journalctl takes the catalog, and has for each event of events.c a subject, a text and a manual page
set -eu
catalog=$1 events=$2
command -v journalctl >/dev/null || { echo "skipped: no journalctl on this host"; exit 77; }

root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
mkdir -p "$root/usr/lib/systemd/catalog" "$root/var/lib/systemd/catalog"
cp "$catalog" "$root/usr/lib/systemd/catalog"
journalctl --root="$root" --update-catalog

ids=$(grep -oE '"[0-9a-f]{32}"' "$events" | tr -d '"')
[ -n "$ids" ]
failed=0
for id in $ids; do
        text=$(journalctl --root="$root" --dump-catalog "$id") || { echo "$id has no entry"; failed=1; continue; }
        echo "$text" | grep -q '^Subject: .' || { echo "$id has no subject"; failed=1; }
        echo "$text" | grep -qE '^Documentation: man:vgpu(d\(8\)|ctl\(1\)|d\.conf\(5\))$' ||
                { echo "$id names no manual page"; failed=1; }
        # What it means and what to do are more than a line.
        [ "$(echo "$text" | sed '1,/^$/d' | wc -c)" -gt 80 ] || { echo "$id says too little"; failed=1; }
done
exit $failed
