# shellcheck shell=sh
# The last part: from here on, command lines are read.

p_tidy() { # as the shell ends
    [ ! -d "$creating" ] || rmdir "$creating" "${creating%/*}"
    [ "$(readlink "$turn")" != "$me" ] || rm -f "$turn"
} 2>/dev/null

while IFS= read -r command_line; do eval "$command_line"; done
