"""Accounts: which there are, and which are in the list."""

from django.db import transaction

from provost.core.errors import NotFound, Refused
from provost.core.secrets import Secret
from provost.server.models import Account
from provost.server.services import secrets
from provost.server.services.assets import check_unlocked, find_asset
from provost.server.services.checks import AccountFields, check_account, check_secret
from provost.server.services.names import describe_missing


def add_account(*, fields: AccountFields, secret: Secret, replace: bool = False) -> Account:
    """Put an account into the list with a secret that is in force, or give one that is there another secret.

    With `replace`, the current secret of that type is retired; without, it is in the way.

    Raises:
        NotFound: there is no such asset.
        Refused: the username or the secret cannot be used, there is a current secret of that type, or a run
            works on the asset.
        VaultError: the master key is missing or wrong.
    """
    with transaction.atomic():
        asset = find_asset(name=fields.asset)
        check_account(fields, asset.kind)
        check_secret(secret, asset.kind)
        check_unlocked(asset)
        account, _ = Account.objects.get_or_create(asset=asset, username=fields.username)
        held = secrets.list_current_types(account_ids=[account.id]).get(account.id, set())
        if secret.secret_type in held and not replace:
            raise Refused(
                f"{account} has a {secret.secret_type} already. To put this one in its place, add --replace; "
                "the old one stays in its history.",
                code="account_exists",
            )
        if update_fields(account, fields):
            account.save()
        secrets.set_current(secrets=[(account.id, secret)])
        account.refresh_from_db()
    return account


def update_fields(account: Account, fields: AccountFields) -> bool:
    """Take over what the operator said of an account, unsaved. Returns whether that changed anything."""
    given = {
        "privileged": fields.privileged,
        "priority": fields.priority,
        "become": None if fields.become is None else fields.become.value,
    }
    changed = {name: value for name, value in given.items() if value not in (None, getattr(account, name))}
    for name, value in changed.items():
        setattr(account, name, value)
    return bool(changed)


def find_account(*, username: str, asset: str) -> Account:
    """Return an account by its name, in the list or not.

    Raises:
        NotFound: there is no such asset, or no such account on it; the message lists what there is.
    """
    found = find_asset(name=asset)
    try:
        return Account.objects.select_related("asset").get(asset=found, username=username)
    except Account.DoesNotExist:
        known = found.accounts.values_list("username", flat=True)
        raise describe_missing(
            f"account on {asset} named", [username], known, code="account_not_found"
        ) from None


def list_accounts(*, asset: str | None = None, pending: bool = False) -> list[Account]:
    """List the accounts in the list, or with `pending` those that only hold a secret of an unsettled push.

    Raises:
        NotFound: there is no such asset.
    """
    accounts = Account.objects.select_related("asset").filter(listed_at__isnull=pending)
    if pending:
        accounts = accounts.filter(id__in=secrets.select_pending_accounts())
    if asset is not None:
        accounts = accounts.filter(asset=find_asset(name=asset))
    return list(accounts.order_by("asset__name", "username"))


def unlist_account(*, username: str, asset: str) -> None:
    """Take an account off the list. Nothing is done on the target; its secrets stay in its history.

    Raises:
        NotFound: it is not in the list.
        Refused: a run works on its asset.
    """
    with transaction.atomic():
        account = find_account(username=username, asset=asset)
        check_unlocked(account.asset)
        if account.listed_at is None:
            raise NotFound(f"{account} is not in the list.", code="account_not_found")
        secrets.retire_current(account_id=account.id)
        account.listed_at = None
        account.privileged = False
        account.save(update_fields=["listed_at", "privileged"])


def forget_account(*, username: str, asset: str) -> None:
    """Delete an account with all its secrets, in the list or not. Nothing is done on the target.

    Raises:
        NotFound: there is no such account.
        Refused: a run works on its asset.
    """
    with transaction.atomic():
        account = find_account(username=username, asset=asset)
        check_unlocked(account.asset)
        account.delete()
