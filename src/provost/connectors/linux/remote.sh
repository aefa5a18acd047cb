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

# --- first words -------------------------------------------------------------------------------------------------

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
    process=$pid.${20}
}

p_take_turn() { # wait until no other shell of Provost's is at work here: one whose connection broke may still be
    p_name "$$"
    me=$process
    tries=0
    # A link is made whole or not at all, even on a full disk.
    until ln -s "$me" "$turn" 2>/dev/null; do
        other=$(readlink "$turn")
        p_name "${other%%.*}"
        if [ -z "$other" ] && [ "$tries" -ge 3 ]; then
            return 0 # there is no /run to write in
        elif [ -n "$other" ] && [ "$process" != "$other" ]; then
            rm -f "$turn" # it was killed, and could not tidy up
        elif [ "$tries" -ge 50 ]; then
            return 1
        else
            sleep 0.2 2>/dev/null || sleep 1
        fi
        tries=$((tries + 1))
    done
    trap p_tidy EXIT
    trap 'exit 1' HUP INT PIPE TERM # PIPE: the connection broke while a change was made
}

# --- looking -----------------------------------------------------------------------------------------------------

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
        0) if [ -e "$creating/$name" ]; then say seen "$name" incomplete; else say seen "$name" present; fi ;;
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

p_policy() { # USER: what might forbid a login that a right secret would get
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
    say policy ended "$1"
}

# --- one change: p_start, steps, p_end -----------------------------------------------------------------------------

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
}

