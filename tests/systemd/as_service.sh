#!/bin/sh
# as_service.sh ARGUMENT... - run $VGPU_SERVICE with its standard error as the journal's stream, as systemd would
JOURNAL_STREAM=$(stat -L -c %d:%i /proc/self/fd/2) exec "$VGPU_SERVICE" "$@"
