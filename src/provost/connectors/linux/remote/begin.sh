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

p_name() { # PID: set `process` to its number and when it started, `spent` to what it did (proc(5)); nothing if it is gone
    process=
    { read -r stat <"/proc/$1/stat"; } 2>/dev/null || return 0
    pid=$1
    # shellcheck disable=SC2086  # the fields behind the command's name, which is the second
    set -- ${stat##*)}
    process=$pid.${20}
    spent="${8} ${9} ${12} ${13} ${14} ${15}" # page faults and time, its own and of programs that it ran
}

p_runs_program() { # PID: it has a child, or it cannot be told (proc(5), CONFIG_PROC_CHILDREN)
    children=unknown
    { read -r children <"/proc/$1/task/$1/children" || :; } 2>/dev/null
    [ -n "$children" ]
}

p_take_turn() { # wait until no other shell of Provost's is at work here: one whose connection broke may still be
    p_name "$$"
    me=$process
    tries=0 idle=0 before=
    # A link is made whole or not at all, even on a full disk.
    until ln -s "$me" "$turn" 2>/dev/null; do
        other=$(readlink "$turn")
        p_name "${other%%.*}"
        if [ -z "$other" ] && [ "$tries" -ge 3 ]; then
            return 0 # there is no /run to write in
        elif [ -n "$other" ] && [ "$process" != "$other" ]; then
            rm -f "$turn" # it was killed, and could not tidy up
        elif [ "$tries" -ge 50 ]; then
            # Whoever did nothing at all waits for a server that is gone without a word, or hangs. It is ended, so
            # that what such a server sends when it wakes up is never done.
            [ "$idle" -ge 49 ] && [ "$tries" -lt 60 ] || return 1
            kill -KILL "$pid"
            sleep 0.2 2>/dev/null || sleep 1
        else
            if [ "$spent" != "$before" ] || p_runs_program "$pid"; then idle=0; else idle=$((idle + 1)); fi
            before=$spent
            sleep 0.2 2>/dev/null || sleep 1
        fi
        tries=$((tries + 1))
    done
    trap p_tidy EXIT
    trap 'exit 1' HUP INT PIPE TERM # PIPE: the connection broke while a change was made
}
