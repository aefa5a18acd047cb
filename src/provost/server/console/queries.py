"""From the query of a list's page to what is asked for."""

from contextlib import suppress
from typing import TypeVar

from django.http import HttpRequest
from django.utils.translation import gettext as _
from pydantic import ValidationError

from provost.core.errors import Refused
from provost.core.requests import PageQuery

Q = TypeVar("Q", bound=PageQuery)


def read_query(model: type[Q], request: HttpRequest, *, limit: int) -> Q:
    """Return what a page's query asks for, a page of `limit` at a time; a filter that is empty is none.

    Raises:
        Refused: `request_invalid`, a filter cannot be used.
    """
    given = {name: request.GET.get(name, "").strip() for name in model.model_fields if name != "limit"}
    known = {name: text for name, text in given.items() if text.isprintable() and text}
    if len(known) == sum(map(bool, given.values())):
        with suppress(ValidationError):
            return model.model_validate(known | {"limit": limit})
    raise Refused(_("There is no such filter. Go back to the whole list."), code="request_invalid")
