"""Errors as problem details (RFC 9457), with Provost's stable codes."""

import logging
from typing import Any

from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse
from ninja import NinjaAPI
from ninja.errors import AuthenticationError, HttpError, ValidationError

from provost.core.errors import (
    Conflict,
    Forbidden,
    NotFound,
    ProvostError,
    UsageError,
    VaultError,
)
from provost.server.api.parsing import UnsupportedMedia
from provost.server.services.inventory_files import ImportRefused
from provost.server.web.problems import MEDIA_TYPE, make_problem, tell_database, tell_stranger

logger = logging.getLogger(__name__)

_STATUSES: tuple[tuple[type[ProvostError], int, str], ...] = (
    (Forbidden, 403, "Not allowed"),
    (NotFound, 404, "Not there"),
    (Conflict, 409, "Something stands in the way"),
    (UsageError, 422, "Cannot be used"),
    (VaultError, 503, "The vault does not open"),
    (ProvostError, 500, "Went wrong"),
)
_OUTDATED = 412


def tell_error(_request: HttpRequest, error: ProvostError) -> HttpResponse:
    """Answer with one of Provost's own errors."""
    status, title = next((status, title) for kind, status, title in _STATUSES if isinstance(error, kind))
    if error.code == "version_outdated":
        status = _OUTDATED
    faults = error.faults if isinstance(error, ImportRefused) else ()
    return make_problem(status, error.code, title, error.message, faults)


def install(api: NinjaAPI) -> None:
    """Let an API answer with problem details to everything that goes wrong."""
    handlers: dict[type[Exception], Any] = {
        ProvostError: tell_error,
        ValidationError: _tell_invalid,
        AuthenticationError: _tell_stranger,
        HttpError: _tell_unreadable,
        DatabaseError: _tell_database,
        Exception: _tell_fault,
    }
    for kind, handler in handlers.items():
        api.add_exception_handler(kind, handler)


def _tell_invalid(_request: HttpRequest, error: ValidationError) -> HttpResponse:
    faults = [
        (".".join(str(part) for part in one["loc"]), str(one["msg"]).removeprefix("Value error, "))
        for one in error.errors
    ]
    detail = "; ".join(f"{where}: {what}" for where, what in faults[:5])
    return make_problem(422, "request_invalid", "Cannot be used", detail, faults)


def _tell_stranger(_request: HttpRequest, _error: AuthenticationError) -> HttpResponse:
    return tell_stranger()


def _tell_unreadable(_request: HttpRequest, error: HttpError) -> HttpResponse:
    if isinstance(error.__cause__, UnsupportedMedia):
        return make_problem(415, "media_type_refused", "Cannot be read", "Send Content-Type: application/json")
    if error.status_code == 400:  # noqa: PLR2004  # ninja's: the body is no JSON
        detail = "The body is no JSON, names a field twice, or holds a character that no text has."
        return make_problem(400, "body_unreadable", "Cannot be read", detail)
    return make_problem(error.status_code, "refused", "Refused", str(error))


def _tell_database(_request: HttpRequest, error: DatabaseError) -> HttpResponse:
    logger.error("The database does not answer as it should.", exc_info=error)
    return tell_database()


def _tell_fault(_request: HttpRequest, error: Exception) -> HttpResponse:
    logger.error("A fault of Provost's own.", exc_info=error)
    return make_problem(
        500, "internal_error", "Went wrong", "Provost met a fault of its own; its log says more."
    )


def describe_problems(document: dict[str, Any]) -> None:
    """Give the problems in an OpenAPI document the media type that they have."""
    for operations in document["paths"].values():
        for operation in operations.values():
            for status, response in operation["responses"].items():
                if int(status) >= 400 and "application/json" in response.get("content", {}):  # noqa: PLR2004
                    response["content"] = {MEDIA_TYPE: response["content"]["application/json"]}
