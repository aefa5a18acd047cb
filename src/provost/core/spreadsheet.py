"""Records as a spreadsheet reads them."""

import csv
import io
from collections.abc import Iterable, Iterator
from typing import Final

from provost.core.documents import RecordDocument

_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")


def write_csv(records: Iterable[RecordDocument]) -> Iterator[str]:
    """Yield records as CSV (RFC 4180). What a spreadsheet would take for a formula gets a quote before it."""
    yield _write_row(list(RecordDocument.model_fields))
    for record in records:
        yield _write_row(["" if value is None else str(value) for value in record.model_dump().values()])


def _write_row(cells: Iterable[str]) -> str:
    line = io.StringIO()
    csv.writer(line).writerow([f"'{cell}" if cell.startswith(_FORMULA) else cell for cell in cells])
    return line.getvalue()
