from typing import Final

from django.http import HttpResponse
from django.shortcuts import render
from django.urls import URLPattern, path
from django.views.decorators.http import require_GET

from provost.core.model import Sync
from provost.core.rights import Right
from provost.server.api import overview
from provost.server.console.chart import draw
from provost.server.console.progress import STATUSES
from provost.server.console.visitors import Visit


@require_GET
def show(request: Visit) -> HttpResponse:
    """What is going on, and what to do next."""
    if not request.visitor.reach(Right.VIEW):
        return render(request, "console/home_nothing.html")
    found = overview.show_overview(request.visitor)
    bars = draw(found.days)
    seen = {status for bar in bars for status in bar.counts}
    facts = {
        "overview": found,
        "checks": [(sync, getattr(found.checks, sync)) for sync in (*Sync, "never")],
        "begun": found.steps.asset and found.steps.push and found.steps.task,
        "bars": bars,
        "width": 10 * len(bars),
        "runs": sum(bar.runs for bar in bars),
        "accounts": sum(bar.total for bar in bars),
        "totals": {
            status: sum(bar.counts.get(status, 0) for bar in bars) for status in STATUSES if status in seen
        },
        "secrets": sum(age.count for age in found.ages),
        "ages": [(age, f"{age.least}-{age.below}" if age.below else f"{age.least}-") for age in found.ages],
    }
    return render(request, "console/home.html", facts)


urlpatterns: Final[list[URLPattern]] = [
    path("", show, name="home"),
]
