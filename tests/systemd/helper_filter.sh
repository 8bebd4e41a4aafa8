#!/usr/bin/env bash
# helper_filter.sh UNIT UNDER_FILTER VGPUD VGPUCTL GUEST HELPER - the RAM helper does its work in its unit's filter of system calls
#
# It runs as the guest's user, who needs no capability for it; the daemon is another.
set -euo pipefail
source "$(dirname "$0")/filter_names.sh"
unit=$1
shift
command -v systemd-analyze >/dev/null || { echo "skipped: no systemd-analyze on this host"; exit 77; }
command -v systemd-socket-activate >/dev/null || { echo "skipped: no systemd-socket-activate on this host"; exit 77; }
systemd-analyze syscall-filter @default >/dev/null 2>&1 || { echo "skipped: this systemd has no syscall filters"; exit 77; }
[[ $(id -u) -eq 0 ]] || { echo "skipped: two users take root"; exit 77; }

dir=$(mktemp -d)
guest='' daemon='' helper=''
finish() {
        for pid in $helper $daemon $guest; do
                kill -KILL "$pid" 2>/dev/null || :
        done
        rm -rf "$dir"
}
trap finish EXIT

fail() {
        echo "$1"
        cat "$dir"/*.said 2>/dev/null || :
        exit 1
}

filter_names "$unit" >"$dir/names"
chmod 755 "$dir"
mkdir -m 777 "$dir/run"
for file; do cp "$file" "$dir"; done
under=$dir/$(basename "$1") vgpud=$dir/$(basename "$2") vgpuctl=$dir/$(basename "$3")
vgpu_guest=$dir/$(basename "$4") vgpud_ram=$dir/$(basename "$5")

mkfifo "$dir/orders"
exec 3<>"$dir/orders"
setpriv --reuid 65534 --regid 65534 --clear-groups "$vgpu_guest" --memfd --mode 320x240@60 <&3 >"$dir/guest.said" 2>&1 &
guest=$!
until grep -q '^ready ' "$dir/guest.said"; do kill -0 "$guest" || fail "no guest"; done
echo "$guest" >"$dir/pid"
chmod 644 "$dir/pid"
printf '[guest]\nram = auto\npidfile = %s/pid\nram_helper = %s/run/helper.sock\n[ring]\nsocket = %s/run/demo.sock\nmode = 0666\n' \
        "$dir" "$dir" "$dir" >"$dir/demo.conf"
chmod 644 "$dir/demo.conf"

# Looking for leaks takes ptrace(), which is refused.
export ASAN_OPTIONS=${ASAN_OPTIONS-}:detect_leaks=0
systemd-socket-activate -E ASAN_OPTIONS --seqpacket -l "$dir/run/helper.sock" "$under" "$vgpud_ram" --config "$dir/demo.conf" \
        --user 65533 <"$dir/names" >"$dir/helper.said" 2>&1 &
helper=$!
until [[ -S $dir/run/helper.sock ]]; do kill -0 "$helper" || fail "nobody listens for the helper"; done
chmod 666 "$dir/run/helper.sock"
setpriv --reuid 65533 --regid 65533 --clear-groups "$vgpud" --config "$dir/demo.conf" >"$dir/daemon.said" 2>&1 &
daemon=$!

status=0
wait "$helper" || status=$?
helper=
[[ $status -ne 77 ]] || { cat "$dir/helper.said"; exit 77; }
[[ $status -eq 0 ]] || fail "the helper ended with $status (159: a system call that the filter refuses)"
grep -q '1 RAM file handed to process' "$dir/helper.said" || fail "nothing was handed over"
until "$vgpuctl" --socket "$dir/run/demo.sock" status --json 2>/dev/null | grep -qE '"state": ?"streaming"'; do
        kill -0 "$daemon" || fail "the daemon ended"
done
cat "$dir/helper.said"
