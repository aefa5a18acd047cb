"""Answers to machines that look after this one: is it alive, can it work, what has it counted."""

from django.conf import settings
from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.http import require_safe
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from provost.core.rights import Right
from provost.server.services import context, vitals
from provost.server.services.gauges import render
from provost.server.web.authentication import authenticate
from provost.server.web.problems import make_problem, tell_database, tell_stranger


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
        except DatabaseError:
            return tell_database()
        if principal is None:
            return tell_stranger()
        context.note_principal(principal.name)
        if not principal.reach(Right.VIEW).everywhere:
            return make_problem(403, "forbidden", "Not allowed", f"{principal.name} may not view everything.")
    return HttpResponse(render(), content_type=CONTENT_TYPE_LATEST)
