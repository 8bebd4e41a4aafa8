#!/bin/sh
# check_manual.sh PAGE HEADER EXAMPLE - the manual is sound, names every function, and shows the example that is tested
set -eu
command -v man >/dev/null || { echo "skipped: man is not installed"; exit 77; }

warnings=$(MANWIDTH=100 man --warnings -E UTF-8 -l -Tutf8 -Z "$1" 2>&1 >/dev/null)
if [ -n "$warnings" ]; then
        echo "$warnings"
        exit 1
fi

missing=0
for function in $(sed -n 's/^[a-z].*[ *]\(vgpu_client_[a-z_]*\)(.*/\1/p' "$2"); do
        # in the synopsis, and where it is explained
        grep -q "^\.BI .*$function(" "$1" || { echo "$function is not in the synopsis"; missing=1; }
        grep -q "^\.BR $function ()" "$1" || { echo "$function is not explained"; missing=1; }
done
[ $missing -eq 0 ]

sed -n '/^\.SH EXAMPLES/,/^\.EE/p' "$1" | sed '1,/^\.EX/d; /^\.EE/d; s/\\e/\\/g; s/\\-/-/g; s/^\\&//' | diff - "$3"
