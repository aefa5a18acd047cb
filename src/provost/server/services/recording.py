"""From outcomes to records, secrets and the list, in bulk and in one transaction."""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Final
from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from provost.core.job import Outcome
from provost.core.model import Decision, SecretType, Status
from provost.server.models import Account, Record, Run
from provost.server.services import secrets
from provost.server.services.chunks import split
from provost.server.services.leases import Lease, fence
from provost.server.services.metrics import RECORDS_SETTLED

_NOT_DONE: Final = frozenset({Status.FAILED, Status.SKIPPED, Status.CANCELLED})
_NOTHING_SET: Final = _NOT_DONE | {Status.UNCHANGED}
_DONE: Final = frozenset({Status.SUCCEEDED, Status.UNVERIFIED})
_BEFORE: Final = (
    "Whoever held this run before may have set a secret: it is kept, and the next push of this account finds "
    "out which one is in force."
)

_Place = tuple[int, str]
"""An asset's id, and a username there."""


def record_outcomes(*, lease: Lease, secret_type: SecretType, outcomes: Sequence[Outcome]) -> None:
    """Settle the records, promote what is in force, and delete what was staged for nothing.

    What is uncertain keeps its pending secret.  So does what an earlier run left uncertain, or an earlier
    holder of this one: an account that is not done is uncertain then.  A dry run touches its records alone.

    Raises:
        LeaseLost: the run is another's now.
    """
    for chunk in split(outcomes):
        with fence(lease=lease) as run:
            told = {(outcome.asset_id, outcome.username): outcome for outcome in chunk}
            accounts = {} if run.dry_run else _settle_accounts(run, secret_type, told)
            _fill_records(run, told, accounts)


def _settle_accounts(run: Run, secret_type: SecretType, told: dict[_Place, Outcome]) -> dict[_Place, UUID]:
    """Do to secrets and the list what was told, and return the accounts that there still are.

    In `told`, what an earlier holder of the run may have done becomes uncertain.
    """
    accounts = _find_accounts(told)
    made = [
        accounts[place]
        for place, outcome in told.items()
        if place in accounts
        and outcome.status in _DONE
        and outcome.decision in {Decision.CREATE, Decision.RESTORE}
    ]
    Account.objects.filter(id__in=made).update(created_by_provost=True)
    untouched = [place for place, outcome in told.items() if outcome.status in _NOTHING_SET]
    _discard(run, secret_type, [accounts[place] for place in untouched if place in accounts])
    secrets.promote(version_ids=[outcome.settled for outcome in told.values() if outcome.settled])
    open_before = _find_open_before(run, secret_type, accounts.values())
    for place, outcome in told.items():
        if accounts.get(place) in open_before and outcome.status in _NOT_DONE:
            message = f"{outcome.message} {_BEFORE}".strip()
            told[place] = replace(outcome, status=Status.UNCERTAIN, message=message)
    left = set(Account.objects.filter(id__in=accounts.values()).values_list("id", flat=True))
    return {place: account_id for place, account_id in accounts.items() if account_id in left}


def _find_accounts(places: Collection[_Place]) -> dict[_Place, UUID]:
    rows = Account.objects.filter(
        asset_id__in={asset_id for asset_id, _ in places}, username__in={username for _, username in places}
    )
    found = {(account.asset_id, account.username): account.id for account in rows}
    return {place: account_id for place, account_id in found.items() if place in places}


def _discard(run: Run, secret_type: SecretType, account_ids: Iterable[UUID]) -> None:
    """Delete what the run's present holder has staged for accounts."""
    secrets.discard(run_id=run.id, epoch=run.epoch, account_ids=account_ids, secret_type=secret_type)


def _find_open_before(run: Run, secret_type: SecretType, account_ids: Iterable[UUID]) -> set[UUID]:
    """Return the accounts on whose targets an earlier holder of the run may have set a secret."""
    return secrets.find_staged_before(
        run_id=run.id, epoch=run.epoch, account_ids=account_ids, secret_type=secret_type
    )


