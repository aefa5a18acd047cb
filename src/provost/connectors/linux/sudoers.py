"""The rules of sudo, as cvtsudoers(1) tells them: which of them are an account's."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any, Self

_END = "#end"


class Sudoers:
    """The rules of a host, without aliases. None: they could not be read."""

    def __init__(self, rules: Sequence[Mapping[str, Any]] | None, host: str) -> None:
        self._rules = rules
        self._host = host

    @classmethod
    def read(cls, lines: Sequence[str], host: str) -> Self:
        """Make it of cvtsudoers' JSON; the line `none` stands for a host without sudo."""
        if list(lines) == ["none"]:
            return cls([], host)
        if not lines or lines[-1] != _END:
            return cls(None, host)
        try:
            policy = json.loads("\n".join(lines[:-1]))
            return cls(policy.get("User_Specs", []), host)
        except (ValueError, AttributeError, RecursionError):
            return cls(None, host)

    def list_privileges(
        self, username: str, uid: int | None, gid: str, groups: Iterable[str] | None
    ) -> tuple[str, ...] | None:
        """Return the rules that let this account act as somebody else, as sudoers(5) writes them."""
        if self._rules is None or groups is None:
            return None
        names = set(groups)
        found = []
        try:
            for rule in self._rules:
                whose = _match(rule["User_List"], lambda entry: _is_meant(entry, username, uid, gid, names))
                here = _match(rule["Host_List"], self._is_here)
                if whose is None:
                    return None
                if whose and here is not False:
                    found += [_write(rule["Host_List"], spec) for spec in rule["Cmnd_Specs"]]
        except (KeyError, TypeError, AttributeError):
            return None
        return tuple(dict.fromkeys(found))

    def _is_here(self, entry: Mapping[str, Any]) -> bool | None:
        """Tell of an entry of a list of hosts; networks and netgroups cannot be told from here."""
        if "hostname" not in entry:
            return None
        name = entry["hostname"]
        host = self._host if "." in name else self._host.split(".")[0]
        return name == "ALL" or fnmatchcase(host.lower(), name.lower())


def _is_meant(
    entry: Mapping[str, Any], username: str, uid: int | None, gid: str, groups: set[str]
) -> bool | None:
    """Tell of an entry of a list of users; None: that cannot be told from here (a netgroup)."""
    if "username" in entry:
        return entry["username"] in {"ALL", username}
    if "userid" in entry:
        return bool(entry["userid"] == uid)
    if "usergroup" in entry:
        return entry["usergroup"] in groups
    if "usergid" in entry:
        return str(entry["usergid"]) == gid
    return None


def _match(
    entries: Sequence[Mapping[str, Any]], is_meant: Callable[[Mapping[str, Any]], bool | None]
) -> bool | None:
    """Tell by the last entry that is meant, as sudo does."""
    for entry in reversed(entries):
        meant = is_meant(entry)
        if meant is None:
            return None
        if meant:
            return not entry.get("negated", False)
    return False


def _write(hosts: Sequence[Mapping[str, Any]], spec: Mapping[str, Any]) -> str:
    where = _join(hosts)
    users, groups = _join(spec.get("runasusers", ())), _join(spec.get("runasgroups", ())).replace("%", "")
    options = {name: value for option in spec.get("Options", ()) for name, value in option.items()}
    tags = "" if options.get("authenticate", True) else "NOPASSWD: "
    as_whom = " : ".join(filter(None, (users or ("" if groups else "root"), groups)))
    return f"{'' if where == 'ALL' else f'{where} = '}({as_whom}) {tags}{_join(spec['Commands'])}"


_SIGNS = {"userid": "#", "usergroup": "%", "usergid": "%#", "netgroup": "+", "nonunixgroup": "%:"}


def _join(entries: Sequence[Mapping[str, Any]]) -> str:
    return ", ".join(
        f"{'!' if entry.get('negated') else ''}"
        + next((f"{_SIGNS.get(name, '')}{value}" for name, value in entry.items() if name != "negated"), "")
        for entry in entries
    )
