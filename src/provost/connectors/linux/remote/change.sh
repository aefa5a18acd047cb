# shellcheck shell=sh
# One change: p_start, steps, p_end.

p_start() { # INDEX USER
    index=$1
    user=$2
    failed=
    detail=
    began=
    made=
    fresh_home=
    sudoers=
    previous=
    told=
}

p_fail() { # refused|unsure CODE MESSAGE...: the first failure counts; refused: certainly nothing was set
    [ -z "$failed" ] || return 0
    failed="$1 $2"
    shift 2
    detail=$(one_line "$*")
}

p_tell() { # MESSAGE: what the operator should know of it, however it ends
    told="$told${told:+ }$*"
}

p_make() { # HOME COMMAND...: create the account, or go on with a creation that was cut off; HOME - wants none
    home=${1:-$home_base/$user}
    shift
    entry=$(p_look_up passwd "$user")
    case $? in
    0 | 2) ;;
    *)
        p_fail refused lookup_failed "getent failed"
        return 0
        ;;
    esac
    ! p_unfinished "$user" || began=yes
    if [ -n "$entry" ]; then
        if [ -z "$began" ]; then
            p_fail refused appeared "the account appeared on the host since it was looked for; push again"
        elif [ "$home" != - ] && [ ! -e "$home" ]; then
            ids=${entry#*:*:}
            gid=${ids#*:}
            if ! cp -R /etc/skel "$home" || ! chown -R "${ids%%:*}:${gid%%:*}" "$home"; then
                p_fail refused create_refused "could not make the home folder $home"
            fi
        fi
        return 0
    fi
    [ -e "$home" ] || fresh_home=yes
    if ! { [ -d "$creating" ] || mkdir -p "$creating"; } || ! echo "$$" >"$creating/$user"; then
        rm -f "$creating/$user"
        p_fail refused host_not_writable "could not write in $creating: is the disk full or read-only?"
        return 0
    fi
    made=yes
    output=$("$@" 2>&1)
    status=$?
    if [ "$status" = 0 ]; then
        # The note is of this account, and of none that somebody makes by its name later on.
        p_look_up passwd "$user" | cut -d : -f 3 >>"$creating/$user"
        return 0
    fi
    p_fail refused create_refused "$1 ended with status $status: $output"
    case $1.$status in
    useradd.12 | useradd.13 | useradd.14) ;; # useradd(8): the account is there; its home, mail or SELinux user is not
    *)
        # It made no account: if there is one by now, it is somebody else's.
        made=
        rm -f "$creating/$user"
        ;;
    esac
}

p_unmake() { # remove the account that p_make made, and its home if that was new
    if command -v userdel >/dev/null; then
        if [ -n "$fresh_home" ]; then userdel -r "$user"; else userdel "$user"; fi
    else
        if [ -n "$fresh_home" ]; then deluser --remove-home "$user"; else deluser "$user"; fi
    fi
    # userdel complains of a missing mail spool with a status of its own; what counts is that the user is gone.
    [ -z "$(p_look_up passwd "$user")" ]
}

p_group() { # GROUP: BusyBox's way of adding to a further group
    [ -z "$failed" ] || return 0
    output=$(addgroup "$user" "$1" 2>&1) || p_fail refused create_refused "addgroup: $output"
}

p_no_password() { # BusyBox's way to a password field that no password fits and that does not lock the account
    [ -z "$failed" ] || return 0
    output=$(printf '%s:*\n' "$user" | chpasswd -e 2>&1) || p_fail refused create_refused "chpasswd: $output"
}

p_sudo() { # FILE LINE: a file of its own in sudoers.d, which counts only once visudo has found it sound
    [ -z "$failed" ] || return 0
    if ! command -v visudo >/dev/null; then
        p_fail refused sudo_missing "sudo is not installed on this host"
        return 0
    fi
    if ! grep -Eq '^[#@]includedir[[:space:]]+/etc/sudoers\.d' /etc/sudoers; then
        p_fail refused sudoers_d_unused "/etc/sudoers does not include /etc/sudoers.d"
        return 0
    fi
    # sudo passes over file names with a dot (sudoers(5)), so the draft never counts.
    draft="/etc/sudoers.d/.$1.draft"
    if ! printf '%s\n' "$2" >"$draft" || ! chmod 0440 "$draft"; then
        rm -f "$draft"
        p_fail refused host_not_writable "could not write in /etc/sudoers.d: is the disk full or read-only?"
        return 0
    fi
    if ! output=$(visudo -c -f "$draft" 2>&1); then
        rm -f "$draft"
        p_fail refused sudo_refused "visudo: $output"
        return 0
    fi
    [ ! -e "/etc/sudoers.d/$1" ] || previous=$(cat "/etc/sudoers.d/$1")
    if mv -f "$draft" "/etc/sudoers.d/$1"; then
        sudoers=/etc/sudoers.d/$1
    else
        rm -f "$draft"
        p_fail refused host_not_writable "could not write /etc/sudoers.d/$1"
    fi
}

p_password() { # the password is the next line
    IFS= read -r secret || exit 1
    if [ -n "$failed" ]; then
        secret=
        return 0
    fi
    before=
    [ -n "$made" ] || before=$(p_look_up shadow "$user" 2>/dev/null)
    if [ "$tools" = busybox ]; then
        output=$(printf '%s:%s\n' "$user" "$secret" | chpasswd -c sha512 2>&1)
    else
        output=$(printf '%s:%s\n' "$user" "$secret" | chpasswd 2>&1)
    fi
    status=$?
    secret=
    [ "$status" != 0 ] || return 0
    if [ -n "$made" ] || { [ -n "$before" ] && [ "$before" = "$(p_look_up shadow "$user" 2>/dev/null)" ]; }; then
        p_fail refused password_refused "chpasswd: $output"
    else
        p_fail unsure password_unsure "chpasswd: $output"
    fi
}

p_end() { # the answer; what was made for a change that failed is taken away again
    if [ -n "$failed" ] && [ -n "$sudoers" ]; then
        if [ -n "$previous" ]; then printf '%s\n' "$previous" >"$sudoers"; else rm -f "$sudoers"; fi
    fi
    if [ -n "$failed" ] && [ -n "$made" ] && [ -n "$(p_look_up passwd "$user")" ] && ! output=$(p_unmake 2>&1); then
        # The note in $creating stays, so that the next push knows that it was never finished.
        say answer "$index" "$failed" "$detail (and the unfinished account stayed: $(one_line "$output"))"
        return 0
    fi
    # What goes on with a creation that was cut off, and fails, leaves it as unfinished as it was: the note stays.
    if [ -n "$made" ] || { [ -n "$began" ] && [ -z "$failed" ]; }; then rm -f "$creating/$user"; fi
    say answer "$index" "${failed:-ok}" "$(one_line "$detail${detail:+${told:+. }}$told")"
}
