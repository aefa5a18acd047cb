"""Whether the secrets in the list are those in force, by what the last login with each told.

It sees the secrets' table, and nothing that is encrypted.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final
from uuid import UUID

from django.db import transaction
from django.db.models import Count
from django.utils import timezone

from provost.core.model import SecretState, SecretType, Sync, Verdict
from provost.core.rights import Reach
from provost.server.models import Account
from provost.server.models.secrets import SecretVersion
from provost.server.services.chunks import split
from provost.server.services.reach import limit_many


@dataclass(frozen=True, slots=True)
class Check:
    """What a login told of an account's current secret, or that nothing could be told, and why."""

    account_id: UUID
    secret_type: SecretType
    verdict: Verdict
    reason: str = ""
    message: str = ""


_SYNC: Final = {
    Verdict.ACCEPTED: Sync.IN_SYNC,
    Verdict.REJECTED: Sync.OUT_OF_SYNC,
    Verdict.UNKNOWN: Sync.UNKNOWN,
}


def note_checks(*, checks: Sequence[Check]) -> list[Check]:
    """Write down what checks of current secrets told; return those that say what is newly out of sync."""
    told = {(check.account_id, check.secret_type): check for check in checks}
    fallen = []
    now = timezone.now()
    with transaction.atomic():
        for chunk in split(told):
            rows = SecretVersion.objects.filter(
                account_id__in={account_id for account_id, _ in chunk}, state=SecretState.CURRENT
            ).defer("ciphertext")
            changed = []
            for row in rows:
                if (check := told.get((row.account_id, SecretType(row.secret_type)))) is None:
                    continue
                if check.verdict is Verdict.REJECTED and row.sync != Sync.OUT_OF_SYNC:
                    fallen.append(check)
                row.sync, row.checked_at = _SYNC[check.verdict], now
                row.reason, row.message = check.reason, check.message
                changed.append(row)
            SecretVersion.objects.bulk_update(changed, ["sync", "checked_at", "reason", "message"])
    return fallen


def find_refused(*, account_ids: Iterable[UUID]) -> set[tuple[UUID, SecretType]]:
    """Return the secrets that their targets have refused in the last hour: looking again tells nothing new."""
    since = timezone.now() - timedelta(hours=1)
    return {
        (account_id, SecretType(secret_type))
        for chunk in split(account_ids)
        for account_id, secret_type in SecretVersion.objects.filter(
            account_id__in=chunk, state=SecretState.CURRENT, sync=Sync.OUT_OF_SYNC, checked_at__gt=since
        ).values_list("account_id", "secret_type")
    }


def count_sync(*, reach: Reach) -> Counter[str]:
    """Count the accounts within reach by what the last check of a current secret told; `never`: none yet.

    One with two secrets may be among two of these.
    """
    rows = SecretVersion.objects.filter(state=SecretState.CURRENT)
    if not reach.everywhere:
        accounts = limit_many(Account.objects.all(), reach, asset="asset_id")
        rows = rows.filter(account_id__in=accounts.values("id"))
    counted = rows.order_by().values_list("sync").annotate(count=Count("account", distinct=True))
    return Counter({sync or "never": count for sync, count in counted})
