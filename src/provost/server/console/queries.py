"""From the query of a list's page to what is asked for."""

from contextlib import suppress
from typing import TypeVar

from django.http import HttpRequest
from django.utils.translation import gettext as _
from pydantic import ValidationError

from provost.core.errors import Refused
from provost.core.requests import Said

Q = TypeVar("Q", bound=Said)


def read_query(model: type[Q], request: HttpRequest, **also: object) -> Q:
    """Return what a page's query asks for; a filter that is empty is none. `also` goes before what it says.

    Raises:
        Refused: `request_invalid`, a filter cannot be used.
    """
    given = {name: text for name in model.model_fields if (text := request.GET.get(name, "").strip())}
    if all(text.isprintable() for text in given.values()):
        with suppress(ValidationError):
            return model.model_validate({**given, **also})
    raise Refused(_("There is no such filter. Go back to the whole list."), code="request_invalid")
