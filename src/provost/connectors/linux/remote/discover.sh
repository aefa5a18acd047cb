# shellcheck shell=sh
# What accounts there are. Each part is one line of a letter and a text; discovery.py reads them.  Nothing is as long as
# an account's owner likes, no password hash is among it, and of authorized_keys nothing but keys.

# One process for all accounts, not one for each: only what is odd costs one of its own.
most_bytes=1048576 # of an authorized_keys file
most_keys=1000     # of an account

p_list() { # DATABASE: all of its lines, and #end if they are all
    if command -v getent >/dev/null; then
        getent "$1" && echo '#end'
    else
        cat "/etc/$1" && echo '#end'
    fi | tr -d '\000'
}

p_read() { # DATABASE PROGRAM: what an awk program makes of its lines; the status tells whether there were all
    p_list "$1" | awk -F: "
        function clean(text, most) {
            text = substr(text, 1, most)
            gsub(/[[:cntrl:]]/, \"?\", text)
            return text
        }
        \$0 == \"#end\" { whole = 1; next }
        \$1 == \"\" || \$1 ~ /^[#+-]/ { next }
        $2
        END { exit !whole }"
}

# shellcheck disable=SC2016  # awk's
p_discover() { # PATTERN
    unset QUOTING_STYLE TIME_STYLE LS_COLORS
    if down=$(p_directory_down); then
        say discovery failed "$down, which it should ask, does not answer"
        return 0
    fi
    if ! users=$(p_read passwd '!seen[$1]++ {
        print clean($1, 256) ":" clean($3, 10) ":" clean($4, 10) ":" clean($5, 500) ":" clean($6, 1000) ":" clean($7, 500)
    }' 2>/dev/null) || [ -z "$users" ]; then
        say discovery failed "getent passwd failed, or ended too soon"
        return 0
    fi
    say discovery begins
    printf '%s\n' "$users" | sed 's/^/P/'
    p_read group '{
        print "G" clean($3, 10) ":" clean($1, 256)
        many = split($4, members, ",")
        for (i = 1; i <= many; i++) print "M" clean(members[i], 256) ":" clean($1, 256)
    }' 2>/dev/null && echo 'Egroup'
    p_read shadow '{
        kind = "none"
        if ($2 == "") kind = "empty"
        else if ($2 ~ /^!/) kind = "locked"
        else if ($2 ~ /^[$_]/ || length($2) == 13) kind = "password"
        print "S" clean($1, 256) ":" kind ":" clean($3, 10) ":" clean($5, 10) ":" clean($7, 10) ":" clean($8, 10)
    }' 2>/dev/null && echo 'Eshadow'
    [ ! -r /etc/login.defs ] || awk '$1 == "UID_MIN" { print "D" substr($2, 1, 10) }' /etc/login.defs
    echo "T$(date +%s)"
    printf '%s\n' "$users" | cut -d : -f 6 | sort -u | while IFS= read -r shell; do
        if [ -f "${shell:=/bin/sh}" ] && [ -x "$shell" ]; then printf 'X%s\n' "$shell"; fi
    done
    p_discover_logins
    p_discover_sudo
    p_discover_keys "$1"
    say discovery ended "$(printf '%s\n' "$users" | wc -l)"
}

p_discover_logins() { # when each account logged in last, as lastlog(8) or last(1) tell
    if command -v lastlog >/dev/null; then
        lastlog | awk '!/\*\*/ { print "L" substr($0, 1, 400) }'
    elif command -v last >/dev/null; then
        last -w --time-format iso | awk '!seen[$1]++ { print "L" substr($0, 1, 400) }'
    fi 2>/dev/null
}

p_discover_sudo() { # the rules, as JSON by cvtsudoers(1), one line each
    if ! command -v sudo >/dev/null; then
        echo Jnone
        return 0
    fi
    if [ -r /etc/nsswitch.conf ]; then
        while read -r database sources; do
            case $database.$sources in
            sudoers:.*sss*) if [ -e /etc/sssd/sssd.conf ] || [ -d /etc/sssd/conf.d ]; then return 0; fi ;;
            sudoers:.*ldap*) return 0 ;;
            esac
        done </etc/nsswitch.conf
    fi
    echo "H$(uname -n)"
    if command -v cvtsudoers >/dev/null; then
        { cvtsudoers -c '' -e -f json /etc/sudoers && echo '#end'; } 2>/dev/null |
            head -c "$most_bytes" | cut -c 1-20000 | sed 's/^/J/'
    fi
}

