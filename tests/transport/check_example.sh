#!/bin/sh
# check_example.sh DOCUMENT SOURCE... - the programs shown in the document are those that the tests build, in this order
set -eu
document=$1
shift
shown=$(awk '/^```c$/ { shown = 1; next } /^```$/ { shown = 0 } shown' "$document")
built=$(cat "$@")
[ "$shown" = "$built" ] || { echo "$document does not show $*"; exit 1; }
