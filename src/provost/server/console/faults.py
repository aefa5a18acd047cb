"""What goes wrong, as a page: what happened, and what to do next."""

import logging
from typing import Final

from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _

from provost.core.errors import Conflict, Forbidden, NotFound, ProvostError, UsageError, VaultError
from provost.server.web.faults import make_page, tell_database_error

logger = logging.getLogger(__name__)

_STATUSES: Final[tuple[tuple[type[ProvostError], int], ...]] = (
    (Forbidden, 403),
    (NotFound, 404),
    (Conflict, 409),
    (UsageError, 422),
    (VaultError, 503),
    (ProvostError, 500),
)


def tell_error(request: HttpRequest, error: ProvostError | DatabaseError) -> HttpResponse:
    """Return the page that tells of an error of Provost's own, or of the database's."""
    if isinstance(error, DatabaseError):
        logger.error("The database does not answer as it should.", exc_info=error)
        return tell_database_error(request)
    return make_page(request, find_status(error), error.code, error.message)


def tell_too_many(request: HttpRequest) -> HttpResponse:
    """Answer 429 to somebody who tries to sign in too often."""
    text = _("Too many attempts. Wait a minute, then try again.")
    response = make_page(request, 429, "too_many_attempts", text)
    response["Retry-After"] = "60"
    return response


def find_status(error: ProvostError) -> int:
    """Return the HTTP status that an error is told with."""
    return next(status for kind, status in _STATUSES if isinstance(error, kind))
