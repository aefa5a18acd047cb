"""Accounts that live for a time: when the clock has to see to them next."""

from collections.abc import Collection
from datetime import timedelta
from uuid import UUID

from django.utils import timezone

from provost.server.models import Account


def begin(*, account_ids: Collection[UUID], lifetime: int, grace: int) -> None:
    """Let accounts live for `lifetime` seconds from now, and be removed `grace` seconds after that."""
    ends = timezone.now() + timedelta(seconds=lifetime)
    Account.objects.filter(id__in=account_ids).update(
        expires_at=ends, grace=grace, expiry_due=ends, disabled_at=None
    )


def note_disabled(*, account_ids: Collection[UUID]) -> None:
    """Write down that accounts are disabled; one whose life is over is due again when its grace ends."""
    now = timezone.now()
    accounts = Account.objects.filter(id__in=account_ids, disabled_at=None)
    for account in accounts:
        account.disabled_at = now
        if account.expires_at is not None:
            account.expiry_due = account.expires_at + timedelta(seconds=account.grace)
    Account.objects.bulk_update(accounts, ["disabled_at", "expiry_due"])


def end(*, account_ids: Collection[UUID]) -> None:
    """Write down that accounts are gone: nothing is due any more."""
    Account.objects.filter(id__in=account_ids).update(expires_at=None, expiry_due=None, disabled_at=None)
