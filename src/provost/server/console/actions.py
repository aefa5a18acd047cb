"""What is done by hand about accounts: verify, rotate, reconcile, disable, remove. Each begins a run."""

from typing import Any, Final, Literal
from uuid import uuid4

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import URLPattern, path, reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST

from provost.core.documents import AccountDetailDocument
from provost.core.errors import Refused, UsageError, VaultError
from provost.core.model import Capability, SecretType
from provost.core.requests import AccountQuery, PushBody
from provost.core.rights import Right
from provost.core.specs import DisableSpec, EnableSpec, ReconcileSpec, RemoveSpec, RotateSpec, VerifySpec
from provost.server.api import accounts, kinds, runs
from provost.server.console.filters import read_query
from provost.server.console.forms import Form
from provost.server.console.privileges import find_kind
from provost.server.console.spec_form import PLACES, describe_secret_fields, read_secret_body
from provost.server.console.visitors import Visit
from provost.server.console.words import MEANINGS, NAMES

MOST: Final = 10_000
"""Accounts that may be chosen at once."""

_Ending = Literal["disable", "remove"]


class RotateBody(PushBody):
    """A rotation, as its form has it."""

    spec: RotateSpec


class DisableBody(PushBody):
    """A disabling, as its form has it."""

    spec: DisableSpec


class RemoveBody(PushBody):
    """A removal, as its form has it."""

    spec: RemoveSpec


_ENDINGS: Final = {"disable": DisableBody, "remove": RemoveBody}
_CAPABILITIES: Final = {"disable": Capability.DISABLE, "remove": Capability.REMOVE}


def begin(request: Visit, body: PushBody, back: str) -> HttpResponse:
    """Begin a run and lead to it; where it cannot be done, say why where somebody came from."""
    try:
        run = runs.push(request.visitor, body, request.POST.get("key") or None)
    except UsageError as error:
        messages.error(request, error.message)
        return redirect(back)
    return redirect("console:run_show", run.id)


@require_POST
def check_account(request: Visit, account: str, action: Literal["verify", "reconcile"]) -> HttpResponse:
    """Log in with the secrets of an account, or put right what is out of sync."""
    return begin(request, _make_check(action, (account,)), reverse("console:account_show", args=[account]))


@require_POST
def enable_account(request: Visit, account: str) -> HttpResponse:
    """Let an account in again that Provost disabled."""
    body = PushBody(spec=EnableSpec(action="enable", usernames=()), accounts=(account,))
    return begin(request, body, reverse("console:account_show", args=[account]))


def _make_check(action: str, names: tuple[str, ...]) -> PushBody:
    spec = ReconcileSpec(action="reconcile") if action == "reconcile" else VerifySpec(action="verify")
    return PushBody(spec=spec, accounts=names)


@require_POST
def act_on_chosen(request: Visit) -> HttpResponse:
    """Do what a button of the list says to the accounts that are chosen, or to all that its filters find."""
    request.visitor.require(Right.OPERATE, what="work on accounts")
    back = f"{reverse('console:accounts')}?{request.GET.urlencode()}".rstrip("?")
    names = _list_chosen(request)
    if not names:
        messages.error(request, _("No account is chosen: tick some first."))
        return redirect(back)
    if request.POST.get("then") == "rotate":
        return _show_rotation(request, _start_rotation(request, names), names)
    return begin(request, _make_check(request.POST.get("then", ""), names), back)


def _list_chosen(request: Visit) -> tuple[str, ...]:
    """Return the accounts that are meant, by name: those that are ticked, or all that the address asks for."""
    if not request.POST.get("all"):
        return tuple(str(name) for name in request.POST.getlist("accounts"))
    query = read_query(AccountQuery, request).model_copy(update={"limit": 1000, "cursor": None})
    names: list[str] = []
    while True:
        page = accounts.list_accounts(request.visitor, query)
        names += (f"{one.username}@{one.asset}" for one in page.items)
        if len(names) > MOST:
            text = _("The filters find more than %(most)s accounts. Narrow them, or name a node under Push.")
            raise Refused(text % {"most": MOST}, code="push_too_large")
        if page.next is None:
            return tuple(names)
        query = query.model_copy(update={"cursor": page.next})


@require_http_methods(["GET", "POST"])
def rotate_account(request: Visit, account: str) -> HttpResponse:
    """Give an account a new secret: by rules, or one of the operator's own."""
    found = accounts.show_account(request.visitor, account)
    if request.method == "POST":
        return _rotate(request, (account,))
    held = [one.secret_type for one in found.secrets if one.state == "current"]
    return _show_rotation(request, _start_rotation(request, (account,), held[:1]), (account,))


