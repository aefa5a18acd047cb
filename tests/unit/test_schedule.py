from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from provost.core.errors import Refused
from provost.core.schedule import Schedule, check, describe, find_opening, next_time, next_times
from provost.core.window import Window

CASES = yaml.safe_load((Path(__file__).parents[1] / "cases" / "schedule.yaml").read_text())
SINCE = datetime(2026, 1, 1, tzinfo=UTC)

zones = st.sampled_from(["UTC", "Europe/Paris", "America/St_Johns", "Australia/Lord_Howe", "Asia/Kathmandu"])
instants = st.integers(0, 2 * 365 * 86400).map(lambda seconds: SINCE + timedelta(seconds=seconds))
windows = st.builds(
    Window,
    days=st.sets(st.integers(0, 6), min_size=1).map(lambda days: tuple(sorted(days))),
    start=st.times().map(lambda one: one.replace(second=0, microsecond=0)),
    end=st.times().map(lambda one: one.replace(second=0, microsecond=0)),
)
rules = st.one_of(
    st.builds("{}m".format, st.integers(1, 3000)).map(lambda every: {"every": every}),
    st.builds("{}h".format, st.integers(1, 60)).map(lambda every: {"every": every}),
    st.builds("{}d".format, st.integers(1, 9)).map(lambda every: {"every": every}),
    st.builds("{} {} * * *".format, st.integers(0, 59), st.integers(0, 23)).map(lambda cron: {"cron": cron}),
    st.sampled_from(["*/7 * * * *", "5 */3 * * 1-5", "0 2 1 * *"]).map(lambda cron: {"cron": cron}),
)


def write(window: Window) -> str:
    """Return a window as people write it."""
    days = ",".join(("mon", "tue", "wed", "thu", "fri", "sat", "sun")[day] for day in window.days)
    return f"{days} {window.start:%H:%M}-{window.end:%H:%M}"


def make(since: datetime = SINCE, **fields: Any) -> Schedule:
    return Schedule.model_validate({"since": since, **fields})


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_schedule_is_due_as_its_case_says(case: dict[str, Any]) -> None:
    """The words and the next times are those of the cases file: clocks put forward and back, windows."""
    schedule = make(**{"since": SINCE, **case["schedule"]})
    wanted = [datetime.fromisoformat(text) for text in case["next"]]
    after = datetime.fromisoformat(case["after"])
    assert next_times(schedule, after, len(wanted)) == wanted
    assert next_time(schedule, after) == wanted[0]
    assert describe(schedule) == case["words"]
    check(schedule, after)


@settings(deadline=None)  # to look for a time ten years ahead takes its time
@given(rules, zones, st.none() | windows, instants)
def test_times_follow_each_other(
    rule: dict[str, str], zone: str, window: Window | None, after: datetime
) -> None:
    """Whatever the schedule, its times come one after the other, none is left out, all are in the window."""
    schedule = make(**rule, zone=zone, window=write(window) if window else None)
    times = next_times(schedule, after, 3)
    at = after
    for moment in times:
        assert moment > at
        assert next_time(schedule, at) == moment
        assert next_time(schedule, moment - timedelta(seconds=1)) == moment
        assert find_opening(schedule, moment) == moment
        at = moment


@given(st.integers(1, 3000), instants)
def test_interval_counts_from_its_beginning(minutes: int, after: datetime) -> None:
    """The next time is a whole number of intervals after the beginning, and at most one interval away."""
    moment = next_time(make(every=f"{minutes}m"), after)
    assert moment is not None
    assert not (moment - SINCE) % timedelta(minutes=minutes)
    assert timedelta(0) < moment - after <= timedelta(minutes=minutes)


@given(windows, instants)
def test_window_is_open_by_the_clock(window: Window, instant: datetime) -> None:
    """Where no clock is changed, a window is open between its times on its days, and opens at its start."""
    today, now = instant.weekday(), instant.time()
    if window.start < window.end:
        wanted = today in window.days and window.start <= now < window.end
    else:
        wanted = (today in window.days and window.start <= now) or (
            (today - 1) % 7 in window.days and now < window.end
        )
    assert window.contains(instant, ZoneInfo("UTC")) == wanted
    opening = window.find_opening(instant, ZoneInfo("UTC"))
    assert instant < opening <= instant + timedelta(days=7)
    assert opening.time() == window.start
    assert opening.weekday() in window.days


