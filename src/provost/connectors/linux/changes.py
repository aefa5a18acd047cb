"""One change as the command lines and data lines that remote/ understands."""

from provost.connectors._keys import KeyStrategy, write_key_line
from provost.connectors.linux.parameters import LinuxOptions, LinuxParameters
from provost.connectors.linux.shell import Shell, quote_command
from provost.core.connector import Change, Withdrawal, expect
from provost.core.errors import ChangeRefused
from provost.core.model import Decision
from provost.core.secrets import Password, Secret, SshKey


def encode_change(index: int, change: Change, options: LinuxOptions, shell: Shell) -> bytes:
    """Return the lines that make `change` and answer with `index`.

    Raises:
        ChangeRefused: this host's tools cannot do it; nothing was sent.
    """
    parameters, secrets = expect(change.parameters, LinuxParameters), (change.secret, *change.others)
    if not shell.hides_secrets and any(isinstance(secret, Password) for secret in secrets):
        raise ChangeRefused(
            "The host's /bin/sh has no printf of its own, so a password would show in the process list.",
            code="no_builtin_printf",
        )
    lines = [quote_command("p_start", str(index), change.username)]
    if change.decision is not Decision.ADOPT:
        lines += _encode_creation(change, parameters, shell.tools)
    if parameters.sudo and (change.decision is not Decision.ADOPT or parameters.update_existing_sudo):
        lines.append(
            quote_command("p_sudo", name_sudoers_file(change.username), _write_rule(change, parameters))
        )
    lines += [_encode_secret(secret, change, parameters, options) for secret in secrets]
    lines.append(quote_command("p_end"))
    return b"".join(lines)


def encode_withdrawal(index: int, withdrawal: Withdrawal, options: LinuxOptions) -> bytes:
    """Return the lines that take keys away, and answer with `index`."""
    keep = get_blob(withdrawal.keep)
    gone = {get_blob(key) for key in withdrawal.gone} - {keep}
    return b"".join(
        (
            quote_command("p_start", str(index), withdrawal.username),
            quote_command("p_withdraw", options.authorized_keys_file or "", keep, ",".join(sorted(gone))),
            quote_command("p_end"),
        )
    )


def get_blob(key: SshKey) -> str:
    """Return what of a key is in its line of authorized_keys, whatever stands around it."""
    return key.public.split()[1]


def _encode_secret(secret: Secret, change: Change, parameters: LinuxParameters, options: LinuxOptions) -> bytes:
    if isinstance(secret, Password):
        return b"p_password\n" + secret.text.encode() + b"\n"
    strategy = KeyStrategy.APPEND if change.overlap else parameters.key_strategy
    inherits = change.replaces if change.overlap and not parameters.key_options else None
    after = get_blob(inherits) if inherits else ""
    command = quote_command("p_key", options.authorized_keys_file or "", strategy, get_blob(secret), after)
    return command + write_key_line(secret.public, parameters.key_options).encode() + b"\n"


def _encode_creation(change: Change, parameters: LinuxParameters, tools: str) -> list[bytes]:
    home = (parameters.home or "") if parameters.create_home else "-"
    key_only = all(isinstance(secret, SshKey) for secret in (change.secret, *change.others))
    if tools == "shadow":
        return [quote_command("p_make", home, *_list_useradd(change.username, parameters, key_only=key_only))]
    if tools == "busybox":
        return [
            quote_command("p_make", home, *_list_adduser(change.username, parameters)),
            *(quote_command("p_group", group) for group in parameters.groups),
            *([quote_command("p_no_password")] if key_only else []),
        ]
    raise ChangeRefused("The host has neither useradd nor adduser.", code="no_useradd")


def _list_useradd(username: str, parameters: LinuxParameters, *, key_only: bool) -> list[str]:
    command = ["useradd", "-m" if parameters.create_home else "-M"]
    if key_only:
        # A field that no password fits; unlike useradd's own "!", sshd without PAM does not take it for locked.
        command += ["-p", "*"]
    for flag, value in (
        ("-s", parameters.shell),
        ("-d", parameters.home),
        ("-u", parameters.uid),
        ("-g", parameters.group),
        ("-G", ",".join(parameters.groups) or None),
        ("-c", parameters.comment),
        ("-e", parameters.expires),
    ):
        if value is not None:
            command += [flag, str(value)]
    if parameters.system:
        command.append("-r")
    return [*command, username]


def _list_adduser(username: str, parameters: LinuxParameters) -> list[str]:
    if parameters.expires:
        raise ChangeRefused(
            "The host's BusyBox cannot let an account expire: leave out the parameter expires.",
            code="unsupported_parameter",
        )
    command = ["adduser", "-D"]
    for flag, value in (
        ("-s", parameters.shell),
        ("-h", parameters.home),
        ("-u", parameters.uid),
        ("-G", parameters.group),
        ("-g", parameters.comment),
    ):
        if value is not None:
            command += [flag, str(value)]
    if not parameters.create_home:
        command.append("-H")
    if parameters.system:
        command.append("-S")
    return [*command, username]


def name_sudoers_file(username: str) -> str:
    """Return a file name in sudoers.d. sudo passes over names with a dot (sudoers(5)), so it is spelt %2e."""
    return "provost-" + username.replace("%", "%25").replace(".", "%2e")


def _write_rule(change: Change, parameters: LinuxParameters) -> str:
    # sudoers(5): these characters in a command's arguments need a backslash.
    commands = ", ".join(
        "".join(f"\\{c}" if c in ",:=\\" else c for c in command) for command in parameters.sudo
    )
    tag = "" if parameters.sudo_password else "NOPASSWD: "
    return f"{change.username} ALL=(ALL:ALL) {tag}{commands}"