p_key_files() { # PATTERN: a line of name, uid, gid, home and file, with tabs, for each file that sshd would look at
    if [ -z "$1" ] && command -v sshd >/dev/null && p_matches_keys; then
        # Somewhere it depends on the user.
        printf '%s\n' "$users" | while IFS=: read -r user uid gid _ home _; do
            failed=
            p_patterns ''
            if [ -n "$failed" ]; then
                printf '%s\t%s\t%s\t%s\t?\n' "$user" "$uid" "$gid" "$home"
            elif [ "$patterns" != none ]; then
                printf '%s\n' "$patterns" | while IFS= read -r pattern; do
                    p_expand "$pattern"
                    printf '%s\t%s\t%s\t%s\t%s\n' "$user" "$uid" "$gid" "$home" "$file"
                done
            fi
        done
        return 0
    fi
    user=root
    failed=
    p_patterns "$1"
    [ -z "$failed" ] || return 1
    [ "$patterns" != none ] || return 0
    printf '%s\n' "$users" | awk -F: -v patterns="$patterns" '
        BEGIN { many = split(patterns, list, "\n") }
        {
            for (i = 1; i <= many; i++) {
                rest = list[i]
                file = ""
                while (at = index(rest, "%")) {
                    file = file substr(rest, 1, at - 1)
                    letter = substr(rest, at + 1, 1)
                    if (letter == "h") file = file $5
                    else if (letter == "u") file = file $1
                    else if (letter == "U") file = file $2
                    else if (letter == "%") file = file "%"
                    rest = substr(rest, at + 2)
                }
                file = file rest
                if (file !~ /^\//) file = $5 "/" file
                print $1 "\t" $2 "\t" $3 "\t" $5 "\t" file
            }
        }'
}

p_matches_keys() { # sshd_config has an AuthorizedKeysFile, or may have one, within a Match block
    cat /etc/ssh/sshd_config /etc/ssh/sshd_config.d/*.conf 2>/dev/null | awk '
        tolower($1) ~ /^match/ { within = 1 }
        within && tolower($1) ~ /^(authorizedkeysfile|include)/ { found = 1 }
        END { exit !found }'
}

# Of files, only lines that hold keys, and not too many of these; K is a key, W says that there is more.
# shellcheck disable=SC2016  # awk's
read_keys='
    function show(line) {
        if (line ~ /^[ \t]*#/ || line !~ /(^|[ \t])(ssh|ecdsa|sk)-[a-z0-9@.-]+[ \t]+AAAA/) return 1
        gsub(/[[:cntrl:]]/, " ", line)
        if (length(line) > 16000 || ++shown > most) return 0
        print "K" name "\t" line
        return 1
    }'

p_discover_keys() { # PATTERN
    if ! files=$(p_key_files "$1"); then return 0; fi
    # First what ls tells of homes, folders and files: a link, or a file that is not of the account, is not for root to
    # follow. sshd ignores what others may write.
    places=$(printf '%s\n' "$files" | awk -F '\t' '{
        folder = $5
        sub(/\/[^\/]*$/, "", folder)
        print $4; print folder; print $5
    }' | sort -u | grep '^/' | tr '\n' '\000' | xargs -0 ls -ldn -- 2>/dev/null)
    kinds=$({ printf '%s\n' "$places" | sed 's/^/L/'; printf '%s\n' "$files" | sed 's/^/F/'; } |
        awk -F '\t' -v most="$most_bytes" '
        /^L/ {
            if (!match($0, /^L[^ ]+ +[0-9]+ +[0-9]+ +[0-9]+ +[0-9]+ +[A-Z][a-z][a-z] +[0-9]+ +[0-9:]+ /)) next
            path = substr($0, RLENGTH + 1)
            split($0, words, " +")
            if (words[1] ~ /^Ll/) sub(/ -> .*/, "", path)
            mode[path] = substr(words[1], 2); owner[path] = words[3]; size[path] = words[5]
            next
        }
        {
            name = substr($1, 2); uid = $2; home = $4; file = $5
            folder = file
            sub(/\/[^\/]*$/, "", folder)
            inside = index(file, home "/") == 1
            if (file == "?") kind = "unknown"
            else if (!(file in mode)) next
            else if (mode[file] ~ /^l/ || mode[folder] !~ /^d/ || (inside && mode[home] !~ /^d/)) kind = "odd"
            else if (mode[file] !~ /^-/) next
            else if (substr(mode[file], 9, 1) == "w") next
            else if (substr(mode[folder], 9, 1) == "w" && mode[folder] !~ /^d........[tT]/) next
            else if (owner[file] != uid && owner[file] != 0) next
            else if (size[file] > most + 0) kind = "unknown"
            else if (owner[file] != uid && substr(mode[file], 8, 1) != "r") kind = "odd"
            else kind = "plain"
            print kind "\t" name "\t" uid "\t" $3 "\t" file
        }')
    printf '%s\n' "$kinds" | awk -F '\t' -v most="$most_keys" "$read_keys"'
        $1 == "unknown" { print "W" $2 }
        $1 == "plain" {
            name = $2
            shown = 0
            whole = total < 50 * most
            while (whole && (got = (getline line < $5)) > 0) whole = show(line)
            close($5)
            total += shown
            if (!whole || got < 0) print "W" name
        }'
    printf '%s\n' "$kinds" | while IFS='	' read -r kind name number main file; do
        [ "$kind" = odd ] || continue
        # As the account, as sshd does, and not for long: its owner may stop it.
        p_read_as "$name" "$number" "$main" "$file" 2>/dev/null | { head -c "$((most_bytes + 1))" && echo; } |
            awk -v name="$name" -v most="$most_keys" -v limit="$most_bytes" "$read_keys"'
                { bytes += length($0) + 1; if (!show($0)) more = 1 }
                END { if (more || bytes > limit + 1) print "W" name }'
    done
    echo Ekeys
}
