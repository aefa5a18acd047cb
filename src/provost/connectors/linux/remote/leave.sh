# shellcheck shell=sh
# The end of an account: it is disabled, or removed.

# What accounts that were disabled had before, in files of their names: the day of expiry, the shell, and `locked` if
# the password was locked.
disabled=/var/lib/provost/disabled

# How many times, 0.1 s apart, processes are looked for and ended.
patience=100

p_local() { # USER: set `entry` to the line of /etc/passwd, or to nothing
    entry=
    while IFS= read -r found; do
        case $found in
        "$1":*)
            entry=$found
            return 0
            ;;
        esac
    done </etc/passwd
}

p_passwd() { # all accounts that can be listed, some of them twice
    cat /etc/passwd
    ! command -v getent >/dev/null || getent passwd
}

p_leaver() { # ACTOR: set what p_owner sets, and `others`, accounts with the same uid; refuse who cannot leave
    p_owner
    [ -z "$failed" ] || return 0
    if [ -z "$entry" ]; then
        # A directory that is down may know users that getent cannot tell of.
        ! down=$(p_directory_down) || p_fail refused lookup_failed "$down, which the host should ask, does not answer"
        return 0
    fi
    case $uid in
    '' | *[!0-9]* | ???????????*) p_fail refused lookup_failed "the uid of $user is no number" ;;
    *[1-9]*)
        # To setreuid(2), the greatest number means "as it was", which is root.
        [ "$uid" -lt 4294967295 ] || p_fail refused lookup_failed "the uid of $user is no number"
        ;;
    *) p_fail refused protected_account "$user is root: its uid is 0" ;;
    esac
    p_local "$user"
    [ -n "$entry" ] || p_fail refused not_local "$user comes from a directory, not from /etc/passwd; end it there"
    [ "$user" != "$1" ] || p_fail refused acting_account "$user acts on the host itself"
    others=$(p_passwd | awk -F: -v uid="$uid" -v user="$user" '$3 == uid && $1 != user && !seen[$1]++ { print $1 }' | tr '\n' ' ')
    others=${others% }
    [ "$(id -u "$1" 2>/dev/null)" != "$uid" ] ||
        p_fail refused acting_account "$1, which acts on the host itself, has the same uid"
}

p_locked() { # LINE of shadow
    case $1 in
    "$user":!*) return 0 ;;
    esac
    return 1
}

