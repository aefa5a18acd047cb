from typing import TYPE_CHECKING, Annotated, Any

import typer

from provost.cli.call import call, list_given, say
from provost.cli.output import AsJson, print_fields, print_json, print_line, print_table
from provost.core.errors import Refused

if TYPE_CHECKING:
    from collections.abc import Sequence

    from provost.core.documents import GrantDocument, UserDocument

app = typer.Typer(help="Users: who may use the server, and what they may do.", no_args_is_help=True)

_Name = Annotated[str, typer.Argument(metavar="NAME")]
_Email = Annotated[str | None, typer.Option(show_default=False)]
_PasswordStdin = Annotated[bool, typer.Option("--password-stdin", help="Read a password from standard input.")]
_Grant = Annotated[
    list[str] | None,
    typer.Option(
        metavar="ROLE[+reveal][:NODE]",
        help="administrator, operator or auditor, everywhere or in a node and below: operator+reveal:/prod. "
        "Repeatable.",
    ),
]


@app.command()
def add(
    name: _Name,
    *,
    grant: _Grant = None,
    email: _Email = None,
    password_stdin: _PasswordStdin = False,
    as_json: AsJson = False,
) -> None:
    """Add a user. Without a password they cannot sign in, and may have tokens."""
    from provost.core.operations import ADD_USER
    from provost.core.requests import UserBody

    fields = list_given(email=email) | _read_password(wanted=password_stdin)
    user = call(ADD_USER, body=say(UserBody, username=name, grants=_read_grants(grant), **fields))
    _print_user(user, as_json=as_json)


@app.command("list")
def list_(*, as_json: AsJson = False) -> None:
    """List users: all for who administers everything, else the caller alone."""
    from provost.core.operations import LIST_USERS

    found = call(LIST_USERS)
    if as_json:
        print_json({"users": found})
        return
    print_table(
        ["user", "active", "grants", "last login"],
        [[one.username, one.active, say_grants(one.grants), one.last_login] for one in found],
        "There are no users yet. Make one: provost user add NAME --grant administrator",
    )


@app.command()
def show(name: _Name, *, as_json: AsJson = False) -> None:
    """Show a user and what they are granted."""
    from provost.core.operations import SHOW_USER

    _print_user(call(SHOW_USER, name=name), as_json=as_json)


@app.command()
def edit(
    name: _Name,
    *,
    grant: _Grant = None,
    no_grants: Annotated[bool, typer.Option("--no-grants", help="Take all grants away.")] = False,
    email: _Email = None,
    password_stdin: _PasswordStdin = False,
    active: Annotated[
        bool | None,
        typer.Option("--active/--inactive", help="Whether they may come in.", show_default=False),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Change what is given of a user, and leave the rest. Grants are replaced as a whole."""
    from provost.core.operations import EDIT_USER
    from provost.core.requests import UserPatch

    if grant and no_grants:
        raise Refused("Give --grant or --no-grants, not both.", code="usage")
    fields = list_given(email=email, active=active) | _read_password(wanted=password_stdin)
    if grant or no_grants:
        fields["grants"] = _read_grants(grant)
    _print_user(call(EDIT_USER, name=name, body=say(UserPatch, **fields)), as_json=as_json)


@app.command()
def remove(name: _Name, *, as_json: AsJson = False) -> None:
    """Remove a user with their grants and tokens. What they did stays in the audit trail."""
    from provost.core.operations import REMOVE_USER

    call(REMOVE_USER, name=name)
    if as_json:
        print_json({"removed": {"user": name}})
    else:
        print_line(f"Removed {name}.")


@app.command("remove-factors")
def remove_factors(name: _Name, *, as_json: AsJson = False) -> None:
    """Remove a user's second factors with their recovery codes: for who lost them. Their sessions end."""
    from provost.core.operations import REMOVE_FACTORS

    call(REMOVE_FACTORS, name=name)
    if as_json:
        print_json({"removed": {"factors_of": name}})
    else:
        print_line(f"Removed the second factors of {name}, who is signed out.")


@app.command()
def sessions(name: _Name, *, as_json: AsJson = False) -> None:
    """List a user's sessions of the console: where they are signed in."""
    from provost.core.operations import LIST_SESSIONS

    found = call(LIST_SESSIONS, name=name)
    if as_json:
        print_json({"sessions": found})
        return
    print_table(
        ["session", "from", "browser", "since", "last seen"],
        [[one.id, one.source, one.browser, one.started, one.last_seen] for one in found],
        f"{name} is signed in nowhere.",
    )


@app.command("end-sessions")
def end_sessions(
    name: _Name,
    *,
    session: Annotated[
        int | None, typer.Option(help="This one alone, by its number.", show_default=False)
    ] = None,
    as_json: AsJson = False,
) -> None:
    """End a user's sessions of the console at once, or one of them. Their tokens stay."""
    from provost.core.operations import END_SESSION, END_SESSIONS
    from provost.core.requests import SessionQuery

    if session is None:
        call(END_SESSIONS, name=name, query=SessionQuery())
    else:
        call(END_SESSION, name=name, session=str(session))
    if as_json:
        print_json({"ended": {"sessions_of": name}})
    else:
        print_line(f"{name} is signed out everywhere." if session is None else f"Session {session} has ended.")


def _read_password(*, wanted: bool) -> dict[str, Any]:
    from provost.cli.secrets import read_password

    return {"password": read_password().text} if wanted else {}


def _read_grants(texts: "Sequence[str] | None") -> tuple[dict[str, Any], ...]:
    return tuple(map(_read_grant, texts or ()))


def _read_grant(text: str) -> dict[str, Any]:
    """Read ROLE[+reveal][:NODE].

    Raises:
        Refused: it has no such form.
    """
    from provost.core.rights import Role

    given, colon, node = text.partition(":")
    role, plus, right = given.partition("+")
    if role not in set(Role) or (plus and right != "reveal") or (colon and not node.startswith("/")):
        raise Refused(
            f"{text!r} is not a grant: write ROLE[+reveal][:NODE], with one of the roles {', '.join(Role)}.",
            code="grant_refused",
        )
    return {"role": role, "node": node or None, "reveal": bool(plus)}


def say_grants(grants: "Sequence[GrantDocument]") -> list[str]:
    """Return grants as --grant takes them."""
    return [
        grant.role + ("+reveal" if grant.reveal else "") + (f":{grant.node}" if grant.node else "")
        for grant in grants
    ]


def _print_user(user: "UserDocument", *, as_json: bool) -> None:
    if as_json:
        print_json({"user": user})
        return
    print_fields(
        [
            ("user", user.username),
            ("e-mail", user.email),
            ("active", user.active),
            ("grants", say_grants(user.grants) or "none: they may do nothing"),
            ("password", user.has_password),
            ("second factor", user.has_second_factor),
            ("last login", user.last_login),
        ]
    )
