"""The runs of some days as a chart: bars for the days, stacked by how their records ended."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

from provost.core.documents import DayDocument
from provost.server.console.progress import STATUSES

_HEIGHT: Final = 100.0
_WIDTH: Final = 10.0
_GAP: Final = 1.5


@dataclass(frozen=True, slots=True)
class Part:
    """A rectangle of the chart, as SVG has it."""

    status: str
    x: str
    y: str
    width: str
    height: str


@dataclass(frozen=True, slots=True)
class Bar:
    """One day: its parts, from the ground up, and its numbers in the order of STATUSES."""

    day: date
    runs: int
    total: int
    counts: dict[str, int]
    parts: Sequence[Part]


def draw(days: Sequence[DayDocument]) -> list[Bar]:
    """Return the bars, the highest of which fills the chart: 100 high, and 10 wide for each day."""
    highest = max((sum(day.counts.values()) for day in days), default=0)
    return [_draw_day(place, day, highest) for place, day in enumerate(days)]


def _draw_day(place: int, day: DayDocument, highest: int) -> Bar:
    parts: list[Part] = []
    ground = _HEIGHT
    counts = {status: day.counts[status] for status in STATUSES if day.counts.get(status)}
    for status, count in counts.items():
        height = max(_HEIGHT * count / highest, 0.5)  # few among many are to be seen, too
        ground -= height
        x = place * _WIDTH + _GAP / 2
        parts.append(Part(status, f"{x:.2f}", f"{ground:.2f}", f"{_WIDTH - _GAP:.2f}", f"{height:.2f}"))
    return Bar(day.day, day.runs, sum(counts.values()), counts, parts)
