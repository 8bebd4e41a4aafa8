#!/bin/sh
# Is every source file as .clang-format wants it? Other versions of clang-format disagree among themselves: 14 decides.
set -eu
cd "$(dirname "$0")/.."
command -v clang-format >/dev/null || {
        echo "skipped: clang-format is not installed (Debian package clang-format)"
        exit 77
}
case $(clang-format --version) in
*" 14."*) ;;
*)
        echo "skipped: $(clang-format --version) is not version 14"
        exit 77
        ;;
esac
if [ -e .git ]; then
        git ls-files -z '*.c' '*.h' | xargs -0 clang-format --dry-run -Werror
else
        find . -path './build*' -prune -o -name '*.[ch]' -print0 | xargs -0 clang-format --dry-run -Werror
fi
