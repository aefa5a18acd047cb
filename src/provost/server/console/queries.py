"""What a list is asked for: from a page's address to the queries of `core.requests`."""

from typing import TypeVar

from django.http import HttpRequest
from django.utils.translation import gettext as _
from pydantic import ValidationError

from provost.core.errors import Refused
from provost.core.requests import Said

Q = TypeVar("Q", bound=Said)


def read_query(model: type[Q], request: HttpRequest, **also: object) -> Q:
    """Return the query that an address holds. An empty field is none; what the query does not know is not read.

    Raises:
        Refused: a field cannot be used.
    """
    said = {name: text for name in model.model_fields if (text := request.GET.get(name)) and "\0" not in text}
    try:
        return model.model_validate({**said, **also})
    except ValidationError:
        raise Refused(_("This address holds something that cannot be asked for."), code="usage") from None
