"""What a domain controller tells of the users of its domain."""

from datetime import UTC, datetime, timedelta
from typing import Final

from provost.connectors._ldap.answers import Entry
from provost.connectors._ldap.directory import Control, Directory
from provost.connectors._ldap.names import fold_dn, get_own_name, match
from provost.connectors.active_directory.parameters import ActiveDirectoryOptions
from provost.core.facts import Facts

PERSON: Final = "(objectCategory=person)(objectClass=user)"

_ADMINISTRATORS: Final = "(objectSid=S-1-5-32-544)"
_MEMBER_AT_ANY_DEPTH: Final = "memberOf:1.2.840.113556.1.4.1941:"
_ADMINISTRATIVE: Final = frozenset({512, 518, 519})
"""Primary groups that are administrators, and that memberOf does not tell of."""

_DISABLED: Final = 0x2
_LOCKED_OUT: Final = 0x10
_NEVER: Final = frozenset({0, 2**63 - 1})
_EPOCH: Final = datetime(1601, 1, 1, tzinfo=UTC)
_READ: Final = (
    "sAMAccountName", "userAccountControl", "msDS-User-Account-Control-Computed", "adminCount", "memberOf",
    "primaryGroupID", "lastLogonTimestamp", "pwdLastSet", "msDS-UserPasswordExpiryTimeComputed",
    "accountExpires", "displayName", "description", "isCriticalSystemObject", "uidNumber",
    "unixHomeDirectory", "loginShell",
)  # fmt: skip


def list_facts(
    directory: Directory,
    options: ActiveDirectoryOptions,
    here: Control,
    actor: str,
    acting: Entry | None,
) -> list[Facts]:
    """Return every user below the base, and the one that acts, by the name that it acts by."""
    administrators = _list_administrators(directory, options, here)
    found: dict[str, Facts] = {}
    acts = fold_dn(acting.dn) if acting else ()
    for entry in directory.search(options.base, f"(&{PERSON})", _READ, controls=[here]):
        username = actor if fold_dn(entry.dn) == acts else entry.get("sAMAccountName")
        if username is not None:
            found.setdefault(username, _describe(username, entry, administrators))
    if acting and actor not in found and (other := directory.read(acting.dn, _READ)):
        found[actor] = _describe(actor, other, administrators)
    return list(found.values())


def _list_administrators(
    directory: Directory, options: ActiveDirectoryOptions, here: Control
) -> frozenset[str] | None:
    """Return the users in the group Administrators, at any depth; None: that could not be told."""
    groups = directory.search(options.domain_dn, _ADMINISTRATORS, ["1.1"], controls=[here])
    if not groups:
        return None
    test = f"(&{PERSON}{match(_MEMBER_AT_ANY_DEPTH, groups[0].dn)})"
    found = directory.search(options.domain_dn, test, ["1.1"], controls=[here])
    return frozenset(entry.dn.casefold() for entry in found)


def _describe(username: str, entry: Entry, administrators: frozenset[str] | None) -> Facts:
    control = entry.get_number("userAccountControl")
    computed = entry.get_number("msDS-User-Account-Control-Computed") or 0
    ends = read_time(entry.get_number("accountExpires"))
    closed = None
    if control is not None:
        closed = bool(control & _DISABLED or computed & _LOCKED_OUT)
    ended = ends is not None and ends <= datetime.now(UTC)
    changed = read_time(entry.get_number("pwdLastSet"))
    password_ends = read_time(entry.get_number("msDS-UserPasswordExpiryTimeComputed"))
    superuser = None
    if administrators is not None:
        primary = entry.get_number("primaryGroupID")
        superuser = entry.dn.casefold() in administrators or primary in _ADMINISTRATIVE
    return Facts(
        username=username,
        uid=entry.get_number("uidNumber"),
        groups=tuple(sorted(get_own_name(dn) for dn in entry.list_texts("memberOf"))),
        home=entry.get("unixHomeDirectory"),
        shell=entry.get("loginShell"),
        comment=entry.get("displayName") or entry.get("description"),
        system=entry.get("isCriticalSystemObject") == "TRUE",
        can_log_in=None if closed is None else not (closed or ended),
        locked=closed,
        superuser=superuser,
        privileges=("adminCount=1",) if entry.get_number("adminCount") == 1 else (),
        last_login=read_time(entry.get_number("lastLogonTimestamp")),
        password_changed=changed.date() if changed else None,
        password_expires=password_ends.date() if password_ends else None,
        expires=ends.date() if ends else None,
    )


def read_time(ticks: int | None) -> datetime | None:
    """Read a time in ticks of 100 ns since 1601, to the second; None: there is none, or never."""
    if ticks is None or ticks in _NEVER or ticks < 0:
        return None
    try:
        return _EPOCH + timedelta(seconds=ticks // 10_000_000)
    except OverflowError:
        return None


def write_time(moment: datetime) -> int:
    """Write a time as such ticks."""
    return (moment - _EPOCH) // timedelta(microseconds=1) * 10
