# shellcheck shell=sh
# Keys in authorized_keys.

# Runs as the account's owner, so that no link of theirs leads it to a file that is not theirs; as root only where
# the folder is root's.  FILE STRATEGY BLOB MODE OTHERS; the new line is on stdin.  The file is replaced whole, or not
# at all.  `withdraw` adds nothing: of the keys that Provost put there, BLOB alone stays, and OTHERS (blobs, separated
# by commas) go.  For all else OTHERS is the key whose options the new one gets, if any; they are printed.
# shellcheck disable=SC2016  # another shell expands it
write_key='
file=$1 strategy=$2 blob=$3 mode=$4 others=$5 options=
folder=${file%/*}
draft=
stop() { [ -z "$draft" ] || rm -f "$draft"; echo "$2"; exit "$1"; }
filter() {
    awk -v blob="$blob" -v strategy="$strategy" -v others="$others" "
        BEGIN { if (strategy == \"withdraw\") many = split(others, list, \",\") }
        { for (i = 1; i <= many; i++) if (index(\$0, list[i])) next }
        blob != \"\" && index(\$0, blob) { if (strategy == \"withdraw\") print; next }
        (strategy == \"replace_managed\" || strategy == \"withdraw\") && / provost-managed( |\$)/ { next }
        { print }" "$file"
}
IFS= read -r line || stop 1 "the connection broke"
for place in "$folder" "$file"; do
    if [ -L "$place" ]; then stop 3 "$place is a symbolic link"; fi
done
if [ -e "$file" ]; then
    [ -f "$file" ] || stop 3 "$file is no file"
elif [ "$strategy" = withdraw ]; then
    exit 0
fi
if [ ! -d "$folder" ]; then mkdir "$folder" || stop 1 "could not make $folder"; fi
draft=$(mktemp "$folder/.provost.XXXXXXXX") || stop 1 "could not write in $folder"
if [ -e "$file" ] && [ "$strategy" != withdraw ] && [ -n "$others" ]; then
    options=$(awk -v blob="$others" "
        !/^[ \t]*#/ && (at = index(\$0, blob)) {
            before = substr(\$0, 1, at - 1)
            sub(/[^ \t]+[ \t]+\$/, \"\", before)
            print before
            exit
        }" "$file") || stop 1 "could not read $file"
fi
if [ -e "$file" ] && [ "$strategy" != exclusive ]; then
    filter >"$draft" || stop 1 "could not copy $file"
fi
if [ "$strategy" = withdraw ]; then
    # Not every awk tells of a full disk.
    [ "$(filter | cksum)" = "$(cksum <"$draft")" ] || stop 1 "could not write in $folder"
else
    printf "%s\n" "${options:+${options% } }$line" >>"$draft" || stop 1 "could not write in $folder"
    grep -qF -e "$blob" "$draft" || stop 1 "could not write in $folder"
fi
chmod "$mode" "$draft" || stop 1 "could not set the mode of $draft"
if [ -e /sys/fs/selinux/enforce ] && command -v restorecon >/dev/null; then restorecon "$folder"; fi
# On some file systems a rename reaches the disk before what is renamed.
sync "$draft" || sync
mv -f "$draft" "$file" || stop 1 "could not replace $file"
# The key is in force: nothing from here on may be told as a refusal.
if [ -e /sys/fs/selinux/enforce ] && command -v restorecon >/dev/null; then restorecon "$file"; fi
echo "$options"
exit 0
'

p_write_key() { # UID GID FILE STRATEGY BLOB MODE OTHERS: run write_key as the account, with the line on stdin
    if [ "$1" = 0 ]; then
        shift 2
        /bin/sh -c "$write_key" provost "$@"
    elif [ "$tools" = shadow ] && command -v setpriv >/dev/null; then
        setpriv --reuid="$1" --regid="$2" --groups="$(id -G "$user" | tr ' ' ,)" \
            /bin/sh -c "$write_key" provost "$3" "$4" "$5" "$6" "$7"
    else
        # Some su take options for their own wherever they stand, others pass on all behind the name: so there is
        # nothing behind it.
        file=$(printf '%s' "$3" | sed "s/'/'\\\\''/g")
        su -s /bin/sh -c "set -- '$file' '$4' '$5' '$6' '$7'; $write_key" "$user"
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

p_owner() { # set `entry` to the account's line of passwd, or to nothing; and `uid`, `gid` and `home`
    entry=$(p_look_up passwd "$user")
    case $? in
    0 | 2) ;;
    *) p_fail refused lookup_failed "getent failed" ;;
    esac
    ids=${entry#*:*:}
    uid=${ids%%:*}
    ids=${ids#*:}
    gid=${ids%%:*}
    ids=${ids#*:*:}
    home=${ids%%:*}
}

p_patterns() { # PATTERN: set `patterns`, one a line, to it or, if it is empty, to sshd's AuthorizedKeysFile
    patterns=$1
    if [ -z "$patterns" ] && command -v sshd >/dev/null; then
        patterns=$(p_sshd "$user" | while read -r setting value; do
            if [ "$setting" = authorizedkeysfile ]; then echo "$value" | tr -s ' ' '\n'; fi
        done)
        if [ -z "$patterns" ]; then
            p_fail refused keys_file_unknown "sshd -T does not tell where authorized_keys is; \
name it in the asset's option authorized_keys_file"
            return 0
        fi
    fi
    : "${patterns:=.ssh/authorized_keys}"
}

p_expand() { # PATTERN: set `file`; %%, %h, %u and %U as in sshd_config(5), AuthorizedKeysFile
    pattern=$1
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
}

p_keep_keys() { # STRATEGY BLOB OTHERS: have `file` written by whom it belongs to; the line is on stdin
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
        p_write_key "$owner" "$group" "$file" "$1" "$2" "$mode" "$3" 2>&1)
    case $? in
    0) ;;
    3) p_fail refused unsafe_path "$output" ;;
    *) p_fail refused key_refused "$output" ;;
    esac
}

p_key() { # PATTERN STRATEGY BLOB AFTER: the line for authorized_keys is the next line
    IFS= read -r line || exit 1
    [ -z "$failed" ] || return 0
    p_owner
    p_patterns "$1"
    [ -z "$failed" ] || return 0
    case $patterns in
    none)
        p_fail refused keys_disabled "sshd's AuthorizedKeysFile is none: this host takes no keys from files"
        return 0
        ;;
    esac
    p_expand "${patterns%%"
"*}"
    p_keep_keys "$2" "$3" "$4"
    [ -n "$failed" ] || ! p_binds "$output" || say bound "$user"
}

p_binds() { # OPTIONS: they let a key in from some addresses alone, or until some day
    case $1 in
    *[Ff][Rr][Oo][Mm]=* | *[Ee][Xx][Pp][Ii][Rr][Yy]-[Tt][Ii][Mm][Ee]=*) return 0 ;;
    esac
    return 1
}

p_read_as() { # USER UID GID FILE: print it as the account, as sshd would read it, and not for long: its owner may stop it
    if command -v setpriv >/dev/null; then
        timeout -s KILL 5 setpriv --reuid="$2" --regid="$3" --init-groups cat -- "$4"
    else
        timeout -s KILL 5 su -s /bin/sh -c "cat '$(printf '%s' "$4" | sed "s/'/'\\\\''/g")'" "$1"
    fi </dev/null
}

p_bound() { # USER PATTERN BLOB: options of the key in a file of the account's that sshd reads bind it
    user=$1
    failed=
    p_owner
    [ -n "$entry" ] || return 1
    p_patterns "$2"
    if [ -n "$failed" ] || [ "$patterns" = none ]; then return 1; fi
    p_binds "$(printf '%s\n' "$patterns" | while IFS= read -r pattern; do
        p_expand "$pattern"
        [ ! -f "$file" ] || p_read_as "$user" "$uid" "$gid" "$file" 2>/dev/null
    done | head -c 1048576 | awk -v blob="$3" '!/^[ \t]*#/ && (at = index($0, blob)) { print substr($0, 1, at - 1) }')"
}

p_withdraw() { # PATTERN KEEP GONE: take keys out of all files of the account that sshd reads
    [ -z "$failed" ] || return 0
    p_owner
    if [ -n "$failed" ] || [ -z "$entry" ]; then return 0; fi
    p_patterns "$1"
    if [ -n "$failed" ] || [ "$patterns" = none ]; then return 0; fi
    line=
    withdrawn=
    while IFS= read -r pattern; do
        p_expand "$pattern"
        if [ -e "$file" ] || [ -L "$file" ]; then
            p_keep_keys withdraw "$2" "$3"
            # What was taken out of one file makes a failure at the next one no refusal.
            if [ -n "$failed" ]; then
                [ -z "$withdrawn" ] || failed="unsure key_unsure"
                return 0
            fi
            withdrawn=yes
        fi
    done <<END
$patterns
END
}
