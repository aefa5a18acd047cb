"""Lists that may be long, a page at a time: each begins after the last row of the one before."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, TypeVar

from django.core.exceptions import ValidationError
from django.db.models import DateTimeField, Model, Q, QuerySet

from provost.core.errors import Refused

M = TypeVar("M", bound=Model)
Place = tuple[str, ...]
"""The last row of a page, by the fields that the list is ordered by."""


@dataclass(frozen=True, slots=True)
class Page:
    """How many rows (None: all), and after which."""

    limit: int | None = None
    after: Place | None = None


EVERYTHING: Final = Page()
_AT_ONCE: Final = 1000


def read_all(read: Callable[[Page], tuple[list[M], Place | None]]) -> Iterator[M]:
    """Yield all rows of a list, read a page at a time, so that the database is not held in between."""
    page = Page(_AT_ONCE)
    while True:
        rows, place = read(page)
        yield from rows
        if place is None:
            return
        page = Page(_AT_ONCE, place)


def cut(rows: QuerySet[M], order: Sequence[str], page: Page) -> tuple[list[M], Place | None]:
    """Return one page of rows in `order` (fields that tell every row apart), and where the next one begins.

    Raises:
        Refused: `cursor_refused`, the page begins at a place that is none.
    """
    rows = rows.order_by(*order)
    if page.after is not None:
        try:
            _check_moments(rows, order, page.after)
            rows = rows.filter(_after(order, page.after))
            found = list(rows if page.limit is None else rows[: page.limit + 1])
        except (ValueError, OverflowError, ValidationError):
            raise Refused("This cursor is none of this list.", code="cursor_refused") from None
    else:
        found = list(rows if page.limit is None else rows[: page.limit + 1])
    if page.limit is None or len(found) <= page.limit:
        return found, None
    found = found[: page.limit]
    return found, tuple(_read(found[-1], field.removeprefix("-")) for field in order)


def _check_moments(rows: QuerySet[M], order: Sequence[str], place: Place) -> None:
    """Raise `ValueError` for a moment without a time zone, which Django would guess."""
    for field, text in zip(order, place, strict=True):
        column = rows.model._meta.get_field(field.removeprefix("-").split("__")[0])  # noqa: SLF001  # Django's documented way to tell
        if isinstance(column, DateTimeField) and datetime.fromisoformat(text).tzinfo is None:
            raise ValueError


def _after(order: Sequence[str], place: Place) -> Q:
    """Say "after": the first field alone is a bound, too, so that an index of it is used."""
    after = Q()
    for index in reversed(range(len(order))):
        name, least = order[index].removeprefix("-"), place[index]
        beyond = Q(**{f"{name}__{'lt' if order[index].startswith('-') else 'gt'}": least})
        after = beyond | (Q(**{name: least}) & after) if after else beyond
    name = order[0].removeprefix("-")
    return Q(**{f"{name}__{'lte' if order[0].startswith('-') else 'gte'}": place[0]}) & after


def _read(row: Model, field: str) -> str:
    value: object = row
    for name in field.split("__"):
        value = getattr(value, name)
    return value.isoformat() if hasattr(value, "isoformat") else str(value)
