"""How long accounts live, as forms say it: in spans like 30d."""

from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext as _

from provost.core.durations import parse_duration, write_duration
from provost.core.errors import Refused
from provost.core.push import LONGEST_LIFE
from provost.server.console.forms import Form, Incomplete


def describe_lives(told: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    """Return what the fields begin with, for a push or an account."""
    lifetime, grace = told.get("lifetime"), told.get("grace")
    return {
        "lives": {
            "lifetime": "" if lifetime is None else write_duration(lifetime),
            "grace": "" if grace is None else write_duration(grace),
        }
    }


def read_lives(form: Form[Any]) -> dict[str, int | None]:
    """Return how long accounts live, in seconds, and their grace; of each what was posted.

    Raises:
        Incomplete: one of them is no span.
    """
    found: dict[str, int | None] = {}
    if "lives.lifetime" in form.values:
        found["lifetime"] = _read_span(form, "lives.lifetime", least=1)
    if (grace := _read_span(form, "lives.grace", least=0)) is not None:
        found["grace"] = grace
    return found


def _read_span(form: Form[Any], name: str, *, least: int) -> int | None:
    text = form[name].strip()
    if not text:
        return None
    try:
        span = parse_duration(text)
    except Refused:
        form.errors[name] = _("Write it like 15m, 12h or 30d.")
    else:
        if least <= span <= LONGEST_LIFE:
            return span
        form.errors[name] = _("At least a second, and at most ten years.")
    raise Incomplete(_("Some fields cannot be used as they are."))
