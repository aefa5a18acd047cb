"""From outcomes to records, secrets and the list, in bulk and in one transaction."""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final
from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from provost.core.job import Outcome
from provost.core.model import Action, SecretState, SecretType, Status
from provost.server.models import Account, Record, Run
from provost.server.services import after, secrets
from provost.server.services.chunks import CHUNK, split
from provost.server.services.leases import Lease, fence
from provost.server.services.metrics import RECORDS_SETTLED

_NOT_DONE: Final = frozenset({Status.FAILED, Status.SKIPPED, Status.CANCELLED})
_NOTHING_SET: Final = _NOT_DONE | {Status.UNCHANGED}
_LOOKING: Final = frozenset({Action.DISCOVER, Action.VERIFY})
_STAGING: Final = frozenset({Action.PUSH, Action.ROTATE})
_BEFORE: Final = (
    "Whoever held this run before may have set a secret: it is kept, and the next push of this account finds "
    "out which one is in force."
)

_Place = tuple[int, str]
"""An asset's id, and a username there."""

_Told = dict[tuple[int, str, SecretType | None], Outcome]
"""Outcomes by asset id, username and type of secret."""


def record_outcomes(*, lease: Lease, outcomes: Sequence[Outcome]) -> None:
    """Settle the records, promote what is in force, and delete what was staged for nothing.

    What is uncertain keeps its pending secret.  So does what an earlier run left uncertain, or an earlier
    holder of this one: an account that is not done is uncertain then.  A dry run touches its records alone.

    Raises:
        LeaseLost: the run is another's now.
    """
    for chunk in _divide(outcomes):
        with fence(lease=lease) as run:
            told = {(one.asset_id, one.username, one.secret_type): one for one in chunk}
            accounts = {} if run.dry_run else _settle_accounts(run, told)
            _fill_records(run, told, accounts)
            if not run.dry_run:
                after.conclude(run=run, outcomes=told.values(), accounts=accounts)


def _divide(outcomes: Sequence[Outcome]) -> Iterator[list[Outcome]]:
    """Yield what one transaction takes: of all that discoveries bring, it would outlive the lease."""
    chunk: list[Outcome] = []
    rows = 0
    for outcome in outcomes:
        chunk.append(outcome)
        rows += 1 + len(outcome.found)
        if rows >= CHUNK:
            yield chunk
            chunk, rows = [], 0
    if chunk:
        yield chunk


def _settle_accounts(run: Run, told: _Told) -> dict[_Place, UUID]:
    """Do to secrets and the list what was told, and return the accounts that there still are.

    In `told`, what an earlier holder of the run may have done becomes uncertain.
    """
    accounts = _find_accounts({(outcome.asset_id, outcome.username) for outcome in told.values()})
    if run.action in _STAGING:
        _settle_staged(run, told, accounts)
    secrets.promote(version_ids=[outcome.settled for outcome in told.values() if outcome.settled])
    after.follow(run=run, outcomes=told.values(), accounts=accounts)
    left = set(Account.objects.filter(id__in=accounts.values()).values_list("id", flat=True))
    return {place: account_id for place, account_id in accounts.items() if account_id in left}


def _settle_staged(run: Run, told: _Told, accounts: Mapping[_Place, UUID]) -> None:
    """Delete what was staged and certainly not set; what an earlier holder may have set is uncertain."""
    for secret_type, places in _group(told.values(), _NOTHING_SET).items():
        _discard(run, secret_type, [accounts[place] for place in places if place in accounts])
    for secret_type, places in _group(told.values(), _NOT_DONE).items():
        ids = {accounts[place]: place for place in places if place in accounts}
        for account_id in _find_open_before(run, secret_type, ids):
            key = (*ids[account_id], secret_type)
            message = f"{told[key].message} {_BEFORE}".strip()
            told[key] = replace(told[key], status=Status.UNCERTAIN, message=message)


def _group(outcomes: Iterable[Outcome], statuses: Collection[Status]) -> dict[SecretType, list[_Place]]:
    """Return the accounts that ended with one of the statuses, by type of secret."""
    places = defaultdict(list)
    for outcome in outcomes:
        if outcome.status in statuses and outcome.secret_type is not None:
            places[outcome.secret_type].append((outcome.asset_id, outcome.username))
    return places


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


