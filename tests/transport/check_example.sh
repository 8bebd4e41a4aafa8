#!/bin/sh
# check_example.sh DOCUMENT SOURCE - the program shown in the document is the one the tests build
set -eu
awk '/^```c$/ { shown = 1; next } /^```$/ { shown = 0 } shown' "$1" | diff - "$2"
