#!/bin/bash
# freestanding.sh ARCHIVE... - everything the archives need beyond each other is memset, memcpy and memcmp.
# The guest kernel and a Windows program link these sources; a libc call would be found there, late.
set -euo pipefail

defined=$(nm --defined-only --extern-only "$@" | awk 'NF == 3 { print $3 }' | sort -u)
needed=$(nm --undefined-only "$@" | awk 'NF == 2 { print $2 }' | sort -u)
allowed=$(printf '%s\n' memcmp memcpy memset _GLOBAL_OFFSET_TABLE_)

extra=$(comm -23 <(printf '%s\n' "$needed") <(printf '%s\n%s\n' "$defined" "$allowed" | sort -u))
if [[ -n $extra ]]; then
        printf 'not freestanding, needs:\n%s\n' "$extra" >&2
        exit 1
fi
