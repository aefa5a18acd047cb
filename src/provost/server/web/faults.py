"""What Django answers where no view does, as the command line's JSON has it."""

from django.http import HttpRequest, HttpResponse, JsonResponse


def tell_bad_request(_request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer 400."""
    if type(exception).__name__ == "DisallowedHost":
        return _tell(400, "host_refused", "This server is not asked by that name. See PROVOST_ALLOWED_HOSTS.")
    return _tell(400, "usage", "The request cannot be used.")


def tell_forbidden(_request: HttpRequest, exception: Exception) -> HttpResponse:  # noqa: ARG001  # Django's signature
    """Answer 403."""
    return _tell(403, "forbidden", "You may not do this.")


def tell_not_found(_request: HttpRequest, exception: Exception) -> HttpResponse:  # noqa: ARG001  # as above
    """Answer 404."""
    return _tell(404, "not_found", "There is nothing here.")


def tell_fault(_request: HttpRequest) -> HttpResponse:
    """Answer 500. What went wrong is in the log, under the request's id."""
    return _tell(500, "internal_error", "Something unexpected went wrong. The log says more.")


def _tell(status: int, code: str, message: str) -> HttpResponse:
    return JsonResponse({"error": {"code": code, "message": message}}, status=status)
