from typing import TYPE_CHECKING, Annotated, Any

import typer

from provost.cli.arguments import split_pairs
from provost.cli.output import AsJson, print_fields, print_json, print_line, print_table

if TYPE_CHECKING:
    from provost.server.models import Asset

app = typer.Typer(help="Assets: the systems that accounts are pushed to.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(metavar="NAME", help="The asset's name.")]


@app.command()
def add(
    name: Name,
    *,
    kind: Annotated[str, typer.Option(help="What sort of system it is, such as linux.")],
    address: Annotated[str, typer.Option(help="Host name or IP address.")],
    port: Annotated[int | None, typer.Option(help="Default: the kind's own.")] = None,
    node: Annotated[list[str] | None, typer.Option(help="A folder, like /prod/web. May be repeated.")] = None,
    via: Annotated[str | None, typer.Option(help="The asset to go through (a jump host).")] = None,
    option: Annotated[
        list[str] | None, typer.Option(help="NAME=VALUE, as the kind knows it. Repeatable.")
    ] = None,
    comment: Annotated[str, typer.Option()] = "",
    as_json: AsJson = False,
) -> None:
    """Add an asset."""
    from provost.config.start import start

    start()
    from provost.server.services import assets
    from provost.server.services.checks import AssetFields

    asset = assets.add_asset(
        fields=AssetFields(
            name=name,
            kind=kind,
            address=address,
            port=port,
            nodes=tuple(node or ()),
            via=via,
            options=split_pairs(option or ()),
            comment=comment,
        )
    )
    if as_json:
        print_json({"asset": _describe(asset)})
    else:
        print_line(
            f"Added {name}. Next, its privileged account: "
            f"provost account add root --asset {name} --privileged --password-stdin"
        )


@app.command("list")
def list_(
    node: Annotated[str | None, typer.Option(help="Only those in this node and below it.")] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """List assets."""
    from provost.config.start import start

    start()
    from provost.server.services import assets

    found = [_describe(asset) for asset in assets.list_assets(node=node)]
    if as_json:
        print_json({"assets": found})
        return
    columns = ["name", "kind", "address", "port", "nodes", "via"]
    print_table(
        columns,
        [[one[column] for column in columns] for one in found],
        "There are no assets yet. Add one: provost asset add --help",
    )


@app.command()
def show(name: Name, *, as_json: AsJson = False) -> None:
    """Show an asset: how it is reached, its host keys and its privileged accounts."""
    from provost.config.start import start

    start()
    from provost.server.services import accounts, assets

    asset = assets.find_asset(name=name)
    listed = accounts.list_accounts(asset=name)
    privileged = sorted((one for one in listed if one.privileged), key=lambda one: (one.priority, one.username))
    document = _describe(asset) | {
        "privileged": [
            {"username": one.username, "priority": one.priority, "become": one.become} for one in privileged
        ],
        "accounts": len(listed),
        "host_keys": [
            {"fingerprint": one.fingerprint, "state": one.state, "first_seen": one.first_seen, "key": one.key}
            for one in asset.host_keys.order_by("-first_seen")
        ],
    }
    if as_json:
        print_json({"asset": document})
        return
    rows: list[tuple[str, object]] = [
        (field, document[field]) for field in ("name", "kind", "address", "port", "nodes", "via", "comment")
    ]
    rows += [
        ("options", [f"{key}={value}" for key, value in document["options"].items()]),
        ("accounts", f"{len(listed)} in the list"),
        (
            "privileged",
            [f"{one.username} (priority {one.priority}, become {one.become})" for one in privileged]
            or "none: nothing can be pushed here",
        ),
        (
            "host keys",
            [f"{key['fingerprint']} ({key['state']})" for key in document["host_keys"]]
            or "none seen: the next contact pins one",
        ),
    ]
    print_fields(rows)


@app.command()
def remove(
    name: Name,
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: AsJson = False,
) -> None:
    """Remove an asset, its accounts, and their secrets with all history. The target itself is left alone."""
    from provost.config.start import start

    start()
    from provost.server.services import assets

    held = assets.count_accounts(name=name)
    if held and not yes:
        typer.confirm(
            f"{name} has {held} accounts; their secrets will be lost. Remove it?", abort=True, err=True
        )
    assets.remove_asset(name=name)
    if as_json:
        print_json({"removed": {"asset": name, "accounts": held}})
    else:
        print_line(f"Removed {name} and {held} accounts.")


@app.command()
def trust(name: Name, *, as_json: AsJson = False) -> None:
    """Forget the pinned host keys of an asset: whatever host answers next is trusted, and its key is pinned."""
    from provost.config.start import start

    start()
    from provost.server.services import assets

    forgotten = [key.fingerprint for key in assets.trust_asset(name=name)]
    if as_json:
        print_json({"asset": name, "forgotten": forgotten})
        return
    for fingerprint in forgotten:
        print_line(f"Forgot {fingerprint}")
    print_line(f"The next contact with {name} pins the key that it shows.")


def _describe(asset: "Asset") -> dict[str, Any]:
    return {
        "name": asset.name,
        "kind": asset.kind,
        "address": asset.address,
        "port": asset.port,
        "nodes": sorted(node.full_path for node in asset.nodes.all()),
        "via": asset.via.name if asset.via else None,
        "options": asset.options,
        "comment": asset.comment,
        "created": asset.created,
    }