@given(windows, zones, instants)
def test_window_that_is_found_is_open(window: Window, zone: str, instant: datetime) -> None:
    """In every zone, what opens is open from then on, and was not open on that account before."""
    opening = window.find_opening(instant, ZoneInfo(zone))
    assert opening > instant
    assert window.contains(opening, ZoneInfo(zone))
    assert Window.parse(write(window)) == window


def test_missed_time_waits_for_the_window() -> None:
    """What was missed is made up for at once inside the window, and else when that next opens."""
    schedule = make(cron="30 2 * * *", zone="Europe/Paris", window="sat,sun 22:00-04:00")
    inside, outside = datetime(2026, 7, 5, 1, tzinfo=UTC), datetime(2026, 7, 5, 3, tzinfo=UTC)
    assert find_opening(schedule, inside) == inside
    assert find_opening(schedule, outside) == datetime(2026, 7, 5, 20, tzinfo=UTC)
    anytime = make(cron="30 2 * * *")
    assert find_opening(anytime, outside) == outside


@pytest.mark.parametrize(
    ("fields", "code", "part"),
    [
        ({}, "schedule_refused", "either every"),
        ({"every": "1d", "cron": "* * * * *"}, "schedule_refused", "either every"),
        ({"every": "0m"}, "schedule_refused", "30m, 6h or 1d"),
        ({"every": "1w"}, "schedule_refused", "30m, 6h or 1d"),
        ({"every": "-5m"}, "schedule_refused", "30m, 6h or 1d"),
        ({"cron": "@daily"}, "schedule_refused", "not a cron expression"),
        ({"cron": "0 0 0 * * *"}, "schedule_refused", "not a cron expression"),
        ({"cron": "61 * * * *"}, "schedule_refused", "Bad minute"),
        ({"cron": "0 0 30 2 *"}, "schedule_refused", "Bad day"),
        ({"every": "1d", "zone": "Paris"}, "schedule_refused", "no time zone 'Paris'"),
        ({"every": "1d", "zone": "../etc/passwd"}, "schedule_refused", "no time zone"),
        ({"every": "1d", "zone": "Europe"}, "schedule_refused", "no time zone"),
        ({"every": "1d", "zone": ""}, "schedule_refused", "no time zone"),
        ({"every": "1d", "window": "weekend"}, "schedule_refused", "not a window"),
        ({"every": "1d", "window": "sat 25:00-26:00"}, "schedule_refused", "not a window"),
        ({"every": "1d", "window": "sat 22:00"}, "schedule_refused", "not a window"),
        ({"every": "1d", "window": "someday 22:00-23:00"}, "schedule_refused", "not a window"),
        ({"every": "1d", "window": ""}, "schedule_refused", "not a window"),
        ({"cron": "0 12 * * *", "window": "22:00-04:00"}, "schedule_never", "falls into its window"),
        ({"every": "7d", "window": "fri 01:00-02:00"}, "schedule_never", "falls into its window"),
        ({"cron": "0 0 31 4,6 1-5", "window": "sun 00:00-24:00"}, "schedule_never", "into its window"),
        ({"every": "9999d"}, "schedule_never", "not due within ten years"),
    ],
)
def test_schedule_that_makes_no_sense_is_refused(fields: dict[str, str], code: str, part: str) -> None:
    """What cannot be read, and what can never be due, is refused with a sentence that says why."""
    with pytest.raises(Refused) as caught:
        check(make(**fields), SINCE)
    assert caught.value.code == code
    assert part in caught.value.message


def test_no_window_is_longer_than_a_day() -> None:
    """Equal times are 24 hours; 24:00 is another way to write midnight."""
    assert Window.parse("sun 00:00-24:00") == Window((6,), time(), time())
    assert Window.parse(" FRI-MON 9:00-10:00".replace("9", "09")) == Window((0, 4, 5, 6), time(9), time(10))
