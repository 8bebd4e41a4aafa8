#!/usr/bin/env bash
# screens.sh VGPUCTL CANNED FOLDER [--update] - status and top in a real terminal look as they did
#
# tmux is the terminal; a canned daemon answers the same each time. FOLDER/*.txt are the pictures. After a change that is meant:
#
#     tests/ctl/screens.sh build/bin/vgpuctl build/bin/ctl_canned tests/ctl/screens --update
set -euo pipefail
vgpuctl=$(realpath "$1") canned=$(realpath "$2") folder=$(realpath "$3") update=${4-}

command -v tmux >/dev/null || { echo "skipped: tmux is not installed"; exit 77; }

dir=$(mktemp -d)
export LC_ALL=C TMUX= TERM=xterm SHELL=/bin/sh
unset NO_COLOR SYSTEMD_COLORS SYSTEMD_PAGER PAGER
n_terminals=0
# A server for each: one that was told to end may still take a moment for it.
term() { tmux -f /dev/null -S "$dir/tmux$n_terminals" "$@" 9>&-; }
finish() {
        term kill-server 2>/dev/null || :
        stop
        rm -rf "$dir"
}
trap finish EXIT
failed=0 server=

serve() {
        mkfifo "$dir/alive"
        "$canned" "$dir/demo.sock" "$folder"/{status,clients,metrics}.json <"$dir/alive" &
        server=$!
        exec 9>"$dir/alive"
        until "$vgpuctl" --socket "$dir/demo.sock" status >/dev/null 2>&1; do kill -0 "$server"; done
}

stop() {
        [[ -n $server ]] || return 0
        exec 9>&-
        wait "$server" || :
        rm -f "$dir/alive" "$dir/demo.sock"
        server=
}

# run WIDTHxHEIGHT COMMAND...: in a new terminal, which stays when it has ended
run() {
        local size=$1
        shift
        term kill-server 2>/dev/null || :
        n_terminals=$((n_terminals + 1))
        term new-session -d -x "${size%x*}" -y "${size#*x}" "$*; echo \"ended with \$?\"; stty -a | grep -o -- '-*icanon'; cat"
        # No line of tmux's own.
        term set-option -g status off \; resize-window -x "${size%x*}" -y "${size#*x}"
}

# What goes on while it is looked at: how much of the past is known, and for how long the daemon has been away.
seen() {
        term capture-pane -p | sed -E 's/(states -5min) *[-#]+ now/\1 # now/; s/(away since) [0-9.]+ s/\1 N s/'
}

# becomes NAME: the screen is, or soon will be, as in FOLDER/NAME.txt
becomes() {
        local expected=$folder/$1.txt until=$((SECONDS + 60))
        if [[ $update == --update ]]; then
                until [[ $(seen) == *"$2"* ]]; do [[ $SECONDS -lt $until ]]; done
                seen >"$expected"
                return
        fi
        until seen >"$dir/seen" && cmp -s "$dir/seen" "$expected"; do
                if [[ $SECONDS -ge $until ]]; then
                        echo "$1 looks different:"
                        diff -u "$expected" "$dir/seen" || :
                        failed=1
                        return
                fi
        done
}

# shows TEXT
shows() {
        local until=$((SECONDS + 60))
        until [[ $(seen) == *"$1"* ]]; do
                if [[ $SECONDS -ge $until ]]; then
                        echo "'$1' is not on the screen:"
                        seen
                        failed=1
                        return
                fi
        done
}

serve
run 80x24 "$vgpuctl" --socket "$dir/demo.sock" status
becomes status-80x24 'ended with 0'

# Long output goes through the pager of the administrator's choice, and into no other place.
paged="SYSTEMD_PAGERSECURE=0 SYSTEMD_PAGER='sed s/^/paged:/' $vgpuctl --socket $dir/demo.sock"
run 80x24 "$paged status"
shows 'paged:       State: streaming'
run 80x24 "$paged status --no-pager"
shows $'\n         RAM: /dev/shm'
run 80x24 "$paged status -j"
shows '"uptime_ms": 200000'
# One that may start programs is not run with rights that the login session lacks.
run 80x24 "SYSTEMD_PAGERSECURE=1 SYSTEMD_PAGER='sed s/^/paged:/' $vgpuctl --socket $dir/demo.sock clients"
shows 'UID  USER'
[[ $(seen) != *paged* ]] || { echo "a pager that is not trusted was run"; failed=1; }

# coloured: is there an escape for bold red on the screen?
coloured() { term capture-pane -pe | grep -q $'\e\[1m\e\[31m\|\e\[31m'; }
run 80x60 "$vgpuctl doctor no-such-machine"
shows 'ended with 1'
coloured || { echo "the doctor has no colours"; failed=1; }
for off in NO_COLOR=1 SYSTEMD_COLORS=0 TERM=dumb; do
        run 80x60 "$off $vgpuctl doctor no-such-machine"
        shows 'ended with 1'
        ! coloured || { echo "the doctor has colours with $off"; failed=1; }
done
run 80x60 "NO_COLOR=1 SYSTEMD_COLORS=1 $vgpuctl doctor no-such-machine"
shows 'ended with 1'
coloured || { echo "SYSTEMD_COLORS=1 does not go before NO_COLOR"; failed=1; }

# From the second look on nothing moves any more: rates are of what came between two looks.
top="$vgpuctl --socket $dir/demo.sock top"
run 80x24 "$top"
becomes top-80x24 $'fps\n0 bit/s'
term send-keys s
shows 'by lag'
term resize-window -x 40 -y 10
becomes top-40x10 ' 0 looks/s'
term resize-window -x 200 -y 60
becomes top-200x60 'by lag'
term resize-window -x 80 -y 24
term send-keys s s s
stop
becomes top-away-80x24 'away since N s'
serve
becomes top-80x24 $'fps\n0 bit/s'
term send-keys p
shows '[paused]'
term send-keys q
# Whatever ends it, the terminal is as it was.
shows 'ended with 0
icanon'
for signal in INT TERM HUP; do
        run 80x24 "sh -c 'echo \$\$ >$dir/pid; exec $top'"
        shows 'q quit'
        kill -"$signal" "$(cat "$dir/pid")"
        shows 'ended with 0
icanon'
done
run 80x24 "$top --seconds 0.1"
shows 'ended with 0
icanon'
# A terminal that can do nothing gets text.
run 80x24 "TERM=dumb $top -n 1"
shows 'ended with 0'
shows 'copying a frame'
exit $failed
