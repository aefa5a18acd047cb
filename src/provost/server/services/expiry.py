"""Lifetimes that are over: the clock has the accounts disabled, and removed when their grace has passed."""

import logging
from collections.abc import Collection, Iterable
from datetime import datetime, timedelta
from typing import Final

from django.db import transaction
from django.db.models import Exists, Min, OuterRef, QuerySet

from provost.core.errors import UsageError
from provost.core.model import Action
from provost.core.notices import Event
from provost.core.rights import Face, make_local
from provost.core.specs import DisableSpec, RemoveSpec
from provost.server.models import Account, AssetLock, Run
from provost.server.services import audit, lifetimes, secrets
from provost.server.services.discoveries import list_others
from provost.server.services.locks import being_ended, hold_assets
from provost.server.services.runs import create_run

logger = logging.getLogger(__name__)

_CLOCK: Final = make_local("expiry", face=Face.SERVER)
_AT_ONCE: Final = 200
_SHORTEST: Final = timedelta(seconds=30)
_LONGEST: Final = timedelta(hours=1)
_PUT_OFF: Final = timedelta(hours=1)


def claim_expired(*, now: datetime) -> list[Run]:
    """Write down runs that end the lives that are over, the longest due first: at most 200 accounts.

    Any number of processes may do this at once; each account is one process's alone.  One whose asset is busy,
    or has no privileged account, stays due.  One that is claimed is due again after a pause, which grows to an
    hour: if it is gone by then, it is not.
    """
    due = dict(_select_due(now).order_by("expiry_due").values_list("id", "asset_id")[:_AT_ONCE])
    if not due:
        return []
    with transaction.atomic():
        hold_assets(asset_ids=set(due.values()))
        rows = Account.objects.select_for_update(of=("self",), no_key=True, skip_locked=True)
        found = list(
            _due(rows.select_related("asset"), now).filter(id__in=due).order_by("asset__name", "username")
        )
        ended: dict[Action, list[Account]] = {Action.DISABLE: [], Action.REMOVE: []}
        others = list_others(found)
        for account in found:
            if account.id in others:
                account.expiry_due = now + _PUT_OFF
                logger.warning("%s has another user id than was accepted: it is not ended.", account)
            elif (action := _choose(account, now)) is not None:
                ended[action].append(account)
        runs = [run for action, accounts in ended.items() for run in _end(action, accounts, now)]
        Account.objects.bulk_update(found, ["expiry_due"])
    return runs


def find_next(*, now: datetime) -> datetime | None:
    """Return when the next life ends, or grace."""
    due: datetime | None = Account.objects.filter(expiry_due__gt=now).aggregate(next=Min("expiry_due"))["next"]
    return due


def tell_expiring(*, now: datetime) -> int:
    """Tell of the accounts whose lives end soon, of each once, and return how many there are."""
    with transaction.atomic():
        rows = Account.objects.select_for_update(of=("self",), no_key=True, skip_locked=True)
        soon = list(rows.select_related("asset").filter(warn_due__lte=now, disabled_at=None)[:_AT_ONCE])
        Account.objects.filter(id__in=[account.id for account in soon]).update(warn_due=None)
        lifetimes.tell(event=Event.ACCOUNT_EXPIRING, accounts=soon)
    return len(soon)


def _due(accounts: QuerySet[Account], now: datetime) -> QuerySet[Account]:
    return accounts.filter(expiry_due__lte=now, listed_at__isnull=False, privileged=False)


def _select_due(now: datetime) -> QuerySet[Account]:
    """Return the accounts that something can be done about now."""
    usable = Exists(secrets.select_usable().filter(account=OuterRef("pk")))
    logins = Account.objects.filter(usable, asset_id=OuterRef("asset_id"), privileged=True)
    busy = AssetLock.objects.filter(asset_id=OuterRef("asset_id"), expires__gt=now)
    return _due(Account.objects.all(), now).filter(Exists(logins), ~Exists(busy), ~being_ended())


def _choose(account: Account, now: datetime) -> Action | None:
    """Return what is to be done to a due account, and make it due again after a pause."""
    end = lifetimes.find_end(account)
    due = end or account.expires_at
    if due is None or due > now:
        account.expiry_due = due
        return None
    account.expiry_due = now + min(max(now - due, _SHORTEST), _LONGEST)
    return Action.DISABLE if end is None else Action.REMOVE


def _end(action: Action, accounts: list[Account], now: datetime) -> list[Run]:
    """Write down a run for the accounts; where that is refused, one for each that can be ended."""
    if not accounts:
        return []
    try:
        return [_begin(action, accounts)]
    except UsageError as error:
        if len(accounts) > 1:
            return [run for account in accounts for run in _end(action, [account], now)]
        (account,) = accounts
        account.expiry_due = now + _PUT_OFF
        logger.warning("%s cannot be ended, and is put off: %s", account, error.message)
        return []


def _begin(action: Action, accounts: list[Account]) -> Run:
    usernames = tuple(sorted({account.username for account in accounts}))
    assets = tuple(sorted({account.asset.name for account in accounts}))
    spec: DisableSpec | RemoveSpec
    if action is Action.DISABLE:
        spec = DisableSpec(action="disable", usernames=usernames, assets=assets, force=True)
    else:
        spec = RemoveSpec(action="remove", usernames=usernames, assets=assets, force=True)
    with transaction.atomic():
        run = create_run(by=_CLOCK, spec=spec, attended=False, places=_list_places(accounts))
        for account in accounts:
            details = {"action": action, "run": str(run.id), "expires_at": account.expires_at}
            audit.write(by=_CLOCK, action="account.expire", subject=f"account {account}", details=details)
    return run


def _list_places(accounts: Iterable[Account]) -> Collection[tuple[int, str]]:
    return {(account.asset_id, account.username) for account in accounts}
