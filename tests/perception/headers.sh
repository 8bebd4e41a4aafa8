#!/bin/sh
# Every public header compiles on its own; the region ABI as C11 and C++, freestanding too.
# headers.sh CC INCLUDE_DIR
set -eu

check() {
        header=$1
        shift
        printf '#include "%s"\n' "$header" |
                "$@" -Wall -Wextra -Werror -fsyntax-only -I "$include" - || {
                echo "$header does not compile with: $*" >&2
                exit 1
        }
}

cc=$1
include=$2
for header in memmodel.h win32.h vgpu_stream.h vgpu_perception.h; do
        check "$header" "$cc" -x c -std=gnu17
done
check vgpu_stream.h "$cc" -x c -std=c11 -pedantic
check vgpu_stream.h "$cc" -x c -std=c11 -pedantic -ffreestanding -nostdlib
if ! command -v c++ >/dev/null; then
        echo "no C++ compiler: vgpu_stream.h as C++ was not checked"
        exit 77
fi
check vgpu_stream.h c++ -x c++ -std=c++11 -pedantic
check vgpu_stream.h c++ -x c++ -std=c++20 -pedantic
