#!/usr/bin/env bash
# activation.sh VGPUD VGPUCTL - a daemon that is given its socket serves that one, says so, and leaves the file where it is
set -euo pipefail
vgpud=$1 vgpuctl=$2
command -v systemd-socket-activate >/dev/null || { echo "skipped: no systemd-socket-activate on this host"; exit 77; }

dir=$(mktemp -d)
pid=''
trap '[[ -z $pid ]] || kill "$pid" 2>/dev/null || :; rm -rf "$dir"' EXIT
printf '[guest]\nram = %s/none.ram\n[ring]\nsocket = %s/other.sock\n' "$dir" "$dir" >"$dir/demo.conf"

# It listens, and becomes the daemon when somebody connects.
systemd-socket-activate --seqpacket -l "$dir/passed.sock" "$vgpud" --config "$dir/demo.conf" 2>"$dir/said" &
pid=$!
until [[ -S $dir/passed.sock ]]; do
        kill -0 "$pid" || { cat "$dir/said"; exit 1; }
done

# The first connection may be answered after its client has lost patience: what counts is that it is answered.
until "$vgpuctl" --socket "$dir/passed.sock" status --json >"$dir/status" 2>"$dir/why"; do
        kill -0 "$pid" || { cat "$dir/said" "$dir/why"; exit 1; }
done
grep -q '"state"' "$dir/status"

kill "$pid"
wait "$pid" || { cat "$dir/said"; exit 1; }
pid=''
cat "$dir/said"
grep -q "serves 'demo' on $dir/passed.sock" "$dir/said"
grep -q "warning: Clients connect to $dir/passed.sock.*not to \[ring\] socket = $dir/other.sock" "$dir/said"
[[ ! -e $dir/other.sock ]]
# Who made it removes it: until then clients wait for the next daemon.
[[ -S $dir/passed.sock ]]
