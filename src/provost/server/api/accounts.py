from datetime import timedelta

from django.utils import timezone

from provost.core.documents import (
    AccountDetailDocument,
    AccountDocument,
    ActivityDocument,
    HistoryDocument,
    PageDocument,
    RevealedDocument,
)
from provost.core.errors import Refused
from provost.core.names import split_account
from provost.core.requests import (
    AccountBody,
    AccountPatch,
    AccountQuery,
    ForgetQuery,
    PageQuery,
    RevealBody,
)
from provost.core.rights import Principal
from provost.core.secrets import Password
from provost.server.api.describe import describe_accounts, describe_secrets
from provost.server.api.describe_runs import describe_activity
from provost.server.api.paging import each, make_page, read_page
from provost.server.api.reading import require_secret
from provost.server.services import accounts, pairs
from provost.server.services.checks import AccountFields
from provost.server.services.lifetimes import Life
from provost.server.services.reach import list_rights


def list_accounts(by: Principal, query: AccountQuery) -> PageDocument[AccountDocument]:
    """List the accounts in the list, or those that wait for a push to be settled."""
    filters = accounts.AccountFilter(
        asset=query.asset,
        node=query.node,
        username=query.username,
        privileged=query.privileged,
        pending=query.pending,
        search=query.search,
        secret_type=query.secret_type,
        older_than=query.older_than,
        newer_than=query.newer_than,
        sync=query.sync,
    )
    return make_page(accounts.list_accounts(by=by, filters=filters, page=read_page(query)), describe_accounts)


def add_account(by: Principal, body: AccountBody) -> AccountDocument:
    """Put an account that exists on an asset into the list, with its secret."""
    fields = AccountFields(body.username, body.asset, body.privileged, body.priority, body.become)
    secret = require_secret(body.secret)
    account = accounts.add_account(by=by, fields=fields, secret=secret, replace=body.replace)
    return describe_accounts([account])[0]


def show_account(by: Principal, account: str) -> AccountDetailDocument:
    """Show an account and what is known of its secrets, without the secrets."""
    username, asset = split_account(account)
    found = accounts.find_account(by=by, username=username, asset=asset)
    pair = pairs.find_pair_of(account=found)
    return AccountDetailDocument(
        **describe_accounts([found])[0].model_dump(),
        kind=found.asset.kind,
        pair=pair.name if pair else None,
        rights=list_rights(by, found.asset),
    )


def edit_account(
    by: Principal, account: str, body: AccountPatch, version: int | None = None
) -> AccountDocument:
    """Change what is given of an account: how it is used, and how long it lives."""
    username, asset = split_account(account)
    fields = AccountFields(
        username, asset, body.privileged, body.priority, body.become, body.reconcile, body.grace
    )
    found = accounts.edit_account(by=by, fields=fields, life=_read_life(body), version=version)
    return describe_accounts([found])[0]


def _read_life(body: AccountPatch) -> Life | None:
    if body.lifetime is not None:
        return Life(timezone.now() + timedelta(seconds=body.lifetime))
    return Life(body.expires_at) if "expires_at" in body.model_fields_set else None


def remove_account(by: Principal, account: str, query: ForgetQuery, version: int | None = None) -> None:
    """Take an account off the list, or forget it with all its secrets. The target itself is left alone."""
    username, asset = split_account(account)
    remove = accounts.forget_account if query.forget else accounts.unlist_account
    remove(by=by, username=username, asset=asset, version=version)


def reveal(by: Principal, account: str, body: RevealBody) -> RevealedDocument:
    """Reveal a secret. That takes a right of its own, and is written into the audit trail."""
    username, asset = split_account(account)
    secret = accounts.reveal_secret(
        by=by, username=username, asset=asset, secret_type=body.secret_type, version=body.version
    )
    text = secret.text if isinstance(secret, Password) else secret.private
    if text is None:
        raise Refused(
            f"Provost holds the public key of {account} only, and no private half.", code="public_key_only"
        )
    return RevealedDocument(username=username, asset=asset, secret_type=secret.secret_type, secret=text)


def list_history(by: Principal, account: str) -> HistoryDocument:
    """List every secret that an account has or had, the newest first, without the secrets."""
    username, asset = split_account(account)
    versions = accounts.list_history(by=by, username=username, asset=asset)
    return HistoryDocument(username=username, asset=asset, versions=describe_secrets(versions))


def list_activity(by: Principal, account: str, query: PageQuery) -> PageDocument[ActivityDocument]:
    """List what runs did about an account, the newest first."""
    username, asset = split_account(account)
    found = accounts.list_activity(by=by, username=username, asset=asset, page=read_page(query))
    return make_page(found, each(describe_activity))
