"""Answers to machines that look after this one: is it alive, can it work, what has it counted."""

from importlib import import_module
from importlib.util import find_spec

from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.http import require_safe
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from provost.core.errors import ProvostError
from provost.core.rights import Principal, Right
from provost.server.services import context, vitals
from provost.server.services.gauges import render

_AUTHENTICATION = "provost.server.api.authentication"


@require_safe
def show_alive(_request: HttpRequest) -> HttpResponse:
    """Say that the process answers."""
    return HttpResponse("ok\n", content_type="text/plain; charset=utf-8")


@require_safe
def show_ready(_request: HttpRequest) -> HttpResponse:
    """Say whether the server can do its work, and if not (503) which part of it cannot."""
    found = vitals.examine()
    ready = all(state == vitals.FINE for state in found.values())
    return JsonResponse({"ready": ready, "checks": found}, status=200 if ready else 503)


@require_safe
def show_metrics(request: HttpRequest) -> HttpResponse:
    """Show the metrics to everybody if they are public, else to whoever may view everything."""
    if not settings.PUBLIC_METRICS:
        try:
            principal = authenticate(request)
        except ProvostError:
            principal = None
        if principal is None:
            return _refuse(401, "unauthenticated", "Send a token: Authorization: Bearer ...")
        context.note_principal(principal.name)
        if not principal.reach(Right.VIEW).everywhere:
            return _refuse(403, "forbidden", f"{principal.name} may not view everything.")
    return HttpResponse(render(), content_type=CONTENT_TYPE_LATEST)


def authenticate(request: HttpRequest) -> Principal | None:
    """Return who asks, by the API's own rules; None for nobody. Without the API nobody can."""
    if find_spec("provost.server.api") is None:
        return None
    principal: Principal | None = import_module(_AUTHENTICATION).authenticate(request)
    return principal


def _refuse(status: int, code: str, message: str) -> HttpResponse:
    response = JsonResponse({"error": {"code": code, "message": message}}, status=status)
    if status == 401:  # noqa: PLR2004  # RFC 9110, 15.5.2: then it says how
        response["WWW-Authenticate"] = "Bearer"
    return response
