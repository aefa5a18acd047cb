"""Bringing in an inventory, after a preview. The browser keeps the file, to send it again."""

import re
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import URLPattern, path, reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods
from django_htmx.http import HttpResponseClientRedirect

from provost.core.documents import ImportDocument
from provost.core.errors import Refused, UsageError
from provost.core.inert import make_inert
from provost.core.rights import Right
from provost.server.api.imports import import_inventory
from provost.server.api.inventory import PLACE, make_body, name_line
from provost.server.console.faults import find_status
from provost.server.console.visitors import Visit
from provost.server.services.inventory_files import ImportRefused, Inventory, read_upload

_SHOWN: Final = 100
_LONGEST_NAME: Final = 255
_PASTED: Final = {"yaml": "pasted.yaml", "csv": "pasted.csv"}


@dataclass(frozen=True, slots=True)
class _Shown:
    """The first of many lines, and how many more there are."""

    lines: list[Any]
    more: int


@require_http_methods(["GET", "POST"])
def bring_in(request: Visit) -> HttpResponse:
    """Show what an inventory would bring in, or bring it in."""
    request.visitor.require(Right.OPERATE, what="bring in an inventory")
    if request.method != "POST":
        return render(request, "console/asset_import.html")
    is_meant = request.POST.get("do") == "import"
    facts: dict[str, Any] = {"is_meant": is_meant}
    status = 200
    inventory: Inventory | None = None
    try:
        content, name = _read_sent(request)
        facts["name"] = name
        inventory = read_upload(content, name)
        done = import_inventory(request.visitor, make_body(inventory, name=name, dry_run=not is_meant))
    except UsageError as error:
        status = find_status(error)
        facts |= _describe_fault(error, inventory)
    else:
        if is_meant:
            return _lead(request, done)
        facts |= _describe_preview(done)
    template = "console/asset_import_part.html" if request.htmx else "console/asset_import.html"
    return render(request, template, facts, status=status)


def _read_sent(request: Visit) -> tuple[bytes, str]:
    """Return what was sent, a file or a text, and what to call it."""
    source = request.POST.get("source", "file")
    if source in _PASTED:
        return request.POST.get("text", "").encode(), _PASTED[source]
    file = request.FILES.get("file")
    if file is None or file.name is None:
        raise Refused(_("Choose a file first, or paste its text."), code="import_refused")
    return file.read(), make_inert(file.name)[-_LONGEST_NAME:]


def _describe_fault(error: UsageError, inventory: Inventory | None) -> dict[str, Any]:
    """Return what is wrong: by line where that is known, else as one sentence."""
    if not isinstance(error, ImportRefused) or inventory is None:
        return {"fault": error.message, "code": error.code}
    faults = []
    for place, text in error.faults:
        found = PLACE.fullmatch(place)
        line = name_line(found, inventory) if found else place
        number = re.fullmatch(r"line (\d+)", line)
        faults.append((int(number[1]) if number else 0, text))
    faults.sort()
    return {"faults": _cut(faults), "count": len(faults)}


def _describe_preview(told: ImportDocument) -> dict[str, Any]:
    """Return what would come in, by what it is; of what is there, each field as it is and as it would be."""
    changes = told.changes
    changed = [
        (name, field, _say(was), _say(then))
        for of_them in (changes.assets_changed, changes.accounts_changed)
        for name, fields in of_them.items()
        for field, (was, then) in fields.items()
    ]
    return {
        "told": told.imported,
        "changed": _cut(changed),
        "added": [
            (_("Nodes to be made"), _cut(changes.nodes_added)),
            (_("Assets to be added"), _cut(changes.assets_added)),
            (_("Accounts to be added"), _cut(changes.accounts_added)),
            (_("Secrets to be set"), _cut(changes.secrets_set)),
        ],
        "is_nothing": not (changed or changes.nodes_added or changes.assets_added or changes.secrets_set),
    }


def _say(value: Any) -> str:
    """Return a field's value as people write it."""
    if isinstance(value, dict):
        return ", ".join(f"{name}={text}" for name, text in value.items()) or "-"
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value)) or "-"
    return "-" if value in {None, ""} else str(value)


def _cut(lines: list[Any]) -> _Shown:
    return _Shown(list(islice(lines, _SHOWN)), max(0, len(lines) - _SHOWN))


def _lead(request: Visit, done: ImportDocument) -> HttpResponse:
    counts = {f"{what}_{how}": count for what, of_it in done.imported.items() for how, count in of_it.items()}
    text = _(
        "Brought in. Assets added: %(assets)s, changed: %(updated)s; accounts added: %(accounts)s; "
        "secrets set: %(secrets)s."
    )
    found = {
        "assets": counts.get("assets_added", 0),
        "updated": counts.get("assets_updated", 0),
        "accounts": counts.get("accounts_added", 0),
        "secrets": counts.get("secrets_set", 0),
    }
    messages.success(request, text % found)
    if request.htmx:
        return HttpResponseClientRedirect(reverse("console:assets"))
    return redirect("console:assets")


urlpatterns: Final[list[URLPattern]] = [
    path("import", bring_in, name="asset_import"),
]
