"""Which accounts of the assets an action is about: each of them becomes a record."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from django.db.models import QuerySet

from provost.core.errors import Refused
from provost.core.model import SecretState, SecretType, Strategy
from provost.core.push import PushSpec
from provost.core.specs import (
    DisableSpec,
    DiscoverSpec,
    EnableSpec,
    ReconcileSpec,
    RemoveSpec,
    RotateSpec,
    Spec,
    VerifySpec,
)
from provost.server.models import Account, Asset
from provost.server.services import secrets
from provost.server.services.checks import load_connector
from provost.server.services.chunks import split
from provost.server.services.pairs import check_rotation, check_unpaired

Places = Collection[tuple[int, str]]
"""Accounts as asset ids and usernames."""

_SHOWN: Final = 3


@dataclass(frozen=True, slots=True)
class Item:
    """One account on an asset, and the type of its secret that it is about (None: the account as a whole)."""

    asset: Asset
    username: str
    secret_type: SecretType | None = None


def select_items(*, spec: Spec, assets: Sequence[Asset], places: Places | None = None) -> Iterator[Item]:
    """Yield what `spec` is about on the assets; with `places`, of accounts those alone.

    Raises:
        Refused: it is about accounts that it may not be done to, or about none.
    """
    match spec:
        case PushSpec():
            yield from _select_pushed(spec, assets, places)
        case DiscoverSpec():
            yield from (Item(asset, "") for asset in assets)
        case VerifySpec() | ReconcileSpec() | RotateSpec():
            yield from _select_listed(spec, assets, places)
        case EnableSpec():
            yield from _select_disabled(spec, assets, places)
        case DisableSpec() | RemoveSpec():
            yield from _select_ended(spec, assets, places)


def _select_pushed(spec: PushSpec, assets: Sequence[Asset], places: Places | None) -> Iterator[Item]:
    for asset in assets:
        usernames = spec.usernames if places is None else [name for at, name in places if at == asset.id]
        for username in dict.fromkeys(usernames):
            yield Item(asset, username, spec.secret_type)


def _select_listed(
    spec: VerifySpec | ReconcileSpec | RotateSpec, assets: Sequence[Asset], places: Places | None
) -> Iterator[Item]:
    """Yield the accounts in the list by the secrets that they hold, of the wanted type.

    Those that are disabled let nobody in, and are left out.
    """
    unknown = set(spec.usernames)
    none = True
    by_id = {asset.id: asset for asset in assets}
    if isinstance(spec, RotateSpec) and spec.usernames:
        unknown -= check_rotation(usernames=spec.usernames, asset_ids=by_id, secret_type=spec.secret_type)
    for chunk in split(by_id):
        accounts = Account.objects.filter(asset_id__in=chunk, listed_at__isnull=False, disabled_at=None)
        if spec.usernames:
            accounts = accounts.filter(username__in=spec.usernames)
        if isinstance(spec, RotateSpec):
            accounts = _choose_rotated(accounts, spec)
        if isinstance(spec, ReconcileSpec):
            accounts = accounts.filter(reconcile=True)
        found = [one for one in accounts.order_by("username") if _is_among(one, places)]
        held = secrets.list_held(account_ids=[account.id for account in found])
        for account in found:
            for version in held.get(account.id, []):
                if version.state is SecretState.CURRENT and _is_wanted(spec, version):
                    none = False
                    unknown.discard(account.username)
                    yield Item(by_id[account.asset_id], account.username, version.secret_type)
    if unknown or none:
        who = f" named {', '.join(sorted(unknown)[:_SHOWN])}" if unknown else ""
        which = "secret" if spec.secret_type is None else spec.secret_type
        raise Refused(
            f"There is nothing to {spec.action}: no account{who} in the list there that lets in, with a "
            f"{which} of its own{_EXCEPTIONS.get(spec.action, '')}. See: provost account list",
            code="no_accounts",
        )


_EXCEPTIONS: Final = {
    "rotate": ", leaving out privileged accounts unless they are named or --privileged is given",
    "reconcile": ", leaving out those that are never to be reconciled",
}


def _choose_rotated(accounts: QuerySet[Account], spec: RotateSpec) -> QuerySet[Account]:
    """Leave out privileged accounts that nobody asked for, and of each pair the one that is in use."""
    if not (spec.usernames or spec.privileged):
        accounts = accounts.filter(privileged=False)
    return accounts.exclude(active_in__secret_type=spec.secret_type)


def _is_wanted(spec: VerifySpec | ReconcileSpec | RotateSpec, version: secrets.Version) -> bool:
    if spec.secret_type not in (None, version.secret_type):
        return False
    # A key that somebody else has made for themselves is theirs to replace.
    return not (isinstance(spec, RotateSpec) and spec.strategy is Strategy.RANDOM and version.public_only)


def _select_disabled(spec: EnableSpec, assets: Sequence[Asset], places: Places | None) -> Iterator[Item]:
    """Yield accounts that Provost has disabled."""
    unknown = set(spec.usernames)
    by_id = {asset.id: asset for asset in assets}
    for chunk in split(by_id):
        found = Account.objects.filter(
            asset_id__in=chunk,
            username__in=spec.usernames,
            listed_at__isnull=False,
            disabled_at__isnull=False,
        )
        for account in found.order_by("username"):
            if _is_among(account, places):
                unknown.discard(account.username)
                yield Item(by_id[account.asset_id], account.username)
    if unknown or not spec.usernames:
        raise Refused(
            f"{', '.join(sorted(unknown)[:_SHOWN]) or 'Nobody'}: no account of that name there is disabled by "
            "Provost. See: provost account show",
            code="no_accounts",
        )


def _select_ended(
    spec: DisableSpec | RemoveSpec, assets: Sequence[Asset], places: Places | None
) -> Iterator[Item]:
    """Yield accounts that may be disabled or removed. Those that are not in the list take force."""
    usernames = set(spec.usernames) if places is None else {username for _, username in places}
    if not usernames:
        raise Refused(f"Name at least one account to {spec.action}.", code="no_accounts")
    for kind in {asset.kind for asset in assets}:
        if kept := usernames & load_connector(kind).protected:
            raise Refused(
                f"Provost does not {spec.action} {', '.join(sorted(kept))}: no asset of the kind {kind} can do "
                "without.",
                code="account_protected",
            )
    unknown = set(usernames)
    by_id = {asset.id: asset for asset in assets}
    for chunk in split(by_id):
        found = {
            (account.asset_id, account.username): account
            for account in Account.objects.filter(asset_id__in=chunk, username__in=usernames)
            if _is_among(account, places)
        }
        check_unpaired([account.id for account in found.values()], what=f"{spec.action} it")
        for asset_id in chunk:
            for username in sorted(usernames):
                if places is not None and (asset_id, username) not in places:
                    continue
                account = found.get((asset_id, username))
                listed = account is not None and account.listed_at is not None
                if listed or spec.force:
                    _check_end(spec, by_id[asset_id], username, account)
                    unknown.discard(username)
                    yield Item(by_id[asset_id], username)
    if unknown:
        raise Refused(
            f"{', '.join(sorted(unknown)[:_SHOWN])}: not in the list of these assets. To {spec.action} an "
            "account that Provost does not know, add --force.",
            code="no_accounts",
        )


def _check_end(spec: DisableSpec | RemoveSpec, asset: Asset, username: str, account: Account | None) -> None:
    if (account is not None and account.privileged) or username == asset.options.get("via_account"):
        raise Refused(
            f"{username} on {asset} is the account that Provost works there with: it is not {spec.action}d. "
            f"First make it unprivileged: provost account set {username}@{asset} --not-privileged",
            code="account_privileged",
        )
    if not spec.force and (account is None or not account.created_by_provost):
        raise Refused(
            f"{username} on {asset} was not created by Provost. To {spec.action} it all the same, add --force.",
            code="account_not_ours",
        )


def _is_among(account: Account, places: Places | None) -> bool:
    return places is None or (account.asset_id, account.username) in places
