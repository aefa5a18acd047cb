"""What an entry of the audit trail says of a change, in words: what was, and what is."""

from typing import Any, Final

from django.utils.translation import gettext as _

from provost.core.documents import AuditDocument
from provost.core.inert import make_inert
from provost.server.templatetags.console import word

Change = tuple[str, str | None, str]

_LONGEST: Final = 400
_PAIR: Final = 2
_CHANGING: Final = (".edit", "account.add", "account.set", "user.add")
"""Actions whose details are lists of what was and what is."""


def describe_changes(entry: AuditDocument) -> list[Change]:
    """Return of each detail its name, what was (None: nothing is said of before), and what is.

    What is empty is left out, unless it was something.
    """
    is_change = entry.action.endswith(_CHANGING)
    found: list[Change] = []
    for name, value in entry.details.items():
        if is_change and isinstance(value, list) and len(value) == _PAIR:
            found.append((name, _say(value[0]), _say(value[1])))
        elif value not in ("", [], {}, None):
            found.append((name, None, _say(value)))
    return found


def _say(value: Any) -> str:
    text = make_inert(_write(value))
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]} …"


def _write(value: Any) -> str:
    if isinstance(value, bool):
        return _("yes") if value else _("no")
    if value is None or value in ("", [], {}):
        return _("nothing")
    if isinstance(value, list):
        return ", ".join(map(_write, value))
    if isinstance(value, dict):
        if "role" in value:
            return _write_grant(value)
        return "; ".join(f"{name}: {_write(part)}" for name, part in value.items())
    return str(value)


def _write_grant(grant: dict[str, Any]) -> str:
    where = grant.get("node") or _("everywhere")
    text = f"{word(grant['role'])} {where}"
    return f"{text} + {word('reveal')}" if grant.get("reveal") else text
