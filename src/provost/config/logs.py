"""The log of a server: lines of text, or JSON, on standard error. What comes from outside is inert in it.

Only what is named here is written. An error's own text may hold what it failed on, so that of errors which
are not Provost's is left out, unless PROVOST_DEBUG is on.
"""

import logging
import traceback
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Final

from pythonjsonlogger.json import JsonFormatter

from provost.core.errors import ProvostError
from provost.core.inert import make_inert
from provost.server.services import context

_SPOKEN: Final = ("provost", "django", "uvicorn")
"""Whose loggers follow PROVOST_LOG_LEVEL; others write warnings. Some log addresses with their queries."""


def configure_logs(*, form: str, level: str, debug: bool) -> None:
    """Send the log to standard error, as `text` or `json`, from `level` on."""
    handler = logging.StreamHandler()
    handler.setFormatter(_Json(debug=debug) if form == "json" else _Text(debug=debug))
    handler.addFilter(_is_news)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    for name in _SPOKEN:
        logging.getLogger(name).setLevel(level.upper())
    logging.getLogger("django.db").setLevel(logging.INFO)  # below that, it writes statements
    logging.captureWarnings(capture=True)


def _is_news(record: logging.LogRecord) -> bool:
    """Tell whether a line says more than that of the request, which tells refusals too."""
    if record.name == "django.request":
        return bool(record.exc_info)
    return not record.name.startswith("django.security")


def _describe(record: logging.LogRecord, *, debug: bool) -> dict[str, Any]:
    request = context.request.get()
    described: dict[str, Any] = {
        "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
        "level": record.levelname.lower(),
        "logger": record.name,
        "message": record.getMessage(),
        "request_id": request.id if request else "",
        "run_id": context.run_id.get(),
        **getattr(record, "facts", {}),
    }
    if record.exc_info and record.exc_info[1]:
        described["error"] = list(_tell_error(record.exc_info[1], debug=debug))
    return described


def _tell_error(error: BaseException, *, debug: bool) -> Iterator[str]:
    """Yield lines for the error and all that it came from, the latest last: where it was raised, its type."""
    before = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if before is not None:
        yield from _tell_error(before, debug=debug)
    for frame in traceback.extract_tb(error.__traceback__):
        yield f"{frame.filename}:{frame.lineno} in {frame.name}: {frame.line}"
    kind = f"{type(error).__module__}.{type(error).__qualname__}"
    if isinstance(error, ProvostError):
        yield f"{kind} ({error.code}): {error.message}"
    else:
        yield f"{kind}: {error}" if debug else kind


class _Json(JsonFormatter):
    """One JSON document a line; ASCII, so that nothing in it can act on a terminal."""

    def __init__(self, *, debug: bool) -> None:
        super().__init__(json_ensure_ascii=True)
        self._debug = debug

    def add_fields(
        self, log_data: dict[str, Any], record: logging.LogRecord, message_dict: dict[str, Any]
    ) -> None:
        """Take what is named, and none of what libraries attach to a record, such as whole requests."""
        del message_dict
        log_data |= _describe(record, debug=self._debug)


class _Text(logging.Formatter):
    """A line of text, with what is known after it; an error's lines are indented below."""

    def __init__(self, *, debug: bool) -> None:
        super().__init__()
        self._debug = debug

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, or lines."""
        told = _describe(record, debug=self._debug)
        head = [told.pop(name) for name in ("time", "level", "logger", "message")]
        error = told.pop("error", [])
        for name in ("method", "path", "status"):  # the message has them
            told.pop(name, None)
        rest = [f"{name}={value}" for name, value in told.items() if value != ""]
        return "\n    ".join(make_inert(line) for line in [" ".join([*head, *rest]), *error])
