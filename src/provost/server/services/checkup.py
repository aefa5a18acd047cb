"""Looks a Provost over: its data folder, its database, its keys, its people. Changes nothing."""

import os
import shutil
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from django.conf import settings
from django.db import DatabaseError, connection
from django.utils import timezone
from django.utils.module_loading import import_string

from provost.core.errors import ProvostError, VaultError
from provost.core.rights import Principal, Right, Role
from provost.server.models import Grant, Token
from provost.server.services import audit, keyring, vitals

_NETWORK: Final = frozenset(
    {"9p", "afs", "beegfs", "ceph", "cifs", "gfs2", "lustre", "nfs", "nfs4", "ocfs2", "smb3", "smbfs"}
    | {"fuse.ceph", "fuse.glusterfs", "fuse.s3fs", "fuse.sshfs"}
)
"""Types of file system that are shared over a network, where SQLite's locks and its WAL do not hold."""

_CLOCK_OFF: Final = timedelta(seconds=5)
_CLOCK_WRONG: Final = timedelta(seconds=30)
"""Half of a lease: from here on, one server takes for gone what another still works on."""

_SOON: Final = timedelta(days=14)
_LOW: Final = 1 << 30
_FULL: Final = 100 << 20
_OTHERS: Final = 0o077


class Level(StrEnum):
    """How bad a finding is."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found. `code` is stable; `advice` is what to do next, empty when that is nothing."""

    level: Level
    code: str
    message: str
    advice: str = ""


def examine(*, deploy: bool) -> Iterator[Finding]:
    """Yield what is found; with `deploy`, also what takes long or matters for a server alone."""
    yield _examine_home()
    yield from _examine_space()
    if settings.DATABASE_FILE:
        yield _examine_place(settings.DATABASE_FILE)
    parts: list[Callable[[], Iterator[Finding]]] = [_examine_database, _examine_keyset]
    parts += [_examine_users, _examine_tokens, *([_examine_audit] if deploy else [])]
    for part in parts:
        findings = list(_guard(part))
        yield from findings
        if part is _examine_database and any(one.level is Level.PROBLEM for one in findings):
            return  # nothing of the rest can be known


def examine_all(*, by: Principal) -> Iterator[Finding]:
    """Yield what is found in the settings and in everything else, as `provost check --deploy` does.

    Raises:
        Forbidden: the caller may not administer everything.
    """
    by.require_everywhere(Right.ADMINISTER, what="look the server over")
    yield from import_string(settings.SETTINGS_EXAMINER)(settings.ENVIRONMENT, deploy=True)
    yield from examine(deploy=True)


def _guard(part: Callable[[], Iterator[Finding]]) -> Iterator[Finding]:
    try:
        yield from part()
    except DatabaseError as error:
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        yield Finding(
            Level.PROBLEM,
            "database_error",
            f"The database does not answer as it should: {first}",
            "Is it running, and is PROVOST_DATABASE_URL right?",
        )


def _examine_home() -> Finding:
    home = settings.HOME
    if not home.is_dir():
        return Finding(Level.PROBLEM, "home_missing", f"There is no data folder {home}.", "Run: provost init")
    status = home.stat()
    if status.st_uid not in {0, os.geteuid()}:
        return Finding(
            Level.PROBLEM,
            "home_foreign",
            f"The data folder {home} belongs to user {status.st_uid}, and this is user {os.geteuid()}.",
            "Run provost as the user that it belongs to.",
        )
    if stat.S_IMODE(status.st_mode) & _OTHERS:
        return Finding(
            Level.PROBLEM,
            "home_exposed",
            f"The data folder {home} has mode {stat.S_IMODE(status.st_mode):04o}: others may look into it.",
            f"Run: chmod 700 {home}",
        )
    return Finding(Level.OK, "home", f"The data folder {home} is this user's alone.")


def _examine_space() -> Iterator[Finding]:
    if not settings.HOME.is_dir():
        return
    free = shutil.disk_usage(settings.HOME).free
    told = f"{free >> 20} MiB are free where the data folder is."
    if free >= _LOW:
        yield Finding(Level.OK, "disk_space", told)
    else:
        level = Level.PROBLEM if free < _FULL else Level.WARNING
        yield Finding(level, "disk_full", told, "Make room: without it no run can start.")


