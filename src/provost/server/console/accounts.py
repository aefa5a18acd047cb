"""Accounts: the list, and what is said of one."""

from typing import Any, Final
from urllib.parse import urlencode

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import URLPattern, path
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from provost.core.documents import (
    AccountDetailDocument,
    AccountDocument,
    AuditDocument,
    KindDocument,
    PageDocument,
)
from provost.core.errors import UsageError
from provost.core.model import SecretState, SecretType, Sync
from provost.core.requests import (
    AccountBody,
    AccountPatch,
    AccountQuery,
    AuditQuery,
    ForgetQuery,
    PageQuery,
)
from provost.core.rights import Right
from provost.server.api import accounts as api
from provost.server.api import assets, audit, nodes, pairs
from provost.server.console.actions import describe_actions
from provost.server.console.changes import Change, describe_changes
from provost.server.console.filters import Filters, answer, read_query
from provost.server.console.forms import Form, read_version
from provost.server.console.lives import describe_lives, read_lives
from provost.server.console.privileges import find_kind, list_becomes
from provost.server.console.reauthentication import ask
from provost.server.console.reveal import list_choices
from provost.server.console.visitors import Visit

_LATEST: Final = 10
_PLACES: Final = {
    "asset_not_found": "asset",
    "username_refused": "username",
    "secret_refused": "secret",
    "secret_type_refused": "secret",
    "key_unreadable": "secret",
    "key_weak": "secret",
    "key_passphrase_needed": "secret.passphrase",
    "key_passphrase_wrong": "secret.passphrase",
    "account_exists": "replace",
}

_EDIT_PLACES: Final = {
    "lifetime_refused": "expires_at",
    "account_disabled": "expires_at",
    "account_privileged": "expires_at",
    "account_protected": "expires_at",
    "action_unsupported": "expires_at",
}


@require_GET
def list_accounts(request: Visit) -> HttpResponse:
    """List accounts, narrowed to what the address says; `age=30-90` is short for the days of their secrets."""
    if "age" in request.GET:
        return redirect(f"{request.path}?{_read_age(str(request.GET['age']))}")
    filters = Filters(AccountQuery, request)
    page: PageDocument[AccountDocument] = PageDocument(items=[])
    with filters.telling():
        page = api.list_accounts(request.visitor, filters.read(limit=50))
    facts: dict[str, Any] = {"accounts": page.items, "next": page.next}
    if not request.htmx:
        facts |= {"nodes": nodes.list_nodes(request.visitor), "syncs": (*Sync, "never")}
    return answer(request, filters, "console/accounts.html", "console/account_rows.html", facts)


def _read_age(text: str) -> str:
    least, _dash, below = text.partition("-")
    days = {"older_than": least.strip("0") and least, "newer_than": below}
    return urlencode({name: number for name, number in days.items() if number.isdecimal()})


@require_http_methods(["GET", "POST"])
def add_account(request: Visit) -> HttpResponse:
    """Put an account that exists on an asset into the list."""
    request.visitor.require(Right.OPERATE, what="add accounts")
    named = {name: request.GET.get(name, "") for name in ("asset", "username")}
    start = named | {"kept": SecretType.PASSWORD, "privileged": "", "replace": bool(named["username"])}
    form: Form[AccountBody] = Form(AccountBody, request, start=start, places=_PLACES)
    if request.method == "POST":
        with form.telling():
            made = api.add_account(request.visitor, form.read())
        if not form.is_wrong:
            name = f"{made.username}@{made.asset}"
            messages.success(request, _("%(name)s is in the list.") % {"name": name})
            return redirect("console:account_show", name)
        if form.code == "account_exists":
            form.errors["replace"] = _("A secret of this type is held already. Switch this on to replace it.")
    kind = _find_kind(request, form["asset"])
    types = [one.value for one in (SecretType if kind is None else kind.secret_types)]
    facts = {"form": form, "types": types, "becomes": list_becomes(kind)}
    return render(request, "console/account_new.html", facts, status=form.status)


