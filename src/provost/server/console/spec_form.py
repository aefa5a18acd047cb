"""The form of a run, which is that of a task as well: what it begins with, and what was filled in."""

from collections.abc import Mapping
from typing import Any, Final
from uuid import uuid4

from django.utils.translation import gettext as _
from pydantic import BaseModel, create_model

from provost.core.keys import KeyAlgorithm
from provost.core.model import Action, SecretType, Strategy
from provost.core.passwords import LONGEST, SHORTEST
from provost.core.push import PushSpec
from provost.core.requests import AssetQuery, PushBody, TaskBody
from provost.core.rights import Principal, Right
from provost.core.specs import DiscoverSpec, ReconcileSpec, RotateSpec, Spec, VerifySpec
from provost.server.api import assets, nodes
from provost.server.console import schedules, targets
from provost.server.console.forms import Form, read_number
from provost.server.console.lives import describe_lives, read_lives
from provost.server.console.visitors import Visit
from provost.server.console.words import MEANINGS, NAMES

PLACES: Final = {
    "no_accounts": "spec.usernames",
    "username_refused": "spec.usernames",
    "no_assets": "targets",
    "asset_not_found": "targets",
    "node_not_found": "targets",
    "push_too_large": "targets",
    "rules_impossible": "spec.rules",
    "parameter_refused": "spec.parameters",
    "key_unreadable": "secret",
    "key_weak": "secret",
    "key_passphrase_needed": "secret.passphrase",
    "key_passphrase_wrong": "secret.passphrase",
    "secret_needed": "secret",
    "secret_refused": "secret",
    "secret_type_refused": "spec.secret_type",
    "name_refused": "name",
    "task_exists": "name",
    "schedule_refused": "schedule",
    "schedule_never": "schedule",
    "template_refused": "new_assets",
}
"""Beside which field the errors of a code belong."""

_SPECS: Final[dict[str, Any]] = {
    Action.PUSH: PushSpec,
    Action.VERIFY: VerifySpec,
    Action.RECONCILE: ReconcileSpec,
    Action.ROTATE: RotateSpec,
    Action.DISCOVER: DiscoverSpec,
}
"""What the form is for. Disabling and removing are done to one account, on its own page."""

_RUNS: Final[dict[str, type[PushBody]]] = {
    action: create_model(f"Run_{action}", __base__=PushBody, spec=(spec, ...))
    for action, spec in _SPECS.items()
}
_TASKS: Final[dict[str, type[TaskBody]]] = {
    action: create_model(f"Task_{action}", __base__=TaskBody, spec=(spec, ...))
    for action, spec in _SPECS.items()
}
_CLASSES: Final = ("lower", "upper", "digits", "symbols")
_LEAST: Final = 9
_MOST_NAMED: Final = 1000
_HEARTBEAT: Final = {"name": "heartbeat", "when": "every", "number": 6, "unit": "h"}


def require_operator(visitor: Principal) -> None:
    """Make sure that somebody may push at all.

    Raises:
        Forbidden: they may not.
    """
    visitor.require(Right.OPERATE, what="push")


def fits(spec: Spec) -> bool:
    """Tell whether the form is for what a spec asks for."""
    return spec.action in _SPECS


def make_form(request: Visit, *, saves: bool, start: Mapping[str, Any] | None = None) -> Form[Any]:
    """Return the form as it was posted, or as it begins: with `start`, or what the query names.

    `saves`: it is read as a task.
    """
    start = start or _begin(request)
    start = {**start, **describe_lives(start["spec"])}
    action = request.POST.get("spec.action", Action.PUSH)
    models: Mapping[str, type[BaseModel]] = _TASKS if saves else _RUNS
    return Form(models.get(action, models[Action.PUSH]), request, start=start, places=PLACES)


def _begin(request: Visit) -> dict[str, Any]:
    query = request.GET
    action = query.get("action", "")
    spec = PushSpec(usernames=(), secret_type=SecretType.PASSWORD).model_dump(mode="json")
    spec["action"] = action if action in _SPECS else Action.PUSH
    named = {"assets": "asset", "nodes": "node", "usernames": "account"}
    spec |= {field: query.getlist(name) for field, name in named.items()}
    start = {"spec": spec, "active": True, **schedules.describe_start(None)}
    return start | _begin_heartbeat(request, spec) if "heartbeat" in query else start


def _begin_heartbeat(request: Visit, spec: dict[str, Any]) -> dict[str, Any]:
    """Return what looks at every account regularly: all nodes that somebody may work on, or all assets."""
    visitor = targets.narrow(request.visitor)
    paths = [node.path for node in nodes.list_nodes(visitor)]
    tops = [path for path in paths if not any(path.startswith(f"{other}/") for other in paths)]
    spec |= {"action": Action.VERIFY, "nodes": tops}
    if not tops:
        page = assets.list_assets(visitor, AssetQuery(limit=_MOST_NAMED))
        spec["assets"] = [asset.name for asset in page.items]
    return {"spec": spec, **_HEARTBEAT}


