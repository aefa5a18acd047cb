"""When a saved task is due. Pure: what time it is comes from the caller, as an aware datetime.

Times are those that a clock on a wall of the schedule's zone shows, and so follow its daylight saving:

* Every N minutes or hours is elapsed time: the clock's leaps change nothing.
* Every N days, and a cron expression that names its hours, are times of the day.  One that comes twice, as the
  clock is set back, is due the first time only.  One that does not come, as the clock is put forward, is due
  right after the leap.
* A cron expression whose minutes or hours begin with a star is due whenever the clock shows such a time: so
  "*/15 * * * *" is due every quarter of an hour, also in an hour that comes twice.
"""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Final
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError
from pydantic import AwareDatetime, BaseModel, ConfigDict

from provost.core.errors import Refused
from provost.core.window import Window, find_moment

_HORIZON: Final = timedelta(days=3653)
_EVERY: Final = re.compile(r"([1-9][0-9]{0,4})([mhd])")
_UNITS: Final = {"m": "minute", "h": "hour", "d": "day"}
_CRON_FIELDS: Final = 5


class Schedule(BaseModel):
    """Either `every` ("30m", "6h", "1d", counted from `since`) or `cron` ("30 2 * * *"), in a time zone.

    With a `window` ("sat,sun 22:00-04:00"), times outside of it do not count.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    every: str | None = None
    cron: str | None = None
    zone: str = "UTC"
    window: str | None = None
    since: AwareDatetime


def check(schedule: Schedule, now: datetime) -> None:
    """Raise `Refused` for a schedule that says nothing, or `schedule_never`: it is not due within ten years."""
    if (schedule.every is None) == (schedule.cron is None):
        raise Refused(
            "A schedule is either every so many minutes, hours or days, or a cron expression.",
            code="schedule_refused",
        )
    if not next_times(schedule, now, 1):
        why = "no time of it falls into its window" if schedule.window else "there is no such day"
        raise Refused(
            f"This schedule is not due within ten years: {why}. It is: {describe(schedule)}.",
            code="schedule_never",
        )


def next_times(schedule: Schedule, after: datetime, count: int = 5) -> list[datetime]:
    """Return the next times (UTC) after an instant, `count` of them if so many come within ten years.

    Raises:
        Refused: `schedule_refused`, the schedule cannot be read.
    """
    return list(islice(_list_times(schedule, after.astimezone(UTC)), count))


def next_time(schedule: Schedule, after: datetime) -> datetime | None:
    """Return the next time (UTC) after an instant, however many before it were missed; None: there is none."""
    return next(iter(next_times(schedule, after, 1)), None)


def find_opening(schedule: Schedule, instant: datetime) -> datetime:
    """Return when a time that was missed may be made up for: at once, or when the window next opens."""
    if schedule.window is None:
        return instant
    window, zone = Window.parse(schedule.window), find_zone(schedule.zone)
    return instant if window.contains(instant, zone) else window.find_opening(instant, zone)


def describe(schedule: Schedule) -> str:
    """Say it in words: "at 02:30 every day, Europe/Paris, only Sat and Sun between 22:00 and 04:00"."""
    if schedule.cron is not None:
        text: str = _parse_cron(schedule.cron, schedule.since).explain()
        parts = [text[0].lower() + text[1:], schedule.zone]
    else:
        count, unit = _parse_every(schedule.every or "")
        plural = f"{count} {_UNITS[unit]}s" if count > 1 else _UNITS[unit]
        since = schedule.since.astimezone(find_zone(schedule.zone))
        parts = [f"every {plural} from {since:%Y-%m-%d %H:%M}", schedule.zone]
    if schedule.window is not None:
        parts.append(Window.parse(schedule.window).describe())
    return ", ".join(parts)


def find_zone(name: str) -> ZoneInfo:
    """Return a time zone of the IANA database.

    Raises:
        Refused: `schedule_refused`, it has none of that name.
    """
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise Refused(
            f"There is no time zone {name!r}: write it like Europe/Paris, or UTC.", code="schedule_refused"
        ) from None


def _list_times(schedule: Schedule, after: datetime) -> Iterator[datetime]:
    zone = find_zone(schedule.zone)
    window = Window.parse(schedule.window) if schedule.window is not None else None
    limit = after + _HORIZON
    while (moment := _step(schedule, zone, after)) is not None and moment <= limit:
        if window is None or window.contains(moment, zone):
            yield moment
            after = moment
        else:  # at the opening is early enough
            after = window.find_opening(moment, zone) - timedelta(microseconds=1)


def _step(schedule: Schedule, zone: ZoneInfo, after: datetime) -> datetime | None:
    """Return the next time after an instant, whatever the window."""
    if schedule.cron is not None:
        times = _parse_cron(schedule.cron, after.astimezone(zone))
        # In an hour that comes twice, the next one by the clock may be one of the first time.
        return next((moment for time in times if (moment := time.astimezone(UTC)) > after), None)
    count, unit = _parse_every(schedule.every or "")
    since = schedule.since.astimezone(UTC)
    if unit != "d":
        span = timedelta(minutes=count if unit == "m" else count * 60)
        return since + max(1, (after - since) // span + 1) * span
    shown = since.astimezone(zone).replace(tzinfo=None)
    days = (after.astimezone(zone).date() - shown.date()).days
    steps = max(1, days // count)
    while (moment := find_moment(shown + timedelta(days=steps * count), zone)) <= after:
        steps += 1
    return moment


def _parse_every(text: str) -> tuple[int, str]:
    if not (found := _EVERY.fullmatch(text)):
        raise Refused(
            f"{text!r} is not an interval: write minutes, hours or days like 30m, 6h or 1d.",
            code="schedule_refused",
        )
    return int(found[1]), found[2]


def _parse_cron(text: str, after: datetime) -> CronSim:
    if len(text.split()) == _CRON_FIELDS:
        try:
            return CronSim(text, after)
        except CronSimError as error:
            why = f" ({error})"
    else:
        why = ""
    raise Refused(
        f"{text!r} is not a cron expression{why}: write minute, hour, day of month, month, day of week, "
        "like '30 2 * * *'.",
        code="schedule_refused",
    )
