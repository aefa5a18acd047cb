"""The schedule of a task as a form: no schedule, every so often, or a cron expression."""

import re
from typing import Any, Final
from zoneinfo import available_timezones

from django.http import HttpResponse, QueryDict
from django.shortcuts import render
from django.urls import URLPattern, path
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST
from pydantic import ValidationError

from provost.core.documents import ScheduleDocument
from provost.core.errors import UsageError
from provost.core.requests import ScheduleBody
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
            facts = {"times": tasks.list_times(request.visitor, body), "zone": body.zone}
        except ValidationError:
            facts = {"fault": _("This cannot be read.")}
        except UsageError as error:
            facts = {"fault": error.message}
    return render(request, "console/push_times.html", facts)


urlpatterns: Final[list[URLPattern]] = [
    path("push/times", tell_times, name="push_times"),
]
