#!/bin/sh
# check_exports.sh LIBRARY HEADER - the shared library offers what its header declares, and nothing else
set -eu
declared=$(sed -n 's/^[a-z].*[ *]\(vgpu_client_[a-z_]*\)(.*/\1/p' "$2" | sort)
exported=$(nm -D --defined-only "$1" | awk '$2 != "A" { sub(/@.*/, "", $3); print $3 }' | sort)
if [ "$declared" != "$exported" ]; then
        echo "declared:"; echo "$declared"
        echo "exported:"; echo "$exported"
        exit 1
fi
