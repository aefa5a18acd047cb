"""The end of an account, as the command lines that remote/ understands."""

from collections.abc import Iterator
from typing import Final

from provost.connectors.linux.changes import name_sudoers_file
from provost.connectors.linux.parameters import LinuxOptions, LinuxRemoval
from provost.connectors.linux.shell import quote_command
from provost.core.connector import Removal, check_expendable, expect

PROTECTED: Final = frozenset(
    {
        "root", "daemon", "bin", "sys", "sync", "games", "man", "lp", "mail",
        "news", "uucp", "proxy", "www-data", "backup", "list", "irc", "gnats", "nobody",
        "_apt", "adm", "halt", "shutdown", "operator", "ftp", "toor", "sshd", "messagebus",
        "dbus", "polkitd", "rpc", "rpcuser", "tss", "sssd", "chrony", "_chrony", "ntp",
        "postfix", "guest", "cron", "at", "squid", "svn", "klogd", "ldap", "ossec",
        "vpopmail", "smmsp",
    }
)  # fmt: skip
"""Names that systems come with: those of Debian, Red Hat and Alpine."""


def encode_disabling(index: int, username: str, actor: str, asset: str) -> bytes:
    """Return the lines that disable an account, and answer with `index`.

    Raises:
        ChangeRefused: the system cannot do without it; nothing was sent.
    """
    _check_expendable(username, actor, asset)
    return b"".join(_frame(index, username, quote_command("p_disable", actor)))


def encode_enabling(index: int, username: str, actor: str, asset: str) -> bytes:
    """Return the lines that enable an account again, and answer with `index`; raises as `encode_disabling`."""
    _check_expendable(username, actor, asset)
    return b"".join(_frame(index, username, quote_command("p_enable", actor)))


def encode_removal(index: int, removal: Removal, actor: str, asset: str, options: LinuxOptions) -> bytes:
    """Return the lines that remove an account, and answer with `index`; raises as `encode_disabling`."""
    parameters = expect(removal.parameters, LinuxRemoval)
    _check_expendable(removal.username, actor, asset)
    command = quote_command(
        "p_remove",
        actor,
        parameters.home,
        parameters.archive_folder.rstrip("/") or "/",
        name_sudoers_file(removal.username),
        options.authorized_keys_file or "",
    )
    return b"".join(_frame(index, removal.username, command))


def _frame(index: int, username: str, command: bytes) -> Iterator[bytes]:
    yield quote_command("p_start", str(index), username)
    yield command
    yield quote_command("p_end")


def _check_expendable(username: str, actor: str, asset: str) -> None:
    needed = username in PROTECTED or username.startswith("systemd-")
    check_expendable(username, asset, acts=username == actor, needed=needed)
