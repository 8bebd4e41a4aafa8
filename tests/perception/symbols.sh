#!/bin/sh
# The perception core may use memory and string functions, malloc and free: nothing that opens, waits, logs or talks.
# symbols.sh NM ARCHIVE SANITIZERS
set -eu

allowed='memcpy memset memcmp memmove strlen strcmp strncmp malloc calloc free _GLOBAL_OFFSET_TABLE_ __stack_chk_fail'
allowed="$allowed __memcpy_chk __memset_chk __memmove_chk"

names=$("$1" --format=posix "$2")
defined=$(printf '%s\n' "$names" | awk 'NF >= 2 && $2 ~ /^[TDBRWVtdbr]$/ { print $1 }' | sort -u)
used=$(printf '%s\n' "$names" | awk '$2 == "U" { print $1 }' | sort -u)
foreign=''
for name in $used; do
        case "$name" in
        __asan_* | __ubsan_* | __tsan_* | __sanitizer_*)
                [ -n "$3" ] && continue ;;
        esac
        case " $allowed " in *" $name "*) continue ;; esac
        printf '%s\n' "$defined" | grep -qx "$name" && continue
        foreign="$foreign $name"
done
if [ -n "$foreign" ]; then
        echo "the perception core must not use:$foreign" >&2
        exit 1
fi