def _fill_records(run: Run, told: dict[_Place, Outcome], accounts: dict[_Place, UUID]) -> None:
    now = timezone.now()
    rows = Record.objects.filter(
        run=run,
        asset_id__in={asset_id for asset_id, _ in told},
        username__in={username for _, username in told},
        status=None,
    )
    records = []
    for record in rows:
        place = (record.asset_id or 0, record.username)
        if (outcome := told.get(place)) is None:
            continue
        record.account_id = accounts.get(place)
        record.decision = outcome.decision
        record.status = outcome.status
        record.reason = outcome.reason
        record.message = outcome.message
        record.seconds = round(outcome.seconds, 3)
        record.actor = outcome.actor
        record.settled_at = now
        records.append(record)
    Record.objects.bulk_update(
        records,
        ["account", "decision", "status", "reason", "message", "seconds", "actor", "settled_at"],
    )
    _count(Counter(Status(told[record.asset_id, record.username].status) for record in records))  # type: ignore[index]  # as above


def leave_open(*, lease: Lease, secret_type: SecretType, outcomes: Sequence[Outcome]) -> None:
    """Delete what was staged for accounts that the run's next holder begins with anew.

    What may have been set is kept.

    Raises:
        LeaseLost: the run is another's now.
    """
    for chunk in split(outcomes):
        with fence(lease=lease) as run:
            if not run.dry_run:
                untouched = [one for one in chunk if one.status in _NOTHING_SET]
                places = {(outcome.asset_id, outcome.username) for outcome in untouched}
                _discard(run, secret_type, _find_accounts(places).values())


def leave_unbegun(*, run: Run, begun: Collection[int]) -> None:
    """Delete what was staged on assets that no job was handed out for; their records stay open.

    `begun` are the ids of the other assets.
    """
    for secret_type, records in _list_unbegun(run, begun).items():
        for chunk in split(records):
            _discard(run, secret_type, _find_accounts(_list_places(chunk)).values())


def settle_unbegun(*, run: Run, begun: Collection[int] = ()) -> None:
    """Cancel the open records on assets that no job was handed out for, and delete what was staged for them.

    `begun` are the ids of the other assets.  What an earlier holder of the run may have done is uncertain.
    """
    gone = Record.objects.filter(run=run, status=None, asset=None)
    _close(gone, Status.FAILED, "asset_gone", "The asset was removed meanwhile.")
    for secret_type, records in _list_unbegun(run, begun).items():
        for chunk in split(records):
            _cancel_chunk(run, secret_type, chunk)


def _list_unbegun(run: Run, begun: Collection[int]) -> dict[SecretType, list[Record]]:
    by_type: dict[SecretType, list[Record]] = defaultdict(list)
    for record in Record.objects.filter(run=run, status=None).exclude(asset=None):
        if record.asset_id not in begun:
            by_type[SecretType(record.secret_type)].append(record)
    return by_type


def _list_places(records: Iterable[Record]) -> set[_Place]:
    return {(record.asset_id, record.username) for record in records if record.asset_id is not None}


def _cancel_chunk(run: Run, secret_type: SecretType, records: Sequence[Record]) -> None:
    open_before: set[_Place] = set()
    if not run.dry_run:
        accounts = _find_accounts(_list_places(records))
        _discard(run, secret_type, accounts.values())
        staged = _find_open_before(run, secret_type, accounts.values())
        open_before = {place for place, account_id in accounts.items() if account_id in staged}
    uncertain = [one.id for one in records if (one.asset_id, one.username) in open_before]
    _close_interrupted(Record.objects.filter(id__in=uncertain))
    _close(
        Record.objects.filter(id__in={one.id for one in records}.difference(uncertain)),
        Status.CANCELLED,
        "cancelled",
        "The run was stopped before it came to this account. To go on: provost run retry.",
    )


def settle_interrupted_records(*, run: Run) -> None:
    """Settle as uncertain what a run has begun and has no outcome of. Its secrets stay pending."""
    left = Record.objects.filter(run=run, status=None)
    if run.dry_run:
        _close(left, Status.CANCELLED, "interrupted", "Provost was interrupted; a dry run changes nothing.")
    else:
        _close_interrupted(left)


def _close_interrupted(records: QuerySet[Record]) -> None:
    _close(
        records,
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
