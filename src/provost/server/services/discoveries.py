"""What discoveries found on assets, beside what was accepted before: written down as runs are recorded."""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from provost.core.facts import IDENTIFYING, Facts, fill, list_changes
from provost.core.keys import fingerprint
from provost.core.texts import mend_text
from provost.server.models import Account, Asset, FoundAccount
from provost.server.services import secrets
from provost.server.services.chunks import split

_LONGEST: Final = 255
_TOUCHED: Final = frozenset({"can_log_in", "locked", "expires"})
"""Facts that differ after Provost has set a secret, or disabled the account."""

_NOTED: Final = (
    "facts", "accepted", "changes", "changed_at", "can_log_in", "powerful", "ignored", "rule", "first_seen",
    "vanished_at",
)  # fmt: skip


@transaction.atomic
def record_found(*, asset_id: int, found: Sequence[Facts]) -> None:
    """Write down all accounts that are on an asset: those that are new, that changed, and that are gone.

    Whoever does so for several assets in one transaction takes them in the order of their ids.
    """
    now = timezone.now()
    rows = FoundAccount.objects.select_for_update(no_key=True).filter(asset_id=asset_id)
    before = {row.username: row for row in rows}
    own = list_own(asset_id)
    others: list[str] = []
    new, noted = [], []
    for username, facts in _read(found).items():
        row = before.pop(username, None)
        if row is None:
            new.append(_make(asset_id, facts, now))
            continue
        if _note(row, facts, now, own.get(username, set())):
            noted.append(row)
        if _has_other_uid(row):
            others.append(username)
    gone = [row.id for row in before.values() if row.vanished_at is None]
    FoundAccount.objects.bulk_create(new, batch_size=500)
    FoundAccount.objects.bulk_update(noted, _NOTED, batch_size=100)
    for chunk in split(gone):
        FoundAccount.objects.filter(id__in=chunk).update(vanished_at=now)
    for names in split([*others, *before]):  # who made them, or makes the next of that name, is not known
        Account.objects.filter(asset_id=asset_id, username__in=names).update(created_by_provost=False)
    FoundAccount.objects.filter(asset_id=asset_id, vanished_at=None).update(last_seen=now)
    Asset.objects.filter(id=asset_id).update(discovered_at=now)


def _read(found: Iterable[Facts]) -> dict[str, Facts]:
    """Return what was found by username, as it can be kept: a target may say anything."""
    kept: dict[str, Facts] = {}
    for one in found:
        told = mend_text(one.model_dump(mode="json"))
        facts = Facts.model_validate({**told, "username": told["username"][:_LONGEST]})
        kept.setdefault(facts.username, facts)
    return kept


def _make(asset_id: int, facts: Facts, now: datetime) -> FoundAccount:
    told = facts.model_dump(mode="json")
    row = FoundAccount(asset_id=asset_id, username=facts.username, accepted=told, facts=told)
    row.first_seen = row.last_seen = now
    row.can_log_in, row.powerful = facts.can_log_in, is_powerful(facts)
    return row


def _note(row: FoundAccount, facts: Facts, now: datetime, own: Collection[str]) -> bool:
    """Take over what was found of an account that is known already, and return whether anything is new."""
    before = {name: getattr(row, name) for name in _NOTED}
    if row.vanished_at is not None:  # it came back: whoever has looked at it may have seen another
        row.first_seen, row.vanished_at, row.rule = now, None, ""
    accepted = fill(Facts.model_validate(row.accepted), facts)
    changes = list_changes(accepted, facts, own=own)
    told = [change.model_dump(mode="json") for change in changes]
    news = {change.field for change in list_changes(Facts.model_validate(row.facts), facts, own=own)}
    # What could not be told in between differs from nothing, and what came of it is news all the same.
    news |= {change["field"] for change in told if change not in row.changes}
    if not changes:
        row.changed_at = None
    elif news or row.changed_at is None:
        row.changed_at = now
    row.ignored = row.ignored and not news & IDENTIFYING
    row.changes = told
    row.accepted, row.facts = accepted.model_dump(mode="json"), facts.model_dump(mode="json")
    row.can_log_in, row.powerful = facts.can_log_in, is_powerful(facts)
    return any(getattr(row, name) != value for name, value in before.items())


def _has_other_uid(row: FoundAccount) -> bool:
    """Tell whether an account has another user id than was accepted: it is another account of the same name."""
    return any(change["field"] == "uid" for change in row.changes)


def list_others(accounts: Collection[Account]) -> set[UUID]:
    """Return the ids of accounts that have other user ids than were accepted."""
    rows = FoundAccount.objects.filter(
        asset_id__in={account.asset_id for account in accounts},
        username__in={account.username for account in accounts},
        changed_at__isnull=False,
    )
    others = {
        (row.asset_id, row.username)
        for row in rows.only("asset_id", "username", "changes")
        if _has_other_uid(row)
    }
    return {account.id for account in accounts if (account.asset_id, account.username) in others}


def is_powerful(facts: Facts) -> bool | None:
    """Tell whether an account may do what others may not; None: that could not be told."""
    if facts.superuser or facts.privileges:
        return True
    return None if facts.superuser is None or facts.privileges is None else False


def list_own(asset_id: int) -> dict[str, set[str]]:
    """Return the fingerprints of the keys that Provost made for accounts of an asset, by username."""
    keys = secrets.list_own_keys(asset_id=asset_id)
    return {username: {fingerprint(key) for key in lines} for username, lines in keys.items()}


def note_touched(*, places: Collection[tuple[int, str]]) -> None:
    """Write down that Provost has changed whether accounts let somebody in: the next discovery accepts that.

    `places` are asset ids and usernames.
    """
    rows = [row for row in _find(places) if any(row.accepted.get(name) is not None for name in _TOUCHED)]
    for row in rows:
        row.accepted = {**row.accepted, **dict.fromkeys(_TOUCHED)}
    FoundAccount.objects.bulk_update(rows, ["accepted"], batch_size=100)


def note_made_or_removed(*, places: Collection[tuple[int, str]]) -> None:
    """Forget what was found of accounts that Provost has made anew, or removed: they are no finds any more."""
    FoundAccount.objects.filter(id__in=[row.id for row in _find(places)]).delete()


def _find(places: Collection[tuple[int, str]]) -> list[FoundAccount]:
    """Return and lock the rows of accounts, at most as many as one chunk of outcomes has."""
    wanted = set(places)
    rows = FoundAccount.objects.select_for_update(no_key=True).filter(
        asset_id__in={asset_id for asset_id, _ in wanted}, username__in={username for _, username in wanted}
    )
    return [row for row in rows.order_by("asset_id", "id") if (row.asset_id, row.username) in wanted]
