"""How far a run is, in figures."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from provost.core.documents import RunDocument

ALIVE: Final = frozenset({"queued", "running"})
"""States of a run that is not over."""

STATUSES: Final = (
    "succeeded",
    "unchanged",
    "unverified",
    "uncertain",
    "failed",
    "skipped",
    "cancelled",
    "open",
)
"""What becomes of records, in the order in which it is shown."""

_ENOUGH: Final = 2.0
"""Seconds after which a rate says something."""


@dataclass(frozen=True, slots=True)
class Progress:
    """Records in all and settled, per cent, settled records a second, seconds left, and seconds since it began.

    `rate` and `left` are None as long as nobody can say.
    """

    total: int
    done: int
    percent: int
    rate: float | None
    left: float | None
    elapsed: float | None


@dataclass(frozen=True, slots=True)
class Segment:
    """A part of a bar: where it begins, and how long it is, in hundredths of the bar."""

    status: str
    count: int
    start: str
    length: str


def measure(run: RunDocument, now: datetime) -> Progress:
    """Tell how far a run is."""
    total = sum(run.counts.values())
    done = total - run.counts.get("open", 0)
    elapsed = ((run.finished or now) - run.started).total_seconds() if run.started else None
    rate = done / elapsed if elapsed and done and (run.finished or elapsed >= _ENOUGH) else None
    left = (total - done) / rate if rate and run.state in ALIVE else None
    return Progress(total, done, 100 * done // total if total else 0, rate, left, elapsed)


def cut_bar(counts: Mapping[str, int]) -> list[Segment]:
    """Return the segments of a bar of records by status."""
    total = sum(counts.values())
    segments: list[Segment] = []
    start = 0.0
    for status in STATUSES:
        if count := counts.get(status, 0):
            length = 100 * count / total
            segments.append(Segment(status, count, f"{start:.3f}", f"{length:.3f}"))
            start += length
    return segments
