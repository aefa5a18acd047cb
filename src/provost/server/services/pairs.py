"""Pairs: two accounts that take turns, so that an application never holds a secret that is dead.

One is active, the other idle; a rotation is of the idle one, and when its new secret is proven they change
places.  So the secret that an application got last is in force until the rotation after the next.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from provost.core.errors import Conflict, Refused
from provost.core.job import Outcome
from provost.core.model import SecretState, SecretType, Status, Sync
from provost.core.rights import Principal, Right
from provost.core.specs import RotateSpec
from provost.server.models import Account, Asset, Pair
from provost.server.services import audit, secrets
from provost.server.services.assets import check_unlocked, find_asset
from provost.server.services.chunks import split
from provost.server.services.locks import check_not_ended
from provost.server.services.names import check_name, check_version, describe_missing
from provost.server.services.pages import EVERYTHING, Page, Place, cut
from provost.server.services.reach import check_assets, limit

Usernames = Mapping[int, Sequence[tuple[str, SecretType | None]]]
"""By asset id, accounts there, each with a type of secret."""


@dataclass(frozen=True, slots=True)
class PairFields:
    """What an operator says of a new pair: the usernames of its accounts, the one that is in use first.

    Without a `secret_type`, both have current secrets of but one.
    """

    name: str
    asset: str
    active: str
    idle: str
    secret_type: SecretType | None = None


def add_pair(*, by: Principal, fields: PairFields) -> Pair:
    """Let two accounts take turns.

    Raises:
        NotFound: there is no such asset, or no such account on it.
        Refused: they cannot be a pair; or `secret_type_needed`, they could be one by several types.
        Conflict: the name is taken, one of them is in a pair already or about to be disabled or removed, or a
            run works on their asset.
        Forbidden: the caller may not work on the asset.
    """
    check_name("a pair", fields.name)
    with transaction.atomic():
        asset = find_asset(by=by, name=fields.asset, lock=True)
        check_assets(by, Right.OPERATE, [asset], what=f"pair accounts on {asset}")
        check_unlocked([asset.id])
        if Pair.objects.filter(name=fields.name).exists():
            raise Conflict(f"There is a pair {fields.name} already.", code="pair_exists")
        if fields.active == fields.idle:
            raise Refused("A pair is two accounts, not one.", code="pair_refused")
        active, idle = (_find_account(asset, name) for name in (fields.active, fields.idle))
        check_not_ended(asset_id=asset.id, usernames=[active.username, idle.username])
        secret_type = _check_fit(active, idle, fields.secret_type)
        pair = Pair.objects.create(
            name=fields.name, asset=asset, active=active, idle=idle, secret_type=secret_type
        )
        details = {
            "asset": asset.name,
            "active": active.username,
            "idle": idle.username,
            "secret_type": secret_type,
        }
        audit.write(by=by, action="pair.add", subject=f"pair {pair}", details=details)
    return pair


def _find_account(asset: Asset, username: str) -> Account:
    rows = Account.objects.select_for_update(of=("self",), no_key=True).select_related("asset")
    account = rows.filter(asset=asset, username=username, listed_at__isnull=False).first()
    if account is None:
        known = asset.accounts.exclude(listed_at=None).values_list("username", flat=True)
        raise describe_missing(f"account on {asset} named", [username], known, code="account_not_found")
    return account


def _check_fit(active: Account, idle: Account, secret_type: SecretType | None) -> SecretType:
    """Return by which type of secret two accounts are a pair; raise where they cannot be one."""
    for account in (active, idle):
        check_unpaired([account.id], what="put it into another pair")
        if account.privileged:
            raise Refused(
                f"{account} is privileged: Provost itself works with it, and rotates it without a pair.",
                code="pair_refused",
            )
        if account.expires_at is not None or account.disabled_at is not None:
            raise Refused(
                f"{account} has a lifetime, or is disabled: an account of a pair lives for good. First: "
                f"provost account set {account} --never-expires, or provost enable",
                code="pair_refused",
            )
    held = secrets.list_current_types(account_ids=[active.id, idle.id])
    both = held.get(active.id, set()) & held.get(idle.id, set())
    if not both or secret_type not in {None, *both}:
        of = f" {secret_type}" if secret_type else " secret of the same type"
        raise Refused(
            f"{active} and {idle} do not both have a current{of}, so they cannot take turns. Push one first: "
            "provost push",
            code="pair_refused",
        )
    if secret_type is None and len(both) > 1:
        raise Refused(
            f"{active} and {idle} have {' and '.join(sorted(both))}: say by which one they are a pair.",
            code="secret_type_needed",
        )
    return secret_type or min(both)


def remove_pair(*, by: Principal, name: str, version: int | None = None) -> None:
    """Let the accounts of a pair take turns no more. They and their secrets stay as they are.

    Raises:
        NotFound: there is no such pair.
        Conflict: it is not the `version` that was seen.
        Forbidden: the caller may not work on its asset.
    """
    with transaction.atomic():
        pair = find_pair(by=by, name=name)
        check_assets(by, Right.OPERATE, [pair.asset], what=f"remove pair {name}")
        pair = Pair.objects.select_for_update(of=("self",)).get(id=pair.id)
        check_version(pair, version)
        pair.delete()
        audit.write(by=by, action="pair.remove", subject=f"pair {name}")


def list_pairs(
    *, by: Principal, asset: str | None = None, page: Page = EVERYTHING
) -> tuple[list[Pair], Place | None]:
    """List pairs by name, and where the next page begins.

    Raises:
        NotFound: there is no such asset.
    """
    pairs = limited(by).select_related("asset", "active", "idle")
    if asset is not None:
        pairs = pairs.filter(asset=find_asset(by=by, name=asset))
    return cut(pairs, ["name"], page)


def find_pair(*, by: Principal, name: str) -> Pair:
    """Return the pair of that name.

    Raises:
        NotFound: there is none that the caller sees; the message lists what there is.
    """
    pair = limited(by).select_related("asset", "active", "idle").filter(name=name).first()
    if pair is None:
        known = limited(by).values_list("name", flat=True)
        raise describe_missing("pair", [name], known, code="pair_not_found")
    return pair


def limited(by: Principal) -> QuerySet[Pair]:
    """Return the pairs that somebody sees, as a query."""
    return limit(Pair.objects.all(), by.require(Right.VIEW, what="see pairs"), asset="asset_id")


def find_pair_of(*, account: Account) -> Pair | None:
    """Return the pair that an account is in, if it is in one."""
    return Pair.objects.filter(Q(active=account) | Q(idle=account)).first()


def check_unpaired(account_ids: Iterable[UUID], *, what: str) -> None:
    """Raise `Conflict` for accounts that are in a pair; `what` was to be done, for the message."""
    for chunk in split(account_ids):
        pair = (
            Pair.objects.filter(Q(active__in=chunk) | Q(idle__in=chunk)).select_related("active__asset").first()
        )
        if pair is not None:
            raise Conflict(
                f"An account of pair {pair} on {pair.asset} is in use by turns, so Provost does not {what}. "
                f"First: provost pair remove {pair}",
                code="account_paired",
            )


def build_rotation(*, by: Principal, name: str) -> RotateSpec:
    """Return the rotation of a pair: that of its idle account.

    Raises:
        NotFound: there is no such pair.
    """
    pair = find_pair(by=by, name=name)
    return RotateSpec(
        action="rotate",
        usernames=(pair.idle.username,),
        assets=(pair.asset.name,),
        secret_type=SecretType(pair.secret_type),
    )


def check_rotation(
    *, usernames: Collection[str], asset_ids: Iterable[int], secret_type: SecretType
) -> set[str]:
    """Return those of the usernames that are left out of a rotation, since their turn is another's.

    Raises:
        Refused: the account of a pair that is in use was named, and the other was not.
    """
    left: set[str] = set()
    for chunk in split(asset_ids):
        rows = Pair.objects.filter(asset_id__in=chunk, active__username__in=usernames, secret_type=secret_type)
        for pair in rows.select_related("asset", "active", "idle"):
            if pair.idle.username not in usernames:
                raise Refused(
                    f"{pair.active.username}@{pair.asset} is in use: of pair {pair}, the idle account is "
                    f"rotated, {pair.idle.username}, and then they change places: provost pair rotate {pair}",
                    code="pair_active",
                )
            left.add(pair.active.username)
    return left


def skip_active(*, usernames: Usernames) -> list[Outcome]:
    """Return the outcomes of those of the accounts that are in use: they are not rotated."""
    rows = Pair.objects.filter(asset_id__in=usernames).select_related("active")
    active = {(pair.asset_id, pair.active.username, SecretType(pair.secret_type)): pair.name for pair in rows}
    return [
        Outcome(
            asset_id,
            name,
            Status.SKIPPED,
            secret_type,
            reason="pair_active",
            message=f"It is in use. To rotate its pair: provost pair rotate {pair}",
        )
        for asset_id, wanted in usernames.items()
        for name, secret_type in wanted
        if secret_type is not None and (pair := active.get((asset_id, name, secret_type))) is not None
    ]


def leave_out(usernames: Usernames, places: Collection[tuple[int, str]]) -> Usernames:
    """Return the accounts but for some, and the assets that accounts are left on."""
    left = {
        asset_id: [(name, secret_type) for name, secret_type in wanted if (asset_id, name) not in places]
        for asset_id, wanted in usernames.items()
    }
    return {asset_id: wanted for asset_id, wanted in left.items() if wanted}


def switch(*, by: Principal, account_ids: Iterable[UUID], secret_type: SecretType, run_id: UUID) -> None:
    """Let idle accounts, whose new secrets are proven, change places with the active ones of their pairs.

    Call it last in the transaction: the audit trail is told.
    """
    now = timezone.now()
    for chunk in split(account_ids):
        rows = Pair.objects.select_for_update(of=("self",)).filter(idle__in=chunk, secret_type=secret_type)
        switched = list(rows.order_by("id").select_related("active", "idle"))
        for pair in switched:
            pair.active, pair.idle = pair.idle, pair.active
            pair.switched_at = now
            pair.version += 1
            pair.save()
        for pair in switched:
            details = {"active": pair.active.username, "idle": pair.idle.username, "run": str(run_id)}
            audit.write(by=by, action="pair.switch", subject=f"pair {pair}", details=details)


def read_sync(*, pairs: Sequence[Pair]) -> Mapping[UUID, Sync | None]:
    """Return by active account whether the secret that its pair is about is in sync (None: never checked)."""
    held = secrets.list_held(account_ids=[pair.active_id for pair in pairs])
    return {
        pair.active_id: next(
            (
                one.sync
                for one in held.get(pair.active_id, ())
                if one.state is SecretState.CURRENT and one.secret_type == pair.secret_type
            ),
            None,
        )
        for pair in pairs
    }
