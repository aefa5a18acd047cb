import json
import logging
from typing import Any

import pytest

from provost.config.logs import _Json, _Text
from provost.core.errors import ChangeRefused
from provost.server.services import context


def make_record(
    message: str, *args: object, error: BaseException | None = None, **extra: Any
) -> logging.LogRecord:
    caught = (type(error), error, error.__traceback__) if error else None
    record = logging.LogRecord("provost.x", logging.ERROR, __file__, 1, message, args, caught)
    record.__dict__.update(extra)
    return record


def catch(error: Exception) -> Exception:
    try:
        raise error
    except type(error) as caught:
        return caught


def test_lines_carry_the_request_and_the_run() -> None:
    """Both forms tell the request's id, the run's id and the facts of the record."""
    token = context.request.set(context.Request("r-1", "192.0.2.7", secure=True))
    run = context.run_id.set("run-1")
    try:
        text = _Text(debug=False).format(make_record("Hello %s.", "x", facts={"source": "192.0.2.7"}))
        document = json.loads(_Json(debug=False).format(make_record("Hello.", facts={"status": 200})))
    finally:
        context.request.reset(token)
        context.run_id.reset(run)
    assert text.endswith("error provost.x Hello x. request_id=r-1 run_id=run-1 source=192.0.2.7")
    assert document | {"time": ""} == {
        "time": "",
        "level": "error",
        "logger": "provost.x",
        "message": "Hello.",
        "request_id": "r-1",
        "run_id": "run-1",
        "status": 200,
    }


@pytest.mark.parametrize("form", [_Text, _Json])
def test_what_comes_from_outside_is_inert(form: type[logging.Formatter]) -> None:
    """No escape sequence and no line end of a message reaches the log as such; one line stays one line."""
    line = form(debug=False).format(make_record("%s", "a\x1b[31m\n2026 forged \x9b \u202e"))  # type: ignore[call-arg]
    assert line.isprintable()


@pytest.mark.parametrize("form", [_Text, _Json])
def test_what_libraries_attach_is_left_out(form: type[logging.Formatter]) -> None:
    """Django attaches the whole request to a record, with its query."""
    assert "hush" not in form(debug=False).format(make_record("Bad.", request="GET /?hush"))  # type: ignore[call-arg]


@pytest.mark.parametrize("form", [_Text, _Json])
def test_text_of_unforeseen_errors_is_left_out(form: type[logging.Formatter]) -> None:
    """An error tells its type and place; its text only if it is Provost's own, or with PROVOST_DEBUG."""
    cause = catch(ValueError("hush"))
    own = ChangeRefused("The host says no.")
    own.__cause__ = cause
    record = make_record("Oh.", error=catch(own))
    told = form(debug=False).format(record)  # type: ignore[call-arg]
    assert "hush" not in told
    assert "builtins.ValueError" in told
    assert "(change_refused): The host says no." in told
    assert "test_logs.py" in told
    assert "builtins.ValueError: hush" in form(debug=True).format(record)  # type: ignore[call-arg]