def _fill_records(run: Run, told: _Told, accounts: Mapping[_Place, UUID]) -> None:
    now = timezone.now()
    rows = Record.objects.filter(
        run=run,
        asset_id__in={asset_id for asset_id, _, _ in told},
        username__in={username for _, username, _ in told},
        status=None,
    )
    records = []
    statuses: Counter[Status] = Counter()
    for record in rows:
        place = (record.asset_id or 0, record.username)
        if (outcome := told.get((*place, read_type(record)))) is None:
            continue
        statuses[outcome.status] += 1
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
    _count(statuses)


def read_type(record: Record) -> SecretType | None:
    """Return the type of secret that a record is about; None: the account as a whole."""
    return SecretType(record.secret_type) if record.secret_type else None


def leave_open(*, lease: Lease, outcomes: Sequence[Outcome]) -> None:
    """Delete what was staged for accounts that the run's next holder begins with anew.

    What may have been set is kept.

    Raises:
        LeaseLost: the run is another's now.
    """
    for chunk in split(outcomes):
        with fence(lease=lease) as run:
            if not run.dry_run:
                for secret_type, places in _group(chunk, _NOTHING_SET).items():
                    _discard(run, secret_type, _find_accounts(set(places)).values())


def leave_unbegun(*, run: Run, begun: Collection[int]) -> None:
    """Delete what was staged on assets that no job was handed out for; their records stay open.

    `begun` are the ids of the other assets.
    """
    for secret_type, records in _list_unbegun(run, begun).items():
        if secret_type is not None:
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


def _list_unbegun(run: Run, begun: Collection[int]) -> dict[SecretType | None, list[Record]]:
    by_type: dict[SecretType | None, list[Record]] = defaultdict(list)
    for record in Record.objects.filter(run=run, status=None).exclude(asset=None):
        if record.asset_id not in begun:
            by_type[read_type(record)].append(record)
    return by_type


def _list_places(records: Iterable[Record]) -> set[_Place]:
    return {(record.asset_id, record.username) for record in records if record.asset_id is not None}


def _cancel_chunk(run: Run, secret_type: SecretType | None, records: Sequence[Record]) -> None:
    begun_before: set[_Place] = set()
    if not run.dry_run:
        if secret_type is not None:
            _discard(run, secret_type, _find_accounts(_list_places(records)).values())
        begun_before = _find_begun_before(run, secret_type, records)
    uncertain = [one.id for one in records if (one.asset_id, one.username) in begun_before]
    _close(
        Record.objects.filter(id__in=uncertain),
        Status.UNCERTAIN,
        "interrupted",
        "The run was stopped, and whoever held it before may have begun with this account. What was staged "
        "is kept. To go on: provost run retry.",
    )
    _close(
        Record.objects.filter(id__in={one.id for one in records}.difference(uncertain)),
        Status.CANCELLED,
        "cancelled",
        "The run was stopped before it came to this account. To go on: provost run retry.",
    )


def _find_begun_before(run: Run, secret_type: SecretType | None, records: Sequence[Record]) -> set[_Place]:
    """Return the accounts that an earlier holder of the run may have told their targets something about."""
    places = _list_places(records)
    if run.epoch <= 1 or run.action in _LOOKING:
        return set()
    if run.action not in _STAGING:
        return places
    # A push sets what is pending, or again what the list holds, and a rotation what is pending.
    set_by = {SecretState.PENDING} | ({SecretState.CURRENT} if run.action == Action.PUSH else set())
    accounts = _find_accounts(places)
    held = secrets.list_held(account_ids=accounts.values())
    return {
        place
        for place, account_id in accounts.items()
        if any(one.secret_type is secret_type and one.state in set_by for one in held.get(account_id, ()))
    }


def settle_interrupted_records(*, run: Run) -> None:
    """Settle as uncertain what a run has begun and has no outcome of. Its secrets stay pending."""
    left = Record.objects.filter(run=run, status=None)
    if run.dry_run or run.action in _LOOKING:
        _close(left, Status.CANCELLED, "interrupted", "Provost was interrupted; this run changes nothing.")
    else:
        _close_interrupted(left)


def _close_interrupted(records: QuerySet[Record]) -> None:
    _close(
        records,
        Status.UNCERTAIN,
        "interrupted",
        "Provost was interrupted in the middle of this. Any secret staged for the account is kept; "
        "the next push or verification of it finds out which one is in force.",
    )


def _close(records: QuerySet[Record], status: Status, reason: str, message: str) -> None:
    closed = records.update(status=status, reason=reason, message=message, settled_at=timezone.now())
    _count({status: closed})


def _count(settled: Mapping[Status, int]) -> None:
    def count() -> None:
        for status, number in settled.items():
            RECORDS_SETTLED.labels(status).inc(number)

    transaction.on_commit(count)
