"""Who did what, when, from where. Entries are only ever added, each chained to the one before.

An entry's digest is HMAC-SHA256 over the seal of the entry before it and its own fields, with a key of the
vault.  So an entry that is changed, put in or taken out breaks the chain, and whoever has the database alone
cannot mend it.  The seal is another HMAC, over an entry's number and digest; only the newest entry's is stored,
so the end cannot be cut off either.  Somebody with the vault too, or an earlier copy of the database, could:
note the newest number and digest outside (`provost audit verify` prints them), and check later that they are
still there.
"""

import hmac
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from django.db import connection, transaction
from django.utils import timezone

from provost.core.rights import Principal, Right
from provost.server.models import AuditEntry, AuditHead
from provost.server.services import held
from provost.server.services.pages import Page, cut, read_all

_AT_ONCE: Final = 2000


@dataclass(frozen=True, slots=True)
class Proof:
    """Whether the trail is whole. `broken` is the number of the first entry that is not as it was written."""

    entries: int
    digest: str
    broken: int | None = None
    why: str = ""


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """Which entries are wanted; an `action` that ends with a dot means all that begin with it."""

    who: str | None = None
    action: str | None = None
    subject: str | None = None
    since: datetime | None = None
    until: datetime | None = None


def write(*, by: Principal, action: str, subject: str, details: Mapping[str, Any] | None = None) -> None:
    """Add an entry, in the transaction of what it tells about. `details` never hold a secret.

    Entries are written one at a time, each after the one before is committed: write them last.

    Raises:
        VaultError: the master key is missing or wrong.
    """
    with transaction.atomic():
        key = held.read_audit_key()
        if connection.vendor == "postgresql":
            # Otherwise, what is referred to is locked at the commit: by then, who has that may wait for us.
            connection.check_constraints()
        head = _lock_head(key)
        entry = AuditEntry(
            number=head.number + 1,
            at=timezone.now(),
            who=by.name,
            token=by.token,
            face=by.face,
            source=by.source,
            request_id=by.request_id,
            action=action,
            subject=subject,
            details=json.loads(json.dumps(details or {}, default=str)),
        )
        entry.digest = _digest(key, head.seal, entry)
        entry.save(force_insert=True)
        head.number, head.seal = entry.number, _seal(key, entry.number, entry.digest)
        head.save()


def verify(*, expected: tuple[int, str] | None = None) -> Proof:
    """Prove the trail whole, from its first entry to its newest; `expected` is one that was noted before.

    Raises:
        VaultError: the master key is missing or wrong.
    """
    key = held.read_audit_key()
    with transaction.atomic():
        head = _lock_head(key)
        beyond = AuditEntry.objects.filter(number__gt=head.number).order_by("number").first()
    number, digest, seal = 0, "", _seal(key, 0, "")
    for entry in AuditEntry.objects.filter(number__lte=head.number).order_by("number").iterator(_AT_ONCE):
        if entry.number != number + 1:
            return Proof(number, digest, number + 1, f"entry {number + 1} is missing")
        if not hmac.compare_digest(_digest(key, seal, entry), entry.digest):
            return Proof(number, digest, entry.number, f"entry {entry.number} is not as it was written")
        number, digest, seal = entry.number, entry.digest, _seal(key, entry.number, entry.digest)
        if expected and number == expected[0] and digest != expected[1]:
            return Proof(number, digest, number, f"entry {number} is not the one that was noted")
    last = max(head.number, expected[0] if expected else 0)
    if number < last or not hmac.compare_digest(head.seal, seal):
        return Proof(number, digest, number + 1, f"entry {number + 1} is missing")
    if beyond is not None:
        return Proof(number, digest, beyond.number, f"entry {beyond.number} was not written by Provost")
    return Proof(number, digest)


def _lock_head(key: bytes) -> AuditHead:
    """Return the row that knows the newest entry; nobody adds one before the transaction ends."""
    AuditHead.objects.get_or_create(id=1, defaults={"seal": _seal(key, 0, "")})
    return AuditHead.objects.select_for_update().get(id=1)


def prove(*, by: Principal, expected: tuple[int, str] | None = None) -> Proof:
    """Prove the trail whole, for who may read it.

    Raises:
        Forbidden: the caller may not.
        VaultError: as `verify`.
    """
    by.require_everywhere(Right.AUDIT, what="check the audit trail")
    return verify(expected=expected)


def list_entries(
    *, by: Principal, filters: AuditFilter, page: Page
) -> tuple[list[AuditEntry], tuple[str, ...] | None]:
    """List entries, the newest first, and where the next page begins.

    Raises:
        Forbidden: the caller may not read the trail.
    """
    by.require_everywhere(Right.AUDIT, what="read the audit trail")
    entries = AuditEntry.objects.all()
    if filters.who is not None:
        entries = entries.filter(who=filters.who)
    if filters.action is not None and filters.action.endswith("."):
        entries = entries.filter(action__startswith=filters.action)
    elif filters.action is not None:
        entries = entries.filter(action=filters.action)
    if filters.subject is not None:
        entries = entries.filter(subject=filters.subject)
    if filters.since is not None:
        entries = entries.filter(at__gte=filters.since)
    if filters.until is not None:
        entries = entries.filter(at__lt=filters.until)
    return cut(entries, ["-number"], page)


def export_entries(*, by: Principal) -> Iterator[AuditEntry]:
    """Yield all entries, the oldest first. That somebody took them all is an entry too.

    Raises:
        Forbidden: the caller may not read the trail.
    """
    by.require_everywhere(Right.AUDIT, what="export the audit trail")
    write(by=by, action="audit.export", subject="audit trail")
    return read_all(lambda page: cut(AuditEntry.objects.all(), ["number"], page))


def _digest(key: bytes, before: str, entry: AuditEntry) -> str:
    fields = [
        entry.number,
        entry.at.astimezone(UTC).isoformat(),
        entry.who,
        entry.token,
        str(entry.face),
        entry.source,
        entry.request_id,
        entry.action,
        entry.subject,
        entry.details,
    ]
    text = json.dumps([before, *fields], sort_keys=True, separators=(",", ":"))
    return hmac.digest(key, text.encode(), "sha256").hex()


def _seal(key: bytes, number: int, digest: str) -> str:
    """Return what the next entry's digest begins with; before the first, `number` is 0."""
    return hmac.digest(key, f"seal {number} {digest}".encode(), "sha256").hex()
