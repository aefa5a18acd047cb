"""What Django answers where no view does, as problem details."""

from django.http import HttpRequest, HttpResponse

from provost.server.web.problems import make_problem


def tell_bad_request(_request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer 400."""
    if type(exception).__name__ == "DisallowedHost":
        return make_problem(400, "host_refused", "Refused", "PROVOST_ALLOWED_HOSTS does not name this host.")
    return make_problem(400, "usage", "Refused", "The request cannot be used.")


def tell_forbidden(_request: HttpRequest, exception: Exception) -> HttpResponse:  # noqa: ARG001  # Django's signature
    """Answer 403."""
    return make_problem(403, "forbidden", "Not allowed", "You may not do this.")


def tell_not_found(_request: HttpRequest, exception: Exception) -> HttpResponse:  # noqa: ARG001  # as above
    """Answer 404."""
    return make_problem(404, "not_found", "Not there", "There is nothing here.")


def tell_fault(_request: HttpRequest) -> HttpResponse:
    """Answer 500. What went wrong is in the log, under the request's id."""
    return make_problem(
        500, "internal_error", "Went wrong", "Something unexpected went wrong; the log says more."
    )
