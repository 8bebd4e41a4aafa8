# bash completion for vgpuctl: commands, options, sockets of daemons, pids of clients. Uses nothing but bash itself.

_vgpuctl() {
        local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]}
        local command="" socket="" i

        # bash takes --socket=PATH for three words.
        if [[ $cur == '=' ]]; then
                cur=
        elif [[ $prev == '=' ]]; then
                prev=${COMP_WORDS[COMP_CWORD - 2]}
        fi

        for ((i = 1; i < COMP_CWORD; i++)); do
                case ${COMP_WORDS[i]} in
                --socket)
                        [[ ${COMP_WORDS[i + 1]} == '=' ]] && ((i++))
                        ((++i < COMP_CWORD)) && socket=${COMP_WORDS[i]}
                        ;;
                -*) ;;
                *)
                        command=${COMP_WORDS[i]}
                        break
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
        --ram)
                compopt -o filenames 2>/dev/null
                mapfile -t COMPREPLY < <(compgen -f -- "$cur")
                return
                ;;
        --machine)
                mapfile -t COMPREPLY < <(compgen -W 'q35 pc microvm flat' -- "$cur")
                return
                ;;
        --ram-size | --kcr3 | --seconds | --timeout) return ;;
        esac

        local options=--help
        case $command in
        '') options='--socket --help --version' ;;
        status) options+=' --json' ;;
        clients) options+=' --json --no-legend' ;;
        watch) options+=' --seconds' ;;
        screenshot) options+=' --no-cursor --timeout' ;;
        probe) options+=' --ram --machine --ram-size --kcr3 --processes --json' ;;
        esac

        if [[ $cur == -* ]]; then
                mapfile -t COMPREPLY < <(compgen -W "$options" -- "$cur")
                return
        fi
        case $command in
        '') mapfile -t COMPREPLY < <(compgen -W 'status clients drop watch screenshot probe' -- "$cur") ;;
        drop)
                # The third column; a daemon that does not answer has no pids to offer.
                mapfile -t COMPREPLY < <(compgen -W "$(vgpuctl ${socket:+--socket "$socket"} clients --no-legend 2>/dev/null |
                        awk '{ print $3 }')" -- "$cur")
                ;;
        screenshot)
                compopt -o filenames 2>/dev/null
                mapfile -t COMPREPLY < <(compgen -f -X '!*.png' -- "$cur"; compgen -d -- "$cur")
                ;;
        esac
}

complete -F _vgpuctl vgpuctl
