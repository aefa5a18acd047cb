"""Problem details (RFC 9457): how everything that goes wrong is told over HTTP."""

from collections.abc import Iterable
from typing import Final

from django.http import HttpResponse

from provost.core.documents import ProblemDocument
from provost.server.services import context

MEDIA_TYPE: Final = "application/problem+json"


def make_problem(
    status: int, code: str, title: str, detail: str, errors: Iterable[tuple[str, str]] = ()
) -> HttpResponse:
    """Return the response that tells of a problem; `errors` are (where in what was sent, what is wrong)."""
    current = context.request.get()
    problem = ProblemDocument(
        type=f"urn:provost:problem:{code}",
        title=title,
        status=status,
        detail=detail,
        code=code,
        request_id=current.id if current else "",
        errors=[{"where": where, "what": what} for where, what in errors],
    )
    return HttpResponse(problem.model_dump_json(), status=status, content_type=MEDIA_TYPE)


def tell_stranger() -> HttpResponse:
    """Return the response to a request of nobody that is known."""
    detail = "Send a valid token: Authorization: Bearer TOKEN"
    response = make_problem(401, "unauthenticated", "Who is it?", detail)
    response["WWW-Authenticate"] = "Bearer"  # RFC 9110, 15.5.2
    return response


def tell_database() -> HttpResponse:
    """Return the response while the database does not answer."""
    return make_problem(
        503,
        "database_error",
        "The database does not answer",
        "The database does not answer as it should, or its disk is full; the server's log says more.",
    )
