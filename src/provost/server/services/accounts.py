"""Accounts: which there are, which are in the list, and who may see their secrets."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal

from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils import timezone

from provost.core.errors import Conflict, NotFound
from provost.core.model import SecretState, SecretType, Sync
from provost.core.names import split_account
from provost.core.rights import Principal, Reach, Right
from provost.core.secrets import Secret
from provost.server.models import Account, Record
from provost.server.services import audit, guard, lifetimes, secrets
from provost.server.services.assets import check_unlocked, find_asset, find_assets
from provost.server.services.checks import AccountFields, check_account, check_secret
from provost.server.services.chunks import split
from provost.server.services.lifetimes import Life, set_life
from provost.server.services.names import check_version, describe_missing
from provost.server.services.nodes import find_node
from provost.server.services.pages import EVERYTHING, Page, Place, cut
from provost.server.services.pairs import check_unpaired
from provost.server.services.reach import check_assets, limit


@dataclass(frozen=True, slots=True)
class AccountFilter:
    """Which accounts are wanted; `search`: a part of the username or of the asset's name.

    With `pending`, those that are not in the list and hold a secret of an unsettled push.  `older_than` and
    `newer_than` are days since a secret, of the `secret_type` if there is one, became current; `sync` is what
    its last check told, or that it was `never` checked.
    """

    asset: str | None = None
    node: str | None = None
    username: str | None = None
    privileged: bool | None = None
    pending: bool = False
    search: str | None = None
    secret_type: SecretType | None = None
    older_than: int | None = None
    newer_than: int | None = None
    sync: Sync | Literal["never"] | None = None


def add_account(*, by: Principal, fields: AccountFields, secret: Secret, replace: bool = False) -> Account:
    """Put an account into the list with a secret that is in force, or give one that is there another secret.

    With `replace`, the current secret of that type is retired; without, it is in the way.

    Raises:
        NotFound: there is no such asset.
        Refused: the username or the secret cannot be used.
        Conflict: there is a current secret of that type, or a run works on the asset.
        Forbidden: the caller may not work on the asset.
        VaultError: the master key is missing or wrong.
    """
    with transaction.atomic():
        asset = find_asset(by=by, name=fields.asset, lock=True)
        check_assets(by, Right.OPERATE, [asset], what=f"add accounts on {asset}")
        check_account(fields, asset.kind)
        check_secret(secret, asset.kind)
        check_unlocked([asset.id])
        account, made = Account.objects.get_or_create(asset=asset, username=fields.username)
        held = secrets.list_current_types(account_ids=[account.id]).get(account.id, set())
        if secret.secret_type in held and not replace:
            raise Conflict(
                f"{account} has a {secret.secret_type} already. To put this one in its place, add --replace; "
                "the old one stays in its history.",
                code="account_exists",
            )
        lifetimes.check_grace(by=by, account=account, grace=fields.grace)
        changes = update_fields(account, fields)
        if not made:
            account.version += 1
        _check_privileged(account, changes)
        account.save()
        secrets.set_current(secrets=[(account.id, secret)])
        guard.forget_refusals(account_ids=[account.id])
        audit.write(
            by=by,
            action="account.add" if made else "account.set",
            subject=f"account {account}",
            details={**changes, "secret_type": secret.secret_type, "replaced": secret.secret_type in held},
        )
        account.refresh_from_db()
    return account


def edit_account(
    *, by: Principal, fields: AccountFields, life: Life | None = None, version: int | None = None
) -> Account:
    """Change what the operator says of an account; `life`: how long it lives (None: as it is).

    One that becomes privileged lives for good.

    Raises:
        NotFound: there is no such asset, or no such account on it.
        Refused: it cannot be privileged, or have that lifetime.
        Conflict: a run works on its asset, or it is not the `version` that was seen.
        Forbidden: the caller may not work on the asset; or, for a lifetime or a grace, as `set_life`.
    """
    with transaction.atomic():
        account = _find_for_change(by, fields.username, fields.asset, Right.OPERATE, "change accounts")
        check_version(account, version)
        lifetimes.check_grace(by=by, account=account, grace=fields.grace)
        changes = update_fields(account, fields)
        _check_privileged(account, changes)
        if life is not None:
            changes |= set_life(by=by, account=account, life=life)
        if changes:
            account.version += 1
            account.save()
            audit.write(by=by, action="account.edit", subject=f"account {account}", details=changes)
    return account


def _check_privileged(account: Account, changes: Collection[str]) -> None:
    if "privileged" in changes and account.privileged:
        check_unpaired([account.id], what="work with it itself")


def update_fields(account: Account, fields: AccountFields) -> dict[str, list[object]]:
    """Take over what the operator said of an account, unsaved. Returns by field what was and what is."""
    given: dict[str, object] = {
        "privileged": fields.privileged,
        "priority": fields.priority,
        "become": None if fields.become is None else fields.become.value,
        "reconcile": fields.reconcile,
        "grace": fields.grace,
    }
    changed: dict[str, list[object]] = {
        name: [getattr(account, name), value]
        for name, value in given.items()
        if value not in (None, getattr(account, name))
    }
    for name, (_, value) in changed.items():
        setattr(account, name, value)
    if "privileged" in changed and account.privileged:
        changed |= lifetimes.spare(account)
    if "grace" in changed:
        lifetimes.set_due(account)
    return changed


def find_account(*, by: Principal, username: str, asset: str, lock: bool = False) -> Account:
    """Return an account by its name, in the list or not; `lock` is as for `find_asset`.

    Raises:
        NotFound: there is no such asset, or no such account on it; the message lists what there is.
    """
    found = find_asset(by=by, name=asset, lock=lock)
    try:
        return Account.objects.select_related("asset").get(asset=found, username=username)
    except Account.DoesNotExist:
        known = found.accounts.values_list("username", flat=True)
        raise describe_missing(
            f"account on {asset} named", [username], known, code="account_not_found"
        ) from None


def list_accounts(
    *, by: Principal, filters: AccountFilter | None = None, page: Page = EVERYTHING
) -> tuple[list[Account], Place | None]:
    """List accounts by asset and username, and where the next page begins.

    Raises:
        NotFound: there is no such asset or node.
    """
    filters = filters or AccountFilter()
    accounts = limited(by).select_related("asset").filter(listed_at__isnull=filters.pending)
    if filters.pending:
        accounts = accounts.filter(id__in=secrets.select_pending_accounts())
    if filters.asset is not None:
        accounts = accounts.filter(asset=find_asset(by=by, name=filters.asset))
    if filters.node is not None:
        node = find_node(by=by, path=filters.node)
        accounts = limit(accounts, Reach(nodes=frozenset({node.path})), asset="asset_id")
    if filters.username is not None:
        accounts = accounts.filter(username=filters.username)
    if filters.privileged is not None:
        accounts = accounts.filter(privileged=filters.privileged)
    if filters.search:
        accounts = accounts.filter(
            Q(username__icontains=filters.search) | Q(asset__name__icontains=filters.search)
        )
    about_secrets = (filters.secret_type, filters.older_than, filters.newer_than, filters.sync)
    if any(one is not None for one in about_secrets):
        accounts = accounts.filter(Exists(_select_holders(filters).filter(account=OuterRef("pk"))))
    return cut(accounts, ["asset__name", "username"], page)


def _select_holders(filters: AccountFilter) -> QuerySet[Any]:
    now = timezone.now()
    state = SecretState.PENDING if filters.pending else SecretState.CURRENT
    older, newer = (
        None if days is None else now - timedelta(days=days)
        for days in (filters.older_than, filters.newer_than)
    )
    return secrets.select_holders(
        state=state, secret_type=filters.secret_type, until=older, after=newer, sync=filters.sync
    )


def find_places(*, by: Principal, names: Sequence[str]) -> set[tuple[int, str]]:
    """Return accounts, each named USERNAME@ASSET, as asset ids and usernames.

    Raises:
        NotFound: there is no such asset, or no such account on it.
        Refused: a name is none of an account.
    """
    wanted = {split_account(name) for name in names}
    assets = {one.name: one.id for one in find_assets(by=by, names=sorted({asset for _, asset in wanted}))}
    found: set[tuple[int, str]] = set()
    for chunk in split(set(assets.values())):
        found.update(Account.objects.filter(asset_id__in=chunk).values_list("asset_id", "username"))
    places = {(assets[asset], username) for username, asset in wanted}
    if places - found:
        missing = sorted(f"{user}@{asset}" for user, asset in wanted if (assets[asset], user) not in found)
        raise NotFound(f"There is no account {missing[0]}. See: provost account list", code="account_not_found")
    return places


def list_activity(*, by: Principal, username: str, asset: str, page: Page) -> tuple[list[Record], Place | None]:
    """List the records of runs about an account, the newest first, and where the next page begins.

    Raises:
        NotFound: there is no such account.
    """
    account = find_account(by=by, username=username, asset=asset)
    return cut(Record.objects.filter(account=account).select_related("run"), ["-id"], page)


def list_privileged(*, asset_ids: Iterable[int]) -> dict[int, list[tuple[Account, bool]]]:
    """List the privileged accounts of assets in their order, and whether a secret to log in with is held."""
    usable = secrets.select_usable().filter(account=OuterRef("pk"))
    found: dict[int, list[tuple[Account, bool]]] = defaultdict(list)
    for chunk in split(asset_ids):
        rows = Account.objects.filter(asset_id__in=chunk, privileged=True).exclude(listed_at=None)
        for account in rows.annotate(usable=Exists(usable)).order_by("priority", "username"):
            found[account.asset_id].append((account, account.usable))
    return dict(found)


def limited(by: Principal) -> QuerySet[Account]:
    """Return the accounts that somebody sees, as a query."""
    return limit(Account.objects.all(), by.require(Right.VIEW, what="see accounts"), asset="asset_id")


def reveal_secret(
    *,
    by: Principal,
    username: str,
    asset: str,
    secret_type: SecretType | None = None,
    version: int | None = None,
) -> Secret:
    """Return a secret of an account: the current one, or that of a `version`. It is written down first.

    Without `secret_type`, the account has but one.

    Raises:
        NotFound: there is no such account, or no such secret of it.
        Refused: `secret_type_needed`, it has secrets of several types.
        Forbidden: the caller may not reveal secrets of this asset.
        VaultError: the master key is missing or wrong, or the secret does not decrypt.
    """
    by.require(Right.REVEAL, what="reveal secrets")
    account = find_account(by=by, username=username, asset=asset)
    check_assets(by, Right.REVEAL, [account.asset], what=f"reveal secrets of {asset}")
    chosen = secret_type or secrets.choose_type(account_id=account.id, name=str(account))
    audit.write(
        by=by,
        action="account.reveal",
        subject=f"account {account}",
        details={"secret_type": chosen, "version": version},
    )
    return secrets.reveal(account_id=account.id, secret_type=chosen, version=version)


def list_history(*, by: Principal, username: str, asset: str) -> list[secrets.Version]:
    """List every secret that an account has or had, the newest first, without the secrets.

    Raises:
        NotFound: there is no such account.
    """
    return secrets.history(account_id=find_account(by=by, username=username, asset=asset).id)


def unlist_account(*, by: Principal, username: str, asset: str, version: int | None = None) -> None:
    """Take an account off the list. Nothing is done on the target; its secrets stay in its history.

    Raises:
        NotFound: it is not in the list.
        Conflict: a run works on its asset, or it is not the `version` that was seen.
        Forbidden: the caller may not work on the asset.
    """
    with transaction.atomic():
        account = _find_for_change(by, username, asset, Right.OPERATE, "take accounts off the list")
        check_version(account, version)
        if account.listed_at is None:
            raise NotFound(f"{account} is not in the list.", code="account_not_found")
        check_unpaired([account.id], what="take it off the list")
        secrets.retire_current(account_id=account.id)
        account.listed_at = None
        account.privileged = False
        account.version += 1
        account.save(update_fields=["listed_at", "privileged", "version"])
        lifetimes.end(account_ids=[account.id])
        audit.write(by=by, action="account.unlist", subject=f"account {account}")


def forget_account(*, by: Principal, username: str, asset: str, version: int | None = None) -> None:
    """Delete an account with all its secrets, in the list or not. Nothing is done on the target.

    Raises:
        NotFound: there is no such account.
        Conflict: a run works on its asset, or it is not the `version` that was seen.
        Forbidden: the caller may not administer the asset.
    """
    with transaction.atomic():
        account = _find_for_change(by, username, asset, Right.ADMINISTER, "delete secrets")
        check_version(account, version)
        check_unpaired([account.id], what="forget it")
        account.delete()
        audit.write(by=by, action="account.forget", subject=f"account {account}")


def _find_for_change(by: Principal, username: str, asset: str, right: Right, what: str) -> Account:
    account = find_account(by=by, username=username, asset=asset, lock=True)
    check_assets(by, right, [account.asset], what=f"{what} on {asset}")
    check_unlocked([account.asset_id])
    return (
        Account.objects.select_for_update(of=("self",), no_key=True).select_related("asset").get(id=account.id)
    )
