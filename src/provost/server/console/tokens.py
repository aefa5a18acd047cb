"""Tokens: how programs come in."""

from typing import Any, Final

from django.conf import settings
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import URLPattern, path
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST

from provost.core.errors import Refused
from provost.core.requests import TokenBody, TokenQuery
from provost.core.rights import Right
from provost.server.api import tokens as api
from provost.server.api import users
from provost.server.console.forms import Form
from provost.server.console.reauthentication import ask, confirm
from provost.server.console.visitors import Visit

_PLACES: Final = {
    "name_refused": "name",
    "token_exists": "name",
    "user_not_found": "user",
    "days_refused": "days",
    "rights_needed": "rights",
    "password_wrong": "own",
    "code_wrong": "own",
    "sign_in_again": "own",
    "too_many_attempts": "own",
}


@sensitive_post_parameters("own")
@require_http_methods(["GET", "POST"])
def list_tokens(request: Visit) -> HttpResponse:
    """List tokens; make one, whose text is in this answer and nowhere else."""
    start = {"days": min(90, settings.TOKEN_LONGEST_DAYS), "user": request.visitor.name, "rights": [Right.VIEW]}
    form: Form[TokenBody] = Form(TokenBody, request, start=start, places=_PLACES)
    facts: dict[str, Any] = {}
    if request.method == "POST":
        with form.telling():
            body = form.read()
            if not body.rights:
                raise Refused(_("Choose at least one."), code="rights_needed")
            confirm(request, request.POST.get("own", ""))
            facts["made"] = api.create_token(request.visitor, body)
            facts["address"] = request.build_absolute_uri("/api/v1/whoami")
            form = Form(TokenBody, start=start)
    visitor = request.visitor
    found = api.list_tokens(visitor, TokenQuery())
    is_administrator = visitor.reach(Right.ADMINISTER).everywhere
    facts |= {
        "form": form,
        "tokens": [one for one in found if _is_live(one)],
        "ended": [one for one in found if not _is_live(one)],
        "rights": [one for one in Right if is_administrator or visitor.reach(one)],
        "users": [one.username for one in users.list_users(visitor)] if is_administrator else [],
        "longest": settings.TOKEN_LONGEST_DAYS,
        "wanted": ask(request.user),
    }
    return render(request, "console/tokens.html", facts, status=201 if "made" in facts else form.status)


def _is_live(token: Any) -> bool:
    return token.revoked is None and token.expires > timezone.now()


@require_POST
def revoke_token(request: Visit, user: str, name: str) -> HttpResponse:
    """Make a token void at once."""
    api.revoke_token(request.visitor, user, name)
    messages.success(request, _("The token %(name)s of %(user)s is void.") % {"name": name, "user": user})
    return redirect("console:tokens")


urlpatterns: Final[list[URLPattern]] = [
    path("tokens", list_tokens, name="tokens"),
    path("tokens/<str:user>/<str:name>/revoke", revoke_token, name="token_revoke"),
]
