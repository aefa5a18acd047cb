"""Forms: from what somebody typed to the bodies of `core.requests`, and back with what is wrong beside it.

A field of a form is named as in the body: `secret.password` is the password of the secret.
"""

import re
import types
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from typing import Annotated, Any, Final, Generic, TypeVar, Union, get_args, get_origin, get_type_hints

from django.http import HttpRequest, QueryDict
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from pydantic import BaseModel, SecretStr, TypeAdapter, ValidationError

from provost.core.errors import Conflict, UsageError

S = TypeVar("S", bound=BaseModel)

_ABSENT: Final = object()
_OWN: Final = "own"
"""The field that `reauthentication.confirm` is given: a password or a code of the visitor's."""

_DIGITS: Final = re.compile(r"-?[0-9]{1,18}")
_SENTENCES: Final = {
    "missing": gettext_lazy("This is needed."),
    "string_too_short": gettext_lazy("This is needed."),
    "too_short": gettext_lazy("This is needed."),
    "int_type": gettext_lazy("This is a whole number."),
    "int_parsing": gettext_lazy("This is a whole number."),
    "float_parsing": gettext_lazy("This is a number."),
    "greater_than_equal": gettext_lazy("At least %(ge)s."),
    "greater_than": gettext_lazy("More than %(gt)s."),
    "less_than_equal": gettext_lazy("At most %(le)s."),
    "string_too_long": gettext_lazy("At most %(max_length)s characters."),
    "too_long": gettext_lazy("At most %(max_length)s."),
    "enum": gettext_lazy("Choose one of these."),
    "literal_error": gettext_lazy("Choose one of these."),
}


class Incomplete(UsageError):
    """A form that cannot be used as it was filled in; what is wrong stands beside its fields."""

    code = "form_incomplete"


class Form(Generic[S]):
    """A form for a body: `values` as text, what is wrong by field in `errors`, and of the whole in `fault`.

    Secrets are read, and are not among the values: no page has them again.
    `places` says beside which field the errors of a code belong.
    """

    def __init__(
        self,
        model: type[S],
        request: HttpRequest | None = None,
        *,
        start: Mapping[str, Any] | None = None,
        places: Mapping[str, str] | None = None,
    ) -> None:
        self.model = model
        self.posted = request.POST if request is not None and request.method == "POST" else None
        self.values: dict[str, list[str]] = _flatten(start or {})
        if self.posted is not None:
            kept = self.posted.keys() - _list_secrets(model) - {_OWN}
            self.values = {name: [str(one) for one in self.posted.getlist(name)] for name in kept}
        self.errors: dict[str, str] = {}
        self.fault = ""
        self.code = ""
        self._places = places or {}

    def __getitem__(self, name: str) -> str:
        """Return the text of a field, empty where there is none.

        Templates look here first: for what a form has itself, they are led on to that.
        """
        if name not in self.values and hasattr(self, name):
            raise KeyError(name)
        return next(iter(self.values.get(name, [])), "")

    def has(self, name: str) -> bool:
        """Tell whether something was posted in a field; in that of a secret, too."""
        return self.posted is not None and bool(self.posted.get(name))

    @property
    def is_wrong(self) -> bool:
        """Tell whether something is wrong."""
        return bool(self.errors or self.fault)

    @property
    def status(self) -> int:
        """The HTTP status that the page with this form has."""
        return 422 if self.is_wrong else 200

    def read(self, **also: Any) -> S:
        """Return the body that was posted; `also` are fields that are not in the form.

        Raises:
            Incomplete: it cannot be used; what is wrong is in `errors`.
        """
        document = _read_model(self.model, self.posted or QueryDict(), "") | also
        try:
            return TypeAdapter(self.model).validate_python(document)
        except ValidationError as error:
            for one in error.errors(include_input=False):
                self.errors.setdefault(".".join(str(part) for part in one["loc"]), _describe(one))
            raise Incomplete(_("Some fields cannot be used as they are.")) from None

    @contextmanager
    def telling(self) -> Iterator[None]:
        """Turn an error of input into what the form says."""
        try:
            yield
        except UsageError as error:
            self.code = error.code
            if place := self._places.get(error.code):
                self.errors[place] = error.message
            else:
                self.fault = error.message
            if isinstance(error, Conflict) and error.code == "version_outdated":
                self.fault = _(
                    "Somebody else changed this meanwhile. Load the page anew to see it as it is now."
                )


