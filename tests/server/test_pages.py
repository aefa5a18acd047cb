"""Lists a page at a time: each row once and in order, whatever is added meanwhile, from any cursor."""

import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from provost.core.errors import Refused
from provost.core.requests import PageQuery

pytestmark = pytest.mark.usefixtures("database")

# The database is emptied once for each test; every example undoes what it did.
EXAMPLES = settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=3)
PAIRS = st.lists(st.tuples(TEXT | st.sampled_from("aAbBäz%_"), TEXT), unique=True, max_size=12)
RUNS = st.lists(st.tuples(st.integers(0, 3), st.uuids()), unique_by=lambda one: one[1], max_size=12)
LIMITS = st.integers(1, 5)
START = datetime(2026, 7, 1, tzinfo=UTC)


def read_all(rows: Any, order: list[str], limit: int, between: Any = lambda: None) -> list[Any]:
    """Read a list page by page, through cursors as programs have them, and do something after each page."""
    from provost.server.api.paging import make_page, read_page
    from provost.server.services.pages import cut

    found: list[Any] = []
    cursor = None
    while True:
        page = read_page(PageQuery(limit=limit, cursor=cursor))
        part, place = cut(rows, order, page)
        assert len(part) <= limit
        found += [row.pk for row in part]
        cursor = make_page((part, place), lambda _: []).next
        if cursor is None:
            return found
        assert len(part) == limit
        between()


@EXAMPLES
@given(first=PAIRS, later=PAIRS, limit=LIMITS)
@example(first=[("a", "b"), ("a", "c"), ("A", "b")], later=[("a", "bb")], limit=1)
def test_each_row_comes_once(first: list[tuple[str, str]], later: list[tuple[str, str]], limit: int) -> None:
    """Records by asset and username: all that were there come in order, and none twice."""
    from django.db import transaction

    from provost.server.models import Record, Run

    order = ["asset_name", "username"]
    waiting = [pair for pair in later if pair not in first]

    def add(*pairs: tuple[str, str]) -> None:
        Record.objects.bulk_create(
            Record(run=run, asset_name=asset, username=username, secret_type="password")
            for asset, username in pairs
        )

    with transaction.atomic():
        run = Run.objects.create(action="push")
        rows = Record.objects.filter(run=run)
        add(*first)
        expected = list(rows.order_by(*order).values_list("pk", flat=True))
        assert read_all(rows, order, limit) == expected
        found = read_all(rows, order, limit, lambda: add(*(waiting.pop() for _ in waiting[:1])))
        assert len(set(found)) == len(found)
        assert [pk for pk in found if pk in expected] == expected
        everything = list(rows.order_by(*order).values_list("pk", flat=True))
        assert found == [pk for pk in everything if pk in found]
        transaction.set_rollback(True)


@EXAMPLES
@given(made=RUNS, limit=LIMITS)
def test_rows_of_the_same_moment_come_once(made: list[tuple[int, UUID]], limit: int) -> None:
    """Runs by time, the newest first: those of the same microsecond are told apart by their ids."""
    from django.db import transaction

    from provost.server.models import Run

    order = ["-created", "-id"]
    with transaction.atomic():
        for moment, run_id in made:
            Run.objects.create(id=run_id, action="push")
            Run.objects.filter(id=run_id).update(created=START + timedelta(microseconds=moment))
        expected = list(Run.objects.order_by(*order).values_list("pk", flat=True))
        assert read_all(Run.objects.all(), order, limit) == expected
        transaction.set_rollback(True)


def encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode()


def list_lists() -> list[tuple[Any, list[str]]]:
    """Return every kind of list that there is: rows and their order."""
    from provost.server.models import Account, AuditEntry, Record, Run

    return [
        (Record.objects.all(), ["asset_name", "username"]),
        (Run.objects.select_related("task"), ["-created", "-id"]),
        (AuditEntry.objects.all(), ["-number"]),
        (Account.objects.select_related("asset"), ["asset__name", "username"]),
    ]


MOMENT = START.isoformat()
NOBODY = "00000000-0000-4000-8000-000000000000"
ODD = st.sampled_from(["", "0", "-1", "1e5", "inf", "nan", "x" * 2000, "' OR 1=1 --", "%", MOMENT, NOBODY])


@EXAMPLES
@given(place=st.lists(TEXT | ODD, max_size=3))
@example(place=["9" * 30])
@example(place=["-" + "9" * 30])
@example(place=["\ud800", "a"])
@example(place=[MOMENT, "x"])
@example(place=[MOMENT, NOBODY])
@example(place=["2026-07-01", NOBODY])
@example(place=["2026-07-01T00:00:00", NOBODY])
@example(place=["2026-02-30T00:00:00+00:00", NOBODY])
@example(place=["0001-01-01T00:00:00+14:00", NOBODY])
@example(place=["9999-12-31T23:59:59-14:00", NOBODY])
def test_bad_place_is_refused(place: list[str]) -> None:
    """A cursor of another list, or of none, is refused or begins somewhere; nothing else comes of it."""
    from django.db import transaction

    from provost.server.api.paging import read_page
    from provost.server.services.pages import cut

    cursor = encode(json.dumps(place).encode())
    if len(cursor) > 4096:
        return
    for rows, order in list_lists():
        try:
            with transaction.atomic():
                cut(rows, order, read_page(PageQuery(limit=5, cursor=cursor)))
        except Refused as error:
            assert error.code == "cursor_refused"  # noqa: PT017  # or none is raised
        else:
            assert len(place) == len(order)


@EXAMPLES
@given(cursor=TEXT | st.text(max_size=40) | st.binary(max_size=40).map(encode))
@example(cursor=encode(b"[" * 3000))
@example(cursor=encode(b'{"a": 1}'))
@example(cursor=encode(b'["a\\u0000"]'))
@example(cursor=encode(b"[1]"))
@example(cursor="é")
def test_text_that_is_no_cursor_is_refused(cursor: str) -> None:
    """Whatever is handed back instead of a cursor is refused with a code of its own."""
    from provost.server.api.paging import read_page

    with pytest.raises(Refused) as caught:
        read_page(PageQuery(cursor=cursor))
    assert caught.value.code == "cursor_refused"
