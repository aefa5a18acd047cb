# shellcheck shell=sh
# What Provost runs on a host: functions for a POSIX sh that runs as root and is fed command lines on stdin.
#
# No secret is in this text. A secret comes later as a line of stdin, is read by the shell's own `read`, and goes
# to chpasswd through the shell's own printf: it is never in an argument, the environment or a file.  A line that
# was cut off (the connection broke) sets nothing: `read` fails, and the shell ends.
#
# Answers are lines that begin with the mark that the first command gave.

set +avx
# A variable that came from the environment goes on to every program, whatever is put into it here.
unset ENV BASH_ENV CDPATH secret output detail before found entry
PATH=/usr/sbin:/usr/bin:/sbin:/bin:/usr/local/sbin:/usr/local/bin
LC_ALL=C
export PATH LC_ALL
umask 077
cd / || exit 1

# Names of accounts whose creation has begun and is not finished; empty, and then absent, when nothing was cut off.
creating=/var/lib/provost/creating

# A link that names the process of the shell whose turn it is.
turn=/run/provost.pid

say() { printf '%s %s\n' "$mark" "$*"; }

# Longer than any message that is shown: secrets are taken out of it first, and half a secret could not be.
one_line() { printf '%s' "$*" | tr '\n\r\t' '   ' | cut -c 1-4000; }

p_hello() { # MARK: who this is, and with which tools
    mark=$1
    case $(type printf 2>&1) in
    *uiltin* | *uilt-in*) builtin=yes ;;
    *) builtin=no ;; # then a secret would be in an argument of /usr/bin/printf
    esac
    home_base=/home
    if command -v useradd >/dev/null; then
        tools=shadow
        if [ -r /etc/default/useradd ]; then # useradd(8): HOME is where new homes go
            while IFS= read -r setting; do
                case $setting in HOME=/*) home_base=${setting#HOME=} ;; esac
            done </etc/default/useradd
        fi
    elif command -v adduser >/dev/null; then
        tools=busybox
    else
        tools=none
    fi
    uid=$(id -u)
    if [ "$uid" = 0 ] && ! p_take_turn; then
        say busy "$other"
        exit 1
    fi
    say hello "$uid" "$builtin" "$tools"
}

p_name() { # PID: set `process` to its number and when it started (proc(5), field 22 of stat); to nothing if it is gone
    process=
    { read -r stat <"/proc/$1/stat"; } 2>/dev/null || return 0
    pid=$1
    # shellcheck disable=SC2086  # the fields behind the command's name
    set -- ${stat##*)}
    case $1 in [ZX]) return 0 ;; esac
    process=$pid.${20}
}

p_is_idle() { # PROCESS: it waits, runs no program, and did nothing since it was looked at last (proc(5))
    state='' switches='' children=unknown
    {
        while read -r field value; do
            case $field in
            State:) state=$value ;;
            *ctxt_switches:) switches="$switches $value" ;;
            esac
        done <"/proc/${1%%.*}/status"
        read -r children <"/proc/${1%%.*}/task/${1%%.*}/children"
    } 2>/dev/null
    before=$seen
    seen=$1$switches
    case $state in S*) ;; *) return 1 ;; esac
    [ -n "$switches" ] && [ -z "$children" ] && [ "$seen" = "$before" ]
}

p_take_turn() { # wait until no other shell of Provost's is at work here: one whose connection broke may still be
    p_name "$$"
    me=$process
    tries=0 idle=0 seen=''
    # A link is made whole or not at all, even on a full disk.
    until ln -s "$me" "$turn" 2>/dev/null; do
        other=$(readlink "$turn")
        p_name "${other%%.*}"
        tries=$((tries + 1))
        if [ "$tries" -gt 3 ] && [ ! -e "$turn" ] && [ ! -L "$turn" ]; then
            return 0 # there is no /run to write in
        elif [ "$tries" -gt 60 ]; then
            return 1
        elif [ -n "$other" ] && [ "$process" != "$other" ]; then
            # It was killed, and could not tidy up. Of all that wait, one removes its link, and no other that is new.
            if mkdir "$turn.$other" 2>/dev/null; then
                [ "$(readlink "$turn")" != "$other" ] || rm -f "$turn"
                rmdir "$turn.$other"
                continue
            fi
            [ "$tries" -lt 40 ] || rmdir "$turn.$other" 2>/dev/null # who began to remove it was killed, too
        elif [ -n "$other" ] && p_is_idle "$other"; then
            # A server that is there says so every few seconds. One that hangs, or is gone without a word, would
            # keep its shell for hours: it is ended, and what that server sends when it wakes up is never done.
            idle=$((idle + 1))
            [ "$idle" -lt 45 ] || kill -KILL "${other%%.*}"
        else
            idle=0
            [ "$tries" -lt 50 ] || return 1
        fi
        sleep 0.2 2>/dev/null || sleep 1
    done
    trap p_tidy EXIT
    trap 'exit 1' HUP INT PIPE TERM # PIPE: the connection broke while a change was made
}
