"""The accounts that discoveries have found, as people see them, and what they decide about them."""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.db import transaction
from django.db.models import Count, Exists, OuterRef, Q, QuerySet
from django.utils import timezone

from provost.core.errors import Conflict, NotFound, Refused
from provost.core.model import Strategy
from provost.core.names import split_account
from provost.core.onboarding import Standing
from provost.core.push import PushSpec
from provost.core.rights import Principal, Reach, Right
from provost.server.models import Account, Asset, FoundAccount, Run
from provost.server.services import audit
from provost.server.services.assets import check_unlocked, find_asset, find_assets
from provost.server.services.chunks import split
from provost.server.services.locks import hold_assets
from provost.server.services.names import describe_missing
from provost.server.services.nodes import find_node
from provost.server.services.pages import EVERYTHING, Page, Place, cut
from provost.server.services.reach import check_assets, limit_many
from provost.server.services.runs import create_run

_TOLD: Final = 20
"""How many accounts the audit trail names of an action on many."""


@dataclass(frozen=True, slots=True)
class FoundFilter:
    """Which accounts are wanted; `search`: a part of the username or of the asset's name.

    `since`: those that appeared, changed or vanished at that instant or later.
    """

    asset: str | None = None
    node: str | None = None
    standing: Standing | None = None
    can_log_in: bool | None = None
    powerful: bool | None = None
    search: str | None = None
    since: datetime | None = None


@dataclass(frozen=True, slots=True)
class StandingAccount:
    """An account that was found, where it stands, and whether it is in the list."""

    row: FoundAccount
    standing: Standing
    listed: bool


def list_found(
    *, by: Principal, filters: FoundFilter | None = None, page: Page = EVERYTHING
) -> tuple[list[StandingAccount], Place | None]:
    """List accounts by asset and username, and where the next page begins.

    Raises:
        NotFound: there is no such asset or node.
    """
    filters = filters or FoundFilter()
    rows = _narrow(by, filters)
    if filters.standing is not None:
        rows = rows.filter(_STANDINGS[filters.standing])
    # Facts are read for the rows of the page alone: sorted along with all the others, they take long.
    light = rows.select_related("asset").only("username", "asset__name")
    found, place = cut(light, ["asset__name", "username"], page)
    whole = FoundAccount.objects.select_related("asset").defer("accepted").in_bulk([row.id for row in found])
    return stand([whole[row.id] for row in found if row.id in whole]), place


def count_found(*, by: Principal, filters: FoundFilter | None = None) -> Counter[Standing]:
    """Count accounts by standing; that of the filters does not count.

    Raises:
        NotFound: as `list_found`.
    """
    rows = _narrow(by, filters or FoundFilter()).order_by()
    all_told = rows.aggregate(
        passed_over=Count("id", filter=Q(ignored=True)),
        gone=Count("id", filter=Q(ignored=False, vanished_at__isnull=False)),
        there=Count("id", filter=_THERE),
    )
    # Whether each is in the list is looked up once: for every use of it, the databases would do so again.
    listed = rows.filter(_THERE, _LISTED).aggregate(
        all=Count("id"), changed=Count("id", filter=Q(changed_at__isnull=False))
    )
    return Counter(
        {
            Standing.IGNORED: all_told["passed_over"],
            Standing.VANISHED: all_told["gone"],
            Standing.UNKNOWN: all_told["there"] - listed["all"],
            Standing.CHANGED: listed["changed"],
            Standing.KNOWN: listed["all"] - listed["changed"],
        }
    )


def find_found(*, by: Principal, username: str, asset: str) -> StandingAccount:
    """Return an account that was found.

    Raises:
        NotFound: there is no such asset, or no such account was found there.
    """
    found = find_asset(by=by, name=asset)
    if (row := found.found.select_related("asset").filter(username=username).first()) is None:
        known = found.found.values_list("username", flat=True)
        what = f"account found on {asset} named"
        raise describe_missing(what, [username], known, code="found_account_not_found")
    return stand([row])[0]


_LISTED: Final = Exists(
    Account.objects.filter(asset=OuterRef("asset"), username=OuterRef("username"), listed_at__isnull=False)
)
_THERE: Final = Q(ignored=False, vanished_at=None)
_STANDINGS: Final = {
    Standing.IGNORED: Q(ignored=True),
    Standing.VANISHED: Q(ignored=False, vanished_at__isnull=False),
    Standing.UNKNOWN: _THERE & ~Q(_LISTED),
    Standing.CHANGED: _THERE & Q(changed_at__isnull=False) & Q(_LISTED),
    Standing.KNOWN: _THERE & Q(changed_at=None) & Q(_LISTED),
}


