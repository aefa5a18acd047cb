"""Maintenance windows: the only times of the week that something may begin in."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from itertools import islice
from typing import Final, Self
from zoneinfo import ZoneInfo

from provost.core.errors import Refused

_DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_FORM: Final = re.compile(r"(?:(?P<days>[a-z,-]+) +)?(?P<start>\d\d:\d\d) *- *(?P<end>\d\d:\d\d)")


@dataclass(frozen=True, slots=True)
class Window:
    """Days of the week (Monday is 0) that the window opens on, from when to when by the clock on the wall.

    An end that is not after its start is of the next day, so equal ones are a whole day.  A window opens once
    for each of its days, when the clock first shows its start, and closes when it next first shows its end:
    so one that the clock is set back in is longer, one that it is put forward in is shorter.
    """

    days: tuple[int, ...]
    start: time
    end: time

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read "sat,sun 22:00-04:00", "mon-fri 01:00-05:00", or "22:00-04:00" for every day.

        Raises:
            Refused: `schedule_refused`, it has no such form.
        """
        if found := _FORM.fullmatch(text.strip().lower()):
            try:
                days = _parse_days(found["days"]) if found["days"] else tuple(range(7))
                end = "00:00" if found["end"] == "24:00" else found["end"]
                return cls(days, time.fromisoformat(found["start"]), time.fromisoformat(end))
            except ValueError:
                pass
        raise Refused(
            f"{text!r} is not a window: write days and times like 'sat,sun 22:00-04:00', or "
            "'mon-fri 01:00-05:00', or '22:00-04:00' for every day.",
            code="schedule_refused",
        )

    def contains(self, instant: datetime, zone: ZoneInfo) -> bool:
        """Tell whether the window is open at an instant."""
        return any(opens <= instant < closes for opens, closes in islice(self._list_spans(instant, zone), 3))

    def find_opening(self, instant: datetime, zone: ZoneInfo) -> datetime:
        """Return when the window next opens after an instant."""
        return next(opens for opens, closes in self._list_spans(instant, zone) if instant < opens < closes)

    def describe(self) -> str:
        """Say it in words."""
        names = [_DAYS[day].capitalize() for day in self.days]
        on = f"{', '.join(names[:-1])} and {names[-1]}" if len(names) > 1 else names[0]
        if len(names) == len(_DAYS):
            on = ""
        between = f"between {self.start:%H:%M} and {self.end:%H:%M}" if self.start != self.end else ""
        if self.start == self.end != time():
            between = f"from {self.start:%H:%M} for 24 hours"
        return f"only {' '.join(filter(None, (on, between))) or 'every day'}"

    def _list_spans(self, instant: datetime, zone: ZoneInfo) -> Iterator[tuple[datetime, datetime]]:
        """Yield when the window opens and closes, day by day from the day before `instant` on."""
        day = instant.astimezone(zone).date() - timedelta(days=1)
        while True:
            if day.weekday() in self.days:
                last = day if self.start < self.end else day + timedelta(days=1)
                yield (
                    find_moment(datetime.combine(day, self.start), zone),
                    find_moment(datetime.combine(last, self.end), zone),
                )
            day += timedelta(days=1)


def find_moment(shown: datetime, zone: ZoneInfo) -> datetime:
    """Return the instant (UTC) at which the clock of a zone first shows a time, or first shows a later one.

    So a time that comes twice, as the clock is set back, is the first of the two; one that does not come at
    all, as the clock is put forward, is the moment right after the leap.
    """
    while True:
        instant = shown.replace(tzinfo=zone, fold=0).astimezone(UTC)
        if instant.astimezone(zone).replace(tzinfo=None) == shown:
            return instant
        shown = shown.replace(second=0, microsecond=0) + timedelta(minutes=1)


def _parse_days(text: str) -> tuple[int, ...]:
    days: set[int] = set()
    for part in text.split(","):
        first, dash, last = part.partition("-")
        begin = _DAYS.index(first)
        end = _DAYS.index(last) if dash else begin
        days.update((begin + step) % 7 for step in range((end - begin) % 7 + 1))
    return tuple(sorted(days))
