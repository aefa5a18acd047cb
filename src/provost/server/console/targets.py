"""What a push is to reach: the tree of nodes, assets that are searched for, and how many that is in all."""

from dataclasses import replace
from typing import Any, Final

from django.http import HttpResponse
from django.shortcuts import render
from django.urls import URLPattern, path
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST
from pydantic import ValidationError

from provost.core.documents import KindDocument
from provost.core.errors import UsageError
from provost.core.requests import AssetQuery, PushBody, TargetsBody
from provost.core.rights import Principal, Right
from provost.server.api import assets, kinds, nodes
from provost.server.api import targets as api
from provost.server.console.forms import Form
from provost.server.console.visitors import Visit

_PARAMETERS: Final = "spec.parameters."
_FOUND: Final = 10
_EVERYWHERE: Final = "/"
"""Instead of a node: what was saved so is shown, and can be taken back."""


def narrow(visitor: Principal) -> Principal:
    """Return somebody as one who sees no more than what they may push to: that is what they are offered."""
    return replace(visitor, grants=tuple(grant for grant in visitor.grants if Right.OPERATE in grant.rights))


def list_tree(visitor: Principal, form: Form[Any]) -> list[dict[str, Any]]:
    """Return the nodes in the order of the tree: what each shows, and how many levels end with it."""
    chosen = set(form.values.get("spec.nodes", []))
    opened = {path[:end] for path in chosen for end, letter in enumerate(path) if letter == "/" and end}
    rows: list[dict[str, Any]] = []
    above: list[str] = []
    for node in nodes.list_nodes(narrow(visitor)):
        ended = 0
        while above and not node.path.startswith(f"{above[-1]}/"):
            above.pop()
            ended += 1
        if rows:
            rows[-1] |= {"is_parent": ended == 0, "ends": range(ended - 1)}
        rows.append(
            {
                "path": node.path,
                "name": node.path.removeprefix(f"{above[-1]}/" if above else ""),
                "assets": node.within,
                "chosen": node.path in chosen,
                "opened": node.path in opened,
            }
        )
        above.append(node.path)
    if rows:
        rows[-1] |= {"is_parent": False, "ends": range(len(above) - 1)}
    if _EVERYWHERE in chosen:
        rows.insert(0, {"path": _EVERYWHERE, "name": _("/ (all assets there are)"), "chosen": True})
    return rows


def describe(visitor: Principal, form: Form[Any]) -> dict[str, Any]:
    """Return what was chosen comes to, and the parameters of its kinds; nothing is contacted."""
    try:
        body = TargetsBody(
            assets=tuple(form.values.get("spec.assets", [])), nodes=tuple(form.values.get("spec.nodes", []))
        )
        counted = api.count_targets(visitor, body)
    except ValidationError:
        return {"form": form, "targets_fault": _("Some of these names are too long.")}
    except UsageError as error:
        return {"form": form, "targets_fault": error.message}
    found = [kind for kind in kinds.list_kinds(visitor) if kind.kind in counted.kinds]
    kept = {} if found else form.values
    return {
        "form": form,
        "targets": counted,
        "kinds": [_describe_kind(form, kind) for kind in found],
        "kept": [(name, form[name]) for name in kept if name.startswith(_PARAMETERS)],
    }


def _describe_kind(form: Form[Any], kind: KindDocument) -> dict[str, Any]:
    """Return a kind's parameters. One that was given to all kinds that know it is shown as this kind's own."""
    prefix = f"{_PARAMETERS}{kind.kind}"
    names = kind.parameters.get("properties", {})
    for name in names:
        if shared := form.values.get(f"{_PARAMETERS}{name}"):
            form.values.setdefault(f"{prefix}.{name}", shared)
    is_filled = any(form[f"{prefix}.{name}"] for name in names)
    return {"kind": kind.kind, "schema": kind.parameters, "prefix": prefix, "is_filled": is_filled}


@require_POST
def count(request: Visit) -> HttpResponse:
    """Tell what was chosen comes to, with the parameters of its kinds as they are filled in."""
    form = Form(PushBody, request)
    return render(request, "console/push_targets.html", describe(request.visitor, form))


@require_GET
def search(request: Visit) -> HttpResponse:
    """List the first assets of which a part of the name, address or comment was typed."""
    text = request.GET.get("asset_search", "").strip()[:255]
    found = assets.list_assets(narrow(request.visitor), AssetQuery(limit=_FOUND, search=text)) if text else None
    return render(request, "console/push_assets.html", {"found": found, "text": text})


urlpatterns: Final[list[URLPattern]] = [
    path("push/targets", count, name="push_targets"),
    path("push/assets", search, name="push_assets"),
]