@require_POST
def rotate_chosen(request: Visit) -> HttpResponse:
    """Give the accounts that were chosen in the list new secrets."""
    return _rotate(request, _list_chosen(request))


def _rotate(request: Visit, names: tuple[str, ...]) -> HttpResponse:
    form: Form[RotateBody] = Form(RotateBody, request, places=PLACES)
    try:
        with form.telling():
            body = read_secret_body(form, accounts=names)
            run = runs.push(request.visitor, body, request.POST.get("key") or None)
            return redirect("console:run_show", run.id)
    except VaultError as error:
        form.fault, form.code = error.message, error.code
    return _show_rotation(request, form, names)


def _start_rotation(
    request: Visit, names: tuple[str, ...], types: list[SecretType] | None = None
) -> Form[RotateBody]:
    request.visitor.require(Right.OPERATE, what="rotate secrets")
    secret_type = types[0] if types else SecretType.PASSWORD
    spec = RotateSpec(action="rotate", secret_type=secret_type)
    start = {"spec": spec.model_dump(mode="json"), "accounts": names}
    return Form(RotateBody, start=start, places=PLACES)


def _show_rotation(request: Visit, form: Form[RotateBody], names: tuple[str, ...]) -> HttpResponse:
    single = names[0] if len(names) == 1 else ""
    query = request.GET.urlencode()
    facts: dict[str, Any] = {
        "form": form,
        "key": uuid4().hex,
        "names": names,
        "single": single,
        "everything": bool(request.POST.get("all")),
        "action": reverse("console:account_rotate", args=[single])
        if single
        else f"{reverse('console:account_rotate_chosen')}?{query}".rstrip("?"),
        **describe_secret_fields(form),
    }
    return render(request, "console/account_rotate.html", facts, status=form.status)


@require_http_methods(["GET", "POST"])
def end_account(request: Visit, account: str, action: _Ending) -> HttpResponse:
    """Disable an account, or remove it from its asset: after saying what will happen, and being sure."""
    found = accounts.show_account(request.visitor, account)
    kind = find_kind(request.visitor, found.kind)
    if _CAPABILITIES[action] not in kind.capabilities:
        text = _("Assets of kind %(kind)s have no way to do that.")
        raise Refused(text % {"kind": found.kind}, code="action_unsupported")
    start = {"spec": {"action": action}}
    form: Form[Any] = Form(_ENDINGS[action], request, start=start, places={"parameter_refused": "parameters"})
    if request.method == "POST":
        with form.telling():
            body = form.read(accounts=(account,))
            if request.POST.get("confirm", "") != found.username:
                form.errors["confirm"] = _("This is not its username: nothing was done.")
                raise Refused(_("Some fields cannot be used as they are."), code="form_incomplete")
            run = runs.push(request.visitor, body)
            return redirect("console:run_show", run.id)
    facts = {
        "form": form,
        "account": found,
        "name": account,
        "action": action,
        "heading": NAMES[action],
        "meaning": MEANINGS[action],
        "schema": kind.removal if action == "remove" else {},
        "can": {str(right): True for right in found.rights},
    }
    return render(request, "console/account_end.html", facts, status=form.status)


def describe_actions(request: Visit, found: AccountDetailDocument) -> dict[str, Any]:
    """Return what can be done to an account by hand, for its page."""
    capable = {
        capability
        for kind in kinds.list_kinds(request.visitor)
        if kind.kind == found.kind
        for capability in kind.capabilities
    }
    current = [one for one in found.secrets if one.state == "current"]
    return {
        "current": current,
        "fallen": [one for one in current if one.sync == "out_of_sync"],
        "unsure": [one for one in current if one.sync == "unknown"],
        "unchecked": bool(current) and all(one.sync is None for one in current),
        "can_disable": Capability.DISABLE in capable and not (found.privileged or found.disabled_at),
        "can_enable": Capability.ENABLE in capable and found.disabled_at is not None,
        "can_remove": Capability.REMOVE in capable and not found.privileged,
    }


urlpatterns: Final[list[URLPattern]] = [
    path("accounts/-/act", act_on_chosen, name="account_act"),
    path("accounts/-/rotate", rotate_chosen, name="account_rotate_chosen"),
    path("accounts/<path:account>/verify", check_account, {"action": "verify"}, name="account_verify"),
    path("accounts/<path:account>/reconcile", check_account, {"action": "reconcile"}, name="account_reconcile"),
    path("accounts/<path:account>/rotate", rotate_account, name="account_rotate"),
    path("accounts/<path:account>/disable", end_account, {"action": "disable"}, name="account_disable"),
    path("accounts/<path:account>/enable", enable_account, name="account_enable"),
    path("accounts/<path:account>/remove-there", end_account, {"action": "remove"}, name="account_end"),
]
