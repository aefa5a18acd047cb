"""The commands `provost pair add`, `list`, `show`, `rotate` and `remove`."""

from typing import TYPE_CHECKING, Annotated

import typer

from provost.cli.call import call, call_all, open_here, say
from provost.cli.output import AsJson, print_fields, print_json, print_line, print_table
from provost.cli.server import Detach, check_detach, find_chosen
from provost.core.model import SecretType

if TYPE_CHECKING:
    from provost.core.documents import PairDocument

app = typer.Typer(help="Pairs: two accounts that take turns, for an application.", no_args_is_help=True)

_Name = Annotated[str, typer.Argument(metavar="NAME", help="The pair's name.")]


@app.command()
def add(
    name: _Name,
    asset: Annotated[str, typer.Option(help="The asset that both accounts are on.")],
    active: Annotated[str, typer.Option(help="The username that is in use now.")],
    idle: Annotated[str, typer.Option(help="The username that is rotated next.")],
    secret_type: Annotated[SecretType | None, typer.Option(help="Needed when they have both.")] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Let two accounts take turns: the idle one is rotated, and then they change places."""
    from provost.core.operations import ADD_PAIR
    from provost.core.requests import PairBody

    body = say(PairBody, name=name, asset=asset, active=active, idle=idle, secret_type=secret_type)
    _print_pair(call(ADD_PAIR, body=body), as_json=as_json)


@app.command("list")
def list_(
    asset: Annotated[str | None, typer.Option(help="Only those on this asset.")] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """List the pairs by name."""
    from provost.core.operations import LIST_PAIRS
    from provost.core.requests import PairQuery

    found = list(call_all(LIST_PAIRS, say(PairQuery, asset=asset)))
    if as_json:
        print_json({"pairs": found})
        return
    print_table(
        ["pair", "active", "idle", "since", "sync"],
        [[one.name, one.active, one.idle, one.switched_at or one.created, one.sync] for one in found],
        "There are no pairs yet. Make one: provost pair add",
    )


@app.command()
def show(name: _Name, *, as_json: AsJson = False) -> None:
    """Show a pair: which account is in use. Its secret: provost account reveal."""
    from provost.core.operations import SHOW_PAIR

    _print_pair(call(SHOW_PAIR, name=name), as_json=as_json)


@app.command()
def rotate(
    name: _Name,
    *,
    detach: Detach = False,
    as_json: AsJson = False,
) -> None:
    """Rotate the idle account of a pair; when its new secret is proven, it is the active one."""
    check_detach(detach=detach)
    if find_chosen():
        from provost.cli.watch import watch
        from provost.core.operations import ROTATE_PAIR

        run = call(ROTATE_PAIR, name=name)
        watch(run, detach=detach, as_json=as_json)
    else:
        by = open_here()
        from provost.cli.work import work_off
        from provost.server.services.pairs import build_rotation
        from provost.server.services.runs import create_run

        spec = build_rotation(by=by, name=name)
        work_off(create_run(by=by, spec=spec, attended=True), as_json=as_json)


@app.command()
def remove(name: _Name, *, as_json: AsJson = False) -> None:
    """Let the accounts of a pair take turns no more. They and their secrets stay."""
    from provost.core.operations import REMOVE_PAIR

    call(REMOVE_PAIR, name=name)
    if as_json:
        print_json({"removed": {"pair": name}})
    else:
        print_line(f"Pair {name} is removed; its accounts stay.")


def _print_pair(pair: "PairDocument", *, as_json: bool) -> None:
    if as_json:
        print_json({"pair": pair})
        return
    since = pair.switched_at or pair.created
    print_fields(
        [
            ("pair", pair.name),
            ("active", f"{pair.active} since {since:%Y-%m-%d %H:%M:%S}"),
            ("in sync", pair.sync or "never checked"),
            ("idle", pair.idle),
            ("secret", pair.secret_type),
        ]
    )
