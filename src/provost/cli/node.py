from typing import Annotated

import typer

from provost.cli.call import call, say
from provost.cli.output import AsJson, print_json, print_line, print_table
from provost.core.errors import Refused

app = typer.Typer(help="Nodes: folders of assets, in a tree.", no_args_is_help=True)

_Path = Annotated[str, typer.Argument(metavar="PATH", help="Like /prod/web.")]


@app.command("list")
def list_(*, as_json: AsJson = False) -> None:
    """List nodes, each followed by those below it."""
    from provost.core.operations import LIST_NODES

    found = call(LIST_NODES)
    if as_json:
        print_json({"nodes": found})
        return
    print_table(
        ["node", "assets"],
        [[one.path, one.assets] for one in found],
        "There are no nodes yet. Make one: provost node add /prod",
    )


@app.command()
def add(path: _Path, *, as_json: AsJson = False) -> None:
    """Make a node, with those above it."""
    from provost.core.operations import ADD_NODE
    from provost.core.requests import NodeBody

    node = call(ADD_NODE, body=say(NodeBody, path=path))
    if as_json:
        print_json({"node": node})
    else:
        print_line(f"Added {node.path}.")


@app.command()
def rename(
    path: _Path,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Its new name, without those above it.")],
    *,
    as_json: AsJson = False,
) -> None:
    """Give a node another name. What is below it moves along, and tasks go on naming it."""
    _edit(path, as_json=as_json, name=name)


@app.command()
def move(
    path: _Path,
    into: Annotated[str, typer.Argument(metavar="INTO", help="The node to move into; / is the top.")],
    *,
    as_json: AsJson = False,
) -> None:
    """Move a node, with all that is below it, into another."""
    _edit(path, as_json=as_json, into=into)


@app.command()
def remove(path: _Path, *, as_json: AsJson = False) -> None:
    """Remove a node that holds nothing."""
    from provost.core.operations import REMOVE_NODE

    call(REMOVE_NODE, node=_read(path))
    if as_json:
        print_json({"removed": {"node": path}})
    else:
        print_line(f"Removed {path}.")


def _edit(path: str, *, as_json: bool, **change: str) -> None:
    from provost.core.operations import EDIT_NODE
    from provost.core.requests import NodePatch

    node = call(EDIT_NODE, node=_read(path), body=say(NodePatch, **change))
    if as_json:
        print_json({"node": node})
    else:
        print_line(f"{path} is {node.path} now.")


def _read(path: str) -> str:
    """Return a node's path as the table of operations takes it: without the slash at its beginning."""
    if not path.startswith("/") or not path.strip("/"):
        raise Refused(f"{path!r} is not a node: write it like /prod/web.", code="node_refused")
    return path[1:]
