"""Users, and what they are granted."""

from typing import Any, Final

from django.contrib import messages
from django.http import HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import URLPattern, path
from django.utils.translation import gettext as _
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from provost.core.documents import UserDocument
from provost.core.errors import Refused
from provost.core.requests import SessionQuery, UserBody, UserPatch
from provost.core.rights import Right, Role
from provost.server.api import nodes
from provost.server.api import users as api
from provost.server.console.forms import Form, read_version
from provost.server.console.reauthentication import ask, confirm, lead_to_confirm
from provost.server.console.visitors import Visit

_EVERYWHERE: Final = "/"
_PLACES: Final = {
    "name_refused": "username",
    "user_exists": "username",
    "email_refused": "email",
    "password_refused": "password",
    "node_not_found": "grants",
    "node_refused": "grants",
    "grant_refused": "grants",
    "password_wrong": "own",
    "code_wrong": "own",
    "sign_in_again": "own",
    "too_many_attempts": "own",
}


@require_GET
def list_users(request: Visit) -> HttpResponse:
    """List users, with what they are granted."""
    request.visitor.require_everywhere(Right.ADMINISTER, what="manage users")
    return render(
        request, "console/users.html", {"users": api.list_users(request.visitor), "roles": list(Role)}
    )


@sensitive_post_parameters("password", "own")
@require_http_methods(["GET", "POST"])
def add_user(request: Visit) -> HttpResponse:
    """Add a user with their grants."""
    request.visitor.require_everywhere(Right.ADMINISTER, what="manage users")
    form = Form(UserBody, request, places=_PLACES)
    grants = _read_grants(request)
    if request.method == "POST":
        with form.telling():
            body = form.read(grants=_make_grants(grants))
            confirm(request, request.POST.get("own", ""))
            made = api.add_user(request.visitor, body)
            messages.success(request, _("%(name)s is a user now.") % {"name": made.username})
            return redirect("console:users")
    return render(request, "console/user_new.html", _describe(request, form, grants), status=form.status)


@sensitive_post_parameters("password", "own")
@require_http_methods(["GET", "POST"])
def edit_user(request: Visit, name: str) -> HttpResponse:
    """Show a user, and change them."""
    request.visitor.require_everywhere(Right.ADMINISTER, what="manage users")
    found = api.show_user(request.visitor, name)
    form = Form(UserPatch, request, start={"email": found.email, "active": found.active}, places=_PLACES)
    grants = _read_grants(request) if request.method == "POST" else _list_grants(found)
    if request.method == "POST":
        with form.telling():
            body = form.read(email=request.POST.get("email", ""), grants=_make_grants(grants))
            confirm(request, request.POST.get("own", ""))
            api.edit_user(request.visitor, name, body, read_version(request))
            messages.success(request, _("%(name)s is changed.") % {"name": name})
            return redirect("console:users")
    facts = {**_describe(request, form, grants), "user": found, "name": name}
    return render(request, "console/user_edit.html", facts, status=form.status)


@require_POST
def change_user(request: Visit, name: str) -> HttpResponseBase:
    """Remove a user, or their second factors, or end their sessions."""
    request.visitor.require_everywhere(Right.ADMINISTER, what="manage users")
    found = api.show_user(request.visitor, name)
    form = Form(UserPatch, places=_PLACES, start={"email": found.email, "active": found.active})
    then = request.POST.get("then")
    # With a session that was stolen, nobody is to take away what keeps others' accounts.
    if then in {"remove", "factors"} and (response := lead_to_confirm(request, "console:user_edit", name)):
        return response
    with form.telling():
        match then:
            case "remove":
                api.remove_user(request.visitor, name, read_version(request))
                told = _("%(name)s is removed.")
            case "factors":
                api.remove_factors(request.visitor, name)
                told = _("The second factors of %(name)s are removed, and their sessions ended.")
            case "sessions":
                api.end_sessions(request.visitor, name, SessionQuery())
                told = _("%(name)s is signed out everywhere.")
            case _other:
                raise Refused(_("There is no such thing to do."), code="request_invalid")
    if form.is_wrong:
        facts = {**_describe(request, form, _list_grants(found)), "user": found, "name": name}
        return render(request, "console/user_edit.html", facts, status=form.status)
    messages.success(request, told % {"name": name})
    return redirect("console:users") if then == "remove" else redirect("console:user_edit", name)


@require_GET
def add_grant(request: Visit) -> HttpResponse:
    """Answer with one more row for a grant."""
    return render(request, "console/user_grant.html", {"grant": {}, "roles": list(Role)})


def _describe(request: Visit, form: Form[Any], grants: list[dict[str, str]]) -> dict[str, Any]:
    return {
        "form": form,
        "grants": grants or [{}],
        "roles": list(Role),
        "nodes": nodes.list_nodes(request.visitor),
        "wanted": ask(request.user),
    }


def _list_grants(user: UserDocument) -> list[dict[str, str]]:
    """Return a user's grants as the rows of a form."""
    return [
        {
            "role": str(one.role),
            "node": _EVERYWHERE if one.node is None else one.node,
            "reveal": "yes" if one.reveal else "",
        }
        for one in user.grants
    ]


def _read_grants(request: Visit) -> list[dict[str, str]]:
    """Return the rows of a form, but for those without a role."""
    columns = {name: request.POST.getlist(f"grant.{name}") for name in ("role", "node", "reveal")}
    rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=False)]
    return [row for row in rows if row["role"]]


def _make_grants(rows: list[dict[str, str]]) -> list[dict[str, Any]]:
    """Return the grants that rows say.

    Raises:
        Refused: a row does not say where: not even everywhere goes without saying.
    """
    if not all(row["node"].strip() for row in rows):
        raise Refused(_("Say where each role holds: a node, or / for everywhere."), code="grant_refused")
    return [
        {
            "role": row["role"],
            "node": None if row["node"].strip() == _EVERYWHERE else row["node"].strip(),
            "reveal": row["reveal"] == "yes",
        }
        for row in rows
    ]


urlpatterns: Final[list[URLPattern]] = [
    path("users", list_users, name="users"),
    path("users/-/new", add_user, name="user_new"),
    path("users/-/grant", add_grant, name="user_grant"),
    path("users/<str:name>", edit_user, name="user_edit"),
    path("users/<str:name>/change", change_user, name="user_change"),
]
