#!/usr/bin/env bash
# completion.sh VGPUCTL VGPUD FOLDER - shells complete what the programs' own help names, and nothing else
#
# bash runs on a terminal of its own, where a line is typed and readline is told to insert every completion that it has;
# the program that is "called" then writes down what it was given.
set -euo pipefail
vgpuctl=$1 vgpud=$2 folder=$3

command -v script >/dev/null || { echo "skipped: script(1) is not installed (Debian package bsdutils)"; exit 77; }

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
mkdir "$dir/run" "$dir/etc" "$dir/work" "$dir/work/folder"
touch "$dir"/run/{a,b}.sock "$dir/etc/win11.conf" "$dir"/work/{x.png,y.txt,own.conf}
for program in vgpuctl vgpud; do
        sed "s|/run/vgpud|$dir/run|; s|/etc/vgpud|$dir/etc|" "$folder/$program.bash" >"$dir/$program.bash"
done
cat >"$dir/rc" <<EOF
. $dir/vgpuctl.bash
. $dir/vgpud.bash
said() { local IFS=' '; echo "\$*" >>$dir/said; }
vgpuctl() {
        case "\$*" in
        *'--socket $dir/run/b.sock clients --no-legend'*) echo '0 root 33 b 1.0 s' ;;
        '--vm b clients --no-legend') echo '0 root 34 b 1.0 s' ;;
        *'clients --no-legend'*) echo '0 root 11 a 1.0 s'; echo '0 root 12 b c 1.0 s' ;;
        *) said "\$@" ;;
        esac
}
vgpud() { said "\$@"; }
set +o history
cd $dir/work
EOF

# typed LINE: what LINE becomes, without the program's name
typed() {
        rm -f "$dir/said"
        # M-* is readline's insert-completions
        printf '%s\e*\nexit\n' "$1" |
                TERM=dumb INPUTRC=/dev/null timeout 60 script -qec "bash --noprofile --rcfile '$dir/rc' -i" /dev/null >"$dir/terminal" 2>&1 || :
        if [[ -e $dir/said ]]; then
                sed 's/ *$//' "$dir/said"
        else
                cat "$dir/terminal" >&2
        fi
}

failed=0

becomes() {
        local got
        got=$(typed "$1")
        if [[ $got != "$2" ]]; then
                echo "'$1' becomes '$got' instead of '$2'"
                failed=1
        fi
}

# sorted WORD...: in readline's order, in one line
sorted() {
        printf '%s\n' "$@" | LC_ALL=C sort -u | paste -sd " "
}

commands() {
        "$vgpuctl" --help | sed -n '/^Commands:/,/^$/s/^  \([a-z]*\) .*/\1/p'
}

# options PROGRAM [COMMAND]: those that begin a line of its help, and --help
options() {
        { "$@" --help | sed -nE 's/^ +(-[a-z], )?(--[a-z0-9-]+).*/\2/p'; echo --help; } | LC_ALL=C sort -u
}

# all COMMAND: its own and those of every command
all() {
        { options "$vgpuctl" "$1"; options "$vgpuctl"; } | grep -vx -e --version | LC_ALL=C sort -u
}

export LC_ALL=C
mapfile -t words < <(commands)
[[ ${#words[@]} -gt 3 ]]
becomes 'vgpuctl ' "$(sorted "${words[@]}")"
becomes 'vgpuctl st' status
mapfile -t words < <(options "$vgpuctl")
becomes 'vgpuctl --' "$(sorted "${words[@]}")"
for command in $(commands); do
        mapfile -t words < <(all "$command")
        becomes "vgpuctl --socket x $command --" "--socket x $command $(sorted "${words[@]}")"
done
becomes 'vgpuctl probe --machine ' 'probe --machine flat microvm pc q35'
becomes 'vgpuctl watch --seconds ' 'watch --seconds'
becomes 'vgpuctl --socket ' "--socket $dir/run/a.sock $dir/run/b.sock"
becomes "vgpuctl --socket=$dir/run/b" "--socket=$dir/run/b.sock"
becomes 'vgpuctl --vm ' '--vm a b win11'
becomes 'vgpuctl --json=' '--json=off pretty short'
becomes 'vgpuctl status --json=p' 'status --json=pretty'
becomes 'vgpuctl --vm b --json dr' '--vm b --json drop'
becomes 'vgpuctl drop ' 'drop 11 12'
becomes 'vgpuctl --vm b drop ' '--vm b drop 34'
becomes "vgpuctl --socket=$dir/run/b.sock drop " "--socket=$dir/run/b.sock drop 33"
becomes 'vgpuctl doctor w' 'doctor win11'
becomes 'vgpuctl screenshot ' 'screenshot folder x.png'
mapfile -t words < <(options "$vgpud")
becomes 'vgpud --' "$(sorted "${words[@]}")"
becomes 'vgpud --config ' "--config $dir/etc/win11.conf"
becomes 'vgpud -c o' '-c own.conf'

# zsh's files are only read here, but they are to know the same words.
# knows COMMAND: the lines of _vgpuctl for it
knows() {
        awk -v command="$1" '
                /^        [a-z |]+\)$/ { here = 0; for (i = 1; i <= NF; i++) if ($i == command || $i == command ")") here = 1 }
                /;;/ { here = 0 }
                here' "$folder/_vgpuctl"
}
for command in $(commands); do
        grep -q "^ *['\"]$command:" "$folder/_vgpuctl" || { echo "_vgpuctl does not know $command"; failed=1; }
        knows "$command" | grep -qF '_arguments $common' || { echo "_vgpuctl gives $command no common options"; failed=1; }
        for option in $(options "$vgpuctl" "$command" | grep -vx -e --help); do
                knows "$command" | grep -qE -- "${option}(=?\}'?|=)?\[|${option}=?[}]" ||
                        { echo "_vgpuctl does not know $command $option"; failed=1; }
        done
done
for option in $(options "$vgpuctl"); do
        grep -q -- "${option}[=[]" "$folder/_vgpuctl" || { echo "_vgpuctl does not know $option"; failed=1; }
done
for option in $(options "$vgpud"); do
        grep -q -- "${option}[]}=[]" "$folder/_vgpud" || { echo "_vgpud does not know $option"; failed=1; }
done
! command -v zsh >/dev/null || for file in "$folder"/_vgpu*; do
        zsh -n "$file" || failed=1
done
exit $failed
