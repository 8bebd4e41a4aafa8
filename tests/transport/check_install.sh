#!/bin/sh
# check_install.sh BUILD EXAMPLE CONSUMER FLAGS - a program finds the installed library by pkg-config and by CMake
#
# Installs the library into a folder of its own and builds the example against it, in C and C++, shared and static. FLAGS
# is what the library itself was compiled with that a program has to know (a sanitizer).
set -eu
build=$1 example=$2 consumer=$3 flags=$4
for tool in cmake pkg-config cc c++; do
        command -v $tool >/dev/null || { echo "skipped: $tool is not installed"; exit 77; }
done

stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT
cmake --install "$build" --prefix "$stage" --component client >/dev/null
cmake --install "$build" --prefix "$stage" --component client-dev >/dev/null
libdir=$(dirname "$(find "$stage" -name libvgpu-client.a)")

# Each says what it says without a daemon: it runs, with the library it should have.
runs() {
        said=$(LD_LIBRARY_PATH=$libdir "$1" "$stage/none.sock" 1 2>&1) && return 1
        case $said in
        *"vgpud is not running"*) ;;
        *) echo "$1: $said"; return 1 ;;
        esac
}

# What was installed is where the .pc says, wherever the tree lies.
export PKG_CONFIG_PATH="$libdir/pkgconfig" PKG_CONFIG_SYSTEM_LIBRARY_PATH= PKG_CONFIG_SYSTEM_INCLUDE_PATH=
pc="pkg-config --define-variable=prefix=$stage"
$pc --validate vgpu-client
# shellcheck disable=SC2046
cc -std=c11 $flags -o "$stage/pc_c" "$example" $($pc --cflags --libs vgpu-client)
cp "$example" "$stage/example.cpp"
# shellcheck disable=SC2046
c++ -std=c++20 $flags -o "$stage/pc_cxx" "$stage/example.cpp" $($pc --cflags --libs vgpu-client)
# shellcheck disable=SC2046
cc -std=c11 $flags -o "$stage/pc_static" "$example" $($pc --cflags vgpu-client) "$libdir/libvgpu-client.a"
runs "$stage/pc_c"
runs "$stage/pc_cxx"
runs "$stage/pc_static"
readelf -d "$stage/pc_c" | grep -q 'NEEDED.*libvgpu-client.so.0'

cmake -S "$consumer" -B "$stage/consumer" -DCMAKE_PREFIX_PATH="$stage" -DEXAMPLE="$example" \
        -DCMAKE_C_FLAGS="$flags" -DCMAKE_CXX_FLAGS="$flags" >"$stage/log" 2>&1 || { cat "$stage/log"; exit 1; }
cmake --build "$stage/consumer" >"$stage/log" 2>&1 || { cat "$stage/log"; exit 1; }
for program in c cxx c_static cxx_static; do
        runs "$stage/consumer/$program"
done

# Another minor version is another interface while the major is 0.
if cmake -S "$consumer" -B "$stage/other" -DCMAKE_PREFIX_PATH="$stage" -DEXAMPLE="$example" -DWANTED=0.999 >/dev/null 2>&1; then
        echo "a version that is not there was found"
        exit 1
fi

man=$(find "$stage" -name vgpu_client.3)
[ -n "$man" ] && [ -f "$(dirname "$man")/vgpu_client_connect.3" ]
