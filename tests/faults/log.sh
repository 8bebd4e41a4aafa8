#!/usr/bin/env bash
# log.sh VGPUD VGPUCTL GUEST - whatever becomes of its log, the daemon streams, ends when it is told to, and writes into nothing else
set -euo pipefail
vgpud=$1 vgpuctl=$2 vgpu_guest=$3

dir=$(mktemp -d)
guest='' daemon=''
finish() {
        for pid in $daemon $guest; do
                kill -KILL "$pid" 2>/dev/null || :
                wait "$pid" 2>/dev/null || :
        done
        rm -rf "$dir"
}
trap finish EXIT

fail() {
        echo "$1"
        exit 1
}

mkfifo "$dir/orders"
exec 9<>"$dir/orders"
"$vgpu_guest" --memfd --mode 64x48@60 <&9 >"$dir/guest" 2>&1 &
guest=$!
until grep -q '^ready ' "$dir/guest"; do kill -0 "$guest" || fail "no guest"; done
ram=$(sed -n 's/^ready ram=\([^ ]*\) .*/\1/p' "$dir/guest")
printf '[guest]\nram = %s\nmachine = q35\n[ring]\nsocket = %s/sock\n[log]\nlevel = debug\n' "$ram" "$dir" >"$dir/demo.conf"

# lives WHAT COMMAND...: by the command a daemon is run whose log is so; it has to stream, and to stop with 0
lives() {
        local what=$1 status=0
        shift
        "$@" &
        daemon=$!
        until "$vgpuctl" --socket "$dir/sock" status --json=short 2>/dev/null | grep -q '"state":"streaming"'; do
                kill -0 "$daemon" 2>/dev/null || fail "$what: the daemon ended before it streamed"
        done
        "$vgpuctl" --socket "$dir/sock" screenshot "$dir/picture.png" || fail "$what: no picture"
        kill "$daemon"
        wait "$daemon" || status=$?
        daemon=
        [[ $status -eq 0 ]] || fail "$what: the daemon ended with $status"
}

run=("$vgpud" --config "$dir/demo.conf")
no_stderr() { exec "${run[@]}" 2>&-; }
no_descriptors() { exec "${run[@]}" 0<&- 1>&- 2>&- 9>&-; }
full_disk() { exec "${run[@]}" 2>/dev/full; }
nobody_reads() { exec "${run[@]}" 2> >(true); }
# systemd says by device and inode that stderr is the journal's; here nobody answers at journald's own socket
no_journald() {
        exec 2>"$dir/journal"
        JOURNAL_STREAM=$(stat -L -c '%d:%i' /proc/self/fd/2) exec "${run[@]}"
}

lives "stderr is closed" no_stderr
lives "all three are closed" no_descriptors
lives "the disk is full" full_disk
lives "nobody reads it" nobody_reads
if [[ ! -S /run/systemd/journal/socket ]]; then
        lives "no journal" no_journald
        grep -q Streaming "$dir/journal" || fail "what the journal does not take is not said on stderr"
fi

echo nonsense >"$dir/bad.conf"
status=0
"$vgpud" --config "$dir/bad.conf" 2> >(true) || status=$?
[[ $status -eq 78 ]] || fail "a bad configuration that nobody hears of ends with $status"
status=0
"$vgpud" --config "$dir/demo.conf" --check-config >/dev/full 2>"$dir/said" || status=$?
[[ $status -eq 1 ]] && grep -q 'No space left' "$dir/said" || fail "a result that cannot be written ends with $status"
