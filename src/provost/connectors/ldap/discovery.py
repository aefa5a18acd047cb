"""What an OpenLDAP server tells of its accounts."""

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime

from provost.connectors._ldap.answers import Entry
from provost.connectors._ldap.directory import Directory
from provost.connectors._ldap.names import fold_dn
from provost.connectors.ldap.groups import Group
from provost.connectors.ldap.keys import read_key
from provost.connectors.ldap.parameters import LdapOptions
from provost.core.facts import Facts

_READ = (
    "uidNumber", "gidNumber", "homeDirectory", "loginShell", "gecos", "cn", "sshPublicKey", "authTimestamp",
    "pwdLastSuccess", "pwdChangedTime", "pwdAccountLockedTime", "pwdEndTime",
)  # fmt: skip


def list_facts(
    directory: Directory, options: LdapOptions, groups: Sequence[Group] | None, besides: Mapping[str, str]
) -> list[Facts]:
    """Return every account below the base, and those `besides`, usernames with the names of their entries."""
    read = [options.rdn, *_READ]
    found: dict[str, Facts] = {}
    named = {fold_dn(dn): username for username, dn in besides.items()}
    for entry in directory.search(options.base_dn, f"({options.rdn}=*)", read):
        username = named.pop(fold_dn(entry.dn), None) or entry.get(options.rdn)
        if username is not None:
            found.setdefault(username, _describe(username, entry, groups))
    for username in named.values():
        if other := directory.read(besides[username], read):
            found.setdefault(username, _describe(username, other, groups))
    return list(found.values())


def _describe(username: str, entry: Entry, groups: Iterable[Group] | None) -> Facts:
    number, main = entry.get_number("uidNumber"), entry.get_number("gidNumber")
    member_of = None
    if groups is not None:
        member_of = tuple(
            sorted(
                group.name
                for group in groups
                if group.has(username, entry.dn) or (main is not None and group.number == main)
            )
        )
    ends = read_time(entry.get("pwdEndTime"))
    ended = ends is not None and ends <= datetime.now(UTC)
    closed = ended or bool(entry.get_all("pwdAccountLockedTime"))
    changed = read_time(entry.get("pwdChangedTime"))
    return Facts(
        username=username,
        uid=number,
        groups=member_of,
        home=entry.get("homeDirectory"),
        shell=entry.get("loginShell"),
        comment=entry.get("gecos") or entry.get("cn"),
        can_log_in=False if closed else None,
        locked=True if closed else None,
        superuser=None if number is None else number == 0,
        last_login=read_time(entry.get("authTimestamp") or entry.get("pwdLastSuccess")),
        password_changed=changed.date() if changed else None,
        expires=ends.date() if ends else None,
        keys=tuple(key for value in entry.get_all("sshPublicKey") if (key := read_key(value))),
    )


def read_time(text: str | None) -> datetime | None:
    """Read a GeneralizedTime (RFC 4517, 3.3.13), to the second."""
    found = re.fullmatch(r"([0-9]{14})(?:[.,][0-9]+)?Z", text or "")
    if not found:
        return None
    try:
        return datetime.strptime(found[1], "%Y%m%d%H%M%S").replace(tzinfo=UTC)
    except ValueError:
        return None
