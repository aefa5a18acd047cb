"""What is old is deleted, a batch at a time: each is a short transaction, so nobody waits for it long."""

from datetime import datetime, timedelta
from typing import Final

from django.db import transaction
from django.db.models import Q

from provost.server.models import IdempotencyKey, Run
from provost.server.services import deliveries, sign_in
from provost.server.services.runs import ALIVE

_DRY_RUNS: Final = timedelta(days=7)
_KEYS: Final = timedelta(days=1)
_BATCH: Final = 50


def delete_old(*, now: datetime, days: int) -> int:
    """Delete a batch of the runs that ended more than `days` ago, with their records; returns how many.

    Dry runs go after 7 days, idempotency keys after one, and sessions when they are over; what was told by
    channels goes when runs do.  Secrets stay, also those that a run left pending.
    """
    IdempotencyKey.objects.filter(created__lt=now - _KEYS).delete()
    sign_in.drop_expired(now=now)
    deliveries.delete_old(before=now - timedelta(days=days))
    old = Q(finished__lt=now - timedelta(days=days)) | Q(dry_run=True, finished__lt=now - _DRY_RUNS)
    with transaction.atomic():
        runs = Run.objects.select_for_update(skip_locked=True).exclude(state__in=ALIVE).filter(old)
        batch = list(runs.order_by("finished").values_list("id", flat=True)[:_BATCH])
        if batch:
            Run.objects.filter(id__in=batch).delete()
    return len(batch)
