"""What commands print: one JSON document, a table, or lines. What comes from outside is shown inert."""

import json
import sys
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from provost.core.inert import make_inert

AsJson = Annotated[bool, typer.Option("--json", help="Write one JSON document instead.")]


def print_json(document: object) -> None:
    """Write one JSON document to standard output. What Provost tells of things may stand anywhere in it."""
    sys.stdout.write(json.dumps(document, indent=2, ensure_ascii=False, default=_encode) + "\n")


def _encode(value: Any) -> Any:
    if hasattr(value, "model_dump"):
        return value.model_dump()
    return value.isoformat() if hasattr(value, "isoformat") else str(value)


def print_line(text: str) -> None:
    """Write one line to standard output, made inert."""
    sys.stdout.write(make_inert(text) + "\n")


def print_fields(fields: Sequence[tuple[str, object]]) -> None:
    """Write names and what they are, one a line; a list takes a line for each of its parts."""
    width = max(len(name) for name, _ in fields) + 2
    for name, value in fields:
        parts = list(value) if isinstance(value, list | tuple) else [value]
        for index, part in enumerate(parts or [""]):
            print_line(f"{'' if index else name:<{width}}{show(part)}".rstrip())


def print_table(
    columns: Sequence[str], rows: Sequence[Sequence[object]], empty: str = "Nothing to show."
) -> None:
    """Write a table: drawn on a terminal, aligned columns elsewhere. `empty` is said when there are no rows."""
    cells = [[make_inert(show(cell)) for cell in row] for row in rows]
    if not rows:
        print_line(empty)
    elif sys.stdout.isatty():
        _draw(columns, cells)
    else:
        widths = [max(map(len, column)) for column in zip(columns, *cells, strict=True)]
        for row in [columns, *cells]:
            line = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
            sys.stdout.write(line.rstrip() + "\n")


def _draw(columns: Sequence[str], cells: Sequence[Sequence[str]]) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(*columns, box=SIMPLE_HEAD, pad_edge=False)
    for row in cells:
        table.add_row(*map(Text, row))
    Console().print(table)


def show(value: Any) -> str:
    """Return a value as people read it: no for False, a dash for None, seconds without their fractions."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if hasattr(value, "isoformat"):
        return str(value.strftime("%Y-%m-%d %H:%M:%S"))
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    return str(value)
