#!/usr/bin/env bash
# filter.sh UNIT UNDER_FILTER VGPUD VGPUCTL GUEST - whatever the daemon does, the unit's filter of system calls lets it, and it needs
# no privilege for it
set -euo pipefail
source "$(dirname "$0")/filter_names.sh"
unit=$1
shift
command -v systemd-analyze >/dev/null || { echo "skipped: no systemd-analyze on this host"; exit 77; }
systemd-analyze syscall-filter @default >/dev/null 2>&1 || { echo "skipped: this systemd has no syscall filters"; exit 77; }

dir=$(mktemp -d)
guest='' daemon='' watcher=''
finish() {
        for pid in $watcher $daemon $guest; do
                kill -KILL "$pid" 2>/dev/null || :
        done
        rm -rf "$dir"
}
trap finish EXIT

fail() {
        echo "$1"
        cat "$dir/said" "$dir/why" 2>/dev/null || :
        exit 1
}

filter_names "$unit" >"$dir/names"

# Nobody has to be able to run these.
chmod 755 "$dir"
mkdir -m 777 "$dir/run"
for file; do cp "$file" "$dir"; done
under=$dir/$(basename "$1") vgpud=$dir/$(basename "$2") vgpuctl=$dir/$(basename "$3") vgpu_guest=$dir/$(basename "$4")

# RAM in a memfd takes the right to trace, which a user has over their own processes.
as_nobody=()
[[ $(id -u) -ne 0 ]] || as_nobody=(setpriv --reuid 65534 --regid 65534 --clear-groups)
touch "$dir/guest"
mkfifo "$dir/orders"
exec 3<>"$dir/orders"
"${as_nobody[@]}" "$vgpu_guest" --memfd --mode 320x240@60 <&3 >"$dir/guest" 2>&1 &
guest=$!
until grep -q '^ready ' "$dir/guest"; do kill -0 "$guest" || { cat "$dir/guest"; exit 1; }; done
ram=$(sed -n 's/^ready ram=\([^ ]*\) .*/\1/p' "$dir/guest")
echo "$guest" >"$dir/pid"
cat >"$dir/demo.conf" <<EOF
[guest]
ram = $ram
pidfile = $dir/pid
[ring]
socket = $dir/run/demo.sock
mode = 0666
group = $("${as_nobody[@]}" id -gn)
max_clients = 1024
wake_batch = 1
staging = yes
[control]
socket = $dir/run/demo.control
group = $("${as_nobody[@]}" id -gn)
EOF

# Looking for leaks takes ptrace(), which is refused.
export ASAN_OPTIONS=${ASAN_OPTIONS-}:detect_leaks=0
(ulimit -Sn 512 && exec "$under" "$vgpud" --config "$dir/demo.conf" <"$dir/names") >"$dir/said" 2>&1 &
daemon=$!

# answers WANTED: wait until a line of the daemon's status has this text
answers() {
        until "$vgpuctl" --socket "$dir/run/demo.sock" status --json=pretty >"$dir/status" 2>"$dir/why" && grep -q "$1" "$dir/status"; do
                if ! kill -0 "$daemon" 2>/dev/null; then
                        status=0
                        wait "$daemon" || status=$?
                        daemon=
                        [[ $status -ne 77 ]] || { cat "$dir/said"; exit 77; }
                        fail "the daemon ended with $status (159: a system call that the filter refuses)"
                fi
        done
}

answers '"state": "streaming"'
"$vgpuctl" --socket "$dir/run/demo.sock" watch --seconds 300 >"$dir/watched" 2>&1 &
watcher=$!
"$vgpuctl" --socket "$dir/run/demo.sock" screenshot --timeout 60 "$dir/picture.png" 2>"$dir/why" || fail "no picture"
until grep -q streaming "$dir/watched"; do kill -0 "$watcher" || fail "nobody watches"; done
echo 'mode 640x480@60' >&3
answers '"width": 640'
echo reboot >&3
answers '"epoch": [2-9]'
answers '"state": "streaming"'
"$vgpuctl" --socket "$dir/run/demo.sock" drop "$watcher" >"$dir/why" 2>&1 || fail "nobody was dropped"
answers '"generation": [2-9]'

kill "$daemon"
status=0
wait "$daemon" || status=$?
daemon=
[[ $status -eq 0 ]] || fail "the daemon ended with $status"
cat "$dir/said"