def _flatten(values: Mapping[str, Any], prefix: str = "") -> dict[str, list[str]]:
    flat: dict[str, list[str]] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            flat |= _flatten(value, f"{prefix}{name}.")
        elif isinstance(value, list | tuple | set | frozenset):
            flat[prefix + name] = [str(one) for one in value]
        elif isinstance(value, bool):
            flat[prefix + name] = ["on"] if value else []
        elif value is not None:
            flat[prefix + name] = [str(value)]
    return flat


def _list_secrets(model: Any, prefix: str = "") -> set[str]:
    """Return the names of the fields that hold secrets."""
    found = set()
    for name, hint in get_type_hints(model, include_extras=True).items():
        kind, _optional = _strip(hint)
        if kind is SecretStr:
            found.add(prefix + name)
        elif hasattr(kind, "model_fields"):
            found |= _list_secrets(kind, f"{prefix}{name}.")
    return found


def _read_model(model: Any, posted: QueryDict, prefix: str) -> dict[str, Any]:
    """Return the fields of a model, or of a dataclass, that were posted, each by its type."""
    names = model.model_fields if hasattr(model, "model_fields") else {one.name for one in fields(model)}
    found = {
        name: _read_field(hint, posted, prefix + name)
        for name, hint in get_type_hints(model, include_extras=True).items()
        if name in names
    }
    return {name: value for name, value in found.items() if value is not _ABSENT}


def _read_field(hint: Any, posted: QueryDict, name: str) -> Any:
    """Return what was posted of one field; a switch or a list that is off is not, so `NAME.shown` tells."""
    kind, optional = _strip(hint)
    shown = name in posted or f"{name}.shown" in posted
    within = any(one.startswith(f"{name}.") for one in posted)
    if hasattr(kind, "model_fields") or is_dataclass(kind):
        return _read_model(kind, posted, f"{name}.") if within else _ABSENT
    if get_origin(kind) is dict:
        parts = {
            one.removeprefix(f"{name}."): text for one, text in posted.items() if one.startswith(f"{name}.")
        }
        return {one: text for one, text in parts.items() if text} if within else _ABSENT
    if not shown:
        return _ABSENT
    if kind is bool:
        return posted.get(name, "") not in {"", "off", "false"}
    if get_origin(kind) in {tuple, frozenset, list}:
        return [line.strip() for text in posted.getlist(name) for line in text.splitlines() if line.strip()]
    return _read_text(kind, posted.get(name, ""), optional=optional)


def _strip(hint: Any) -> tuple[Any, bool]:
    """Return a type without its annotations, and whether it may be null."""
    optional = False
    while True:
        if get_origin(hint) is Annotated:
            hint = get_args(hint)[0]
        elif get_origin(hint) in {Union, types.UnionType} and type(None) in get_args(hint):
            hint = next(one for one in get_args(hint) if one is not type(None))
            optional = True
        else:
            return hint, optional


def _read_text(kind: Any, text: str, *, optional: bool) -> Any:
    if not text and kind is not str:
        return None if optional else _ABSENT
    if not text and optional:
        return None
    if kind is int and (number := read_number(text)) is not None:
        return number
    return text


def read_number(text: str) -> int | None:
    """Return the whole number that a text is; None: it is none, or longer than any number here."""
    return int(text) if _DIGITS.fullmatch(text.strip()) else None


def read_version(request: HttpRequest) -> int | None:
    """Return which version of a thing whoever changes it has seen."""
    return read_number(request.POST.get("version", ""))


def _describe(error: Mapping[str, Any]) -> str:
    """Return what is wrong with a field, in words for who filled it in."""
    if sentence := _SENTENCES.get(error["type"]):
        told: str = str(sentence) % error.get("ctx", {})
        return told
    return str(error["msg"]).removeprefix("Value error, ")