def stand(rows: Sequence[FoundAccount]) -> list[StandingAccount]:
    """Return accounts with where they stand."""
    accounts = Account.objects.filter(
        asset_id__in={row.asset_id for row in rows}, username__in={row.username for row in rows}
    ).exclude(listed_at=None)
    listed = set(accounts.values_list("asset_id", "username"))
    return [_stand(row, listed=(row.asset_id, row.username) in listed) for row in rows]


def _stand(row: FoundAccount, *, listed: bool) -> StandingAccount:
    if row.ignored:
        return StandingAccount(row, Standing.IGNORED, listed)
    if row.vanished_at is not None:
        return StandingAccount(row, Standing.VANISHED, listed)
    if not listed:
        return StandingAccount(row, Standing.UNKNOWN, listed)
    return StandingAccount(row, Standing.KNOWN if row.changed_at is None else Standing.CHANGED, listed)


def select_unknown(rows: QuerySet[FoundAccount]) -> QuerySet[FoundAccount]:
    """Keep the accounts that are unknown, and that no rule has taken yet."""
    return rows.filter(_STANDINGS[Standing.UNKNOWN], rule="")


def _narrow(by: Principal, filters: FoundFilter) -> QuerySet[FoundAccount]:
    reach = by.require(Right.VIEW, what="see what was found")
    rows = limit_many(FoundAccount.objects.all(), reach, asset="asset_id")
    if filters.asset is not None:
        rows = rows.filter(asset=find_asset(by=by, name=filters.asset))
    if filters.node is not None:
        node = find_node(by=by, path=filters.node)
        rows = limit_many(rows, Reach(nodes=frozenset({node.path})), asset="asset_id")
    if filters.can_log_in is not None:
        rows = rows.filter(can_log_in=filters.can_log_in)
    if filters.powerful is not None:
        rows = rows.filter(powerful=filters.powerful)
    if filters.search:
        rows = rows.filter(Q(username__icontains=filters.search) | Q(asset__name__icontains=filters.search))
    if filters.since is not None:
        since = filters.since
        rows = rows.filter(Q(first_seen__gte=since) | Q(changed_at__gte=since) | Q(vanished_at__gte=since))
    return rows


def accept(*, by: Principal, accounts: Sequence[str], seen: datetime | None = None) -> list[FoundAccount]:
    """Take what was found of accounts for what is right; `seen` is when they were looked at.

    Raises:
        NotFound: as `find_found`.
        Refused: one is gone.
        Conflict: `found_changed`, one has changed since it was seen.
        Forbidden: the caller may not work on one of the assets.
    """
    with _change(by, "accept", accounts) as rows:
        for row in rows:
            if row.vanished_at is not None:
                raise Refused(
                    f"{row} is gone: there is nothing to accept. See: provost found forget", code="found_gone"
                )
            if seen is not None and row.changed_at is not None and row.changed_at > seen:
                raise Conflict(
                    f"{row} has changed since it was looked at. Look at it again.", code="found_changed"
                )
            row.accepted, row.changes, row.changed_at = row.facts, [], None
        FoundAccount.objects.bulk_update(rows, ["accepted", "changes", "changed_at"], batch_size=100)
    return rows


def ignore(*, by: Principal, accounts: Sequence[str], ignored: bool = True) -> list[FoundAccount]:
    """Let nobody be told of accounts any more, or again. It ends when one gets other rights.

    Raises:
        NotFound: as `find_found`.
        Forbidden: the caller may not work on one of the assets.
    """
    with _change(by, "ignore" if ignored else "heed", accounts) as rows:
        FoundAccount.objects.filter(id__in=[row.id for row in rows]).update(ignored=ignored)
    return rows


def forget(*, by: Principal, accounts: Sequence[str]) -> list[FoundAccount]:
    """Forget accounts that are gone from their assets. What is in the list stays there.

    Raises:
        NotFound: as `find_found`.
        Refused: `found_there`, one is still there.
        Forbidden: the caller may not work on one of the assets.
    """
    with _change(by, "forget", accounts) as rows:
        for row in rows:
            if row.vanished_at is None:
                raise Refused(
                    f"{row} was still there at the last look: to be rid of it, ignore it.", code="found_there"
                )
        FoundAccount.objects.filter(id__in=[row.id for row in rows]).delete()
    return rows


def enlist(*, by: Principal, accounts: Sequence[str]) -> list[FoundAccount]:
    """Put accounts into the list without a secret, as they are.

    Raises:
        NotFound: as `find_found`.
        Refused: `found_gone`, one is gone.
        Conflict: a run works on one of the assets.
        Forbidden: the caller may not work on one of the assets.
    """
    with _change(by, "enlist", accounts) as rows:
        check_unlocked(sorted({row.asset_id for row in rows}))
        for row in rows:
            _check_there(row)
        put_into_list(rows)
    return rows