def _find_kind(request: Visit, asset: str) -> KindDocument | None:
    """Return the kind of an asset, as soon as that is known."""
    try:
        return find_kind(request.visitor, assets.show_asset(request.visitor, asset).kind)
    except UsageError:
        return None


@require_GET
def show_account(request: Visit, account: str) -> HttpResponse:
    """Show an account: its secrets without the secrets, what runs did about it, and who changed it."""
    found = api.show_account(request.visitor, account)
    return render(request, "console/account.html", _describe(request, account, found))


def _describe(request: Visit, account: str, found: AccountDetailDocument) -> dict[str, Any]:
    history = api.list_history(request.visitor, account).versions
    entries: list[tuple[AuditDocument, list[Change]]] = []
    if request.visitor.reach(Right.AUDIT).everywhere:
        query = AuditQuery(subject=f"account {account}", limit=_LATEST)
        found_entries = audit.list_entries(request.visitor, query).items
        entries = [(entry, describe_changes(entry)) for entry in found_entries]
    activity = api.list_activity(request.visitor, account, PageQuery(limit=_LATEST))
    return {
        **describe_actions(request, found),
        "account": found,
        "name": account,
        "pair": pairs.show_pair(request.visitor, found.pair) if found.pair else None,
        "types": list(dict.fromkeys(one.secret_type for one in history if one.state is SecretState.CURRENT)),
        "can": {str(right): True for right in found.rights},
        "history": history,
        "choices": list_choices(history),
        "wanted": ask(request.user),
        "activity": activity.items,
        "next": activity.next,
        "entries": entries,
    }


@require_GET
def list_activity(request: Visit, account: str) -> HttpResponse:
    """List what runs did about an account, a page at a time."""
    page = api.list_activity(request.visitor, account, read_query(PageQuery, request, limit=50))
    facts = {"name": account, "activity": page.items, "next": page.next}
    part = "console/account_activity_rows.html"
    return render(request, part if request.htmx else "console/account_activity.html", facts)


@require_http_methods(["GET", "POST"])
def edit_account(request: Visit, account: str) -> HttpResponse:
    """Change how an account is used, and how long it lives."""
    found = api.show_account(request.visitor, account)
    start = {**found.model_dump(), **describe_lives({"grace": found.grace})}
    form = Form(AccountPatch, request, start=start, places=_EDIT_PLACES)
    if request.method == "POST":
        with form.telling():
            api.edit_account(request.visitor, account, form.read(**read_lives(form)), read_version(request))
            messages.success(request, _("%(name)s is changed.") % {"name": account})
            return redirect("console:account_show", account)
    kind = find_kind(request.visitor, found.kind)
    facts = {"form": form, "account": found, "name": account, "becomes": list_becomes(kind)}
    return render(request, "console/account_edit.html", facts, status=form.status)


@require_POST
def remove_account(request: Visit, account: str) -> HttpResponse:
    """Take an account off the list, or forget it with all its secrets."""
    forget = request.POST.get("then") == "forget"
    form = Form(ForgetQuery, request)
    with form.telling():
        api.remove_account(request.visitor, account, ForgetQuery(forget=forget), read_version(request))
    if form.is_wrong:
        found = api.show_account(request.visitor, account)
        facts = {**_describe(request, account, found), "form": form}
        return render(request, "console/account.html", facts, status=form.status)
    if forget:
        messages.success(request, _("%(name)s is forgotten, with all its secrets.") % {"name": account})
        return redirect("console:accounts")
    messages.success(request, _("%(name)s is off the list. Its secrets are kept.") % {"name": account})
    return redirect("console:account_show", account)


urlpatterns: Final[list[URLPattern]] = [
    path("accounts", list_accounts, name="accounts"),
    path("accounts/new", add_account, name="account_new"),
    path("accounts/<path:account>/edit", edit_account, name="account_edit"),
    path("accounts/<path:account>/remove", remove_account, name="account_remove"),
    path("accounts/<path:account>/activity", list_activity, name="account_activity"),
    path("accounts/<path:account>", show_account, name="account_show"),
]
