# bash completion for vgpud: options, configurations. Uses nothing but bash itself.

_vgpud() {
        local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]}

        # bash takes --config=FILE for three words.
        if [[ $cur == '=' ]]; then
                cur=
        elif [[ $prev == '=' ]]; then
                prev=${COMP_WORDS[COMP_CWORD - 2]}
        fi

        COMPREPLY=()
        case $prev in
        --config | -c)
                compopt -o filenames 2>/dev/null
                mapfile -t COMPREPLY < <(compgen -W "$(compgen -G '/etc/vgpud/*.conf')" -- "$cur"
                        [[ -z $cur ]] || compgen -f -X '!*.conf' -- "$cur"
                        [[ -z $cur ]] || compgen -d -- "$cur")
                ;;
        *) mapfile -t COMPREPLY < <(compgen -W '--config --check-config --quiet --version --help' -- "$cur") ;;
        esac
}

complete -F _vgpud vgpud
