"""The guard against lock-outs: how many refused logins an account can still afford in this hour."""

from collections.abc import Iterable
from datetime import timedelta
from typing import Final
from uuid import UUID

from django.conf import settings
from django.db.models import Count
from django.utils import timezone

from provost.server.models import Account, Rejection
from provost.server.services.chunks import split

HOUR: Final = timedelta(hours=1)


def get_limit() -> int:
    """Return how many refused logins an account may have in an hour."""
    limit: int = settings.REJECTED_LOGINS_PER_HOUR
    return limit


def count_tries(*, account_ids: Iterable[UUID]) -> dict[UUID, int]:
    """Return for each account how many refused logins it can still afford: none, or more."""
    since = timezone.now() - HOUR
    limit = get_limit()
    tries: dict[UUID, int] = {}
    for chunk in split(account_ids):
        tries |= dict.fromkeys(chunk, limit)
        rows = Rejection.objects.filter(account_id__in=chunk, at__gt=since).values_list("account_id")
        tries |= {account_id: max(0, limit - count) for account_id, count in rows.annotate(count=Count("id"))}
    return tries


def note_refusals(*, refusals: Iterable[tuple[int, str]]) -> None:
    """Write down refused logins by asset id and username. Those that are older than an hour are forgotten."""
    now = timezone.now()
    for chunk in split(refusals):
        rows = Account.objects.filter(
            asset_id__in={asset_id for asset_id, _ in chunk}, username__in={username for _, username in chunk}
        )
        accounts = {(account.asset_id, account.username): account.id for account in rows}
        known = [accounts[place] for place in chunk if place in accounts]
        Rejection.objects.filter(account_id__in=known, at__lte=now - HOUR).delete()
        Rejection.objects.bulk_create(Rejection(account_id=account_id, at=now) for account_id in known)


def forget_refusals(*, account_ids: Iterable[UUID]) -> None:
    """Forget the refused logins of accounts that somebody has given another secret: it deserves to be tried."""
    for chunk in split(account_ids):
        Rejection.objects.filter(account_id__in=chunk).delete()
