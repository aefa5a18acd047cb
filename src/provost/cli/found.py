"""The commands `provost found ...`: what discoveries have found, and what is decided about it."""

from typing import TYPE_CHECKING, Annotated

import typer

from provost.cli.call import call, call_all, list_given, say
from provost.cli.output import AsJson, print_fields, print_json, print_line, print_table
from provost.cli.push_options import Given, build_adoption, take_adoption_options
from provost.cli.server import Detach, check_detach, find_chosen
from provost.core.onboarding import Standing

if TYPE_CHECKING:
    from provost.core.documents import FoundDetailDocument, FoundDocument, NamedDocument
    from provost.core.facts import FactChange, KeyFacts
    from provost.core.operations import Operation
    from provost.core.requests import FoundBody

app = typer.Typer(
    help="Accounts that discoveries have found: list, show, adopt, enlist, ignore, accept, forget.",
    no_args_is_help=True,
)

_Account = Annotated[str, typer.Argument(metavar="USERNAME@ASSET")]
_Accounts = Annotated[list[str], typer.Argument(metavar="USERNAME@ASSET...")]


@app.command("list")
def list_(
    *,
    asset: Annotated[str | None, typer.Option(help="Only those on this asset.")] = None,
    node: Annotated[str | None, typer.Option(help="Only those on assets in it and below.")] = None,
    standing: Annotated[Standing | None, typer.Option(help="Only those that stand there.")] = None,
    powerful: Annotated[
        bool | None,
        typer.Option("--powerful/--not-powerful", help="That may do what others may not.", show_default=False),
    ] = None,
    can_log_in: Annotated[bool | None, typer.Option("--can-log-in/--cannot-log-in", show_default=False)] = None,
    search: Annotated[str | None, typer.Option(help="A part of the username or asset.")] = None,
    as_json: AsJson = False,
) -> None:
    """List the accounts that discoveries have found, and where they stand."""
    from provost.core.operations import LIST_FOUND
    from provost.core.requests import FoundQuery

    given = list_given(
        asset=asset, node=node, standing=standing, powerful=powerful, can_log_in=can_log_in, search=search
    )
    found = list(call_all(LIST_FOUND, say(FoundQuery, **given)))
    if as_json:
        print_json({"found": found})
        return
    print_table(
        ["account", "standing", "may", "last login", "changes"],
        [
            [
                f"{one.username}@{one.asset}",
                _say_standing(one),
                sum_up_power(one),
                one.last_login,
                "; ".join(map(_say_change, one.changes)),
            ]
            for one in found
        ],
        "No such account was found."
        if given
        else "Nothing was found yet. To look: provost discover --node PATH",
    )


def _say_standing(one: "FoundDocument") -> str:
    lost = one.standing is Standing.VANISHED and one.listed
    return f"{one.standing}, and in the list" if lost else str(one.standing)


def sum_up_power(one: "FoundDocument") -> str:
    """Say what an account may do, in few words."""
    words = ["everything"] if one.superuser else []
    words += ["act as others"] if one.privileges else []
    words += ["log in"] if one.can_log_in else []
    words += [f"{one.keys} SSH keys" if one.keys > 1 else "1 SSH key"] if one.keys else []
    if not words:
        return "not told" if None in (one.superuser, one.can_log_in) else "not log in"
    return ", ".join(words)


def _say_change(change: "FactChange") -> str:
    return f"{change.field}: {', '.join(change.before) or '-'} -> {', '.join(change.after) or '-'}"


@app.command()
def show(account: _Account, *, as_json: AsJson = False) -> None:
    """Show all that was found of an account, and how it differs from what was accepted."""
    from provost.core.operations import SHOW_FOUND

    found = call(SHOW_FOUND, account=account)
    if as_json:
        print_json({"found": found})
        return
    facts = found.facts
    print_fields(
        [
            ("account", f"{found.username}@{found.asset}"),
            ("standing", _say_standing(found)),
            ("changes", [_say_change(change) for change in found.changes] or "none"),
            ("may", sum_up_power(found)),
            *(
                (_word(name), _say_fact(getattr(facts, name)))
                for name in _RIGHTS
                if getattr(facts, name) is not None
            ),
            *([] if facts.keys is None else [("SSH keys", _list_keys(found) or "none")]),
            (
                "not told",
                [_word(name) for name in (*_RIGHTS, "keys") if getattr(facts, name) is None] or "none",
            ),
            *((_word(name), getattr(facts, name)) for name in _DATES),
            ("first seen", found.first_seen),
            ("last seen", found.last_seen),
            *([("gone since", found.vanished_at)] if found.vanished_at else []),
            *([("taken by", f"rule {found.rule}")] if found.rule else []),
        ]
    )


