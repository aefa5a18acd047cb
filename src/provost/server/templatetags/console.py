"""What the console's templates are made of: icons, fields, times and badges."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any, Final

from django import template
from django.utils.html import escape, format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from provost.core.durations import write_duration
from provost.core.inert import make_inert
from provost.core.onboarding import Standing
from provost.server.console.forms import Form
from provost.server.console.words import name_field

register: Final = template.Library()

_ICONS: Final = Path(__file__).parents[1] / "static" / "vendor" / "icons"

_BADGES: Final[dict[str, tuple[Any, str]]] = {
    "succeeded": (gettext_lazy("succeeded"), "green"),
    "unchanged": (gettext_lazy("unchanged"), "azure"),
    "unverified": (gettext_lazy("not verified"), "yellow"),
    "uncertain": (gettext_lazy("uncertain"), "orange"),
    "failed": (gettext_lazy("failed"), "red"),
    "skipped": (gettext_lazy("skipped"), "yellow"),
    "cancelled": (gettext_lazy("cancelled"), "secondary"),
    "open": (gettext_lazy("open"), "secondary"),
    "queued": (gettext_lazy("queued"), "secondary"),
    "delivered": (gettext_lazy("delivered"), "green"),
    "running": (gettext_lazy("running"), "blue"),
    "finished": (gettext_lazy("finished"), "secondary"),
    "interrupted": (gettext_lazy("interrupted"), "orange"),
    "create": (gettext_lazy("create"), "green"),
    "adopt": (gettext_lazy("adopt"), "blue"),
    "restore": (gettext_lazy("restore"), "purple"),
    "leave": (gettext_lazy("leave as it is"), "secondary"),
    "pending": (gettext_lazy("pending"), "yellow"),
    "current": (gettext_lazy("current"), "green"),
    "retired": (gettext_lazy("retired"), "secondary"),
    "password": (gettext_lazy("password"), "secondary"),
    "ssh_key": (gettext_lazy("SSH key"), "secondary"),
    "specified": (gettext_lazy("specified"), "secondary"),
    "random": (gettext_lazy("random"), "secondary"),
    "trusted": (gettext_lazy("trusted"), "green"),
    "replaced": (gettext_lazy("no longer trusted"), "secondary"),
    "push": (gettext_lazy("push"), "secondary"),
    "verify": (gettext_lazy("verify"), "secondary"),
    "rotate": (gettext_lazy("rotate"), "secondary"),
    "reconcile": (gettext_lazy("reconcile"), "secondary"),
    "discover": (gettext_lazy("discover"), "secondary"),
    "disable": (gettext_lazy("disable"), "secondary"),
    "enable": (gettext_lazy("enable"), "secondary"),
    "remove": (gettext_lazy("remove"), "secondary"),
    "in_sync": (gettext_lazy("In sync"), "green"),
    "out_of_sync": (gettext_lazy("Out of sync"), "red"),
    "unknown": (gettext_lazy("Could not tell"), "yellow"),
    "never": (gettext_lazy("Never checked"), "secondary"),
    "administrator": (gettext_lazy("administrator"), "secondary"),
    "operator": (gettext_lazy("operator"), "secondary"),
    "auditor": (gettext_lazy("auditor"), "secondary"),
    "view": (gettext_lazy("view"), "secondary"),
    "operate": (gettext_lazy("operate"), "secondary"),
    "administer": (gettext_lazy("administer"), "secondary"),
    "audit": (gettext_lazy("audit"), "secondary"),
    "reveal": (gettext_lazy("reveal"), "secondary"),
    "cli": (gettext_lazy("command line"), "secondary"),
    "api": (gettext_lazy("API"), "secondary"),
    "console": (gettext_lazy("console"), "secondary"),
    "server": (gettext_lazy("server"), "secondary"),
}


@register.simple_tag
def icon(name: str) -> SafeString:
    """Return an icon of Tabler's, for the eye alone: words say what it means."""
    return _read_icon(name)


