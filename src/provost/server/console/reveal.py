"""Showing a secret: to who may see it, after they said who they are once more, for half a minute."""

from collections.abc import Sequence
from typing import Final

from django.http import HttpResponse
from django.shortcuts import render
from django.urls import URLPattern, path
from django.utils.translation import gettext as _
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_POST

from provost.core.documents import SecretDocument
from provost.core.errors import Refused, UsageError
from provost.core.model import SecretState, SecretType
from provost.core.requests import RevealBody
from provost.core.rights import Right
from provost.server.api import accounts as api
from provost.server.console.faults import find_status
from provost.server.console.forms import read_number
from provost.server.console.reauthentication import confirm
from provost.server.console.visitors import Visit

SECONDS: Final = 30
"""How long a secret is shown."""


def list_choices(history: Sequence[SecretDocument]) -> list[tuple[str, SecretDocument]]:
    """Return what can be revealed of an account, the current secrets first, each with its name in a form."""
    held = [one for one in history if not one.public_only]
    held.sort(key=lambda one: (one.state is not SecretState.CURRENT, one.secret_type.value))
    return [
        (one.secret_type if one.state is SecretState.CURRENT else f"{one.secret_type}.{one.version}", one)
        for one in held
    ]


def _read_choice(text: str) -> RevealBody:
    name, _dot, version = text.partition(".")
    if name not in {str(one) for one in SecretType} or (version and read_number(version) is None):
        raise Refused(_("Choose one of the secrets."), code="request_invalid")
    return RevealBody(secret_type=SecretType(name), version=read_number(version))


@sensitive_post_parameters("password")
@require_POST
def reveal(request: Visit, account: str) -> HttpResponse:
    """Answer with a part of a page that holds the secret: it is in no page, and nothing keeps it."""
    request.visitor.require(Right.REVEAL, what="reveal secrets")
    if not request.htmx:
        raise Refused(
            _("Secrets are shown by a script, which takes them away again. Switch scripts on for this page."),
            code="script_needed",
        )
    try:
        body = _read_choice(request.POST.get("secret", ""))
        confirm(request, request.POST.get("password", ""))
        found = api.reveal(request.visitor, account, body)
    except UsageError as error:
        told = {"fault": error.message, "code": error.code}
        response = render(request, "console/account_unrevealed.html", told, status=find_status(error))
    else:
        facts = {"found": found, "version": body.version, "seconds": SECONDS, "length": len(found.secret)}
        response = render(request, "console/account_revealed.html", facts)
    response["Cache-Control"] = "no-store"
    return response


urlpatterns: Final[list[URLPattern]] = [
    path("accounts/<path:account>/reveal", reveal, name="account_reveal"),
]
