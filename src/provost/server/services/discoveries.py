"""What discoveries found on assets, beside what was accepted before."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from django.utils import timezone

from provost.core.facts import Facts, list_changes
from provost.core.keys import fingerprint
from provost.server.models import Asset, FoundAccount
from provost.server.services import secrets


def record_found(*, asset_id: int, found: Sequence[Facts]) -> None:
    """Write down all accounts that are on an asset: those that are new, that changed, and that are gone."""
    now = timezone.now()
    before = {row.username: row for row in FoundAccount.objects.filter(asset_id=asset_id)}
    own = _list_own(asset_id)
    new, seen = [], []
    for facts in found:
        row = before.pop(facts.username, None)
        if row is None:
            row = FoundAccount(asset_id=asset_id, username=facts.username, first_seen=now)
            row.accepted = facts.model_dump(mode="json")
            new.append(row)
        else:
            seen.append(row)
        _note(row, facts, now, own)
    gone = [row for row in before.values() if row.vanished_at is None]
    for row in gone:
        row.vanished_at = now
    FoundAccount.objects.bulk_create(new, batch_size=500)
    FoundAccount.objects.bulk_update(seen, _UPDATED, batch_size=100)
    FoundAccount.objects.bulk_update(gone, ["vanished_at"], batch_size=500)
    Asset.objects.filter(id=asset_id).update(discovered_at=now)


_UPDATED = ["facts", "changes", "changed_at", "can_log_in", "powerful", "last_seen", "vanished_at"]


def _note(row: FoundAccount, facts: Facts, now: datetime, own: Mapping[str, set[str]]) -> None:
    accepted = Facts.model_validate(row.accepted)
    changes = list_changes(accepted, facts, own=own.get(facts.username, ()))
    if changes != row.changes:
        row.changed_at = now if changes else None
    row.changes = changes
    row.facts = facts.model_dump(mode="json")
    row.can_log_in = facts.can_log_in
    row.powerful = _is_powerful(facts)
    row.last_seen, row.vanished_at = now, None


def _is_powerful(facts: Facts) -> bool | None:
    if facts.superuser or facts.privileges:
        return True
    return None if facts.superuser is None or facts.privileges is None else False


def _list_own(asset_id: int) -> dict[str, set[str]]:
    """Return the fingerprints of the keys that Provost made for accounts of an asset, by username."""
    keys = secrets.list_own_keys(asset_id=asset_id)
    return {username: {fingerprint(key) for key in lines} for username, lines in keys.items()}


def note_removed(*, places: Iterable[tuple[int, str]], now: datetime) -> None:
    """Write down that accounts are gone from assets, before the next discovery says so."""
    for asset_id, username in places:
        FoundAccount.objects.filter(asset_id=asset_id, username=username, vanished_at=None).update(
            vanished_at=now
        )
