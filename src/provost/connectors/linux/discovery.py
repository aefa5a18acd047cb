"""What remote/discover.sh tells of a host's accounts, as facts."""

import re
from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import PurePosixPath

from provost.connectors.linux.sudoers import Sudoers
from provost.core.facts import Facts, KeyFacts
from provost.core.keys import read_key_line

_EPOCH = date(1970, 1, 1)
_SECONDS_PER_DAY = 86_400
_NEVER = 10_000
"""Days of a password's life from which on shadow's own tools take it for endless: useradd(8) sets 99999."""

_UID_MIN = 1000
_DYNAMIC = range(61_184, 65_536)
"""What systemd gives to services, and nobody."""

_NO_SHELLS = frozenset({"nologin", "false"})
_LASTLOG = re.compile(r"[A-Z][a-z]{2} ([A-Z][a-z]{2} +\d+ \d\d:\d\d:\d\d [+-]\d{4} \d{4})$")
_LAST = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d\d:?\d\d")


class Discovery:
    """The lines of one discovery, sorted by their letters."""

    def __init__(self, lines: Sequence[str]) -> None:
        self._parts: dict[str, list[str]] = defaultdict(list)
        for line in lines:
            self._parts[line[:1]].append(line[1:])
        self._whole = set(self._parts["E"])
        self._group_names: dict[str, str] = {}
        for line in self._parts["G"]:
            gid, _, name = line.partition(":")
            self._group_names.setdefault(gid, name)
        self._memberships = _collect(self._parts["M"], ":")
        self._shadow = {line.split(":")[0]: line.split(":")[1:] for line in self._parts["S"]}
        self._keys = _collect(self._parts["K"], "\t")
        self._more_keys = set(self._parts["W"])
        self._logins = _read_logins(self._parts["L"])
        self._shells = set(self._parts["X"])
        self._uid_min = _read_number((self._parts["D"] or [""])[0]) or _UID_MIN
        now = _read_number((self._parts["T"] or [""])[0])
        self._today = None if now is None else now // _SECONDS_PER_DAY
        self._sudoers = Sudoers.read(self._parts["J"], (self._parts["H"] or [""])[0])

    def list_facts(self) -> list[Facts]:
        """Return the facts of each account."""
        return [self._describe(line.split(":")) for line in self._parts["P"]]

    def _describe(self, fields: list[str]) -> Facts:
        username, number, gid, comment, home, shell = fields
        uid = _read_number(number)
        groups = self._list_groups(username, gid)
        keys = self._list_keys(username)
        kind, *days = self._shadow.get(username, ["unknown", "", "", "", ""])
        changed, longest, inactive, expires = (_read_number(day) for day in days)
        due = None if changed is None or longest is None or longest >= _NEVER else changed + longest + 1
        ends = [
            day
            for day in (expires, due + inactive if due and inactive is not None else None)
            if day is not None
        ]
        ended = bool(self._today is not None and ends and min(ends) <= self._today)
        return Facts(
            username=username,
            uid=uid,
            groups=groups,
            home=home,
            shell=shell,
            comment=comment,
            system=None if uid is None else uid < self._uid_min or uid in _DYNAMIC,
            can_log_in=self._can_log_in(shell or "/bin/sh", kind, keys, ended=ended),
            locked=None if kind == "unknown" else kind in {"locked", "none"},
            superuser=None if uid is None else uid == 0,
            privileges=self._sudoers.list_privileges(username, uid, gid, groups),
            last_login=self._logins.get(username),
            password_changed=_make_date(changed) if changed else None,
            password_expires=None if due is None else _EPOCH if changed == 0 else _make_date(due),
            expires=_make_date(expires),
            keys=keys,
        )

    def _can_log_in(
        self, shell: str, kind: str, keys: tuple[KeyFacts, ...] | None, *, ended: bool
    ) -> bool | None:
        if ended or shell not in self._shells or PurePosixPath(shell).name in _NO_SHELLS:
            return False
        if kind in {"password", "empty"} or keys:
            return True
        return None if kind == "unknown" or keys is None else False

    def _list_groups(self, username: str, gid: str) -> tuple[str, ...] | None:
        if "group" not in self._whole:
            return None
        first = self._group_names.get(gid, gid)
        return tuple(dict.fromkeys([first, *self._memberships[username]]))

    def _list_keys(self, username: str) -> tuple[KeyFacts, ...] | None:
        if "keys" not in self._whole or username in self._more_keys:
            return None
        found = (read_key_line(line) for line in self._keys[username])
        return tuple(dict.fromkeys(key for key in found if key is not None))


def _collect(lines: Sequence[str], separator: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = defaultdict(list)
    for line in lines:
        name, _, text = line.partition(separator)
        found[name].append(text)
    return found


def _read_number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() else None


def _make_date(days: int | None) -> date | None:
    """Return the day that shadow(5) means by a number of days; None as well for one beyond all calendars."""
    try:
        return None if days is None else _EPOCH + timedelta(days=days)
    except OverflowError:
        return None


def _read_logins(lines: Sequence[str]) -> dict[str, datetime]:
    """Return the last logins that lastlog(8), or last(1) with ISO times, told of."""
    logins = {}
    for line in lines:
        try:
            if match := _LASTLOG.search(line.rstrip()):
                when = datetime.strptime(" ".join(match[1].split()), "%b %d %H:%M:%S %z %Y")
            elif match := _LAST.search(line):
                when = datetime.fromisoformat(match[0])
            else:
                continue
        except ValueError:
            continue
        logins[line.split()[0]] = when.astimezone(UTC)
    return logins
