"""From outcomes to records, secrets and the list, in bulk and in one transaction."""

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from provost.core.job import Outcome
from provost.core.model import Decision, SecretType, Status
from provost.server.models import Account, Record
from provost.server.services import secrets
from provost.server.services.chunks import split
from provost.server.services.metrics import RECORDS_SETTLED

_NOTHING_SET = {Status.FAILED, Status.SKIPPED, Status.CANCELLED, Status.UNCHANGED}
_DONE = {Status.SUCCEEDED, Status.UNVERIFIED}


def record_outcomes(*, run_id: UUID, secret_type: SecretType, outcomes: Sequence[Outcome]) -> None:
    """Settle the records, promote what is in force, and delete what was staged for nothing.

    What is uncertain keeps its pending secret.  So does what an earlier run left uncertain.
    """
    for chunk in split(outcomes):
        with transaction.atomic():
            _record_chunk(run_id, secret_type, chunk)


def _record_chunk(run_id: UUID, secret_type: SecretType, outcomes: Sequence[Outcome]) -> None:
    now = timezone.now()
    told = {(outcome.asset_id, outcome.username): outcome for outcome in outcomes}
    asset_ids = {asset_id for asset_id, _ in told}
    usernames = {username for _, username in told}
    accounts = {
        (account.asset_id, account.username): account.id
        for account in Account.objects.filter(asset_id__in=asset_ids, username__in=usernames)
    }
    made = [
        accounts[place]
        for place, outcome in told.items()
        if place in accounts
        and outcome.status in _DONE
        and outcome.decision in {Decision.CREATE, Decision.RESTORE}
    ]
    Account.objects.filter(id__in=made).update(created_by_provost=True)
    secrets.discard(
        run_id=run_id,
        account_ids=[
            accounts[place]
            for place, outcome in told.items()
            if place in accounts and outcome.status in _NOTHING_SET
        ],
        secret_type=secret_type,
    )
    secrets.promote(version_ids=[outcome.settled for outcome in outcomes if outcome.settled])
    left = set(Account.objects.filter(id__in=accounts.values()).values_list("id", flat=True))
    records = [
        record
        for record in Record.objects.filter(
            run_id=run_id, asset_id__in=asset_ids, username__in=usernames, status=None
        )
        if (record.asset_id, record.username) in told
    ]
    for record in records:
        place = (record.asset_id, record.username)
        outcome = told[place]  # type: ignore[index]  # asset_id is not null: it was filtered by
        account_id = accounts.get(place)  # type: ignore[arg-type]  # as above
        record.account_id = account_id if account_id in left else None
        fill_record(record, outcome)
        record.settled_at = now
    Record.objects.bulk_update(
        records,
        ["account", "decision", "status", "reason", "message", "seconds", "actor", "settled_at"],
    )
    _count(Counter(Status(told[record.asset_id, record.username].status) for record in records))  # type: ignore[index]  # as above


def fill_record(record: Record, outcome: Outcome) -> None:
    """Copy what an outcome tells into a record."""
    record.decision = outcome.decision
    record.status = outcome.status
    record.reason = outcome.reason
    record.message = outcome.message
    record.seconds = round(outcome.seconds, 3)
    record.actor = outcome.actor


def settle_unbegun(*, run_id: UUID, begun: Collection[int]) -> None:
    """Cancel the open records on assets that no job was handed out for, and delete what was staged for them.

    `begun` are the ids of the other assets.
    """
    records = [
        record
        for record in Record.objects.filter(run_id=run_id, status=None)
        if record.asset_id is None or record.asset_id not in begun
    ]
    gone = [record.id for record in records if record.asset_id is None]
    for ids in split(gone):
        _close(
            Record.objects.filter(id__in=ids), Status.FAILED, "asset_gone", "The asset was removed meanwhile."
        )
    by_type: dict[str, list[Record]] = defaultdict(list)
    for record in records:
        if record.asset_id is not None:
            by_type[record.secret_type].append(record)
    for secret_type, left in by_type.items():
        for chunk in split(left):
            with transaction.atomic():
                _cancel_chunk(run_id, SecretType(secret_type), chunk)


def _cancel_chunk(run_id: UUID, secret_type: SecretType, records: Sequence[Record]) -> None:
    places = {(record.asset_id, record.username) for record in records}
    accounts = Account.objects.filter(
        asset_id__in={asset_id for asset_id, _ in places}, username__in={name for _, name in places}
    )
    secrets.discard(
        run_id=run_id,
        account_ids=[account.id for account in accounts if (account.asset_id, account.username) in places],
        secret_type=secret_type,
    )
    _close(
        Record.objects.filter(id__in=[record.id for record in records]),
        Status.CANCELLED,
        "cancelled",
        "The run was stopped before it came to this account. To go on: provost run retry.",
    )


def settle_interrupted_records(*, run_id: UUID) -> None:
    """Settle as uncertain what a run has begun and has no outcome of. Its secrets stay pending."""
    _close(
        Record.objects.filter(run_id=run_id, status=None),
        Status.UNCERTAIN,
        "interrupted",
        "Provost was interrupted in the middle of this. Any secret staged for the account is kept; "
        "the next push of it finds out which one is in force.",
    )


def _close(records: QuerySet[Record], status: Status, reason: str, message: str) -> None:
    closed = records.update(status=status, reason=reason, message=message, settled_at=timezone.now())
    _count({status: closed})


def _count(settled: Mapping[Status, int]) -> None:
    def count() -> None:
        for status, number in settled.items():
            RECORDS_SETTLED.labels(status).inc(number)

    transaction.on_commit(count)
