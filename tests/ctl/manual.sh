#!/usr/bin/env bash
# manual.sh VGPUCTL VGPUD FOLDER VGPUD_RAM - the manual pages are sound, and have the commands and options of the programs' own help, no other
set -euo pipefail
vgpuctl=$1 vgpud=$2 folder=$3 vgpud_ram=$4
export LC_ALL=C MANWIDTH=100

command -v man >/dev/null || { echo "skipped: man is not installed"; exit 77; }
failed=0

for page in vgpuctl.1 vgpud.conf.5 vgpud.8 vgpud-ram.8; do
        warnings=$(man --warnings -E UTF-8 -l -Tutf8 -Z "$folder/$page" 2>&1 >/dev/null)
        [[ -z $warnings ]] || { echo "$page: $warnings"; failed=1; }
done

# same WHAT HELP MANUAL
same() {
        if [[ $2 != "$3" ]]; then
                echo "$1: help has '${2//$'\n'/ }', the manual '${3//$'\n'/ }'"
                failed=1
        fi
}

# helped PROGRAM [COMMAND]: the options in its help
helped() {
        "$@" --help | sed -nE 's/^ +(-[a-z], )?(--[a-z0-9-]+).*/\2/p' | sort
}

# explained PAGE SECTION [COMMAND]: the options that begin a paragraph there
explained() {
        man -E ascii -l "$folder/$1" 2>/dev/null |
                awk -v section="$2" -v command="${3-}" '
                        /^[A-Z]/ { here = $0 == section; sub_here = command == "" }
                        /^   [^ ]/ { sub_here = $1 == command }
                        here && sub_here' |
                sed -nE 's/^       (-[a-z], )?(--[a-z0-9-]+).*/\2/p' | sort
}

commands=$("$vgpuctl" --help | sed -n '/^Commands:/,/^$/s/^  \([a-z]*\) .*/\1/p')
[[ -n $commands ]]
same "vgpuctl's commands" "$commands" "$(man -E ascii -l "$folder/vgpuctl.1" 2>/dev/null | sed -n 's/^   \([a-z][a-z]*\).*/\1/p')"
same vgpuctl "$(helped "$vgpuctl")" "$(explained vgpuctl.1 OPTIONS)"
for command in $commands; do
        same "vgpuctl $command" "$(helped "$vgpuctl" "$command")" "$(explained vgpuctl.1 COMMANDS "$command")"
done
same vgpud "$(helped "$vgpud")" "$(explained vgpud.8 OPTIONS)"
same vgpud-ram "$(helped "$vgpud_ram")" "$(explained vgpud-ram.8 OPTIONS)"
exit $failed
