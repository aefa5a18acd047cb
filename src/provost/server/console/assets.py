"""Assets: the list beside the tree of nodes, and the page of each."""

from typing import Any, Final

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import URLPattern, path, reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_POST, require_safe

from provost.core.errors import Conflict
from provost.core.requests import AccountQuery, AssetQuery, PushBody, RunQuery
from provost.core.specs import VerifySpec
from provost.server.api import accounts, assets, kinds, nodes, runs
from provost.server.console import asset_test, found
from provost.server.console.actions import begin
from provost.server.console.filters import read_query
from provost.server.console.forms import read_version
from provost.server.console.tree import build_tree
from provost.server.console.visitors import Visit

_ASSETS_SHOWN: Final = 50
_ACCOUNTS_SHOWN: Final = 25
_RUNS_SHOWN: Final = 10


@require_safe
def list_assets(request: Visit) -> HttpResponse:
    """List assets, with the tree of nodes at the side; to htmx, the list alone."""
    query = read_query(AssetQuery, request, limit=_ASSETS_SHOWN)
    page = assets.list_assets(request.visitor, query)
    facts: dict[str, Any] = {
        "page": page,
        "query": query,
        "is_filtered": bool(query.search or query.kind or query.via or query.unprivileged),
        "kinds": [one.kind for one in kinds.list_kinds(request.visitor)],
    }
    if request.htmx:
        return render(request, "console/assets_part.html", facts)
    found = nodes.list_nodes(request.visitor)
    facts["tree"] = build_tree(found, {query.node} if query.node else ())
    facts["is_in_node"] = any(one.path == query.node for one in found)
    return render(request, "console/assets.html", facts)


@require_safe
def show_asset(request: Visit, name: str) -> HttpResponse:
    """Show an asset: its facts, accounts, host keys and last runs."""
    asset = assets.show_asset(request.visitor, name)
    run = request.GET.get("test")
    facts = {
        "asset": asset,
        "usable": [one for one in asset.privileged if one.usable],
        "trusted": [one for one in asset.host_keys if one.state == "trusted"],
        "accounts": accounts.list_accounts(request.visitor, AccountQuery(asset=name, limit=_ACCOUNTS_SHOWN)),
        "runs": runs.list_runs(request.visitor, RunQuery(asset=name, limit=_RUNS_SHOWN)),
        "found": found.count_on(request.visitor, name),
        "test": asset_test.read_test(request.visitor, asset, run) if run else None,
    }
    return render(request, "console/asset.html", facts)


@require_POST
def verify_asset(request: Visit, name: str) -> HttpResponse:
    """Verify every account of an asset."""
    body = PushBody(spec=VerifySpec(action="verify", assets=(name,)))
    return begin(request, body, reverse("console:asset", args=[name]))


@require_POST
def remove_asset(request: Visit, name: str) -> HttpResponse:
    """Remove an asset with its accounts and their secrets."""
    try:
        assets.remove_asset(request.visitor, name, version=read_version(request))
    except Conflict as error:
        messages.error(request, error.message)
        return redirect("console:asset", name)
    messages.success(request, _("%(name)s was removed. The system itself was left alone.") % {"name": name})
    return redirect("console:assets")


@require_POST
def trust_asset(request: Visit, name: str) -> HttpResponse:
    """Forget an asset's host keys: the key that it shows next is pinned."""
    forgotten = len(assets.trust_asset(request.visitor, name).forgotten)
    text = ngettext(
        "%(count)s host key is no longer trusted. The key that %(name)s shows at the next contact will be.",
        "%(count)s host keys are no longer trusted. The key that %(name)s shows at the next contact will be.",
        forgotten,
    )
    messages.success(request, text % {"count": forgotten, "name": name})
    return redirect("console:asset", name)


urlpatterns: Final[list[URLPattern]] = [
    path("assets", list_assets, name="assets"),
    path("assets/<str:name>", show_asset, name="asset"),
    path("assets/<str:name>/remove", remove_asset, name="asset_remove"),
    path("assets/<str:name>/verify", verify_asset, name="asset_verify"),
    path("assets/<str:name>/trust", trust_asset, name="asset_trust"),
]
