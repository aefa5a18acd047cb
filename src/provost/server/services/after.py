"""What follows from the outcomes of a run for its accounts, besides their staged secrets."""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Final
from uuid import UUID

from django.db.models import Q
from django.utils import timezone

from provost.core.job import Outcome
from provost.core.model import FINE, Action, Decision, Status, Verdict
from provost.core.notices import Event, OutOfSync, OutOfSyncAccount
from provost.core.push import PushSpec
from provost.core.rights import Face, make_local
from provost.core.specs import SPECS, RotateSpec
from provost.server.models import Account, Record, Run
from provost.server.services import discoveries, lifetimes, notices, pairs, secrets, sync

_DONE: Final = frozenset({Status.SUCCEEDED, Status.UNVERIFIED})

_MAKING: Final = frozenset({Decision.CREATE, Decision.RESTORE})

_TOUCHING: Final = frozenset({Action.PUSH, Action.ROTATE, Action.RECONCILE, Action.DISABLE})

_Accounts = Mapping[tuple[int, str], UUID]


def follow(*, run: Run, outcomes: Collection[Outcome], accounts: _Accounts) -> None:
    """Write down what outcomes tell of accounts: given by asset id and username, those that have a row."""
    _note_checks(run, outcomes, accounts)
    if run.action in _TOUCHING:
        touched = [(one.asset_id, one.username) for one in outcomes if one.status in _DONE]
        discoveries.note_touched(places=touched)
    _FOLLOWING.get(Action(run.action), _ignore)(run, outcomes, accounts)


def conclude(*, run: Run, outcomes: Iterable[Outcome], accounts: _Accounts) -> None:
    """Do what is told to the audit trail, last in the transaction: pairs change places."""
    spec = SPECS.validate_python(run.spec)
    if isinstance(spec, RotateSpec):
        proven = [
            accounts[place]
            for one in outcomes
            if one.status is Status.SUCCEEDED
            and one.verdict is Verdict.ACCEPTED
            and (place := (one.asset_id, one.username)) in accounts
        ]
        by = make_local(run.requested_by, face=Face.SERVER)
        pairs.switch(by=by, account_ids=proven, secret_type=spec.secret_type, run_id=run.id)


def _note_checks(run: Run, outcomes: Iterable[Outcome], accounts: _Accounts) -> None:
    checks = [
        sync.Check(accounts[place], one.secret_type, one.verdict, one.reason, one.message)
        for one in outcomes
        if one.secret_type and one.verdict and (place := (one.asset_id, one.username)) in accounts
    ]
    if checks and (fallen := sync.note_checks(checks=checks)):
        _tell_out_of_sync(run, fallen)


def _tell_out_of_sync(run: Run, fallen: Iterable[sync.Check]) -> None:
    checks = {check.account_id: check for check in fallen}
    accounts = Account.objects.filter(id__in=checks).select_related("asset").order_by("asset__name", "username")
    now = timezone.now()
    told = tuple(
        OutOfSyncAccount(
            asset=account.asset.name,
            username=account.username,
            secret_type=checks[account.id].secret_type,
            since=now,
            reason=checks[account.id].reason,
        )
        for account in accounts
    )
    notices.tell(
        event=Event.OUT_OF_SYNC,
        payload=OutOfSync(accounts=told, run=run.id),
        asset_ids={account.asset_id for account in accounts},
    )


def _ignore(_run: Run, _outcomes: Collection[Outcome], _accounts: _Accounts) -> None:
    """Nothing more follows."""


def _follow_push(run: Run, outcomes: Collection[Outcome], accounts: _Accounts) -> None:
    places = [
        (one.asset_id, one.username) for one in outcomes if one.status in _DONE and one.decision in _MAKING
    ]
    places += _list_made_before(run, outcomes)
    made = [accounts[place] for place in places if place in accounts]
    Account.objects.filter(id__in=made).update(created_by_provost=True)
    lifetimes.note_enabled(account_ids=made, for_good=False)
    discoveries.note_made_or_removed(places=places)
    spec = SPECS.validate_python(run.spec)
    if isinstance(spec, PushSpec) and spec.lifetime is not None:
        lifetimes.begin(
            account_ids=[*made, *_list_own(outcomes, accounts)], lifetime=spec.lifetime, grace=spec.grace
        )


def _list_own(outcomes: Iterable[Outcome], accounts: _Accounts) -> Iterable[UUID]:
    """Return the accounts with a new secret that Provost created before.

    Those of others are adopted for good: to end their lives takes more rights than to push.
    """
    done = {
        accounts[place]
        for one in outcomes
        if one.status in _DONE and (place := (one.asset_id, one.username)) in accounts
    }
    return Account.objects.filter(id__in=done, created_by_provost=True).values_list("id", flat=True)


def _list_made_before(run: Run, outcomes: Iterable[Outcome]) -> list[tuple[int, str]]:
    """Return the accounts that a push created which was cut off, and that a login has proved now.

    Each push that may have set the secret was about to create the account: what is not known does not count.
    """
    settled = {
        (one.asset_id, one.username): one.secret_type
        for one in outcomes
        if one.settled and one.status not in _DONE
    }
    if not settled:
        return []
    records = Record.objects.filter(
        Q(status=None) | Q(status=Status.UNCERTAIN),
        asset_id__in={asset_id for asset_id, _ in settled},
        username__in={username for _, username in settled},
        run__action=Action.PUSH,
        run__dry_run=False,
        run__epoch__gt=0,
    )
    if run.epoch == 1:  # nobody held it before
        records = records.exclude(run=run)
    decisions: dict[tuple[int, str], set[str | None]] = defaultdict(set)
    for record in records:
        place = (record.asset_id or 0, record.username)
        if settled.get(place) == record.secret_type:
            decisions[place].add(record.decision)
    return [place for place, tried in decisions.items() if tried <= _MAKING]


def _follow_discovery(_run: Run, outcomes: Collection[Outcome], _accounts: _Accounts) -> None:
    for one in sorted(outcomes, key=lambda one: one.asset_id):
        if one.status is Status.SUCCEEDED:
            discoveries.record_found(asset_id=one.asset_id, found=one.found)


def _follow_disabling(_run: Run, outcomes: Collection[Outcome], accounts: _Accounts) -> None:
    lifetimes.note_disabled(account_ids=_list_fine(outcomes, accounts))


def _follow_enabling(_run: Run, outcomes: Collection[Outcome], accounts: _Accounts) -> None:
    lifetimes.note_enabled(account_ids=_list_fine(outcomes, accounts), for_good=True)


def _follow_removal(_run: Run, outcomes: Collection[Outcome], accounts: _Accounts) -> None:
    gone = _list_fine(outcomes, accounts)
    secrets.retire_all(account_ids=gone)
    lifetimes.end(account_ids=gone)
    Account.objects.filter(id__in=gone).update(listed_at=None, created_by_provost=False)
    discoveries.note_made_or_removed(
        places=[(one.asset_id, one.username) for one in outcomes if one.status in FINE]
    )


def _list_fine(outcomes: Iterable[Outcome], accounts: _Accounts) -> list[UUID]:
    places = [(one.asset_id, one.username) for one in outcomes if one.status in FINE]
    return [accounts[place] for place in places if place in accounts]


_FOLLOWING: Final[Mapping[Action, Callable[[Run, Collection[Outcome], _Accounts], None]]] = {
    Action.PUSH: _follow_push,
    Action.DISCOVER: _follow_discovery,
    Action.DISABLE: _follow_disabling,
    Action.ENABLE: _follow_enabling,
    Action.REMOVE: _follow_removal,
}
