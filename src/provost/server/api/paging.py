"""Cursors: where the next page of a list begins, as text that programs hand back as it is."""

import base64
import binascii
import json
from collections.abc import Callable, Sequence
from typing import TypeVar

from provost.core.documents import PageDocument
from provost.core.errors import Refused
from provost.core.requests import PageQuery
from provost.server.services.pages import Page, Place

M = TypeVar("M")
D = TypeVar("D")


def read_page(query: PageQuery) -> Page:
    """Return which page is asked for.

    Raises:
        Refused: `cursor_refused`, the cursor is none that Provost gave.
    """
    if query.cursor is None:
        return Page(query.limit)
    try:
        place = json.loads(base64.urlsafe_b64decode(query.cursor.encode()))
    except (binascii.Error, ValueError, RecursionError):
        place = None
    if not isinstance(place, list) or not all(isinstance(part, str) and "\0" not in part for part in place):
        raise Refused("This cursor is none that Provost gave.", code="cursor_refused")
    return Page(query.limit, tuple(place))


def make_page(
    found: tuple[Sequence[M], Place | None], describe: Callable[[Sequence[M]], list[D]]
) -> PageDocument[D]:
    """Return what was found as a page."""
    rows, place = found
    cursor = None if place is None else base64.urlsafe_b64encode(json.dumps(place).encode()).decode()
    return PageDocument(items=describe(rows), next=cursor)


def each(describe: Callable[[M], D]) -> Callable[[Sequence[M]], list[D]]:
    """Make of what describes one what describes many."""
    return lambda rows: [describe(row) for row in rows]
