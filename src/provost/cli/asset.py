from typing import Annotated

import typer

from provost.cli.call import call, call_all, list_given, say
from provost.cli.output import AsJson, print_fields, print_json, print_line, print_table
from provost.cli.pairs import split_pairs

app = typer.Typer(help="Assets: the systems that accounts are pushed to.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(metavar="NAME", help="The asset's name.")]
_Node = Annotated[list[str] | None, typer.Option(help="A folder, like /prod/web. May be repeated.")]
_Option = Annotated[list[str] | None, typer.Option(help="NAME=VALUE, as the kind knows it. Repeatable.")]
_Via = Annotated[str | None, typer.Option(help="The asset to go through (a jump host).")]


@app.command()
def add(
    name: Name,
    *,
    kind: Annotated[str, typer.Option(help="What sort of system it is, such as linux.")],
    address: Annotated[str, typer.Option(help="Host name or IP address.")],
    port: Annotated[int | None, typer.Option(help="Default: the kind's own.")] = None,
    node: _Node = None,
    via: _Via = None,
    option: _Option = None,
    comment: Annotated[str, typer.Option()] = "",
    as_json: AsJson = False,
) -> None:
    """Add an asset."""
    from provost.core.operations import ADD_ASSET
    from provost.core.requests import AssetBody

    body = say(
        AssetBody,
        name=name,
        kind=kind,
        address=address,
        port=port,
        nodes=tuple(node or ()),
        via=via,
        options=split_pairs(option or ()),
        comment=comment,
    )
    asset = call(ADD_ASSET, body=body)
    if as_json:
        print_json({"asset": asset})
    else:
        print_line(
            f"Added {name}. Next, its privileged account: "
            f"provost account add USERNAME --asset {name} --privileged --password-stdin"
        )


@app.command("list")
def list_(
    node: Annotated[str | None, typer.Option(help="Only those in this node and below it.")] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """List assets."""
    from provost.core.operations import LIST_ASSETS
    from provost.core.requests import AssetQuery

    found = list(call_all(LIST_ASSETS, say(AssetQuery, node=node)))
    if as_json:
        print_json({"assets": found})
        return
    columns = ["name", "kind", "address", "port", "nodes", "via"]
    print_table(
        columns,
        [[getattr(one, column) for column in columns] for one in found],
        "There are no assets yet. Add one: provost asset add --help",
    )


@app.command()
def show(name: Name, *, as_json: AsJson = False) -> None:
    """Show an asset: how it is reached, its host keys and its privileged accounts."""
    from provost.core.operations import SHOW_ASSET

    asset = call(SHOW_ASSET, name=name)
    if as_json:
        print_json({"asset": asset})
        return
    rows: list[tuple[str, object]] = [
        (field, getattr(asset, field))
        for field in ("name", "kind", "address", "port", "nodes", "via", "comment")
    ]
    rows += [
        ("options", [f"{key}={value}" for key, value in asset.options.items()]),
        ("accounts", f"{asset.accounts} in the list"),
        (
            "privileged",
            [f"{one.username} (priority {one.priority}, become {one.become})" for one in asset.privileged]
            or "none: nothing can be pushed here",
        ),
        (
            "host keys",
            [f"{key.fingerprint} ({key.state})" for key in asset.host_keys]
            or "none seen: the next contact pins one",
        ),
    ]
    print_fields(rows)


@app.command()
def edit(
    name: Name,
    *,
    rename: Annotated[str | None, typer.Option("--rename", help="Give it another name.")] = None,
    address: Annotated[str | None, typer.Option(help="Host name or IP address.")] = None,
    port: Annotated[int | None, typer.Option()] = None,
    node: _Node = None,
    no_nodes: Annotated[bool, typer.Option("--no-nodes", help="Take it out of every folder.")] = False,
    via: _Via = None,
    no_via: Annotated[bool, typer.Option("--no-via", help="Reach it directly.")] = False,
    option: _Option = None,
    no_options: Annotated[bool, typer.Option("--no-options", help="Take all options away.")] = False,
    comment: Annotated[str | None, typer.Option(help="For people.")] = None,
    as_json: AsJson = False,
) -> None:
    """Change what is given of an asset, and leave the rest. Nodes and options are replaced as a whole."""
    from provost.core.errors import Refused
    from provost.core.operations import EDIT_ASSET
    from provost.core.requests import AssetPatch

    for what, given, none in (("node", node, no_nodes), ("via", via, no_via), ("option", option, no_options)):
        if given and none:
            raise Refused(f"Give --{what}, or say that there is none: not both.", code="usage")
    fields = list_given(name=rename, address=address, port=port, via=via, comment=comment)
    if node or no_nodes:
        fields["nodes"] = tuple(node or ())
    if option or no_options:
        fields["options"] = split_pairs(option or ())
    if no_via:
        fields["via"] = None
    asset = call(EDIT_ASSET, name=name, body=say(AssetPatch, **fields))
    if as_json:
        print_json({"asset": asset})
    else:
        print_line(f"Changed {asset.name}. It is: provost asset show {asset.name}")


@app.command()
def remove(
    name: Name,
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: AsJson = False,
) -> None:
    """Remove an asset, its accounts, and their secrets with all history. The target itself is left alone."""
    from provost.core.operations import REMOVE_ASSET, SHOW_ASSET

    asset = call(SHOW_ASSET, name=name)
    held = asset.accounts + asset.unlisted
    if held and not yes:
        typer.confirm(
            f"{name} has {held} accounts; their secrets will be lost. Remove it?", abort=True, err=True
        )
    call(REMOVE_ASSET, name=name)
    if as_json:
        print_json({"removed": {"asset": name, "accounts": held}})
    else:
        print_line(f"Removed {name} and {held} accounts.")


@app.command()
def trust(name: Name, *, as_json: AsJson = False) -> None:
    """Forget the pinned host keys of an asset: whatever host answers next is trusted, and its key is pinned."""
    from provost.core.operations import TRUST_ASSET

    done = call(TRUST_ASSET, name=name)
    if as_json:
        print_json(done)
        return
    for fingerprint in done.forgotten:
        print_line(f"Forgot {fingerprint}")
    print_line(f"The next contact with {name} pins the key that it shows.")