@cache
def _read_icon(name: str) -> SafeString:
    text = (_ICONS / f"{name}.svg").read_text(encoding="utf-8")
    return mark_safe(text.replace("<svg", '<svg aria-hidden="true"', 1))  # noqa: S308  # a file of the package


@register.filter
def word(code: Any) -> Any:
    """Return the word for a status, a state, a decision, a role, a right, or where somebody came in."""
    return _BADGES[str(code)][0] if str(code) in _BADGES else make_inert(str(code))


_STANDINGS: Final[dict[Standing, tuple[Any, str]]] = {
    Standing.KNOWN: (gettext_lazy("known"), "green"),
    Standing.UNKNOWN: (gettext_lazy("unknown"), "orange"),
    Standing.CHANGED: (gettext_lazy("changed"), "yellow"),
    Standing.VANISHED: (gettext_lazy("gone"), "red"),
    Standing.IGNORED: (gettext_lazy("ignored"), "secondary"),
}


@register.filter
def badge(code: Any) -> SafeString:
    """Return a status, a state or a decision as a badge: a word, with a colour."""
    return _make_badge(*_BADGES.get(str(code), (make_inert(str(code)), "secondary")))


@register.filter
def standing(code: str) -> SafeString:
    """Return where a discovered account stands as a badge: "unknown" means something else elsewhere."""
    return _make_badge(*_STANDINGS[Standing(code)])


def _make_badge(text: Any, colour: str) -> SafeString:
    return format_html('<span class="badge bg-{}-lt">{}</span>', colour, text)


@register.filter
def inert(text: Any) -> str:
    """Return text from outside without what could act: on top of what Django escapes, control characters."""
    return make_inert(str(text))


@register.filter
def inert_lines(text: Any) -> str:
    """Return text of several lines from outside, each line as `inert` has it."""
    return "\n".join(map(make_inert, str(text).splitlines()))


@register.filter
def age(instant: datetime | None) -> str:
    """Return how many days ago something was."""
    if instant is None:
        return ""
    days = (datetime.now(UTC) - instant).days
    return ngettext("%(days)s day", "%(days)s days", days) % {"days": days} if days > 0 else _("today")


@register.filter
def exactly(text: str) -> SafeString:
    """Return a text so that a browser has each character of it: by itself, it makes a line's end of CR."""
    return mark_safe(escape(text).replace("\r", "&#13;"))  # noqa: S308  # escaped just here


@register.filter
def when(instant: datetime | None) -> SafeString:
    """Return an instant in UTC; the browser shows it by its own clock, and UTC when it is pointed at."""
    if instant is None:
        return format_html('<span class="text-secondary">{}</span>', _("never"))
    utc = instant.astimezone(UTC)
    return format_html('<time datetime="{}">{}</time>', utc.isoformat(), utc.strftime("%Y-%m-%d %H:%M:%S UTC"))


@register.filter
def span(seconds: int) -> str:
    """Return a span of time as it is written: 30d."""
    return write_duration(seconds)


@register.filter
def fact(name: str) -> Any:
    """Return the word for a fact that a discovery tells of an account."""
    return _FACTS.get(name, make_inert(name))


_FACTS: Final[dict[str, Any]] = {
    "uid": gettext_lazy("user id"),
    "groups": gettext_lazy("groups"),
    "home": gettext_lazy("home"),
    "shell": gettext_lazy("shell"),
    "can_log_in": gettext_lazy("can log in"),
    "locked": gettext_lazy("password locked"),
    "superuser": gettext_lazy("all-powerful"),
    "privileges": gettext_lazy("may act as others"),
    "expires": gettext_lazy("expires"),
    "keys": gettext_lazy("SSH keys"),
}


@register.filter
def told(value: Any) -> Any:
    """Return what a target told, inert: a list takes a line for each of its parts; None could not be told."""
    if value is None:
        return format_html('<span class="text-secondary">{}</span>', _("not told"))
    if isinstance(value, bool):
        return _("yes") if value else _("no")
    if isinstance(value, datetime):
        return when(value)
    if isinstance(value, Sequence) and not isinstance(value, str):
        lines = format_html_join("", "<div>{}</div>", ((make_inert(str(one)),) for one in value))
        return lines or format_html('<span class="text-secondary">{}</span>', _("none"))
    return make_inert(str(value))


