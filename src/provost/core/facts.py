"""What a discovery tells of an account that is on a target."""

from collections.abc import Collection
from datetime import date, datetime
from typing import Final

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


def list_changes(before: Facts, after: Facts, *, own: Collection[str] = ()) -> list[str]:
    """Return the names of watched facts that differ; what could not be told either time does not.

    `own` are the fingerprints of keys that Provost put there: they come and go.
    """
    changed = [
        name
        for name in WATCHED
        if (old := getattr(before, name)) is not None
        and (new := getattr(after, name)) is not None
        and old != new
    ]
    if before.keys is not None and after.keys is not None:
        sets = [
            {(key.fingerprint, key.options) for key in keys if key.fingerprint not in own}
            for keys in (before.keys, after.keys)
        ]
        if sets[0] != sets[1]:
            changed.append("keys")
    return changed