p_lock() { # no login by any secret; `before` is what p_unlock puts back
    before=$(p_look_up shadow "$user" 2>/dev/null)
    shell=${entry##*:}
    if [ "$tools" = shadow ]; then
        output=$(usermod -L -e 1 "$user" 2>&1)
    else
        # BusyBox has no way to let an account expire. dropbear, and sshd with PAM, let keys into a locked account.
        nologin=$(command -v nologin) || nologin=/bin/false
        output=$({ { p_locked "$before" || passwd -l "$user"; } && p_shell "$nologin"; } 2>&1)
    fi
    status=$?
    after=$(p_look_up shadow "$user" 2>/dev/null)
    if [ "$status" = 0 ] && p_locked "$after"; then return 0; fi
    if [ "$before" = "$after" ]; then
        p_fail refused disable_refused "the account could not be locked: $output"
    else
        p_fail unsure disable_unsure "the account could not be locked in full: $output"
    fi
}

p_shell() { # SHELL: set it in /etc/passwd, where there is no usermod; the file is replaced whole or not at all
    draft=$(mktemp /etc/.provost.XXXXXXXX) || return 1
    if awk -F: -v OFS=: -v user="$user" -v shell="$1" '$1 == user { $7 = shell } { print }' /etc/passwd >"$draft" &&
        [ "$(wc -l <"$draft")" = "$(wc -l </etc/passwd)" ] && chmod 644 "$draft" && sync &&
        mv -f "$draft" /etc/passwd; then
        return 0
    fi
    rm -f "$draft"
    return 1
}

p_unlock() { # as it was before p_lock
    expires=$(printf '%s' "$before" | cut -d : -f 8)
    if [ "$tools" = shadow ]; then
        usermod -e "$expires" "$user"
        p_locked "$before" || usermod -U "$user"
    else
        p_locked "$before" || passwd -u "$user"
        p_shell "$shell"
    fi
} >/dev/null 2>&1

# shellcheck disable=SC2016  # another shell expands it
kill_all='
while read -r name real effective _; do
    if [ "$name $real $effective" = "Uid: $1 $1" ]; then kill -s KILL -- -1; fi
done </proc/$$/status'

p_list_processes() { # set `processes` to those that run under `uid`, in whatever way; a zombie runs no more
    processes=
    # shellcheck disable=SC2013  # there are no spaces in these names
    for status in $(grep -s -l -E "^Uid:([[:space:]][0-9]+)*[[:space:]]$uid([[:space:]]|\$)" /proc/[0-9]*/status); do
        process=${status#/proc/}
        grep -s -q '^State:[[:space:]]*[ZX]' "$status" || processes="$processes ${process%/status}"
    done
}

p_end_processes() { # kill all that the account runs, and wait until none is left
    if [ -d /run/systemd/system ] && command -v loginctl >/dev/null; then
        loginctl disable-linger "$user"
        loginctl terminate-user "$user"
    fi >/dev/null 2>&1
    tries=0
    while :; do
        # As the account itself: kill(2) then means every process of it at one instant, and none can fork away.
        # Also when none was seen: one that forks and ends all the time is missed by a look.
        if command -v setpriv >/dev/null; then
            setpriv --reuid="$uid" --regid="$gid" --clear-groups /bin/sh -c "$kill_all" provost "$uid"
        else
            su -s /bin/sh -c "set -- $uid; $kill_all" "$user"
        fi </dev/null >/dev/null 2>&1
        p_list_processes
        [ -n "$processes" ] || return 0
        if [ "$tries" -ge "$patience" ]; then
            p_fail unsure processes_left "these processes of $user do not end:$processes"
            return 0
        fi
        # shellcheck disable=SC2086  # a list
        kill -s KILL $processes 2>/dev/null
        sleep 0.1 2>/dev/null || sleep 1
        tries=$((tries + 1))
    done
}

p_disable() { # ACTOR
    p_leaver "$1"
    if [ -n "$failed" ] || [ -z "$entry" ]; then return 0; fi
    p_note_disabled
    [ -z "$failed" ] || return 0
    p_lock
    [ -z "$failed" ] || return 0
    if [ -n "$others" ]; then
        p_fail unsure processes_left "$user is locked; what it runs goes on, since $others has the same uid"
        return 0
    fi
    p_end_processes
}

p_note_disabled() { # before it is disabled: what p_enable puts back
    before=$(p_look_up shadow "$user" 2>/dev/null)
    expires=$(printf '%s' "$before" | cut -d : -f 8)
    shell=${entry##*:}
    locked=
    ! p_locked "$before" || locked=locked
    if [ -e "$disabled/$user" ]; then
        # Since it was disabled, nothing but a new password may have taken the lock away.
        [ -z "$locked" ] || return 0
        { IFS= read -r expires && IFS= read -r shell; } <"$disabled/$user"
    elif [ -n "$locked" ]; then
        # As p_lock leaves an account: what it was before is not known.
        case $tools.$expires.$shell in
        shadow.1.* | busybox.*/nologin | busybox.*/false) return 0 ;;
        esac
    fi
    mkdir -p "$disabled" 2>/dev/null
    draft=$disabled/.$user.draft
    if ! printf '%s\n' "$expires" "$shell" "$locked" >"$draft" || ! mv -f "$draft" "$disabled/$user"; then
        rm -f "$draft"
        p_fail refused host_not_writable "could not write in $disabled: is the disk full or read-only?"
    fi
}

p_enable() { # ACTOR: as it was before p_disable, as far as that is known
    p_leaver "$1"
    [ -z "$failed" ] || return 0
    if [ -z "$entry" ]; then
        p_fail refused enable_refused "there is no account $user"
        return 0
    fi
    before=$(p_look_up shadow "$user" 2>/dev/null)
    expires=
    shell=${entry##*:}
    case $shell in */nologin | */false) shell=/bin/sh ;; esac
    locked=
    if [ -e "$disabled/$user" ]; then
        { IFS= read -r expires && IFS= read -r shell && IFS= read -r locked; } <"$disabled/$user"
    fi
    if [ "$tools" = shadow ]; then
        output=$(usermod -e "$expires" "$user" 2>&1) ||
            p_fail refused enable_refused "the expiry could not be taken away: $output"
    else
        output=$(p_shell "$shell" 2>&1) || p_fail refused enable_refused "the shell could not be set: $output"
    fi
    [ -z "$failed" ] || return 0
    case $locked/$before in
    locked/*) ;;      # so it was before
    "/$user":!:*) ;; # it has no password that could be let in again
    "/$user":!*)
        if [ "$tools" = shadow ]; then output=$(usermod -U "$user" 2>&1); else output=$(passwd -u "$user" 2>&1); fi
        # shellcheck disable=SC2181  # of either
        [ $? = 0 ] || p_fail unsure enable_unsure "the password is locked still: $output"
        ;;
    esac
    [ -n "$failed" ] || rm -f "$disabled/$user"
}

p_own_home() { # set `place` to the home folder without any link, or to nothing, and `why` then
    place=
    why=
    [ -e "$home" ] || [ -L "$home" ] || return 0
    name=${home%"${home##*[!/]}"}
    parent=$(cd -P -- "${name%/*}/" 2>/dev/null && pwd -P)
    name=${name##*/}
    parent=${parent%/}
    real=$parent/$name
    # shellcheck disable=SC2012  # POSIX has no stat
    case $(ls -ldn "$real" 2>/dev/null | { read -r mode _ owner _ && echo "$owner $mode"; }) in
    "$uid d"*) ;;
    *\ l*) why="it is a symbolic link" ;;
    *) why="it is no folder of the account's own" ;;
    esac
    case $home in
    /*) ;;
    *) why="it is no path" ;;
    esac
    case $name in
    '' | . | ..) why="it is no folder of the account's own" ;;
    esac
    case $real/ in
    /bin/* | /boot/* | /dev/* | /etc/* | /lib/* | /lib32/* | /lib64/* | /libx32/* | /proc/* | /run/* | /sbin/* | /sys/* | /usr/*)
        why="it is a folder of the system" ;;
    esac
    # With nothing in between, it is a folder such as /srv.
    [ -n "$parent" ] || why="it is a folder of the system"
    [ -n "$why" ] || p_roots_alone "${parent:-/}" || why="others may write in the folders above it"
    [ -n "$why" ] || ! p_mounts "$real" || why="another file system is mounted there"
    if [ -z "$why" ] && neighbour=$(p_neighbour "$real"); then
        why="it is, or holds, the home of $neighbour"
    fi
    [ -n "$why" ] || place=$real
}

p_mounts() { # FOLDER: something is mounted on it, or below
    while read -r _ _ _ _ point _; do
        point=$(printf '%b' "$point") # proc(5): odd characters are octal
        case $point/ in "$1"/*) return 0 ;; esac
    done </proc/self/mountinfo
    return 1
}

p_neighbour() { # FOLDER: print another account that lives there, or below
    p_passwd | tr -s / | while IFS=: read -r name _ _ _ _ theirs _; do
        [ "$name" != "$user" ] || continue
        theirs=${theirs%/}
        # Not every home is entered: some are mounted by that.
        if [ -L "$theirs" ] || [ "${theirs##*/}" = "${1##*/}" ]; then
            ! cd -P -- "$theirs" 2>/dev/null || theirs=$(pwd -P)
        fi
        case $theirs/ in "$1"/*) echo "$name" && break ;; esac
    done | grep .
}

p_belongings() { # list what else is kept in a file of the account's name: mail, crontab
    for belonging in /var/mail /var/spool/mail /var/spool/cron/crontabs /var/spool/cron; do
        belonging=$belonging/$user
        if [ -f "$belonging" ] && [ ! -L "$belonging" ]; then echo "$belonging"; fi
    done
}

p_prepare_archive() { # FOLDER: it is there, and root's alone
    if [ ! -d "$1" ] && ! { mkdir -p "$1" && chmod 0700 "$1"; } 2>/dev/null; then
        p_fail refused host_not_writable "could not make $1: is the disk full or read-only?"
    elif ! p_roots_alone "$1"; then
        p_fail refused unsafe_path "$1 can be written by others than root"
    fi
}

p_archive() { # FOLDER: pack the home and the belongings there; `archive` is the file, whole and on the disk, or nothing
    archive=
    output="could not write in $1"
    set -- "$1" "$1/.$user.draft" "$1/$user-$(date -u +%Y%m%dT%H%M%SZ).tar.gz"
    rm -f "$2" # what a shell that was killed has left may still write there
    {
        [ -z "$place" ] || printf '%s\n' "${place#/}"
        p_belongings | sed 's,^/,,'
    } >"$2.list" || return 1
    if [ ! -s "$2.list" ]; then
        rm -f "$2.list"
        return 0
    fi
    if output=$(tar -C / -c -z -f "$2" -T "$2.list" 2>&1) && output=$(tar -t -z -f "$2" 2>&1 >/dev/null) &&
        { sync "$2" || sync; } 2>/dev/null && output=$(mv -f "$2" "$3" 2>&1); then
        archive=$3
        rm -f "$2.list"
        return 0
    fi
    rm -f "$2" "$2.list"
    return 1
}

p_delete() { # PATH: with all below, on its own file system; a link is removed, and not followed
    if rm --one-file-system -rf -- /nonexistent/provost 2>/dev/null; then
        rm --one-file-system -rf -- "$1"
    else
        rm -rf -- "$1"
    fi
}

p_withdraw_all() { # PATTERN: take away the keys that Provost put into files of the account's own
    p_patterns "$1"
    if [ -n "$failed" ] || [ "$patterns" = none ]; then
        failed=
        return 0
    fi
    line=
    while IFS= read -r pattern; do
        case $pattern in
        *%[uUh]* | [!/]*) ;;
        *) continue ;; # everybody's
        esac
        p_expand "$pattern"
        [ -e "$file" ] || continue
        case $file in
        "$home"/*)
            # What stays there lets nobody in.
            [ -n "$place" ] || p_keep_keys withdraw '' ''
            failed=
            ;;
        *)
            p_keep_keys withdraw '' ''
            if [ -n "$failed" ]; then
                failed="unsure remove_unfinished"
                return 0
            fi
            [ -s "$file" ] || rm -f "$file"
            ;;
        esac
    done <<END
$patterns
END
}

p_remove() { # ACTOR HOME ARCHIVES SUDOERS PATTERN
    choice=$2
    p_leaver "$1"
    [ -z "$failed" ] || return 0
    if [ -z "$entry" ]; then
        rm -f "$creating/$user" "$disabled/$user" "/etc/sudoers.d/$4"
        return 0
    fi
    if [ -n "$others" ]; then
        p_fail refused uid_shared "$others has the same uid: what belongs to $user cannot be told"
        return 0
    fi
    if [ "$tools" = none ]; then
        p_fail refused no_useradd "the host has neither userdel nor deluser"
        return 0
    fi
    [ "$choice" != archive ] || p_prepare_archive "$3"
    [ -n "$failed" ] || p_lock
    [ -n "$failed" ] || p_end_processes
    [ -z "$failed" ] || return 0
    place=
    why=
    [ "$choice" = keep ] || p_own_home
    archive=
    if [ "$choice" = archive ] && ! p_archive "$3"; then
        p_unlock
        p_fail refused archive_failed "nothing was removed: $output"
        return 0
    fi
    [ -z "$archive" ] || p_tell "What it had is in $archive."
    # From here on, something is gone.
    [ ! -e "/etc/sudoers.d/$4" ] || rm -f "/etc/sudoers.d/$4" ||
        p_fail unsure remove_unfinished "could not remove /etc/sudoers.d/$4"
    [ -n "$failed" ] || p_withdraw_all "$5"
    for jobs in /var/spool/cron/atjobs /var/spool/at; do
        [ ! -d "$jobs" ] || find "$jobs" -xdev -type f -user "$uid" -exec rm -f {} +
    done
    rm -f "/var/spool/cron/crontabs/$user" "/var/spool/cron/$user" "/var/lib/systemd/linger/$user"
    if [ "$choice" != keep ]; then
        p_belongings | while IFS= read -r belonging; do rm -f "$belonging"; done
        [ -z "$place" ] || output=$(p_delete "$place" 2>&1) ||
            p_fail unsure remove_unfinished "$place could not be deleted in full: $output"
    fi
    [ -z "$failed" ] || return 0
    if [ "$tools" = shadow ]; then output=$(userdel "$user" 2>&1); else output=$(deluser "$user" 2>&1); fi
    p_local "$user"
    if [ -n "$entry" ]; then
        p_fail unsure remove_unfinished "the account itself is still there: $output"
        return 0
    fi
    rm -f "$creating/$user" "$disabled/$user"
    [ -z "$why" ] || p_tell "Its home $home was left: $why."
}
