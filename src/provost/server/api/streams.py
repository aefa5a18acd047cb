"""What is longer than one answer: a run's progress as it goes on, and exports."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from itertools import islice
from typing import Annotated, Any, Final, Literal

from asgiref.sync import sync_to_async
from django.db import connection
from django.http import HttpRequest, StreamingHttpResponse
from django.utils import timezone
from ninja import NinjaAPI, Query
from pydantic import Field

from provost.core.documents import ProblemDocument
from provost.core.errors import Forbidden, UsageError
from provost.core.report import POLICY, write_html
from provost.core.requests import Said
from provost.core.rights import Principal
from provost.core.spreadsheet import write_csv
from provost.server.api.authentication import AsyncToken
from provost.server.api.describe import describe_entry
from provost.server.api.describe_runs import describe_record, describe_run_detail
from provost.server.api.runs import list_reasons
from provost.server.services import audit, runs
from provost.server.services.runs import ALIVE
from provost.server.web.authentication import authenticate

_PAUSE: Final = 1.0
_AT_ONCE: Final = 500
_REFUSED: Final = {frozenset({400, 401, 403, 404, 422, 503}): ProblemDocument}


class ExportQuery(Said):
    """In which form."""

    format: Annotated[Literal["csv", "json"], Field(description="json: one document a line")] = "csv"


class ReportQuery(Said):
    """In which form."""

    format: Annotated[Literal["html", "csv"], Field(description="csv: the records alone")] = "html"


_TEXT: Final = {"schema": {"type": "string"}}
_EVENT: Final = {
    "schema": {
        "type": "object",
        "properties": {"event": {"type": "string", "enum": ["progress", "end"]}, "data": {"type": "string"}},
        "required": ["data"],
    }
}


def add_streams(api: NinjaAPI) -> None:
    """Add the routes."""
    routes: list[tuple[str, Callable[..., Any], str, dict[str, Any]]] = [
        ("/runs/{run}/events", watch_run, "runs", {"text/event-stream": _EVENT}),
        ("/runs/{run}/export", export_run, "runs", {"text/csv": _TEXT, "application/x-ndjson": _TEXT}),
        ("/runs/{run}/report", report_run, "runs", {"text/html": _TEXT, "text/csv": _TEXT}),
        ("/audit/export", export_audit, "audit", {"application/x-ndjson": _TEXT}),
    ]
    for path, view, room, media in routes:
        summary, _, rest = (view.__doc__ or "").partition("\n")
        api.default_router.add_api_operation(
            path,
            ["GET"],
            view,
            auth=AsyncToken(),
            response=_REFUSED,
            operation_id=view.__name__,
            summary=summary,
            description=rest.strip() or None,
            tags=[room],
            openapi_extra={"responses": {200: {"description": "OK", "content": media}}},
        )


async def watch_run(request: HttpRequest, run: str) -> StreamingHttpResponse:
    """Tell how far a run is, as server-sent events, until it is over.

    Each `progress` event is the run as `GET /runs/{run}` has it, sent when it changed; the last one is `end`.
    Without that, whoever watches may not any more, or the server stopped.
    """
    if (first := await _look(request, run)) is None:
        raise Forbidden("This token is not valid any more.")
    return _stream(_tell_progress(request, run, first), "text/event-stream")


async def export_run(request: HttpRequest, run: str, query: Query[ExportQuery]) -> StreamingHttpResponse:
    """Export all records of a run, as CSV or as a JSON document a line."""
    return await sync_to_async(stream_records)(_find_caller(request), run, query.format)


def stream_records(by: Principal, run: str, form: Literal["csv", "json"]) -> StreamingHttpResponse:
    """Return all records of a run as a file, as CSV or as a JSON document a line."""
    found = runs.find_run(by=by, run_id=run)
    records = map(describe_record, runs.export_records(by=by, run=found))
    if form == "json":
        response = _stream(_batch(f"{one.model_dump_json()}\n" for one in records), "application/x-ndjson")
    else:
        response = _stream(_batch(write_csv(records)), "text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="run-{found.id}.{form}"'
    return response


async def report_run(request: HttpRequest, run: str, query: Query[ReportQuery]) -> StreamingHttpResponse:
    """Report a run: as a page of HTML that can be printed, or its records as CSV."""
    return await sync_to_async(stream_report)(_find_caller(request), run, query.format)


def stream_report(by: Principal, run: str, form: Literal["html", "csv"]) -> StreamingHttpResponse:
    """Return a report of a run, with what the caller sees of it. A browser shows the page, and saves CSV."""
    if form == "csv":
        return stream_records(by, run, "csv")
    found = runs.find_run(by=by, run_id=run)
    page = write_html(
        describe_run_detail(by, found),
        list_reasons(by, run),
        map(describe_record, runs.export_records(by=by, run=found)),
        made=timezone.now(),
    )
    response = _stream(_batch(page), "text/html; charset=utf-8")
    response["Content-Security-Policy"] = f"{POLICY}; frame-ancestors 'none'"
    response["Content-Disposition"] = f'inline; filename="run-{found.id}.html"'
    return response


async def export_audit(request: HttpRequest) -> StreamingHttpResponse:
    """Export the whole audit trail, the oldest entry first, a JSON document a line."""
    return await stream_audit(_find_caller(request))


async def stream_audit(by: Principal) -> StreamingHttpResponse:
    """Return the whole audit trail, a JSON document a line.

    Raises:
        Forbidden: the caller may not read it.
    """
    entries = await sync_to_async(audit.export_entries)(by=by)
    lines = (f"{describe_entry(entry).model_dump_json()}\n" for entry in entries)
    response = _stream(_batch(lines), "application/x-ndjson")
    response["Content-Disposition"] = 'attachment; filename="audit.ndjson"'
    return response


def _find_caller(request: HttpRequest) -> Principal:
    found: Principal = request.auth  # type: ignore[attr-defined]  # ninja's
    return found


def _look_now(request: HttpRequest, run: str) -> tuple[str, bool] | None:
    """Return the run, and whether it is over; None: whoever watches may not any more."""
    try:
        if (by := authenticate(request)) is None:
            return None
        found = runs.find_run(by=by, run_id=run)
        return describe_run_detail(by, found).model_dump_json(), found.state not in ALIVE
    finally:
        connection.close()  # who watches for hours must not keep one of the pool's connections


_look = sync_to_async(_look_now)


async def _tell_progress(request: HttpRequest, run: str, first: tuple[str, bool]) -> AsyncIterator[str]:
    document, is_over = first
    sent = ""
    quiet = 0
    while True:
        if is_over:
            yield f"event: end\ndata: {document}\n\n"
            return
        if document != sent:
            yield f"event: progress\ndata: {document}\n\n"
            sent, quiet = document, 0
        elif (quiet := quiet + 1) % 15 == 0:  # proxies close what is silent for long
            yield ": still here\n\n"
        await asyncio.sleep(_PAUSE)
        try:
            look = await _look(request, run)
        except UsageError:  # out of reach now
            look = None
        if look is None:
            return
        document, is_over = look


async def _batch(lines: Iterator[str]) -> AsyncIterator[str]:
    """Yield lines, many at once, taking them where the database may be worked with."""
    while text := await sync_to_async(_take)(lines):
        yield text


def _take(lines: Iterator[str]) -> str:
    try:
        return "".join(islice(lines, _AT_ONCE))
    finally:
        connection.close()  # who reads slowly must not keep one of the pool's connections


def _stream(parts: AsyncIterator[str], media_type: str) -> StreamingHttpResponse:
    response = StreamingHttpResponse(parts, content_type=media_type)
    response["Cache-Control"] = "no-store"
    response["X-Accel-Buffering"] = "no"  # nginx would keep events back
    return response