def put_into_list(rows: Sequence[FoundAccount]) -> None:
    """Put accounts into the list without a secret, those that are not in it."""
    now = timezone.now()
    Account.objects.bulk_create(
        [Account(asset_id=row.asset_id, username=row.username, listed_at=now) for row in rows],
        ignore_conflicts=True,
        batch_size=500,
    )
    unlisted = Account.objects.filter(
        asset_id__in={row.asset_id for row in rows}, username__in={row.username for row in rows}, listed_at=None
    )
    places = {(row.asset_id, row.username) for row in rows}
    ids = [account.id for account in unlisted if (account.asset_id, account.username) in places]
    for chunk in split(ids):
        Account.objects.filter(id__in=chunk).update(listed_at=now)
    FoundAccount.objects.filter(id__in=[row.id for row in rows]).update(ignored=False)


def adopt(*, by: Principal, accounts: Sequence[str], spec: PushSpec, attended: bool = False) -> Run:
    """Write down a push that gives accounts new secrets, and puts them into the list.

    `spec` says with what secret; its assets, nodes and usernames do not count.  `attended` is as for
    `create_run`.

    Raises:
        NotFound: as `find_found`.
        Refused: `found_gone`, one is gone; or what was asked for cannot be done.
        Forbidden: the caller may not work on one of the assets.
    """
    check_adoption(spec)
    with _change(by, "adopt", accounts, told=False) as rows:  # the run that is made tells it
        for row in rows:
            _check_there(row)
        FoundAccount.objects.filter(id__in=[row.id for row in rows]).update(ignored=False)
        return push_found(by=by, rows=rows, spec=spec, attended=attended)


def push_found(*, by: Principal, rows: Sequence[FoundAccount], spec: PushSpec, attended: bool) -> Run:
    """Write down a push to accounts that were found."""
    places = [(row.asset_id, row.username) for row in rows]
    assets = tuple(dict.fromkeys(row.asset.name for row in rows))
    usernames = tuple(dict.fromkeys(row.username for row in rows))
    update = {"assets": assets, "nodes": (), "usernames": usernames}
    return create_run(by=by, spec=spec.model_copy(update=update), attended=attended, places=places)


def check_adoption(spec: PushSpec) -> None:
    """Raise `Refused` for a push that would give several accounts the same secret."""
    if spec.strategy is not Strategy.RANDOM:
        raise Refused("Accounts that were found get random secrets, each its own.", code="secret_type_refused")


def _check_there(row: FoundAccount) -> None:
    if row.vanished_at is not None:
        raise Refused(f"{row} is gone from its asset.", code="found_gone")


@contextmanager
def _change(
    by: Principal, verb: str, accounts: Sequence[str], *, told: bool = True
) -> Iterator[list[FoundAccount]]:
    """Find and lock rows for what is inside, in one transaction, and write it into the audit trail."""
    what = f"{verb} accounts that were found"
    by.require(Right.OPERATE, what=what)
    wanted = dict.fromkeys(split_account(text) for text in accounts)
    if not wanted:
        raise Refused("Name at least one account: USERNAME@ASSET.", code="no_accounts")
    with transaction.atomic():
        assets = find_assets(by=by, names=sorted({asset for _, asset in wanted}))
        check_assets(by, Right.OPERATE, assets, what=what)
        hold_assets(asset_ids=[asset.id for asset in assets])
        rows = _lock(assets, {username for username, _ in wanted})
        found = {(row.username, row.asset.name): row for row in rows}
        if missing := [name for name in wanted if name not in found]:
            username, asset = missing[0]
            raise NotFound(
                f"No discovery has found {username} on {asset}. See: provost found list --asset {asset}",
                code="found_account_not_found",
            )
        chosen = [found[name] for name in wanted]
        yield chosen
        if not told:
            return
        names = [f"{username}@{asset}" for username, asset in wanted]
        subject = f"found {names[0]}" if len(names) == 1 else f"found accounts ({len(names)})"
        details = {} if len(names) == 1 else {"accounts": names[:_TOLD], "number": len(names)}
        audit.write(by=by, action=f"found.{verb}", subject=subject, details=details)


def _lock(assets: Sequence[Asset], usernames: set[str]) -> list[FoundAccount]:
    rows = FoundAccount.objects.select_for_update(of=("self",), no_key=True).select_related("asset")
    rows = rows.filter(asset__in=assets, username__in=usernames)
    return list(rows.order_by("asset_id", "id"))
