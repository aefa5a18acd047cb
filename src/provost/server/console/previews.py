"""What a push would do, shown where it is asked: a dry run, its counts by decision, and its records."""

from collections import Counter
from collections.abc import Sequence
from typing import Any, Final
from uuid import UUID

from django.http import HttpResponse
from django.shortcuts import render
from django.urls import URLPattern, path
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET

from provost.core.documents import RecordCountDocument, RunDetailDocument
from provost.core.errors import NotFound
from provost.core.model import Decision, Status
from provost.core.requests import PageQuery, RecordQuery
from provost.core.rights import Principal
from provost.server.api import runs
from provost.server.console.filters import read_query
from provost.server.console.progress import ALIVE
from provost.server.console.visitors import Visit

_UNSETTLED: Final = "unsettled"
_SHOWN: Final = 50
_FILTERS: Final[dict[str, dict[str, str]]] = {
    **{str(one): {"decision": one, "reason": "dry_run"} for one in Decision},
    _UNSETTLED: {"reason": _UNSETTLED},
    "untold": {"status": Status.FAILED},
    "skipped": {"status": Status.SKIPPED},
    "cancelled": {"status": Status.CANCELLED},
}


def describe(visitor: Principal, run: RunDetailDocument) -> dict[str, Any]:
    """Return what is known by now of a dry run."""
    counts = _count(runs.count_records(visitor, str(run.id)))
    total = sum(counts.values())
    facts: dict[str, Any] = {
        "run": run,
        "going": run.state in ALIVE,
        "total": total,
        "told": total - counts["open"],
        "rows": [
            (name, text, counts[name], meaning)
            for name, text, meaning in _list_meanings()
            if counts[name] or name not in {_UNSETTLED, "cancelled"}
        ],
    }
    if run.state not in ALIVE:
        facts |= _describe_records(visitor, str(run.id), "untold" if counts["untold"] else "", None)
    return facts


def _count(groups: Sequence[RecordCountDocument]) -> Counter[str]:
    counts: Counter[str] = Counter()
    for group in groups:
        counts[_name(group)] += group.count
    return counts


def _name(group: RecordCountDocument) -> str:
    if group.status is None:
        return "open"
    if group.status in {Status.SKIPPED, Status.CANCELLED}:
        return str(group.status)
    if group.reason == _UNSETTLED:
        return _UNSETTLED
    return str(group.decision) if group.decision and group.status is Status.UNCHANGED else "untold"


def _list_meanings() -> list[tuple[str, str, str]]:
    """Return what may become of an account, in words, and what a push then does."""
    return [
        (
            Decision.CREATE,
            _("create"),
            _("Neither on the target nor in the list: it is created with a new secret, and added to the list."),
        ),
        (
            Decision.ADOPT,
            _("adopt"),
            _("On the target, not in the list: it gets a new secret there, and is added to the list."),
        ),
        (
            Decision.RESTORE,
            _("restore"),
            _("In the list, not on the target: it is created with the secret that the list holds."),
        ),
        (
            Decision.LEAVE,
            _("leave as it is"),
            _("On the target and in the list: nothing is done, even if the secrets differ."),
        ),
        (
            _UNSETTLED,
            _("not settled"),
            _("An earlier push left it open: a push first finds out by a login what is there."),
        ),
        (
            "untold",
            _("cannot be told"),
            _("What is on the target could not be read: as things are, a push changes nothing and fails."),
        ),
        (
            "skipped",
            _("skipped"),
            _("The asset has no privileged account that can log in: it is not touched."),
        ),
        ("cancelled", _("cancelled"), _("The preview was stopped before it came to these.")),
    ]


def _describe_records(visitor: Principal, run: str, chosen: str, cursor: str | None) -> dict[str, Any]:
    query = RecordQuery.model_validate({"limit": _SHOWN, "cursor": cursor, **_FILTERS.get(chosen, {})})
    return {"records": runs.list_records(visitor, run, query), "chosen": chosen}


@require_GET
def show(request: Visit, run: UUID) -> HttpResponse:
    """Show how far a preview is, or what came of it."""
    found = runs.show_run(request.visitor, str(run))
    if not found.dry_run:
        raise NotFound(_("This run is no preview."))
    return render(request, "console/push_preview.html", describe(request.visitor, found))


@require_GET
def list_records(request: Visit, run: UUID) -> HttpResponse:
    """List the records of a preview, a page at a time: all, or those of one decision."""
    chosen, cursor = request.GET.get("chosen", ""), read_query(PageQuery, request).cursor
    facts = {"run": {"id": run}, **_describe_records(request.visitor, str(run), chosen, cursor)}
    return render(request, "console/push_records.html", facts)


urlpatterns: Final[list[URLPattern]] = [
    path("push/previews/<uuid:run>", show, name="push_preview"),
    path("push/previews/<uuid:run>/records", list_records, name="push_records"),
]