_RIGHTS = (
    "uid", "comment", "groups", "home", "shell", "system", "can_log_in", "locked", "superuser", "privileges",
)  # fmt: skip
_DATES = ("last_login", "password_changed", "password_expires", "expires")


def _say_fact(fact: object) -> object:
    return "none" if fact == [] else fact


def _word(name: str) -> str:
    return "SSH keys" if name == "keys" else name.replace("_", " ")


def _list_keys(found: "FoundDetailDocument") -> list[str]:
    return [_say_key(key, own=key.fingerprint in found.own_keys) for key in found.facts.keys or ()]


def _say_key(key: "KeyFacts", *, own: bool) -> str:
    text = " ".join(filter(None, (key.options, key.algorithm, key.fingerprint, key.comment)))
    return f"{text} (made by Provost)" if own else text


@app.command()
def accept(accounts: _Accounts, *, as_json: AsJson = False) -> None:
    """Take what was found of accounts for what is right. Later changes are told against it."""
    from provost.core.operations import ACCEPT_FOUND
    from provost.core.requests import AcceptBody

    _do(ACCEPT_FOUND, say(AcceptBody, accounts=accounts), "Accepted as they are", as_json=as_json)


@app.command()
def ignore(accounts: _Accounts, *, as_json: AsJson = False) -> None:
    """Be told of accounts no more, until one becomes another or gets other rights."""
    from provost.core.operations import IGNORE_FOUND
    from provost.core.requests import IgnoreBody

    _do(IGNORE_FOUND, say(IgnoreBody, accounts=accounts), "Ignored", as_json=as_json)


@app.command()
def heed(accounts: _Accounts, *, as_json: AsJson = False) -> None:
    """Be told again of accounts that are ignored."""
    from provost.core.operations import IGNORE_FOUND
    from provost.core.requests import IgnoreBody

    body = say(IgnoreBody, accounts=accounts, ignored=False)
    _do(IGNORE_FOUND, body, "No longer ignored", as_json=as_json)


@app.command()
def forget(accounts: _Accounts, *, as_json: AsJson = False) -> None:
    """Forget accounts that are gone from their assets. What is in the list stays there."""
    from provost.core.operations import FORGET_FOUND
    from provost.core.requests import FoundBody

    _do(FORGET_FOUND, say(FoundBody, accounts=accounts), "Forgotten", as_json=as_json)


@app.command()
def enlist(accounts: _Accounts, *, as_json: AsJson = False) -> None:
    """Put accounts into the list as they are, without a secret. Nothing is contacted."""
    from provost.core.operations import ENLIST_FOUND
    from provost.core.requests import FoundBody

    _do(ENLIST_FOUND, say(FoundBody, accounts=accounts), "In the list, without a secret", as_json=as_json)


def _do(operation: "Operation[NamedDocument]", body: "FoundBody", what: str, *, as_json: bool) -> None:
    call(operation, body=body)
    if as_json:
        print_json({"accounts": list(body.accounts)})
    else:
        print_line(f"{what}: {', '.join(body.accounts)}.")


@app.command()
@take_adoption_options
def adopt(*, accounts: _Accounts, given: Given, detach: Detach = False, as_json: AsJson = False) -> None:
    """Give accounts new random secrets, and put them into the list."""
    check_detach(detach=detach)
    spec = build_adoption(given)
    if find_chosen():
        from provost.cli.watch import watch
        from provost.core.operations import ADOPT_FOUND
        from provost.core.requests import AdoptBody

        watch(
            call(ADOPT_FOUND, body=say(AdoptBody, accounts=accounts, spec=spec)), detach=detach, as_json=as_json
        )
    else:
        from provost.cli.call import open_here

        by = open_here()
        from provost.cli.work import work_off
        from provost.server.services import found

        work_off(found.adopt(by=by, accounts=accounts, spec=spec, attended=True), as_json=as_json)