@register.simple_tag
def wrong(form: Form[Any], place: str) -> str:
    """Return what is wrong at a place of a form that is not one field, or with what is in it."""
    return next((text for name, text in form.errors.items() if f"{name}.".startswith(f"{place}.")), "")


@register.inclusion_tag("console/parts/field.html")
def field(  # noqa: PLR0913  # as many as a field has
    form: Form[Any],
    name: str,
    label: str,
    *,
    kind: str = "text",
    help: str = "",  # noqa: A002  # what templates call it
    options: Sequence[tuple[str, Any]] = (),
    required: bool = False,
    autocomplete: str = "off",
    placeholder: str = "",
    rows: int = 3,
    least: int | None = None,
    most: int | None = None,
) -> dict[str, Any]:
    """One field of a form with its label, its help and what is wrong with it.

    `kind`: text, number, password, textarea, select, switch, radio, or file. `options` are values with labels.
    """
    chosen = form.values.get(name, [])
    wrong = form.errors.get(name, "")
    if not wrong:
        wrong = next((text for place, text in form.errors.items() if place.startswith(f"{name}.")), "")
    own = f"field-{name.replace('.', '-')}"
    return {
        "name": name,
        "id": own,
        "describedby": " ".join(f"{own}-{part}" for part, text in (("wrong", wrong), ("help", help)) if text),
        "label": label,
        "kind": kind,
        "help": help,
        "value": "" if kind in {"password", "file"} else "\n".join(chosen),
        "on": bool(chosen) and chosen[0] not in {"", "off", "false"},
        "options": [(str(value), text, str(value) in (chosen or [""])) for value, text in options],
        "required": required,
        "autocomplete": autocomplete,
        "placeholder": placeholder,
        "rows": rows,
        "least": least,
        "most": most,
        "wrong": wrong,
    }


@register.inclusion_tag("console/parts/schema.html")
def schema_fields(form: Form[Any], schema: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    """The fields of a kind's options or parameters, by their JSON schema; `prefix` is where they belong."""
    needed = schema.get("required", [])
    fields = []
    for name, one in schema.get("properties", {}).items():
        types = [_resolve(part, schema) for part in (one, *one.get("anyOf", []), *one.get("allOf", []))]
        values: Sequence[Any] = next((part["enum"] for part in types if "enum" in part), [])
        kinds = {part.get("type") for part in types}
        kind = "select" if values or "boolean" in kinds else "number" if "integer" in kinds else "text"
        if any("contentMediaType" in part for part in types):  # a text of many lines
            kind = "textarea"
        fields.append(
            {
                "name": f"{prefix}.{name}",
                "label": _(name_field(name)),
                "help": _(text) if (text := one.get("description", "")) else "",
                "kind": kind,
                "options": [("", _tell_usual(one.get("default"))), *_list_values(values, kinds)]
                if kind == "select"
                else [],
                "required": name in needed,
                "placeholder": str(one["default"]) if one.get("default") else "",
            }
        )
    return {"form": form, "fields": fields}


def _tell_usual(default: Any) -> str:
    if isinstance(default, str) and default:
        return _("as usual (%(default)s)") % {"default": default}
    return _("as usual")


def _resolve(part: Mapping[str, Any], schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a part of a JSON schema, or the definition that it refers to."""
    if "$ref" not in part:
        return part
    found: Mapping[str, Any] = schema["$defs"][str(part["$ref"]).rpartition("/")[2]]
    return found


def _list_values(values: Sequence[Any], kinds: set[Any]) -> list[tuple[str, Any]]:
    if "boolean" in kinds:
        return [("true", _("yes")), ("false", _("no"))]
    return [(str(value), str(value)) for value in values]
