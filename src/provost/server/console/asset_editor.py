"""Adding an asset, with its privileged account, and changing one."""

from collections.abc import Sequence
from typing import Annotated, Any, Final, Literal

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import URLPattern, path
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_safe
from pydantic import Field, SecretStr

from provost.core.documents import KindDocument
from provost.core.errors import ProvostError
from provost.core.model import Become, SecretType
from provost.core.requests import AccountBody, AssetBody, AssetPatch, AssetQuery, Said, SecretBody
from provost.core.rights import Right
from provost.server.api import accounts, assets, kinds, nodes
from provost.server.api.reading import require_secret
from provost.server.console.forms import Form, Incomplete, read_version
from provost.server.console.privileges import find_kind, list_becomes
from provost.server.console.tree import build_tree
from provost.server.console.visitors import Visit

_PLACES: Final = {
    "name_refused": "name",
    "asset_exists": "name",
    "kind_not_found": "kind",
    "address_refused": "address",
    "port_refused": "port",
    "node_refused": "nodes",
    "option_refused": "options",
    "asset_not_found": "via",
    "via_loop": "via",
}
_LOGIN_PLACES: Final = {
    "username_refused": "account.username",
    "account_exists": "account.replace",
    "secret_refused": "account.password",
    "key_unreadable": "account.key",
    "key_weak": "account.key",
    "key_passphrase_needed": "account.passphrase",
    "key_passphrase_wrong": "account.passphrase",
}
_GATEWAYS_SHOWN: Final = 20


class _Login(Said):
    """A privileged account, with the secret that its asset takes."""

    username: Annotated[str, Field(min_length=1, max_length=255)]
    become: Become = Become.NONE
    password: SecretStr | None = Field(None, max_length=4096)
    key: SecretStr | None = Field(None, max_length=65536)
    passphrase: SecretStr | None = Field(None, max_length=4096)
    replace: bool = False


class _LoginForm(Said):
    account: _Login


class _AssetForm(AssetBody):
    login: Literal["password", "ssh_key", "none"] = "none"
    account: _Login | None = None


@require_http_methods(["GET", "POST"])
def add_asset(request: Visit) -> HttpResponse:
    """Add an asset and, in a second step, its privileged account."""
    request.visitor.require(Right.OPERATE, what="add assets")
    found = kinds.list_kinds(request.visitor)
    start = {
        "kind": request.GET.get("kind") or _choose_kind(found),
        "nodes": request.GET.getlist("node"),
        "login": "password",
        "account": {"username": "root"},
    }
    form = Form(_AssetForm, request, start=start, places=_PLACES | _LOGIN_PLACES)
    if request.method == "POST":
        with form.telling():
            body = form.read()
            secret = None if body.login == "none" else _read_secret(form, body.login, body.account)
            fields = {name: getattr(body, name) for name in AssetBody.model_fields}
            asset = assets.add_asset(request.visitor, AssetBody(**fields))
            if secret is None or body.account is None:
                messages.success(request, _("%(name)s was added.") % {"name": asset.name})
                return redirect("console:asset", asset.name)
            return _add_login(request, asset.name, body.account, secret)
    return _show(request, form, found)


def _add_login(request: Visit, name: str, login: _Login, secret: SecretBody) -> HttpResponse:
    """Add the privileged account of an asset that was added just now; should that fail, the asset stays."""
    try:
        _add_account(request, name, login, secret)
    except ProvostError as error:
        text = _("%(name)s was added, but its privileged account was not: %(why)s Give it here once more.")
        messages.error(request, text % {"name": name, "why": error.message})
        return redirect("console:asset_login", name)
    text = _("%(name)s was added, with %(username)s as its privileged account. Next, test its login.")
    messages.success(request, text % {"name": name, "username": login.username})
    return redirect("console:asset", name)


@require_http_methods(["GET", "POST"])
def add_login(request: Visit, name: str) -> HttpResponse:
    """Add a privileged account to an asset that is there."""
    request.visitor.require(Right.OPERATE, what="add accounts")
    asset = assets.show_asset(request.visitor, name)
    kind = find_kind(request.visitor, asset.kind)
    account = {"username": "root"} if Become.SU in kind.becomes and not asset.privileged else {}
    start = {"login": "password", "account": account}
    form = Form(_LoginForm, request, start=start, places=_LOGIN_PLACES | {"account_exists": "account.replace"})
    if request.method == "POST":
        with form.telling():
            login = form.read().account
            _add_account(request, name, login, _read_secret(form, form["login"], login))
            text = _("%(username)s is a privileged account of %(name)s now. Next, test its login.")
            messages.success(request, text % {"name": name, "username": login.username})
            return redirect("console:asset", name)
    facts = {"form": form, "asset": asset, "kind": kind, "becomes": list_becomes(kind)}
    return render(request, "console/asset_login.html", facts, status=form.status)


