from typing import Any, Final, Literal

from django.contrib import messages
from django.http import HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST
from django_htmx.http import push_url, trigger_client_event

from provost.core.documents import ReasonDocument, RunDetailDocument
from provost.core.errors import UsageError
from provost.core.model import FINE, SETTLED_WELL, Action, Status
from provost.core.requests import PushBody, RecordQuery, RunQuery, TaskQuery
from provost.core.specs import ReconcileSpec
from provost.server.api import runs, streams, tasks
from provost.server.console.actions import MOST, begin
from provost.server.console.filters import read_query
from provost.server.console.progress import ALIVE, STATUSES, measure
from provost.server.console.specs import describe_spec
from provost.server.console.visitors import Visit
from provost.server.console.words import NAMES

_STATES: Final = ("queued", "running", "finished", "cancelled", "interrupted", "skipped")
_NOTED: Final = frozenset({"settled", "unsettled", "not_verified", "reconciled", "old_key_left"})
"""Reasons of records that ended well, and that an operator may want to know of."""

_ABOUT_SECRETS: Final = frozenset({Action.VERIFY, Action.RECONCILE, Action.ROTATE})
_STOP_POLLING: Final = 286
_SAID_PARTS: Final = 4


@require_GET
def list_runs(request: Visit) -> HttpResponse:
    """List them, the newest first."""
    query = read_query(RunQuery, request, limit=50)
    page = runs.list_runs(request.visitor, query)
    facts = {"page": page, "next": page.next, "query": query, "filtered": _is_filtered(query)}
    if request.htmx and not request.htmx.history_restore_request:
        return render(request, "console/runs_list.html", facts)
    names = [one.name for one in tasks.list_tasks(request.visitor, TaskQuery(limit=1000)).items]
    return render(request, "console/runs.html", facts | {"states": _STATES, "tasks": names, "actions": NAMES})


@require_GET
def show_run(request: Visit, run: str) -> HttpResponse:
    """Show one: how far it is, what went wrong and what to do, and its records."""
    found = runs.show_run(request.visitor, run)
    facts = _tell_progress(found) | _tell_records(request, found)
    facts |= {"asked": describe_spec(found.spec), "statuses": STATUSES}
    return render(request, "console/run.html", facts)


@require_GET
def show_progress(request: Visit, run: str) -> HttpResponse:
    """Show how far one is, again and again until it is over."""
    found = runs.show_run(request.visitor, run)
    facts = _tell_progress(found)
    facts["news"] = facts["said"] != request.GET.get("said")
    if found.state in ALIVE:
        return render(request, "console/run_progress.html", facts)
    response = render(request, "console/run_progress.html", facts | {"ended": True}, status=_STOP_POLLING)
    return trigger_client_event(response, "run-over")


@require_GET
def show_records(request: Visit, run: str) -> HttpResponse:
    """Show why records ended as they did, and those that are asked for."""
    found = runs.show_run(request.visitor, run)
    status = 200 if found.state in ALIVE else _STOP_POLLING
    facts = _tell_records(request, found)
    response = render(request, "console/run_records.html", facts, status=status)
    if request.htmx.trigger == "run-filters":
        push_url(response, facts["address"] + facts["shown"])
    return response


@require_POST
def cancel_run(request: Visit, run: str) -> HttpResponse:
    """Ask for one to stop."""
    try:
        found = runs.cancel_run(request.visitor, run)
    except UsageError as error:
        messages.error(request, error.message)
    else:
        done = found.state not in ALIVE
        messages.success(
            request,
            _("The run is cancelled.") if done else _("The run stops as soon as what has begun is finished."),
        )
    return redirect("console:run_show", run)


@require_POST
def retry_run(request: Visit, run: str) -> HttpResponse:
    """Do again, in a new run, what did not end well."""
    try:
        again = runs.retry_run(request.visitor, run)
    except UsageError as error:
        messages.error(request, error.message)
        return redirect("console:run_show", run)
    messages.success(request, _("This is the retry: a new run for what did not end well."))
    return redirect("console:run_show", again.id)


@require_POST
def reconcile_run(request: Visit, run: str) -> HttpResponse:
    """Set the secrets in the list again, in a new run, for all that one found out of sync."""
    query = RecordQuery(status=Status.FAILED, reason="out_of_sync", limit=1000)
    accounts: dict[str, None] = {}
    while len(accounts) < MOST:
        page = runs.list_records(request.visitor, run, query)
        accounts |= dict.fromkeys(f"{one.username}@{one.asset}" for one in page.items)
        if page.next is None:
            break
        query = query.model_copy(update={"cursor": page.next})
    body = PushBody(spec=ReconcileSpec(action="reconcile"), accounts=tuple(accounts)[:MOST])
    return begin(request, body, reverse("console:run_show", args=[run]))


@require_GET
def export_run(request: Visit, run: str, form: Literal["csv", "json"]) -> HttpResponseBase:
    """Give all records of one as a file."""
    return streams.stream_records(request.visitor, run, form)


@require_GET
def report_run(request: Visit, run: str) -> HttpResponseBase:
    """Give a page to keep or to print; it brings its own policy, which admits its style alone."""
    return streams.stream_report(request.visitor, run, "html")


def _tell_progress(run: RunDetailDocument) -> dict[str, Any]:
    progress = measure(run, timezone.now())
    again = sum(run.counts.values()) - sum(run.counts.get(status, 0) for status in SETTLED_WELL)
    return {
        "run": run,
        "alive": run.state in ALIVE,
        "progress": progress,
        "said": f"{run.state} {progress.percent * _SAID_PARTS // 100}",
        "again": 0 if run.dry_run or run.state in ALIVE | {"skipped"} else again,
    }


def _tell_records(request: Visit, run: RunDetailDocument) -> dict[str, Any]:
    query = read_query(RecordQuery, request, limit=100)
    page = runs.list_records(request.visitor, str(run.id), query)
    reasons = runs.list_reasons(request.visitor, str(run.id))
    shown = request.GET.urlencode()
    return {
        "run": run,
        "alive": run.state in ALIVE,
        "page": page,
        "next": page.next,
        "query": query,
        "filtered": _is_filtered(query),
        "tells_type": run.action in _ABOUT_SECRETS,
        "reasons": [one for one in reasons if _is_told(one)],
        "address": reverse("console:run_show", args=[run.id]),
        "shown": f"?{shown}" if shown else "",
    }


def _is_told(reason: ReasonDocument) -> bool:
    return reason.status not in FINE or reason.reason in _NOTED


def _is_filtered(query: RunQuery | RecordQuery) -> bool:
    return bool(query.model_dump(exclude={"limit", "cursor"}, exclude_none=True))


urlpatterns: Final[list[URLPattern]] = [
    path("runs", list_runs, name="runs"),
    path("runs/<str:run>", show_run, name="run_show"),
    path("runs/<str:run>/progress", show_progress, name="run_progress"),
    path("runs/<str:run>/records", show_records, name="run_records"),
    path("runs/<str:run>/cancel", cancel_run, name="run_cancel"),
    path("runs/<str:run>/retry", retry_run, name="run_retry"),
    path("runs/<str:run>/reconcile", reconcile_run, name="run_reconcile"),
    path("runs/<str:run>/report", report_run, name="run_report"),
    path("runs/<str:run>/export.csv", export_run, {"form": "csv"}, name="run_export_csv"),
    path("runs/<str:run>/export.json", export_run, {"form": "json"}, name="run_export_json"),
]
