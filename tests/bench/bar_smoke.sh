#!/usr/bin/env bash
# Does what several runs wrote become a document, its tables and charts? bar_smoke.sh PROGRAM
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

fail() {
        echo "$*" >&2
        tail -n +1 "$work"/said "$work"/*.md >&2
        exit 1
}

for run in 1 2 3; do
        mkdir -p "$work/from/run-$run"
        {
                echo "table,group,row,unit,n,median,p95,p99,max,roofline,ratio,target,holds,note,title"
                echo "\"find\",\"\",\"discovery\",\"ms\",5,9$run,95,96,97,\"\",,\"median <= 92\",\"no\",\"\",\"Finding\""
                echo "\"find\",\"\",\"attach\",\"ms\",5,3$run,95,96,97,\"\",,\"median <= 20\",\"no\",\"\",\"Finding\""
        } >"$work/from/run-$run/find.csv"
        echo "a machine, load 0.$run before, a day" >"$work/from/run-$run/find.machine"
done
cat >"$work/doc.md" <<'END'
before
<!-- figures: from here to the end mark written by script/bench --document -->
old
<!-- figures: end -->
after
END
mkdir "$work/charts"
"$1" --program find --document "$work/doc.md" --figures "$work/figures.md" --charts "$work/charts" "$work/from" \
        >"$work/said" || fail "it ended with $?"

grep -q 'yes: 92.00; runs 91.00, 92.00, 93.00, spread 2.000$' "$work/said" || fail "the median of the runs is not judged"
grep -q 'publish to client awake' "$work/said" && fail "rows of other programs are printed"
grep -q '| yes: 92.00 | 91.00, 92.00, 93.00, spread 2.000 |' "$work/doc.md" || fail "the document lacks the runs"
grep -q 'by the median of 3 runs' "$work/doc.md" || fail "the document does not say how many runs there were"
grep -q '^- a machine, a day: find (3 runs, load 0.1, 0.2, 0.3)$' "$work/doc.md" || fail "the document lacks the machine"
grep -q '^| find | attach | median <= 20, ms | 32.00 | 60 % | 31.00, 32.00, 33.00, spread 2.000 |$' "$work/doc.md" ||
        fail "the document does not say what is beyond its target"
grep -q '^| find | discovery ' "$work/doc.md" && fail "what holds is listed as beyond its target"
grep -q '^old$' "$work/doc.md" && fail "the document keeps old figures"
[[ $(head -n 1 "$work/doc.md") == before && $(tail -n 1 "$work/doc.md") == after ]] ||
        fail "the document lost its text"
grep -q '^\*\*Finding\*\* (ms)$' "$work/figures.md" || fail "the tables lack their titles"
grep -q '</svg>' "$work/charts/find.svg" || fail "there is no chart"
