#!/usr/bin/env bash
# Counts the instructions of each guarded step of vgpu-guard under callgrind, and compares them with counts.txt beside this file.
#
#   guard.sh PROGRAM BUILD            compare; 77 where the counts are of another build
#   guard.sh --update PROGRAM BUILD   write counts.txt anew
#
# BUILD: compiler and options. Figures of another compiler, C library or processor say nothing about ours.
set -euo pipefail

margin=3 # percent, up or down
counts=$(dirname "$0")/counts.txt
update=false
if [[ ${1-} == --update ]]; then
        update=true
        shift
fi
program=$1 build=$2

if ! command -v valgrind >/dev/null; then
        echo "skipped: valgrind is not installed (script/setup test)"
        exit 77
fi
# The C library has a memcpy() for each kind of processor.
here="$build, $(getconf GNU_LIBC_VERSION), $(valgrind --version)"
here+=", $(grep -q -w avx2 /proc/cpuinfo && echo avx2 || echo no avx2)"
if ! $update; then
        there=$(sed -n 's/^# //p' "$counts" | tail -n 1)
        if [[ $here != "$there" ]]; then
                echo "skipped: this is '$here', the counts are of '$there'"
                exit 77
        fi
fi

# In the order in which the program takes them. callgrind takes no pattern here.
steps=(attach newest discover walk peek sample cursor publish histogram)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
valgrind --tool=callgrind --callgrind-out-file="$work/out" --collect-atstart=no \
        --toggle-collect='guarded_*' "${steps[@]/#/--dump-after=guarded_}" -q "$program" >"$work/said" 2>&1 || {
        cat "$work/said" >&2
        echo "vgpu-guard failed under callgrind" >&2
        exit 1
}
# A dump after each step; the last one, at the end of the program, is of none.
for dump in $(find "$work" -name 'out.[0-9]*' | sort -V); do
        awk '/^desc: Trigger: --dump-after=guarded_/ { sub(/.*guarded_/, ""); name = $1 }
                /^summary:|^totals:/ { total = $2 }
                END { if (name != "") print name, total }' "$dump"
done >"$work/now"
[[ -s $work/now ]] || {
        cat "$work/said" >&2
        echo "callgrind counted nothing" >&2
        exit 1
}

if $update; then
        {
                echo "# Instructions of each guarded step (guard.c), by 'script/guard --update'. The build they are of:"
                echo "# $here"
                cat "$work/now"
        } >"$counts"
        cat "$counts"
        exit 0
fi

grep -v '^#' "$counts" >"$work/before"
awk -v margin="$margin" '
        NR == FNR { before[$1] = $2; next }
        !($1 in before) { printf "%-10s %9d instructions, and no earlier figure\n", $1, $2; bad = 1; next }
        {
                change = ($2 / before[$1] - 1) * 100
                moved = change > margin || change < -margin
                printf "%-10s %9d instructions, %9d before (%+.1f %%)%s\n", $1, $2, before[$1], change, moved ? "  <-- moved" : ""
                bad = bad || moved
                delete before[$1]
        }
        END {
                for (name in before) { printf "%-10s is not counted any more\n", name; bad = 1 }
                if (bad)
                        printf "What a step takes moved by more than %d %%, up or down. If that was the purpose, run script/guard --update, commit tests/guard/counts.txt with the change, and say so in its message.\n", margin
                exit bad
        }' "$work/before" "$work/now"
