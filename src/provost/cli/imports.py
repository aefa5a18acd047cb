import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, TypeVar

import typer

from provost.cli.output import AsJson, print_json, print_line
from provost.core.errors import Refused

if TYPE_CHECKING:
    from collections.abc import Sequence

    from provost.core.requests import ImportBody, Said
    from provost.server.services.inventory_files import Inventory, Row

    S = TypeVar("S", bound=Said)

_PLACE: Final = re.compile(r"^(nodes|assets|accounts)\[(\d+)\]: ", re.MULTILINE)
_SHOWN: Final = 20


def import_(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="YAML (.yaml, .yml) or CSV (.csv).")],
    *,
    as_json: AsJson = False,
) -> None:
    """Bring in assets, nodes and accounts from a file: all of it or, when anything in it is wrong, nothing."""
    from provost.cli.call import call
    from provost.core.operations import IMPORT
    from provost.server.services.inventory_files import read_inventory

    inventory = read_inventory(file)
    body = _make_body(inventory, file.name)
    try:
        counts = call(IMPORT, body=body).imported
    except Refused as error:
        raise Refused(_name_lines(error.message, inventory), code=error.code) from None
    if as_json:
        print_json({"imported": counts})
        return
    for what, of_it in counts.items():
        print_line(f"{what:<10}" + ", ".join(f"{count} {change}" for change, count in of_it.items()))


def _make_body(inventory: "Inventory", name: str) -> "ImportBody":
    """Return what a file holds as an operation takes it.

    Raises:
        Refused: `import_refused`, the form of the file is wrong; by line.
    """
    from provost.core.requests import ImportBody, ImportedAccount, ImportedAsset

    wrong = list(inventory.errors)
    assets = _read_rows(ImportedAsset, inventory.assets, wrong)
    accounts = _read_rows(ImportedAccount, inventory.accounts, wrong)
    if wrong:
        lines = [f"line {line}: {text}" for line, text in sorted(wrong)[:_SHOWN]]
        if more := len(wrong) - len(lines):
            lines.append(f"and {more} more.")
        first = f"Nothing was brought in: {name} has {len(wrong)} errors."
        raise Refused("\n".join([first, *lines]), code="import_refused")
    nodes = tuple(row.fields["path"] for row in inventory.nodes)
    return ImportBody(nodes=nodes, assets=assets, accounts=accounts, name=name)


def _read_rows(model: "type[S]", rows: "Sequence[Row]", wrong: list[tuple[int, str]]) -> "tuple[S, ...]":
    """Return the rows, and note the lines of those that cannot be used, without what they hold."""
    from pydantic import ValidationError

    read = []
    for row in rows:
        try:
            read.append(model.model_validate(row.fields))
        except ValidationError as error:
            told = error.errors(include_url=False, include_context=False, include_input=False)
            wrong += [(row.line, f"{'.'.join(map(str, one['loc']))}: {one['msg']}.") for one in told]
    return tuple(read)


def _name_lines(message: str, inventory: "Inventory") -> str:
    """Say lines of the file, where a message says places in the body."""
    rows = {"nodes": inventory.nodes, "assets": inventory.assets, "accounts": inventory.accounts}

    def name(place: re.Match[str]) -> str:
        found = rows[place[1]][int(place[2]) :][:1]
        return f"line {found[0].line}: " if found else place[0]

    return _PLACE.sub(name, message)
