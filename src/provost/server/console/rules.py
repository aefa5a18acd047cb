"""Onboarding rules: the list, and the form with what a rule would take."""

from typing import Any, Final

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import URLPattern, path
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from provost.core.documents import RuleDocument
from provost.core.errors import UsageError
from provost.core.model import SecretType
from provost.core.onboarding import Hindrance, Onboarding
from provost.core.push import PushSpec
from provost.core.requests import RuleBody, RulePatch
from provost.core.rights import Right
from provost.server.api import kinds, nodes
from provost.server.api import rules as api
from provost.server.console.forms import Form, read_version
from provost.server.console.spec_form import describe_rules
from provost.server.console.visitors import Visit

_PLACES: Final = {
    "name_refused": "name",
    "rule_exists": "name",
    "pattern_refused": "pattern",
    "kind_not_found": "kind",
    "node_not_found": "node",
    "secret_needed": "spec.secret_type",
    "secret_type_refused": "spec.secret_type",
    "rules_impossible": "spec.rules",
    "parameter_refused": "spec.parameters",
}

REASONS: Final = {
    Hindrance.EARLIER: gettext_lazy("another rule comes first"),
    Hindrance.ACTING: gettext_lazy("Provost works there with it"),
    Hindrance.SUPERUSER: gettext_lazy("it is all-powerful"),
    Hindrance.PROTECTED: gettext_lazy("the system cannot do without it"),
    Hindrance.UNTOLD: gettext_lazy("what it may do could not be told"),
    Hindrance.POWERFUL: gettext_lazy("it may act as others, and would be out of sight"),
    Hindrance.SYSTEM: gettext_lazy("it came with the system: name it exactly to take it"),
    Hindrance.LOCKED_OUT: gettext_lazy("it cannot log in: name it exactly to take it"),
    Hindrance.WRONG_SECRET: gettext_lazy("accounts of its kind have no such secret"),
    Hindrance.WRONG_NAME: gettext_lazy("its kind has no accounts of such a name"),
}


@require_GET
def list_rules(request: Visit) -> HttpResponse:
    """List rules in the order in which they are tried."""
    return render(request, "console/found_rules.html", {"rules": api.list_rules(request.visitor)})


@require_http_methods(["GET", "POST"])
def add_rule(request: Visit) -> HttpResponse:
    """Save a new rule."""
    request.visitor.require(Right.ADMINISTER, what="make onboarding rules")
    spec = PushSpec(usernames=(), secret_type=SecretType.PASSWORD).model_dump(mode="json")
    start = {"onboarding": Onboarding.ADOPT, "priority": 10, "active": True, "spec": spec}
    start["pattern"] = request.GET.get("pattern", "")
    form = Form(RuleBody, request, start=start, places=_PLACES)
    if request.method == "POST":
        with form.telling():
            rule = api.add_rule(request.visitor, form.read())
            return _lead(request, rule)
    return _answer(request, form, None)


@require_http_methods(["GET", "POST"])
def edit_rule(request: Visit, name: str) -> HttpResponse:
    """Show a rule, and change it."""
    rule = api.show_rule(request.visitor, name)
    spec = rule.spec or PushSpec(usernames=(), secret_type=SecretType.PASSWORD)
    start = {**rule.model_dump(mode="json"), "spec": spec.model_dump(mode="json")}
    form = Form(RuleBody, request, start=start, places=_PLACES)
    if request.method == "POST":
        with form.telling():
            body = form.read()
            patch = RulePatch(**{field: getattr(body, field) for field in RuleBody.model_fields})
            return _lead(request, api.edit_rule(request.visitor, name, patch, read_version(request) or 0))
    return _answer(request, form, rule)


def _lead(request: Visit, rule: RuleDocument) -> HttpResponse:
    told = _("Rule %(name)s is saved. It takes accounts from the next discovery on.")
    messages.success(request, told % {"name": rule.name})
    return redirect("console:found_rules")


def _answer(request: Visit, form: Form[Any], rule: RuleDocument | None) -> HttpResponse:
    found = kinds.list_kinds(request.visitor)
    facts = {
        "form": form,
        "rule": rule,
        "version": request.POST.get("version", rule.version if rule else ""),
        "nodes": nodes.list_nodes(request.visitor),
        "kinds": [one for one in found if one.parameters.get("properties")],
        "kind_choices": [("", _("any")), *((one.kind, one.kind) for one in found)],
        "onboardings": [
            (Onboarding.ADOPT, _("Adopt: a new secret, and into the list")),
            (Onboarding.LIST, _("List: into the list, without a secret")),
            (Onboarding.IGNORE, _("Ignore: nobody is told of them")),
        ],
        **describe_rules(form),
    }
    return render(request, "console/found_rule.html", facts, status=form.status)


@require_POST
def preview(request: Visit) -> HttpResponse:
    """Show what a rule, as it is filled in, would take of what was found so far."""
    form = Form(RuleBody, request, places=_PLACES)
    facts: dict[str, Any] = {"form": form}
    if form["pattern"]:
        with form.telling():
            told = api.preview_rule(request.visitor, form.read())
            left = [(one, REASONS[one.reason]) for one in told.first_left]
            facts |= {"preview": told, "left": left, "left_count": sum(told.left.values())}
    facts["fault"] = next(iter(form.errors.values()), form.fault)
    return render(request, "console/found_preview.html", facts)


@require_POST
def remove_rule(request: Visit, name: str) -> HttpResponse:
    """Remove a rule; what it has taken stays as it is."""
    try:
        api.remove_rule(request.visitor, name, read_version(request) or 0)
    except UsageError as error:
        messages.error(request, error.message)
        return redirect("console:found_rule", name)
    messages.success(request, _("Rule %(name)s is removed.") % {"name": name})
    return redirect("console:found_rules")


urlpatterns: Final[list[URLPattern]] = [
    path("onboarding", list_rules, name="found_rules"),
    path("onboarding/new", add_rule, name="found_rule_new"),
    path("onboarding/preview", preview, name="found_rule_preview"),
    path("onboarding/rules/<str:name>", edit_rule, name="found_rule"),
    path("onboarding/rules/<str:name>/remove", remove_rule, name="found_rule_remove"),
]
