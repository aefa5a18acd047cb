# shellcheck shell=sh
# Looking.

p_runs() { # PIDFILE: the daemon that wrote it is there
    pid=
    { read -r pid <"$1"; } 2>/dev/null
    [ -n "$pid" ] && kill -0 "$pid" 2>/dev/null
}

p_directory_down() { # name a directory service that passwd look-ups should ask and that does not answer
    [ -r /etc/nsswitch.conf ] || return 1
    while read -r database sources; do
        [ "$database" = passwd: ] || continue
        for source in $sources; do
            case $source in
            sss)
                # Some systems name it whether or not it is set up.
                set -- /etc/sssd/sssd.conf /etc/sssd/conf.d/*.conf
                [ -e "$1" ] || [ -e "$2" ] || continue
                p_runs /run/sssd.pid || { echo sssd && return 0; }
                ;;
            ldap) [ ! -e /etc/nslcd.conf ] || p_runs /run/nslcd/nslcd.pid || { echo nslcd && return 0; } ;;
            winbind) p_runs /run/samba/winbindd.pid || { echo winbindd && return 0; } ;;
            nis) p_runs /run/ypbind.pid || { echo ypbind && return 0; } ;;
            esac
        done
    done </etc/nsswitch.conf
    return 1
}

p_look_up() { # DATABASE USER...: their lines of passwd or shadow, as getent(1) gives them; status 0 or 2: it worked
    if command -v getent >/dev/null; then
        getent "$@"
        return
    fi
    # Without getent there is no NSS (musl): the file is all there is.
    database=/etc/$1
    shift
    [ -r "$database" ] || return 1
    while IFS= read -r entry; do
        for name; do
            case $entry in "$name":*) printf '%s\n' "$entry" ;; esac
        done
    done <"$database"
}

p_unfinished() { # USER: a note says that its creation was not finished; one with a uid is of no other account
    [ -e "$creating/$1" ] || return 1
    noted=
    { read -r _ && read -r noted; } 2>/dev/null <"$creating/$1"
    [ -z "$noted" ] || [ "$noted" = "$(p_look_up passwd "$1" | cut -d : -f 3)" ]
}

p_observe() { # USER...: one answer each
    found=$(p_look_up passwd "$@" 2>&1)
    status=$?
    case $status in
    0 | 2) ;;
    *)
        say lookup failed "getent ended with status $status: $(one_line "$found")"
        return
        ;;
    esac
    down=$(p_directory_down)
    for name; do
        case "
$found" in
        *"
$name:"*) there=0 ;;
        *)
            # A directory may spell a name its own way (alice@corp for alice): ask for this one alone.
            there=2
            if [ -n "$found" ]; then
                p_look_up passwd "$name" >/dev/null 2>&1
                there=$?
                [ "$there" != 0 ] || [ -n "$(p_look_up passwd "$name")" ] || there=2
            fi
            ;;
        esac
        case $there in
        0) if p_unfinished "$name"; then say seen "$name" incomplete; else say seen "$name" present; fi ;;
        2)
            # A directory that is down may know users that getent cannot tell of.
            if [ -n "$down" ]; then say seen "$name" unknown "$down, which it should ask,"; else say seen "$name" absent; fi
            ;;
        *) say seen "$name" unknown "getent (status $there)" ;;
        esac
    done
    say lookup ended
}

p_sshd() { # USER: sshd's settings for this user, as sshd -T prints them (sshd(8))
    command -v sshd >/dev/null || return 1
    "$(command -v sshd)" -T -C "user=$1,host=localhost,addr=127.0.0.1,laddr=127.0.0.1,lport=22" 2>/dev/null
}

p_policy() { # USER PATTERN BLOB: what might forbid a login that a right secret would get; BLOB is of the key, if it is one
    if [ -e /etc/nologin ]; then say policy nologin yes; fi
    p_sshd "$1" | while read -r setting value; do
        case $setting in
        allowusers | denyusers | allowgroups | denygroups | permitrootlogin | authenticationmethods | \
            passwordauthentication | kbdinteractiveauthentication | pubkeyauthentication | usepam)
            say policy "$setting" "$value"
            ;;
        esac
    done
    say policy groups "$(id -Gn "$1" 2>/dev/null)"
    entry=$(p_look_up shadow "$1" 2>/dev/null)
    case $entry in "$1":!*) say policy locked yes ;; esac
    expires=$(printf '%s' "$entry" | cut -d : -f 8)
    [ -z "$expires" ] || say policy expires "$expires"
    if [ -n "$3" ] && p_bound "$1" "$2" "$3"; then say policy keyoptions yes; fi
    say policy ended "$1"
}
