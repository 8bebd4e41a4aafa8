# filter_names.sh - for sourcing: which system calls a unit's SystemCallFilter= lines let through

# members WORD: the system calls of a group and its groups, or the call itself
members() {
        if [[ $1 != @* ]]; then
                echo "$1"
                return
        fi
        local name
        systemd-analyze syscall-filter "$1" | sed '1d; s/#.*//' | while read -r name; do
                [[ -z $name ]] || members "$name"
        done
}

# filter_names UNIT: as systemd reads it: an allow list begins with @default; a line adds to it, or with ~ takes away.
filter_names() {
        local -A allowed=()
        local line word name
        for name in $(members @default); do allowed[$name]=1; done
        while read -r line; do
                for word in ${line#\~}; do
                        for name in $(members "$word"); do
                                if [[ $line == '~'* ]]; then unset "allowed[$name]"; else allowed[$name]=1; fi
                        done
                done
        done < <(sed -n 's/^SystemCallFilter=//p' "$1")
        printf '%s\n' "${!allowed[@]}"
}
