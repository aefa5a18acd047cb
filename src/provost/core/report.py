"""A run as a page of its own, to be kept, printed or sent: one HTML file, which needs and loads nothing else.

Its policy admits its own style, by its hash, and nothing more: no script could run in it, wherever it is open.
So the same file is shown by the console and saved on a disk.
"""

import base64
import hashlib
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from html import escape
from typing import Any, Final

from provost.core.documents import ReasonDocument, RecordDocument, RunDetailDocument
from provost.core.inert import make_inert

_STYLE: Final = """
body { font: 14px/1.4 system-ui, sans-serif; color: #1d273b; margin: 2rem auto; max-width: 75rem }
h1 { font-size: 1.5rem }
h2 { font-size: 1.15rem; margin-top: 2rem }
div { overflow-x: auto }
table { border-collapse: collapse; width: 100% }
th, td { border: 1px solid #ccd3dd; padding: .3rem .5rem; text-align: left; vertical-align: top }
td { overflow-wrap: anywhere }
thead th { background: #f1f4f8 }
tbody th { font-weight: 600; white-space: nowrap }
tr.failed td, tr.uncertain td { background: #fdecec }
tr.unverified td, tr.skipped td, tr.cancelled td { background: #fff7e0 }
@media print {
  body { margin: 0; max-width: none; font-size: 11px }
  thead { display: table-header-group }
  tr { break-inside: avoid }
  div { overflow: visible }
}
"""
_HASH: Final = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()

POLICY: Final = f"default-src 'none'; style-src 'sha256-{_HASH}'; base-uri 'none'; form-action 'none'"
"""The Content-Security-Policy that the page has in itself, and is to be served with."""

_ASKED: Final = ("usernames", "assets", "nodes", "secret_type", "strategy")
_SHOWN: Final = 20
_COLUMNS: Final = (
    "asset",
    "username",
    "secret_type",
    "decision",
    "status",
    "actor",
    "seconds",
    "reason",
    "message",
)


def write_html(
    run: RunDetailDocument,
    reasons: Sequence[ReasonDocument],
    records: Iterable[RecordDocument],
    *,
    made: datetime,
) -> Iterator[str]:
    """Yield the page, part by part; `made` is when the report is made."""
    title = _mark(f"Run {run.id}")
    yield (
        f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>{title}</title>\n'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<style>{_STYLE}</style>\n</head>\n<body>\n<h1>{title}</h1>\n"
    )
    yield from _write_table(("What", "Told"), _list_facts(run, made), heads=True)
    yield "<h2>Accounts by status</h2>\n"
    yield from _write_table(("Status", "Accounts"), sorted(run.counts.items(), key=lambda one: -one[1]))
    if reasons:
        yield "<h2>How they ended</h2>\n"
        yield from _write_table(
            ("Status", "Reason", "Accounts", "Message of one", "First assets"),
            ((one.status, one.reason, one.count, one.message, one.assets) for one in reasons),
        )
    yield "<h2>Accounts</h2>\n"
    yield from _write_table(
        ("Asset", "Account", "Secret", "Decision", "Status", "By", "Seconds", "Reason", "Message"),
        ([getattr(one, name) for name in _COLUMNS] for one in records),
        mark=_COLUMNS.index("status"),
    )
    yield "</body>\n</html>\n"


def _list_facts(run: RunDetailDocument, made: datetime) -> Iterator[tuple[str, Any]]:
    yield "Action", f"{run.action} (dry run: nothing was changed)" if run.dry_run else run.action
    yield "State", run.state
    if run.reason:
        yield "Reason", f"{run.reason}: {run.message}"
    yield "Task", run.task
    yield "Asked for by", run.requested_by
    for name in ("created", "started", "finished"):
        yield name.capitalize(), getattr(run, name)
    for name, value in run.spec.model_dump(mode="json").items():
        if name in _ASKED and value:
            yield name.replace("_", " ").capitalize(), value
    yield "Report made", made


def _write_table(
    head: Sequence[str], rows: Iterable[Sequence[Any]], *, heads: bool = False, mark: int | None = None
) -> Iterator[str]:
    """Yield a table; with `heads`, the first cell of each row is its head; the cell `mark` names its class."""
    cells = "".join(f'<th scope="col">{name}</th>' for name in head)
    yield f'<div role="region" tabindex="0" aria-label="{head[0]}">\n<table>\n'
    yield f"<thead><tr>{cells}</tr></thead>\n<tbody>\n"
    for row in rows:
        texts = [_mark(_show(value)) for value in row]
        kind = f' class="{texts[mark]}"' if mark is not None else ""
        first = f'<th scope="row">{texts[0]}</th>' if heads else f"<td>{texts[0]}</td>"
        yield f"<tr{kind}>{first}{''.join(f'<td>{text}</td>' for text in texts[1:])}</tr>\n"
    yield "</tbody>\n</table>\n</div>\n"


def _show(value: Any) -> str:
    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    if isinstance(value, list | tuple):
        more = len(value) - _SHOWN
        return ", ".join(map(str, value[:_SHOWN])) + (f" and {more} more" if more > 0 else "")
    if isinstance(value, float):
        return f"{value:.1f}"
    return "" if value is None else str(value)


def _mark(text: str) -> str:
    """Return text from anywhere as HTML that does nothing."""
    return escape(make_inert(text))
