"""How requests are read: as JSON, without what no field may hold."""

import json
from typing import Any

from django.http import HttpRequest
from django.utils.datastructures import MultiValueDict
from ninja.errors import HttpError
from ninja.parser import Parser

from provost.core.errors import Refused
from provost.core.texts import check_text


class UnsupportedMedia(Exception):
    """A body that does not say that it is JSON: a page elsewhere could have made a browser send it."""


class StrictParser(Parser):
    """Refuses NUL characters, which no text may hold, and names that come twice."""

    def parse_body(self, request: HttpRequest) -> Any:
        """Return the body.

        Raises:
            HttpError: 400, it is not JSON.
            UnsupportedMedia: it does not say that it is; ninja makes a 400 of it, and problems.py 415 of that.
            Refused: `request_invalid`, it holds what no field may hold.
        """
        if request.content_type != "application/json":
            raise UnsupportedMedia
        try:
            document = json.loads(request.body, object_pairs_hook=_make_object, parse_constant=_refuse_constant)
        except (ValueError, RecursionError):
            raise HttpError(400, "not JSON") from None
        check_text(document)
        return document

    def parse_querydict(
        self, data: MultiValueDict[str, Any], list_fields: list[str], request: HttpRequest
    ) -> dict[str, Any]:
        """Return the query's parameters.

        Raises:
            Refused: `request_invalid`, one holds what no field may hold, or comes twice.
        """
        for name, values in data.lists():
            check_text([name, *values])
            if len(values) > 1 and name not in list_fields:
                raise Refused(f"The parameter {name!r} comes twice.", code="request_invalid")
        return super().parse_querydict(data, list_fields, request)


def _make_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        raise ValueError
    return made


def _refuse_constant(_name: str) -> Any:
    raise ValueError
