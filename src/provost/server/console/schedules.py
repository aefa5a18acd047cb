"""The schedule of a task as a form: no schedule, every so often, or a cron expression."""

import re
from typing import Any, Final
from zoneinfo import available_timezones

from django.http import HttpResponse, QueryDict
from django.shortcuts import render
from django.urls import URLPattern, path
from django.utils import timezone
from django.utils.dates import WEEKDAYS_ABBR
from django.utils.translation import get_language, ngettext
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST
from pydantic import ValidationError

from provost.core.documents import ScheduleDocument
from provost.core.errors import UsageError
from provost.core.requests import ScheduleBody
from provost.core.schedule import find_zone
from provost.core.window import Window
from provost.server.api import tasks
from provost.server.console.visitors import Visit

_EVERY: Final = re.compile(r"([0-9]+)([mhd])")


def describe_start(schedule: ScheduleDocument | None) -> dict[str, Any]:
    """Return what the fields of a schedule begin with."""
    start: dict[str, Any] = {"when": "none", "number": 1, "unit": "d", "zone": "UTC"}
    if schedule is None:
        return start
    start |= {"zone": schedule.zone, "window": schedule.window, "since": schedule.since.isoformat()}
    if schedule.cron is not None:
        return start | {"when": "cron", "cron": schedule.cron}
    found = _EVERY.fullmatch(schedule.every or "")
    return start | {"when": "every"} | ({"number": found[1], "unit": found[2]} if found else {})


def describe_choices() -> dict[str, Any]:
    """Return what the fields of a schedule offer."""
    return {
        "whens": [
            ("none", _("Never by itself")),
            ("every", _("Every so often")),
            ("cron", _("At certain times (cron)")),
        ],
        "units": [("m", _("minutes")), ("h", _("hours")), ("d", _("days"))],
        "zones": [(zone, zone) for zone in sorted(available_timezones() | {"UTC"})],
    }


def describe(schedule: ScheduleDocument) -> str:
    """Say when a task is due: in English as the schedule does, elsewhere with a cron expression as it is."""
    if (get_language() or "en").startswith("en"):
        return schedule.words
    window = [] if schedule.window is None else [_describe_window(Window.parse(schedule.window))]
    return "; ".join([_describe_rhythm(schedule), schedule.zone, *window])


def _describe_rhythm(schedule: ScheduleDocument) -> str:
    found = _EVERY.fullmatch(schedule.every or "")
    if found is None:
        return _("cron expression %(cron)s") % {"cron": schedule.cron}
    number = int(found[1])
    text = {
        "m": ngettext("every minute from %(since)s", "every %(number)s minutes from %(since)s", number),
        "h": ngettext("every hour from %(since)s", "every %(number)s hours from %(since)s", number),
        "d": ngettext("every day from %(since)s", "every %(number)s days from %(since)s", number),
    }[found[2]]
    since = schedule.since.astimezone(find_zone(schedule.zone))
    return text % {"number": number, "since": f"{since:%Y-%m-%d %H:%M}"}


def _describe_window(window: Window) -> str:
    days = _("every day")
    if len(window.days) < len(WEEKDAYS_ABBR):
        days = ", ".join(str(WEEKDAYS_ABBR[day]) for day in window.days)
    facts = {"days": days, "start": f"{window.start:%H:%M}", "end": f"{window.end:%H:%M}"}
    return _("only %(days)s from %(start)s to %(end)s") % facts


def read_schedule(posted: QueryDict) -> dict[str, Any] | None:
    """Return what was filled in as a ScheduleBody has it; None: the task is never due by itself."""
    if (when := posted.get("when")) not in {"every", "cron"}:
        return None
    every = f"{posted.get('number', '').strip()}{posted.get('unit', '')}"
    cron = " ".join(posted.get("cron", "").split())
    own = {"every": every} if when == "every" else {"cron": cron}
    shared = {name: text for name in ("zone", "window", "since") if (text := posted.get(name, "").strip())}
    return {**own, **shared}


@require_POST
def tell_times(request: Visit) -> HttpResponse:
    """Say in words what was filled in, with its next five times, or what is wrong with it."""
    facts: dict[str, Any] = {}
    if (given := read_schedule(request.POST)) is not None:
        try:
            body = ScheduleBody.model_validate(given)
            times = tasks.list_times(request.visitor, body)
            own = body.model_dump() | {"since": body.since or timezone.now(), "words": times.words}
            facts = {"words": describe(ScheduleDocument(**own)), "times": times.next_times}
        except ValidationError:
            facts = {"fault": _("This cannot be read.")}
        except UsageError as error:
            facts = {"fault": error.message}
    return render(request, "console/push_times.html", facts)


urlpatterns: Final[list[URLPattern]] = [
    path("push/times", tell_times, name="push_times"),
]