def describe_start(spec: Spec) -> dict[str, Any]:
    """Return what the fields of a spec begin with, for a task that is edited."""
    usual = PushSpec(usernames=(), secret_type=SecretType.PASSWORD).model_dump(mode="json")
    own = spec.model_dump(mode="json", exclude_none=True)
    checked = spec.secret_type if isinstance(spec, VerifySpec | ReconcileSpec) else None
    return {"spec": usual | own, "checked": checked}


def read_body(form: Form[Any], *, base: Spec | None = None, **also: Any) -> Any:
    """Return what was filled in; usernames may stand on a line each, or between commas.

    What does not apply is not sent, and stays as in `base`: the rules of passwords, where a key is pushed.

    Raises:
        Incomplete: it cannot be used.
    """
    body = read_secret_body(form, **also)
    spec: Spec = body.spec
    update: dict[str, Any] = {}
    if not isinstance(spec, DiscoverSpec):
        names = (part.strip() for line in spec.usernames for part in line.split(","))
        update["usernames"] = tuple(dict.fromkeys(name for name in names if name))
    if isinstance(spec, VerifySpec | ReconcileSpec):
        chosen = form["checked"]
        update["secret_type"] = SecretType(chosen) if chosen in set(SecretType) else None
    if isinstance(spec, PushSpec | RotateSpec) and isinstance(base, PushSpec | RotateSpec):
        if "spec.rules.length" not in form.values:
            update["rules"] = base.rules
        if "spec.key_algorithm" not in form.values:
            update["key_algorithm"] = base.key_algorithm
    if isinstance(spec, PushSpec):
        update |= read_lives(form)
        if isinstance(base, PushSpec) and "spec.kinds" not in form.values:
            update["kinds"] = base.kinds
    if isinstance(spec, RotateSpec) and isinstance(base, RotateSpec):
        update["parameters"] = base.parameters  # the form does not have them
    return body.model_copy(update={"spec": spec.model_copy(update=update)})


def read_secret_body(form: Form[Any], **also: Any) -> Any:
    """Return what was filled in, with a secret of the operator's own only where one is to be set.

    Raises:
        Incomplete: it cannot be used.
    """
    given = form.has("secret.password") or form.has("secret.key")
    if form["spec.strategy"] != Strategy.SPECIFIED or not given:
        also["secret"] = None
    return form.read(**also)


def describe_form(visitor: Principal, form: Form[Any]) -> dict[str, Any]:
    """Return what the form's template needs."""
    return {
        "form": form,
        "key": uuid4().hex,
        "nodes": targets.list_tree(visitor, form),
        "chosen_assets": form.values.get("spec.assets", []),
        "actions": [(action, NAMES[action]) for action in _SPECS],
        "meanings": [(action, MEANINGS[action]) for action in _SPECS],
        "checked_types": [
            ("", _("passwords and SSH keys")),
            (SecretType.PASSWORD, _("passwords alone")),
            (SecretType.SSH_KEY, _("SSH keys alone")),
        ],
        **describe_secret_fields(form),
        **targets.describe(visitor, form),
        **schedules.describe_choices(),
    }


def describe_secret_fields(form: Form[Any]) -> dict[str, Any]:
    """Return what the part of a form needs that says what a new secret is."""
    return {
        "strategies": [
            (Strategy.RANDOM, _("Random: Provost makes a different one for every account")),
            (Strategy.SPECIFIED, _("Specified: one of your own, the same for all")),
        ],
        **describe_rules(form),
    }


def describe_rules(form: Form[Any]) -> dict[str, Any]:
    """Return what a form needs that says how secrets are made."""
    return {
        "secret_types": [(SecretType.PASSWORD, _("Password")), (SecretType.SSH_KEY, _("SSH key"))],
        "algorithms": [(one, str(one)) for one in KeyAlgorithm],
        "shortest": SHORTEST,
        "longest": LONGEST,
        "classes": [(f"spec.rules.{name}", _name_class(name), _list_leasts(form, name)) for name in _CLASSES],
    }


def _name_class(name: str) -> str:
    names = {
        "lower": _("Lower-case letters"),
        "upper": _("Upper-case letters"),
        "digits": _("Digits"),
        "symbols": _("Symbols"),
    }
    return names[name]


def _list_leasts(form: Form[Any], name: str) -> list[tuple[str, str]]:
    """Return what a class of characters may be: not used, or used with a least count."""
    counts = {*range(_LEAST + 1), read_number(form[f"spec.rules.{name}"]) or 0}
    least = [(str(count), _("at least %(count)s") % {"count": count}) for count in sorted(counts) if count > 0]
    return [("", _("not used")), ("0", _("may be used")), *least]