def _examine_place(file: Path) -> Finding:
    kind = find_file_system(file, Path("/proc/self/mountinfo").read_text())
    if kind in _NETWORK:
        return Finding(
            Level.PROBLEM,
            "sqlite_on_network",
            f"The database {file} lies on a network file system ({kind}): SQLite can lose data there.",
            "Move the data folder to a local disk, or use PostgreSQL.",
        )
    return Finding(Level.OK, "sqlite_place", f"The database lies on a local file system ({kind}).")


def find_file_system(file: Path, mountinfo: str) -> str:
    """Return the type of the file system that a file lies on, from proc(5)'s mountinfo."""
    found, depth = "unknown", -1
    for line in mountinfo.splitlines():
        left, _, right = line.partition(" - ")
        point = Path(left.split()[4].encode().decode("unicode_escape"))
        if file.is_relative_to(point) and len(point.parts) >= depth:
            found, depth = right.split()[0], len(point.parts)
    return found


def _examine_database() -> Iterator[Finding]:
    if settings.DATABASE_FILE and not settings.DATABASE_FILE.exists():
        yield Finding(Level.PROBLEM, "not_initialised", "There is no database yet.", "Run: provost init")
        return
    if vitals.list_missing_migrations():
        yield Finding(
            Level.PROBLEM,
            "database_outdated",
            "The database does not fit this version of Provost.",
            "Stop the servers, make a backup, then run: provost init",
        )
        return
    yield Finding(Level.OK, "database", f"The database ({connection.vendor}) answers, and fits this version.")
    if connection.vendor == "sqlite":
        yield _examine_journal()
    else:
        yield _examine_clock()


def _examine_journal() -> Finding:
    mode = _ask("PRAGMA journal_mode")
    if mode != "wal":
        return Finding(
            Level.PROBLEM,
            "sqlite_no_wal",
            f"SQLite works with journal mode {mode}, not WAL: readers and writers block each other.",
            "The file system cannot do it, mostly: move the data folder to a local disk.",
        )
    return Finding(Level.OK, "sqlite_wal", "SQLite works in WAL mode.")


def _examine_clock() -> Finding:
    before = timezone.now()
    theirs = _ask("SELECT clock_timestamp()")
    after = timezone.now()
    off = max(before - theirs, theirs - after, timedelta(0))
    told = f"This machine's clock and the database's differ by {off.total_seconds():.1f} s."
    if off <= _CLOCK_OFF:
        return Finding(Level.OK, "clock", told)
    level = Level.PROBLEM if off > _CLOCK_WRONG else Level.WARNING
    return Finding(level, "clock_differs", told, "Set both by NTP: leases of runs are read by both clocks.")


def _ask(statement: str) -> Any:
    with connection.cursor() as cursor:
        cursor.execute(statement)
        row = cursor.fetchone()
    return row[0] if row else None


def _examine_keyset() -> Iterator[Finding]:
    try:
        keyring.check_keyset()
    except ProvostError as error:
        yield Finding(Level.PROBLEM, error.code, error.message, "See the page on the vault.")
    else:
        yield Finding(Level.OK, "keyset", "The master key is this user's alone, and opens the keyset.")


def _examine_users() -> Iterator[Finding]:
    administrators = Grant.objects.filter(role=Role.ADMINISTRATOR, node=None, user__is_active=True)
    if administrators.exists():
        yield Finding(Level.OK, "administrator", "There is an active administrator.")
    else:
        yield Finding(
            Level.WARNING,
            "no_administrator",
            "No active user is an administrator everywhere.",
            "Make one with the token that provost serve tells when there is no user yet.",
        )


def _examine_tokens() -> Iterator[Finding]:
    now = timezone.now()
    soon = Token.objects.filter(revoked=None, user__is_active=True, expires__gt=now, expires__lte=now + _SOON)
    for token in soon.select_related("user").order_by("expires"):
        yield Finding(
            Level.WARNING,
            "token_expires",
            f"Token {token} expires at {token.expires:%Y-%m-%d %H:%M} UTC.",
            "If it is still used, make a new one and give it to the program that uses it.",
        )


def _examine_audit() -> Iterator[Finding]:
    try:
        proof = audit.verify()
    except VaultError:  # told with the keyset
        return
    if proof.broken is None:
        yield Finding(Level.OK, "audit", f"The audit trail of {proof.entries} entries is whole.")
    else:
        yield Finding(
            Level.PROBLEM,
            "audit_broken",
            f"The audit trail is not as it was written: {proof.why}.",
            "Somebody changed it in the database. Keep a copy of that, and find out who could.",
        )
