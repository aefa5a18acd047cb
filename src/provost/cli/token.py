import sys
from typing import Annotated

import typer

from provost.cli.call import call, list_given, say
from provost.cli.output import AsJson, print_json, print_line, print_table
from provost.core.rights import Right

app = typer.Typer(help="Tokens: how programs, this one too, come in to a server.", no_args_is_help=True)

_Name = Annotated[str, typer.Argument(metavar="NAME")]
_User = Annotated[str | None, typer.Option(help="Whose token (usual: the caller's).", show_default=False)]


@app.command()
def create(
    name: _Name,
    *,
    user: _User = None,
    right: Annotated[
        list[Right] | None, typer.Option(help="Keep it to this right of the user's (repeat; usual: all).")
    ] = None,
    days: Annotated[int, typer.Option(help="How long it is valid.")] = 90,
    as_json: AsJson = False,
) -> None:
    """Make a token, and print it, alone. It is not shown again."""
    from provost.core.operations import CREATE_TOKEN
    from provost.core.requests import TokenBody

    fields = list_given(user=user, rights=right or None)
    made = call(CREATE_TOKEN, body=say(TokenBody, name=name, days=days, **fields))
    if as_json:
        print_json({"token": made})
        return
    sys.stdout.write(f"{made.token}\n")
    sys.stderr.write(f"Valid for {made.user} until {made.expires:%Y-%m-%d %H:%M} UTC. It is not shown again.\n")


@app.command("list")
def list_(*, user: _User = None, as_json: AsJson = False) -> None:
    """List tokens, the newest first; never their text."""
    from provost.core.operations import LIST_TOKENS
    from provost.core.requests import TokenQuery

    found = call(LIST_TOKENS, query=say(TokenQuery, user=user))
    if as_json:
        print_json({"tokens": found})
        return
    columns = ["user", "name", "rights", "expires", "last_used", "revoked"]
    print_table(
        columns, [[getattr(one, column) for column in columns] for one in found], "There are no tokens yet."
    )


@app.command()
def revoke(name: _Name, *, user: _User = None, as_json: AsJson = False) -> None:
    """Make a token void at once. It stays listed."""
    from provost.core.operations import REVOKE_TOKEN, WHO

    owner = user or call(WHO).name
    call(REVOKE_TOKEN, user=owner, name=name)
    if as_json:
        print_json({"revoked": {"user": owner, "token": name}})
    else:
        print_line(f"The token {name} of {owner} is void.")
