"""The form of a push, which is that of a task as well: what it begins with, and what was filled in."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, Final, TypeVar
from uuid import uuid4

from django.http import QueryDict
from django.utils.translation import gettext as _
from pydantic import BaseModel

from provost.core.keys import KeyAlgorithm
from provost.core.model import SecretType, Strategy
from provost.core.passwords import LONGEST, SHORTEST, PasswordRules
from provost.core.push import PushSpec
from provost.core.rights import Principal, Right
from provost.server.console import schedules, targets
from provost.server.console.forms import Form, read_number
from provost.server.console.lives import describe_lives, read_lives
from provost.server.console.visitors import Visit

B = TypeVar("B", bound=BaseModel)

_PLACES: Final = {
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
_CLASSES: Final = ("lower", "upper", "digits", "symbols")
_LEAST: Final = 9


def require_operator(visitor: Principal) -> None:
    """Make sure that somebody may push at all.

    Raises:
        Forbidden: they may not.
    """
    visitor.require(Right.OPERATE, what="push")


def make_form(model: type[B], request: Visit, start: Mapping[str, Any] | None = None) -> Form[B]:
    """Return the form as it was posted, or as it begins: with `start`, or what the query names."""
    start = start or _begin(request.GET)
    return Form(model, request, start={**start, **describe_lives(start["spec"])}, places=_PLACES)


def _begin(query: QueryDict) -> dict[str, Any]:
    spec = PushSpec(usernames=(), secret_type=SecretType.PASSWORD).model_dump(mode="json")
    named = {"assets": "asset", "nodes": "node", "usernames": "account"}
    spec |= {field: query.getlist(name) for field, name in named.items()}
    return {"spec": spec, "active": True, **schedules.describe_start(None)}


def read_body(form: Form[B], *, base: PushSpec | None = None, **also: Any) -> B:
    """Return what was filled in; usernames may stand on a line each, or between commas.

    What does not apply is not sent, and stays as in `base`: the rules of passwords, where a key is pushed.

    Raises:
        Incomplete: it cannot be used.
    """
    if form["spec.strategy"] != Strategy.SPECIFIED or not (
        form.has("secret.password") or form.has("secret.key")
    ):
        also["secret"] = None
    body = form.read(**also)
    spec: PushSpec = getattr(body, "spec")  # noqa: B009  # bodies that hold one
    names = (part.strip() for line in spec.usernames for part in line.split(","))
    update: dict[str, Any] = {"usernames": tuple(dict.fromkeys(name for name in names if name))}
    update |= read_lives(form)
    if isinstance(base, PushSpec) and "spec.kinds" not in form.values:
        update["kinds"] = base.kinds
    if base is not None and "spec.rules.length" not in form.values:
        update["rules"] = base.rules
    if base is not None and "spec.key_algorithm" not in form.values:
        update["key_algorithm"] = base.key_algorithm
    return body.model_copy(update={"spec": spec.model_copy(update=update)})


def describe_form(visitor: Principal, form: Form[Any]) -> dict[str, Any]:
    """Return what the form's template needs."""
    return {
        "form": form,
        "key": uuid4().hex,
        "nodes": targets.list_tree(visitor, form),
        "chosen_assets": form.values.get("spec.assets", []),
        "strategies": [
            (Strategy.RANDOM, _("Random: Provost makes a different one for every account")),
            (Strategy.SPECIFIED, _("Specified: one of your own, the same for all")),
        ],
        **describe_rules(form),
        **targets.describe(visitor, form),
        **schedules.describe_choices(),
    }


def describe_rules(form: Form[Any]) -> dict[str, Any]:
    """Return what a form needs that says how secrets are made."""
    return {
        "secret_types": [(SecretType.PASSWORD, _("Password")), (SecretType.SSH_KEY, _("SSH key"))],
        "algorithms": [(one, str(one)) for one in KeyAlgorithm],
        "shortest": SHORTEST,
        "longest": LONGEST,
        "usual_length": asdict(PasswordRules())["length"],
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
