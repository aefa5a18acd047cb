"""What Django answers where no view does: a page to a browser, and problem details to everything else."""

import sys
from http import HTTPStatus
from typing import Final

from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse
from django.middleware.csrf import REASON_BAD_ORIGIN
from django.template.loader import render_to_string
from django.utils.translation import gettext as _

from provost.server.services import context
from provost.server.web.gate import PROBES
from provost.server.web.problems import make_problem

_PROGRAMS: Final = "/api/"
_OTHER_ORIGIN: Final = REASON_BAD_ORIGIN.partition("%s")[0]


def tell_bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer 400."""
    if type(exception).__name__ == "DisallowedHost":
        return make_problem(400, "host_refused", "Refused", "PROVOST_ALLOWED_HOSTS does not name this host.")
    if is_for_people(request):
        return make_page(request, 400, "usage", _("The request cannot be used."))
    return make_problem(400, "usage", "Refused", "The request cannot be used.")


def tell_forbidden(request: HttpRequest, exception: Exception) -> HttpResponse:  # noqa: ARG001  # Django's signature
    """Answer 403."""
    if is_for_people(request):
        return make_page(request, 403, "forbidden", _("You may not do this."))
    return make_problem(403, "forbidden", "Not allowed", "You may not do this.")


def tell_forged(request: HttpRequest, reason: str = "") -> HttpResponse:
    """Answer 403 to a form that did not come from a page of ours, or from one that is too old."""
    if reason.startswith(_OTHER_ORIGIN):
        text = _(
            "This form came from another address than the one that Provost was asked by. Behind a proxy that "
            "speaks TLS for it, PROVOST_TRUSTED_PROXIES names that proxy."
        )
        return make_page(request, 403, "origin_refused", text)
    text = _(
        "This page was open for too long, or cookies are switched off. Go back, load it anew and try again."
    )
    return make_page(request, 403, "form_outdated", text)


def tell_not_found(request: HttpRequest, exception: Exception) -> HttpResponse:  # noqa: ARG001  # as above
    """Answer 404."""
    if is_for_people(request):
        return make_page(request, 404, "not_found", _("There is nothing here."))
    return make_problem(404, "not_found", "Not there", "There is nothing here.")


def tell_fault(request: HttpRequest) -> HttpResponse:
    """Answer 500. What went wrong is in the log, under the request's id."""
    if is_for_people(request):
        if isinstance(sys.exc_info()[1], DatabaseError):
            return tell_database_error(request)
        text = _("Provost met a fault of its own; its log says more.")
        return make_page(request, 500, "internal_error", text)
    return make_problem(
        500, "internal_error", "Went wrong", "Something unexpected went wrong; the log says more."
    )


def tell_database_error(request: HttpRequest) -> HttpResponse:
    """Answer 503 where the database does not do what it is asked."""
    text = _("The database does not answer as it should, or its disk is full; the server's log says more.")
    return make_page(request, 503, "database_error", text)


def is_for_people(request: HttpRequest) -> bool:
    """Tell whether a request is a browser's, for a page."""
    path = request.path_info
    return (
        not path.startswith(_PROGRAMS)
        and path not in PROBES
        and ("text/html" in request.headers.get("Accept", "") or bool(getattr(request, "htmx", False)))
    )


def make_page(request: HttpRequest, status: int, code: str, text: str) -> HttpResponse:
    """Return the page that says what went wrong; to htmx, the part of a page that does.

    The request's id leads to the same in the log.
    """
    current = context.request.get()
    facts = {"status": status, "code": code, "text": text, "request_id": current.id if current else ""}
    part = getattr(request, "htmx", False)
    template = "console/parts/fault.html" if part else "console/fault.html"
    # Of what failed, no more is asked: who looks at the page is in the database.
    failed = status == HTTPStatus.INTERNAL_SERVER_ERROR or code == "database_error"
    return HttpResponse(render_to_string(template, facts, None if failed else request), status=status)
