# bash completion for vgpuctl: commands, options, machines, sockets of daemons, pids of clients. Uses nothing but bash itself.

# Names of machines: those with a configuration, and those with a socket.
_vgpuctl_machines() {
        local path
        for path in $(compgen -G '/etc/vgpud/*.conf') $(compgen -G '/run/vgpud/*.sock'); do
                path=${path##*/}
                echo "${path%.*}"
        done
}

_vgpuctl() {
        local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]}
        local command="" socket=() i option

        # bash takes --socket=PATH for three words.
        if [[ $cur == '=' ]]; then
                cur=
        elif [[ $prev == '=' ]]; then
                prev=${COMP_WORDS[COMP_CWORD - 2]}
        fi

        for ((i = 1; i < COMP_CWORD; i++)); do
                case ${COMP_WORDS[i]} in
                --socket | --vm)
                        option=${COMP_WORDS[i]}
                        [[ ${COMP_WORDS[i + 1]} == '=' ]] && ((i++))
                        ((++i < COMP_CWORD)) && socket=("$option" "${COMP_WORDS[i]}")
                        ;;
                --json) [[ ${COMP_WORDS[i + 1]} == '=' ]] && ((i += 2)) ;;
                -*) ;;
                *)
                        [[ -n $command ]] || command=${COMP_WORDS[i]}
                        ;;
                esac
        done

        COMPREPLY=()
        case $prev in
        --socket)
                compopt -o filenames 2>/dev/null
                mapfile -t COMPREPLY < <(compgen -W "$(compgen -G '/run/vgpud/*.sock')" -- "$cur"
                        [[ -z $cur ]] || compgen -f -- "$cur")
                return
                ;;
        --vm)
                mapfile -t COMPREPLY < <(compgen -W "$(_vgpuctl_machines)" -- "$cur")
                return
                ;;
        --json)
                # Without a value it is complete; what follows a blank is another word.
                if [[ ${COMP_WORDS[COMP_CWORD]} == '=' || ${COMP_WORDS[COMP_CWORD - 1]} == '=' ]]; then
                        mapfile -t COMPREPLY < <(compgen -W 'pretty short off' -- "$cur")
                        return
                fi
                ;;
        --ram | --output | --directory | --file)
                compopt -o filenames 2>/dev/null
                mapfile -t COMPREPLY < <(compgen -f -- "$cur")
                return
                ;;
        --machine)
                mapfile -t COMPREPLY < <(compgen -W 'q35 pc microvm flat' -- "$cur")
                return
                ;;
        --since)
                mapfile -t COMPREPLY < <(compgen -W 'today yesterday' -- "$cur")
                return
                ;;
        --ram-size | --kcr3 | --seconds | --timeout | --lines | --count) return ;;
        esac

        local options='--socket --vm --json --no-pager --no-legend --help'
        case $command in
        '') options+=' --version' ;;
        watch) options+=' --seconds' ;;
        top) options+=' --batch --count --seconds' ;;
        screenshot) options+=' --no-cursor --timeout' ;;
        events) options+=' --follow --lines --explain --since --directory --file' ;;
        metrics) options+=' --output' ;;
        probe) options+=' --ram --machine --ram-size --kcr3 --processes' ;;
        esac

        if [[ $cur == -* ]]; then
                mapfile -t COMPREPLY < <(compgen -W "$options" -- "$cur")
                return
        fi
        case $command in
        '') mapfile -t COMPREPLY < <(compgen -W 'status clients drop watch top screenshot events doctor metrics probe' -- "$cur") ;;
        doctor) mapfile -t COMPREPLY < <(compgen -W "$(_vgpuctl_machines)" -- "$cur") ;;
        drop)
                # The third column; a daemon that does not answer has no pids to offer.
                mapfile -t COMPREPLY < <(compgen -W "$(vgpuctl "${socket[@]}" clients --no-legend 2>/dev/null |
                        awk '{ print $3 }')" -- "$cur")
                ;;
        screenshot)
                compopt -o filenames 2>/dev/null
                mapfile -t COMPREPLY < <(compgen -f -X '!*.png' -- "$cur"; compgen -d -- "$cur")
                ;;
        esac
}

complete -F _vgpuctl vgpuctl
