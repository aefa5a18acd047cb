"""What a list is narrowed to: from a page's address to the queries of `core.requests`."""

from typing import Any, Final, TypeVar
from urllib.parse import urlencode

from django.http import HttpResponse, QueryDict
from django.shortcuts import render
from django.utils.translation import gettext as _
from django_htmx.http import push_url
from pydantic import BaseModel

from provost.core.errors import Refused
from provost.server.console.forms import Form, Incomplete
from provost.server.console.visitors import Visit

S = TypeVar("S", bound=BaseModel)

_NARROWING: Final = frozenset({"cursor", "limit"})


class Filters(Form[S]):
    """A form that is sent by GET: what is left empty says nothing.

    `instants` are fields that hold a moment, which counts as UTC where no zone is said.
    """

    def __init__(self, model: type[S], request: Visit, *, instants: tuple[str, ...] = ()) -> None:
        super().__init__(model)
        given = {name: text for name in request.GET if (text := str(request.GET[name]).strip())}
        self.values = {name: [text] for name, text in given.items()}
        for name in model.model_fields.keys() & given.keys():
            if not given[name].isprintable():
                self.errors[name] = _("This holds a character that nothing has.")
        for name in instants:
            if name in given and "T" in given[name] and not given[name].endswith("Z"):
                given[name] += "Z"
        self.posted = QueryDict(urlencode(given))

    def read(self, **also: Any) -> S:
        """Return the query.

        Raises:
            Incomplete: it cannot be used; what is wrong is in `errors`.
        """
        query = super().read(**also)
        if self.errors:
            raise Incomplete(_("Some fields cannot be used as they are."))
        return query

    @property
    def is_narrow(self) -> bool:
        """Tell whether the list is narrowed to something."""
        return any(name in self.model.model_fields for name in self.values.keys() - _NARROWING)


def read_query(model: type[S], request: Visit, **also: Any) -> S:
    """Return what a page's address asks for, where no form says what is wrong with it.

    Raises:
        Refused: `request_invalid`, a filter cannot be used.
    """
    try:
        return Filters(model, request).read(**also)
    except Incomplete:
        text = _("There is no such filter. Go back to the whole list.")
        raise Refused(text, code="request_invalid") from None


def answer(request: Visit, filters: Filters[Any], page: str, rows: str, facts: dict[str, Any]) -> HttpResponse:
    """Answer with a list: the page, or to htmx its rows, with an address that says what was asked for."""
    facts = facts | {"form": filters}
    if not request.htmx:
        return render(request, page, facts, status=filters.status)
    query = urlencode({name: texts[0] for name, texts in filters.values.items()})
    response = render(request, rows, facts, status=filters.status)
    return push_url(response, f"{request.path}?{query}".rstrip("?"))
