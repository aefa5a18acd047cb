"""What a discovery tells of an account that is on a target."""

from collections.abc import Collection, Iterable, Mapping
from datetime import date, datetime
from typing import Any, Final

from pydantic import BaseModel, ConfigDict


class KeyFacts(BaseModel):
    """An SSH key that lets somebody in: its SHA256 fingerprint as ssh-keygen(1) prints it, and its comment."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    fingerprint: str
    algorithm: str
    comment: str = ""
    options: str = ""


class Facts(BaseModel):
    """One account as it was found. None is "could not tell", or what the kind has no such thing of.

    `superuser`: it is all-powerful by itself.  `privileges` are what else it may do as somebody else, in the
    target's own words (the rules of sudo).  `locked`: no password fits it; `can_log_in` counts keys, too.
    `password_expires` and `expires`: from that day on the password must be changed, and the account lets nobody
    in.  `system`: it came with the system, or with a program.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    username: str
    uid: int | None = None
    groups: tuple[str, ...] | None = None
    home: str | None = None
    shell: str | None = None
    comment: str | None = None
    system: bool | None = None
    can_log_in: bool | None = None
    locked: bool | None = None
    superuser: bool | None = None
    privileges: tuple[str, ...] | None = None
    last_login: datetime | None = None
    password_changed: date | None = None
    password_expires: date | None = None
    expires: date | None = None
    keys: tuple[KeyFacts, ...] | None = None


WATCHED: Final = (
    "uid", "groups", "home", "shell", "can_log_in", "locked", "superuser", "privileges", "expires"
)  # fmt: skip
"""Facts whose change somebody should know of; beside these, keys that are not Provost's own."""

IDENTIFYING: Final = frozenset({"uid", "groups", "superuser", "privileges"})
"""Facts that make it another account, or give it other rights, when they change."""


class FactChange(BaseModel):
    """A watched fact that differs: what was and what is, as texts. Of many things, those that went and came."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    field: str
    before: tuple[str, ...]
    after: tuple[str, ...]


def list_changes(before: Facts, after: Facts, *, own: Collection[str] = ()) -> list[FactChange]:
    """Return how watched facts differ; what could not be told either time does not.

    `own` are the fingerprints of keys that Provost put there: they come and go.
    """
    changes = []
    for name in WATCHED:
        old, new = getattr(before, name), getattr(after, name)
        if old is not None and new is not None:
            changes += _compare(name, _write(old), _write(new))
    if before.keys is not None and after.keys is not None:
        changes += _compare("keys", _write_keys(before.keys, own), _write_keys(after.keys, own))
    return changes


def _compare(field: str, old: Mapping[object, str], new: Mapping[object, str]) -> list[FactChange]:
    gone = tuple(text for what, text in old.items() if what not in new)
    came = tuple(text for what, text in new.items() if what not in old)
    return [FactChange(field=field, before=gone, after=came)] if gone or came else []


def _write(value: Any) -> dict[object, str]:
    if isinstance(value, tuple):
        return {one: str(one) for one in value}
    if isinstance(value, bool):
        return {value: "yes" if value else "no"}
    return {value: str(value)}


def _write_keys(keys: Iterable[KeyFacts], own: Collection[str]) -> dict[object, str]:
    return {
        (key.fingerprint, key.options): " ".join(
            filter(None, (key.options, key.algorithm, key.fingerprint, key.comment))
        )
        for key in keys
        if key.fingerprint not in own
    }


def fill(accepted: Facts, latest: Facts) -> Facts:
    """Return accepted facts, with what could not be told when they were accepted as it was told since."""
    told = {
        name: value
        for name in Facts.model_fields
        if getattr(accepted, name) is None and (value := getattr(latest, name)) is not None
    }
    return accepted.model_copy(update=told)
