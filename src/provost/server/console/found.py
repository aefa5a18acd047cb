"""What discoveries have found: the list, one account, and what is decided about them."""

from collections.abc import Callable, Sequence
from typing import Any, Final
from urllib.parse import urlencode

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_GET, require_POST

from provost.core.documents import FoundDetailDocument, FoundDocument, PageDocument, StandingCountsDocument
from provost.core.errors import UsageError
from provost.core.model import SecretType
from provost.core.onboarding import Standing
from provost.core.push import PushSpec
from provost.core.requests import AcceptBody, AdoptBody, FoundBody, FoundQuery, IgnoreBody, PushBody
from provost.core.rights import Principal, Right
from provost.core.specs import DiscoverSpec
from provost.server.api import found as api
from provost.server.api import nodes, runs
from provost.server.console.filters import Filters, answer
from provost.server.console.forms import Form
from provost.server.console.spec_form import describe_rules
from provost.server.console.targets import narrow
from provost.server.console.visitors import Visit

_SHOWN: Final = 50
_ALL: Final = ("unknown", "changed", "vanished", "known", "ignored")


@require_GET
def list_found(request: Visit) -> HttpResponse:
    """List what was found, narrowed to what the address says, with how many stand where."""
    filters = Filters(FoundQuery, request)
    page: PageDocument[FoundDocument] = PageDocument(items=[])
    counts = StandingCountsDocument(**dict.fromkeys(_ALL, 0))
    with filters.telling():
        query = filters.read(limit=_SHOWN)
        page = api.list_found(request.visitor, query)
        counts = api.count_found(request.visitor, query)
    told = filters.values.items()
    kept = {name: texts[0] for name, texts in told if name not in {"cursor", "standing", "limit"}}
    facts: dict[str, Any] = {
        "found": page.items,
        "next": page.next,
        "chips": _list_chips(counts, kept, filters["standing"]),
        "total": sum(counts.model_dump().values()),
        "query": urlencode({**kept, **({"standing": filters["standing"]} if filters["standing"] else {})}),
        "seen": timezone.now().isoformat(),
    }
    if not request.htmx:
        facts["nodes"] = nodes.list_nodes(request.visitor)
    return answer(request, filters, "console/found.html", "console/found_rows.html", facts)


def _list_chips(
    counts: StandingCountsDocument, kept: dict[str, str], chosen: str
) -> list[tuple[str, int, str, bool]]:
    """Return for each standing how many there are, the address of these, and whether they are shown."""
    return [
        (
            one,
            getattr(counts, one),
            urlencode({**kept, **({} if one == chosen else {"standing": one})}),
            one == chosen,
        )
        for one in _ALL
    ]


@require_GET
def show_found(request: Visit, account: str) -> HttpResponse:
    """Show all that was found of an account, and what was accepted before."""
    one = api.show_found(request.visitor, account)
    facts = {
        "one": one,
        "name": account,
        "can": {str(right): True for right in one.rights},
        "rows": _list_facts(one),
        "seen": timezone.now().isoformat(),
    }
    return render(request, "console/found_account.html", facts)


def _list_facts(one: FoundDetailDocument) -> list[tuple[str, Any]]:
    """Return facts by their names, in the order in which somebody asks for them."""
    facts = one.facts
    return [
        (_("User id"), facts.uid),
        (_("Full name"), facts.comment or _("none known")),
        (_("Home"), facts.home),
        (_("Shell"), facts.shell),
        (_("Groups"), facts.groups),
        (_("Came with the system"), facts.system),
        (_("Can log in"), facts.can_log_in),
        (_("Password locked"), facts.locked),
        (_("All-powerful by itself"), facts.superuser),
        (_("May act as others"), facts.privileges),
        (_("Last login"), facts.last_login or _("none known")),
        (_("Password changed"), facts.password_changed or _("none known")),
        (_("Password to be changed by"), facts.password_expires or _("none known")),
        (_("Expires"), facts.expires or _("none known")),
    ]


@require_POST
def act(request: Visit) -> HttpResponse:
    """Do what a button says to the accounts that are ticked, and lead back to where it stood."""
    then = request.POST.get("then", "")
    accounts = tuple(request.POST.getlist("accounts"))
    if then == "adopt":
        return _ask_adoption(request, accounts)
    if then in _ACTIONS:
        try:
            form: Form[Any] = Form(AcceptBody if then == "accept" else FoundBody, request)
            done, told = _ACTIONS[then]
            count = len(done(request.visitor, form.read()).accounts)
            messages.success(request, told(count) % {"count": count})
        except UsageError as error:
            text = error.message if accounts else _("Tick the accounts first that this is to be done to.")
            messages.error(request, text)
    if then != "forget" and request.POST.get("page") == "account" and accounts:
        return redirect("console:found_account", accounts[0])
    return redirect(f"{reverse('console:found')}?{request.GET.urlencode()}".rstrip("?"))


