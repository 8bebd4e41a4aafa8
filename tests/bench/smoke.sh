#!/usr/bin/env bash
# Does the benchmark run from end to end and print what it says it prints? smoke.sh PROGRAM ring|peers
set -euo pipefail

program=$1 which=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

fail() {
        echo "$*" >&2
        cat "$work"/* >&2
        exit 1
}

"$program" --frames 20 --rounds 1 --clients 2 --only "$which" --csv "$work/csv" --log "$work/log" >"$work/table" ||
        fail "it ended with $?"
grep -q '^Targets: ' "$work/table" || fail "nothing is said of targets"
grep -q 'failed:' "$work/table" && fail "something could not be measured"

# 15 fields everywhere, once quoted ones are out of the way; every measured row in order: median <= p95 <= p99 <= max
awk -F, '
        { line = $0; gsub(/"[^"]*"/, "text") }
        NF != 15 { print "line " NR " has " NF " fields"; bad = 1 }
        NR == 1 { if ($1 != "table" || $15 != "title") { print "no header"; bad = 1 } next }
        line !~ /^"ring_(handoff|client|lost|cost|flatness|ratio)"/ { print "line " NR " is of no table"; bad = 1 }
        { rows++ }
        $5 > 0 && !($6 <= $7 && $7 <= $8 && $8 <= $9) { print "line " NR " is not in order"; bad = 1 }
        END { if (!rows) print "no row"; exit bad || !rows }' "$work/csv" || fail "the CSV is not as it should be"

measured=$(awk -F, '/^"ring_handoff"/ { gsub(/"[^"]*"/, "text"); if ($5 > 0) n++ } END { print n + 0 }' "$work/csv")
if [[ $measured -eq 0 ]]; then
        [[ $which == peers ]] || fail "no client got a frame"
        sed -n 's/.*skipped: /skipped: /p' "$work/table" | sort -u
        exit 77
fi