p_fail() { # refused|unsure CODE MESSAGE...: the first failure counts; refused: certainly nothing was set
    [ -z "$failed" ] || return 0
    failed="$1 $2"
    shift 2
    detail=$(one_line "$*")
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
    [ ! -e "$creating/$user" ] || began=yes
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
    [ "$status" != 0 ] || return 0
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

# Runs as the account's owner, so that no link of theirs leads it to a file that is not theirs; as root only where
# the folder is root's.  FILE STRATEGY BLOB MODE; the new line is on stdin.  The file is replaced whole, or not at all.
# shellcheck disable=SC2016  # another shell expands it
write_key='
file=$1 strategy=$2 blob=$3 mode=$4
folder=${file%/*}
draft=
stop() { [ -z "$draft" ] || rm -f "$draft"; echo "$2"; exit "$1"; }
IFS= read -r line || stop 1 "the connection broke"
for place in "$folder" "$file"; do
    if [ -L "$place" ]; then stop 3 "$place is a symbolic link"; fi
done
if [ ! -d "$folder" ]; then mkdir "$folder" || stop 1 "could not make $folder"; fi
draft=$(mktemp "$folder/.provost.XXXXXXXX") || stop 1 "could not write in $folder"
if [ -e "$file" ] && [ "$strategy" != exclusive ]; then
    awk -v blob="$blob" -v strategy="$strategy" "
        index(\$0, blob) { next }
        strategy == \"replace_managed\" && / provost-managed( |\$)/ { next }
        { print }" "$file" >"$draft" || stop 1 "could not copy $file"
fi
printf "%s\n" "$line" >>"$draft" || stop 1 "could not write in $folder"
grep -qF -e "$blob" "$draft" || stop 1 "could not write in $folder"
chmod "$mode" "$draft" || stop 1 "could not set the mode of $draft"
if [ -e /sys/fs/selinux/enforce ] && command -v restorecon >/dev/null; then restorecon "$folder"; fi
# On some file systems a rename reaches the disk before what is renamed.
sync "$draft" || sync
mv -f "$draft" "$file" || stop 1 "could not replace $file"
# The key is in force: nothing from here on may be told as a refusal.
if [ -e /sys/fs/selinux/enforce ] && command -v restorecon >/dev/null; then restorecon "$file"; fi
exit 0
'

p_write_key() { # UID GID FILE STRATEGY BLOB MODE: run write_key as the account, with the line on stdin
    if [ "$1" = 0 ]; then
        shift 2
        /bin/sh -c "$write_key" provost "$@"
    elif [ "$tools" = shadow ] && command -v setpriv >/dev/null; then
        setpriv --reuid="$1" --regid="$2" --groups="$(id -G "$user" | tr ' ' ,)" \
            /bin/sh -c "$write_key" provost "$3" "$4" "$5" "$6"
    else
        # Some su take options for their own wherever they stand, others pass on all behind the name: so there is
        # nothing behind it.
        file=$(printf '%s' "$3" | sed "s/'/'\\\\''/g")
        su -s /bin/sh -c "set -- '$file' '$4' '$5' '$6'; $write_key" "$user"
    fi
}

p_roots_alone() { # FOLDER: it and all above belong to root, and nobody else may write there
    folder=$1
    while :; do
        if [ -L "$folder" ] || [ ! -d "$folder" ]; then return 1; fi
        # shellcheck disable=SC2012  # POSIX has no stat
        case $(ls -ldn "$folder" | { read -r mode _ owner _ && echo "$owner $mode"; }) in
        0\ d????-??-?*) ;;
        *) return 1 ;;
        esac
        [ "$folder" != / ] || return 0
        folder=${folder%/*}
        [ -n "$folder" ] || folder=/
    done
}

p_key() { # PATTERN STRATEGY BLOB: the line for authorized_keys is the next line; PATTERN overrides sshd's setting
    IFS= read -r line || exit 1
    [ -z "$failed" ] || return 0
    entry=$(p_look_up passwd "$user")
    ids=${entry#*:*:}
    uid=${ids%%:*}
    ids=${ids#*:}
    gid=${ids%%:*}
    ids=${ids#*:*:}
    home=${ids%%:*}
    pattern=$1
    if [ -z "$pattern" ] && command -v sshd >/dev/null; then
        pattern=$(p_sshd "$user" | while read -r setting value _; do
            if [ "$setting" = authorizedkeysfile ]; then echo "$value"; fi
        done)
        if [ -z "$pattern" ]; then
            p_fail refused keys_file_unknown "sshd -T does not tell where authorized_keys is; \
name it in the asset's option authorized_keys_file"
            return 0
        fi
    fi
    case ${pattern:=.ssh/authorized_keys} in
    none)
        p_fail refused keys_disabled "sshd's AuthorizedKeysFile is none: this host takes no keys from files"
        return 0
        ;;
    esac
    # %%, %h, %u and %U as in sshd_config(5), AuthorizedKeysFile
    file=
    while :; do
        case $pattern in
        *%*) ;;
        *) break ;;
        esac
        file=$file${pattern%%"%"*}
        pattern=${pattern#*"%"}
        case $pattern in
        h*) file=$file$home ;;
        u*) file=$file$user ;;
        U*) file=$file$uid ;;
        %*) file=$file% ;;
        esac
        pattern=${pattern#?}
    done
    file=$file$pattern
    case $file in
    /*) ;;
    *) file=$home/$file ;;
    esac
    case $file in
    "$home"/*)
        if [ ! -d "$home" ]; then
            p_fail refused no_home "the home folder $home does not exist"
            return 0
        fi
        owner=$uid
        group=$gid
        mode=600
        ;;
    *)
        if ! p_roots_alone "${file%/*}"; then
            p_fail refused unsafe_path "${file%/*} can be written by others than root"
            return 0
        fi
        owner=0
        group=0
        mode=644 # sshd reads it as the user
        ;;
    esac
    output=$(printf '%s\n' "$line" |
        p_write_key "$owner" "$group" "$file" "$2" "$3" "$mode" 2>&1)
    case $? in
    0) ;;
    3) p_fail refused unsafe_path "$output" ;;
    *) p_fail refused key_refused "$output" ;;
    esac
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
    if [ -n "$failed" ]; then say answer "$index" "$failed" "$detail"; else say answer "$index" ok; fi
}

p_tidy() { # as the shell ends
    [ ! -d "$creating" ] || rmdir "$creating" "${creating%/*}"
    rm -f "$turn"
} 2>/dev/null

while IFS= read -r command_line; do eval "$command_line"; done