def _add_account(request: Visit, asset: str, login: _Login, secret: SecretBody) -> None:
    body = AccountBody(
        username=login.username,
        asset=asset,
        secret=secret,
        privileged=True,
        become=login.become,
        replace=login.replace,
    )
    accounts.add_account(request.visitor, body)


def _read_secret(form: Form[Any], secret_type: str, login: _Login | None) -> SecretBody:
    """Return the secret of the type that was chosen, which can be read.

    Raises:
        Incomplete: it is not there.
        Refused: the key cannot be used, or the passphrase does not open it.
    """
    given, place = (None, "account.username") if login is None else (login.password, "account.password")
    if login is not None and secret_type == SecretType.SSH_KEY:
        given, place = login.key, "account.key"
    if login is None or given is None or not given.get_secret_value():
        form.errors[place] = _("This is needed.")
        raise Incomplete(_("Some fields cannot be used as they are."))
    if secret_type == SecretType.SSH_KEY:
        secret = SecretBody(key=given, passphrase=login.passphrase)
    else:
        secret = SecretBody(password=given)
    require_secret(secret)
    return secret


@require_http_methods(["GET", "POST"])
def edit_asset(request: Visit, name: str) -> HttpResponse:
    """Change an asset."""
    request.visitor.require(Right.OPERATE, what="change assets")
    asset = assets.show_asset(request.visitor, name)
    form = Form(AssetPatch, request, start=asset.model_dump(), places=_PLACES)
    if request.method == "POST":
        with form.telling():
            body = form.read(comment=request.POST.get("comment", ""))
            changed = assets.edit_asset(request.visitor, name, body, version=read_version(request))
            messages.success(request, _("%(name)s was changed.") % {"name": changed.name})
            return redirect("console:asset", changed.name)
    form.values["kind"] = [asset.kind]
    return _show(request, form, kinds.list_kinds(request.visitor), asset=asset)


def _show(request: Visit, form: Form[Any], found: Sequence[KindDocument], **facts: Any) -> HttpResponse:
    """Show the form: known nodes to tick, others to type."""
    there = nodes.list_nodes(request.visitor)
    chosen = form.values.get("nodes", [])
    lines = [line.strip() for text in chosen for line in text.splitlines() if line.strip()]
    ticked = {one.path for one in there} & set(lines)
    kind = next((one for one in found if one.kind == form["kind"]), found[0])
    facts |= {
        "form": form,
        "kinds": [(one.kind, one.kind) for one in found],
        "kind": kind,
        "tree": build_tree(there, ticked),
        "typed": "\n".join(line for line in lines if line not in ticked),
        "becomes": list_becomes(kind),
    }
    return render(request, "console/asset_form.html", facts, status=form.status)


@require_safe
def choose_kind(request: Visit) -> HttpResponse:
    """Show what depends on the kind: the port and the kind's own options."""
    found = kinds.list_kinds(request.visitor)
    kind = next((one for one in found if one.kind == request.GET.get("kind")), found[0])
    facts = {"form": Form(AssetBody), "kind": kind, "becomes": list_becomes(kind), "changed": True}
    return render(request, "console/asset_kind.html", facts)


@require_safe
def list_gateways(request: Visit) -> HttpResponse:
    """List assets to be reached through, by a part of the name, as choices of a field."""
    search = request.GET.get("via", "")[:255].replace("\0", "")
    query = AssetQuery(search=search or None, limit=_GATEWAYS_SHOWN)
    found = assets.list_assets(request.visitor, query).items
    return render(request, "console/asset_gateways.html", {"gateways": found})


def _choose_kind(found: Sequence[KindDocument]) -> str:
    return next((one.kind for one in found if one.kind == "linux"), found[0].kind)


urlpatterns: Final[list[URLPattern]] = [
    path("new-asset", add_asset, name="asset_add"),
    path("new-asset/kind", choose_kind, name="asset_kind"),
    path("new-asset/gateways", list_gateways, name="asset_gateways"),
    path("assets/<str:name>/edit", edit_asset, name="asset_edit"),
    path("assets/<str:name>/login", add_login, name="asset_login"),
]
