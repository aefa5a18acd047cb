"""What a person is told by e-mail: the subject says what, where and how much. What is from outside is inert."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any, Final

from provost.core.inert import make_inert
from provost.core.model import FINE
from provost.core.notices import Event

_NAMED: Final = 2
_LONGEST: Final = 200

_ACCOUNTS: Final[Mapping[str, tuple[str, str]]] = {
    Event.OUT_OF_SYNC: (
        "out of sync",
        "The target no longer takes the secret that Provost holds. Reconcile sets it again.",
    ),
    Event.ACCOUNT_EXPIRING: (
        "expiring soon",
        "Their lifetime ends soon: they are disabled then, and removed later.",
    ),
    Event.ACCOUNT_EXPIRED: ("expired", "Their lifetime is over."),
    Event.UNKNOWN_ACCOUNTS: (
        "not known before",
        "They were found on targets, and are not in Provost's list. Adopt them, list them, or ignore them.",
    ),
}
"""What a subject says of accounts, and the first sentence of the letter."""

_COLUMNS: Final = {
    "asset": "asset",
    "username": "account",
    "secret_type": "secret",
    "since": "since",
    "reason": "reason",
    "expires": "lifetime ends",
    "done": "done",
    "can_log_in": "can log in",
    "superuser": "superuser",
}


@dataclass(frozen=True, slots=True)
class Letter:
    """A message for people, as text and as HTML."""

    subject: str
    text: str
    html: str


def write_letter(event: str, payload: Mapping[str, Any], *, console: str) -> Letter:
    """Return the message about an event; `console` is the console's address, empty where nobody said it."""
    if event == Event.RUN_FAILED:
        subject, lines, head, rows = _tell_run(payload)
        link = f"/runs/{payload['run']}"
    elif event == Event.TEST:
        subject = "this is a test"
        lines = [f"{payload['requested_by']} tries this channel. It works: this message has come."]
        head, rows, link = [], [], ""
    else:
        subject, lines, head, rows = _tell_accounts(event, payload)
        link = f"/runs/{payload['run']}" if payload.get("run") else "/accounts"
    link = console.rstrip("/") + link if console else ""
    subject, lines = make_inert(subject)[:_LONGEST], [make_inert(line) for line in lines]
    cells = [[make_inert(cell) for cell in row] for row in rows]
    return Letter(
        f"Provost: {subject}", _write_text(lines, head, cells, link), _write_html(lines, head, cells, link)
    )


def _tell_run(told: Mapping[str, Any]) -> tuple[str, list[str], list[str], list[list[str]]]:
    bad = sum(count for status, count in told["counts"].items() if status not in FINE)
    everything = sum(told["counts"].values())
    what = f"{told['action']} {told['task']}" if told["task"] else told["action"]
    assets = list(dict.fromkeys(name for one in told["problems"] for name in one["assets"]))
    subject = f"{what}: {bad} of {_count(everything, 'account')} did not end well{_name_some(assets, bad)}"
    lines = [
        f"The run {told['run']} ({what}), asked for by {told['requested_by']}, is {told['state']}.",
        "By status: " + ", ".join(f"{count} {status}" for status, count in told["counts"].items()) + ".",
    ]
    if told["reason"]:
        lines.append(f"The run itself: {told['reason']}.")
    rows = [
        [one["status"], one["reason"], str(one["count"]), ", ".join(one["assets"])] for one in told["problems"]
    ]
    return subject, lines, ["status", "reason", "accounts", "first assets"], rows


def _tell_accounts(event: str, told: Mapping[str, Any]) -> tuple[str, list[str], list[str], list[list[str]]]:
    words, sentence = _ACCOUNTS.get(event, (event.replace("_", " "), ""))
    accounts: Sequence[Mapping[str, Any]] = told["accounts"]
    count = len(accounts) + told["more"]
    assets = list(dict.fromkeys(one["asset"] for one in accounts))
    lines = [sentence] if sentence else []
    if told["more"]:
        lines.append(f"The first {len(accounts)} of {count}:")
    fields = [name for name in _COLUMNS if any(one.get(name) not in {None, ""} for one in accounts)]
    rows = [[_show(one.get(name)) for name in fields] for one in accounts]
    where = _name_some(assets, count)
    return f"{_count(count, 'account')} {words}{where}", lines, [_COLUMNS[name] for name in fields], rows


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _name_some(assets: Sequence[str], count: int) -> str:
    if not assets:
        return ""
    named = ", ".join(assets[:_NAMED])
    return f" on {named}" + (" and others" if len(assets) > _NAMED or count > len(assets) > 1 else "")


def _show(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "" if value is None else str(value)


def _write_text(lines: Sequence[str], head: Sequence[str], rows: Sequence[Sequence[str]], link: str) -> str:
    parts = list(lines)
    if rows:
        parts += ["", "  ".join(head), *("  ".join(row) for row in rows)]
    return "\n".join([*parts, *(["", link] if link else [])]) + "\n"


def _write_html(lines: Sequence[str], head: Sequence[str], rows: Sequence[Sequence[str]], link: str) -> str:
    parts = [f"<p>{escape(line)}</p>" for line in lines]
    if rows:
        parts.append('<table border="1" cellpadding="4" cellspacing="0">')
        parts.append("<tr>" + "".join(f'<th align="left">{escape(name)}</th>' for name in head) + "</tr>")
        parts += ["<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows]
        parts.append("</table>")
    if link:
        parts.append(f'<p><a href="{escape(link)}">{escape(link)}</a></p>')
    return "<!DOCTYPE html>\n<html><body>\n" + "\n".join(parts) + "\n</body></html>\n"
