"""What a list is narrowed to: from a page's address to the queries of `core.requests`."""

from typing import Any, Final, TypeVar
from urllib.parse import urlencode

from django.http import HttpResponse, QueryDict
from django.shortcuts import render
from django_htmx.http import push_url
from pydantic import BaseModel

from provost.server.console.forms import Form
from provost.server.console.visitors import Visit

S = TypeVar("S", bound=BaseModel)

_NARROWING: Final = frozenset({"cursor", "limit"})


class Filters(Form[S]):
    """A form that is sent by GET: what is left empty says nothing.

    `instants` are fields that hold a moment, which counts as UTC where no zone is said.
    """

    def __init__(self, model: type[S], request: Visit, *, instants: tuple[str, ...] = ()) -> None:
        super().__init__(model)
        given: dict[str, str] = {}
        for name in request.GET:
            if (text := str(request.GET[name]).strip()) and text.isprintable():
                given[name] = text
        self.values = {name: [text] for name, text in given.items()}
        for name in instants:
            if name in given and "T" in given[name] and not given[name].endswith("Z"):
                given[name] += "Z"
        self.posted = QueryDict(urlencode(given))

    @property
    def is_narrow(self) -> bool:
        """Tell whether the list is narrowed to something."""
        return any(name in self.model.model_fields for name in self.values.keys() - _NARROWING)


def answer(request: Visit, filters: Filters[Any], page: str, rows: str, facts: dict[str, Any]) -> HttpResponse:
    """Answer with a list: the page, or to htmx its rows, with an address that says what was asked for."""
    facts = facts | {"form": filters}
    if not request.htmx:
        return render(request, page, facts, status=filters.status)
    query = urlencode({name: texts[0] for name, texts in filters.values.items()})
    response = render(request, rows, facts, status=filters.status)
    return push_url(response, f"{request.path}?{query}".rstrip("?"))
