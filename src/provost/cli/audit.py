"""The commands `provost audit list`, `verify` and `export`."""

import json
import sys
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from provost.cli.call import call, call_all, list_given, say
from provost.cli.output import AsJson, print_json, print_line, print_table
from provost.core.errors import Refused

if TYPE_CHECKING:
    from collections.abc import Iterator

    from provost.core.documents import AuditDocument

app = typer.Typer(help="The audit trail: who did what, when, from where.", no_args_is_help=True)

_Who = Annotated[str | None, typer.Option("--who", help="Only what this user did.")]
_Action = Annotated[
    str | None, typer.Option("--action", help="Only this, like asset.add; 'asset.' is all that begins with it.")
]
_Subject = Annotated[str | None, typer.Option("--subject", help="Only what was done to it, like 'asset web1'.")]
_Since = Annotated[
    str | None,
    typer.Option("--since", metavar="TIME", help="2026-03-01 or 2026-03-01T08:00, local, or with +01:00."),
]
_Until = Annotated[str | None, typer.Option("--until", metavar="TIME", help="Before this time.")]


@app.command("list")
def list_(
    *,
    who: _Who = None,
    action: _Action = None,
    subject: _Subject = None,
    since: _Since = None,
    until: _Until = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="How many, the newest first.")] = 50,
    as_json: AsJson = False,
) -> None:
    """List entries, the newest first."""
    found = list(_find(limit, who=who, action=action, subject=subject, since=since, until=until))
    if as_json:
        print_json({"entries": found})
        return
    print_table(
        ["number", "at", "who", "from", "action", "subject"],
        [
            [
                one.number,
                one.at,
                f"{one.who} ({one.token})" if one.token else one.who,
                one.source or one.face,
                one.action,
                one.subject,
            ]
            for one in found
        ],
        "There are no such entries.",
    )


@app.command()
def export(
    *,
    who: _Who = None,
    action: _Action = None,
    subject: _Subject = None,
    since: _Since = None,
    until: _Until = None,
) -> None:
    """Write entries, the newest first, one JSON document a line."""
    for entry in _find(None, who=who, action=action, subject=subject, since=since, until=until):
        sys.stdout.write(json.dumps(entry.model_dump(mode="json"), ensure_ascii=False) + "\n")


@app.command()
def verify(
    *,
    expect: Annotated[
        str | None,
        typer.Option(metavar="NUMBER:DIGEST", help="An entry that was noted before, to be found as it was."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Prove the audit trail whole, or name the first entry that is not as it was written (exit status 1)."""
    from provost.core.operations import VERIFY_AUDIT
    from provost.core.requests import ProofQuery

    proof = call(VERIFY_AUDIT, query=say(ProofQuery, **_read_expected(expect)))
    if as_json:
        print_json({"proof": proof})
    elif proof.whole:
        print_line(f"The audit trail is whole: {proof.entries} entries.")
        if proof.entries:
            print_line("Note this elsewhere, and prove later that it still holds:")
            print_line(f"  provost audit verify --expect {proof.entries}:{proof.digest}")
    else:
        print_line(f"The audit trail is broken at entry {proof.broken}: {proof.why}.")
    if not proof.whole:
        raise typer.Exit(1)


def _find(
    most: int | None, *, since: str | None, until: str | None, **filters: str | None
) -> "Iterator[AuditDocument]":
    from provost.core.operations import LIST_AUDIT
    from provost.core.requests import AuditQuery

    times = {"since": _read_time("since", since), "until": _read_time("until", until)}
    return call_all(LIST_AUDIT, say(AuditQuery, **list_given(**filters, **times)), most=most)


def _read_time(name: str, text: str | None) -> datetime | None:
    """Read a time; without an offset, it is of the zone of this machine."""
    if text is None:
        return None
    try:
        return datetime.fromisoformat(text).astimezone()
    except (ValueError, OverflowError):
        raise Refused(f"--{name}: {text!r} is no time like 2026-03-01T08:00.", code="option_refused") from None


def _read_expected(text: str | None) -> dict[str, Any]:
    if text is None:
        return {}
    number, colon, digest = text.partition(":")
    if not number.isdecimal() or not colon or not digest:
        raise Refused(f"--expect: {text!r} is not of the form NUMBER:DIGEST.", code="option_refused")
    return {"number": int(number), "digest": digest}