def _ignore(by: Principal, body: FoundBody) -> Any:
    return api.ignore(by, IgnoreBody(accounts=body.accounts))


def _heed(by: Principal, body: FoundBody) -> Any:
    return api.ignore(by, IgnoreBody(accounts=body.accounts, ignored=False))


_ACTIONS: Final[dict[str, tuple[Callable[[Principal, Any], Any], Callable[[int], str]]]] = {
    "accept": (
        api.accept,
        lambda count: ngettext(
            "%(count)s account is accepted as it is.", "%(count)s accounts are accepted as they are.", count
        ),
    ),
    "ignore": (
        _ignore,
        lambda count: ngettext("%(count)s account is ignored.", "%(count)s accounts are ignored.", count),
    ),
    "heed": (
        _heed,
        lambda count: ngettext(
            "%(count)s account is no longer ignored.", "%(count)s accounts are no longer ignored.", count
        ),
    ),
    "enlist": (
        api.enlist,
        lambda count: ngettext(
            "%(count)s account is in the list, without a secret.",
            "%(count)s accounts are in the list, without a secret.",
            count,
        ),
    ),
    "forget": (
        api.forget,
        lambda count: ngettext("%(count)s account is forgotten.", "%(count)s accounts are forgotten.", count),
    ),
}


def _ask_adoption(request: Visit, accounts: Sequence[str], form: Form[Any] | None = None) -> HttpResponse:
    """Show what is to be adopted, and ask with what secret."""
    if not accounts:
        messages.error(request, _("Tick the accounts first that this is to be done to."))
        return redirect("console:found")
    request.visitor.require(Right.OPERATE, what="adopt accounts")
    spec = PushSpec(usernames=(), secret_type=SecretType.PASSWORD).model_dump(mode="json")
    form = form or Form(AdoptBody, start={"spec": spec})
    facts = {"form": form, "accounts": accounts, **describe_rules(form)}
    return render(request, "console/found_adopt.html", facts, status=form.status)


@require_POST
def adopt(request: Visit) -> HttpResponse:
    """Begin a push that gives accounts new secrets, and lead to it."""
    form = Form(AdoptBody, request)
    with form.telling():
        run = api.adopt(request.visitor, form.read())
    if form.is_wrong:
        return _ask_adoption(request, request.POST.getlist("accounts"), form)
    return redirect(f"{reverse('console:runs')}/{run.id}")


@require_POST
def discover(request: Visit) -> HttpResponse:
    """Begin to look what accounts there are: on an asset, in a node, or wherever the visitor may."""
    asset, node = request.POST.get("asset", "").strip(), request.POST.get("node", "").strip()
    places = [node] if node else [] if asset else _list_tops(request.visitor)
    try:
        spec = DiscoverSpec(action="discover", assets=(asset,) if asset else (), nodes=tuple(places))
        run = runs.push(request.visitor, PushBody(spec=spec))
    except UsageError as error:
        messages.error(request, error.message)
        return redirect("console:asset", asset) if asset else redirect("console:found")
    return redirect(f"{reverse('console:runs')}/{run.id}")


def _list_tops(visitor: Principal) -> list[str]:
    """Return the nodes that somebody may work in, without those below them."""
    visitor.require(Right.OPERATE, what="discover")
    tops: list[str] = []
    for node in nodes.list_nodes(narrow(visitor)):
        if not (tops and node.path.startswith(f"{tops[-1]}/")):
            tops.append(node.path)
    return tops


def count_on(visitor: Principal, asset: str) -> list[tuple[Standing, int]]:
    """Count what was found on an asset: what there is any of."""
    counts = api.count_found(visitor, FoundQuery(asset=asset)).model_dump()
    return [(Standing(one), counts[one]) for one in _ALL if counts[one]]


urlpatterns: Final[list[URLPattern]] = [
    path("found", list_found, name="found"),
    path("found/act", act, name="found_act"),
    path("found/adopt", adopt, name="found_adopt"),
    path("found/discover", discover, name="found_discover"),
    path("found/<path:account>", show_found, name="found_account"),
]
