"""The audit trail: what was done, by whom, and the proof that nothing in it was changed."""

from typing import Any, Final

from asgiref.sync import async_to_sync
from django.http import HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.urls import URLPattern, path
from django.views.decorators.http import require_GET

from provost.core.documents import AuditDocument, PageDocument
from provost.core.requests import AuditQuery, ProofQuery
from provost.core.rights import Right
from provost.server.api import audit as api
from provost.server.api.streams import stream_audit
from provost.server.console.changes import describe_changes
from provost.server.console.filters import Filters, answer
from provost.server.console.visitors import Visit

_ACTIONS: Final = (
    "account.", "account.reveal", "asset.", "audit.export", "inventory.import", "key.rotate", "node.",
    "run.create", "run.finish", "task.", "token.", "user.",
)  # fmt: skip


@require_GET
def list_audit(request: Visit) -> HttpResponse:
    """List entries, narrowed to what the address says."""
    request.visitor.require_everywhere(Right.AUDIT, what="read the audit trail")
    filters = Filters(AuditQuery, request, instants=("since", "until"))
    page: PageDocument[AuditDocument] = PageDocument(items=[])
    with filters.telling():
        page = api.list_entries(request.visitor, filters.read(limit=50))
    rows = [(entry, describe_changes(entry)) for entry in page.items]
    facts = {"rows": rows, "next": page.next, "actions": _ACTIONS}
    return answer(request, filters, "console/audit.html", "console/audit_rows.html", facts)


@require_GET
def prove(request: Visit) -> HttpResponse:
    """Check the whole trail."""
    facts: dict[str, Any] = {"proof": api.verify(request.visitor, ProofQuery())}
    return render(request, "console/audit_proof.html" if request.htmx else "console/audit_proved.html", facts)


@require_GET
def export(request: Visit) -> HttpResponseBase:
    """Hand the whole trail out, the oldest entry first, a JSON document a line."""
    return async_to_sync(stream_audit)(request.visitor)


urlpatterns: Final[list[URLPattern]] = [
    path("audit", list_audit, name="audit"),
    path("audit/proof", prove, name="audit_proof"),
    path("audit/export", export, name="audit_export"),
]
