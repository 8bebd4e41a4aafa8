#!/usr/bin/env bash
# Does a benchmark run from end to end and write what it says it writes? table_smoke.sh PROGRAM
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

fail() {
        echo "$*" >&2
        cat "$work"/* >&2
        exit 1
}

"$1" --quick --csv "$work/csv" --svg "$work/svg" >"$work/table" || fail "it ended with $?"
grep -q '^Targets: ' "$work/table" || fail "nothing is said of targets"
grep -q '</svg>' "$work/svg" || fail "the chart does not end"

# 15 fields everywhere, once quoted ones are out of the way; every measured row in order: median <= p95 <= p99 <= max
awk -F, '
        { gsub(/"[^"]*"/, "text") }
        NF != 15 { print "line " NR " has " NF " fields"; bad = 1 }
        NR == 1 { if ($1 != "table" || $15 != "title") { print "no header"; bad = 1 } next }
        { rows++ }
        $5 > 0 { measured++; if (!($6 <= $7 && $7 <= $8 && $8 <= $9)) { print "line " NR " is not in order"; bad = 1 } }
        END { if (!measured) print "nothing was measured"; exit bad || !measured }' "$work/csv" ||
        fail "the CSV is not as it should be"
