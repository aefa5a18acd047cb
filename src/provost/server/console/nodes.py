"""Nodes: made, renamed, moved and removed."""

from typing import Any, Final
from urllib.parse import urlencode

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect, render
from django.urls import URLPattern, path, reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from provost.core.errors import NotFound
from provost.core.requests import NodeBody, NodePatch
from provost.core.rights import Right
from provost.server.api import nodes
from provost.server.console.forms import Form
from provost.server.console.visitors import Visit

_ADD_PLACES: Final = {"node_refused": "path", "node_exists": "path"}
_NAME_PLACES: Final = {"node_refused": "name", "node_exists": "name", "nothing_to_do": "name"}
_MOVE_PLACES: Final = {"node_refused": "into", "node_exists": "into", "node_not_found": "into"}


@require_safe
def show_node(request: Visit) -> HttpResponse:
    """Show what can be done to a node: `path` of the address; without one, a new one can be made."""
    return _show(request)


@require_POST
def add_node(request: Visit) -> HttpResponse:
    """Make a node, with those above it."""
    form = Form(NodeBody, request, places=_ADD_PLACES)
    with form.telling():
        made = nodes.add_node(request.visitor, form.read())
    if form.is_wrong:
        return _show(request, adding=form)
    messages.success(request, _("Node %(path)s was made.") % {"path": made.path})
    return _lead(made.path)


@require_POST
def rename_node(request: Visit) -> HttpResponse:
    """Give a node another name."""
    form = Form(NodePatch, request, places=_NAME_PLACES)
    return _edit(request, form) or _show(request, renaming=form)


@require_POST
def move_node(request: Visit) -> HttpResponse:
    """Move a node into another."""
    form = Form(NodePatch, request, places=_MOVE_PLACES)
    return _edit(request, form) or _show(request, moving=form)


def _edit(request: Visit, form: Form[NodePatch]) -> HttpResponse | None:
    """Change a node as a form says, and lead to it; None where the form says what is wrong."""
    with form.telling():
        changed = nodes.edit_node(request.visitor, _read_path(request)[1:], form.read())
    if form.is_wrong:
        return None
    messages.success(request, _("The node is %(path)s now.") % {"path": changed.path})
    return _lead(changed.path)


@require_POST
def remove_node(request: Visit) -> HttpResponse:
    """Remove a node that holds nothing."""
    node = _read_path(request)
    form = Form(NodePatch, request)
    with form.telling():
        nodes.remove_node(request.visitor, node[1:])
    if form.is_wrong:
        return _show(request, removing=form)
    messages.success(request, _("Node %(path)s was removed.") % {"path": node})
    return redirect("console:assets")


def _show(request: Visit, **forms: Form[Any]) -> HttpResponse:
    request.visitor.require(Right.OPERATE, what="change nodes")
    there = nodes.list_nodes(request.visitor)
    chosen = _read_path(request)
    node = next((one for one in there if one.path == chosen), None)
    if chosen and node is None:
        raise NotFound(_("There is no node %(path)s.") % {"path": chosen}, code="node_not_found")
    above, _slash, name = chosen.rpartition("/")
    facts = {
        "node": node,
        "above": above or "/",
        "adding": Form(NodeBody, start={"path": f"{chosen}/"}),
        "renaming": Form(NodePatch, start={"name": name}),
        "moving": Form(NodePatch, start={"into": above or "/"}),
        "removing": Form(NodePatch),
        "places": [one.path for one in there if not f"{one.path}/".startswith(f"{chosen}/")],
        "below": sum(one.path.startswith(f"{chosen}/") for one in there),
    }
    status = max((form.status for form in forms.values()), default=200)
    return render(request, "console/asset_node.html", facts | forms, status=status)


def _read_path(request: HttpRequest) -> str:
    return request.GET.get("path", "")


def _lead(node: str) -> HttpResponseRedirect:
    return HttpResponseRedirect(f"{reverse('console:assets')}?{urlencode({'node': node})}")


urlpatterns: Final[list[URLPattern]] = [
    path("node", show_node, name="asset_node"),
    path("node/add", add_node, name="asset_node_add"),
    path("node/rename", rename_node, name="asset_node_rename"),
    path("node/move", move_node, name="asset_node_move"),
    path("node/remove", remove_node, name="asset_node_remove"),
]
