"""From an inventory as a file holds it to what an operation takes, and back: what is wrong, by line."""

import re
from collections.abc import Sequence
from typing import Final, TypeVar

from pydantic import ValidationError

from provost.core.errors import Refused
from provost.core.requests import ImportBody, ImportedAccount, ImportedAsset, Said
from provost.core.texts import check_text
from provost.server.services.inventory_files import ImportRefused, Inventory, Row

S = TypeVar("S", bound=Said)

PLACE: Final = re.compile(r"(nodes|assets|accounts)\[(\d+)\]")
"""A place in a body, as messages name it."""


def make_body(inventory: Inventory, *, name: str, dry_run: bool) -> ImportBody:
    """Return what a file holds as an operation takes it; `name` is what messages call it.

    Raises:
        ImportRefused: the form of the file is wrong; by line.
    """
    wrong = list(inventory.errors)
    assets = _read_rows(ImportedAsset, inventory.assets, wrong)
    accounts = _read_rows(ImportedAccount, inventory.accounts, wrong)
    if wrong:
        raise ImportRefused(name, [(f"line {line}", text) for line, text in sorted(wrong)])
    nodes = tuple(row.fields["path"] for row in inventory.nodes)
    try:
        return ImportBody(nodes=nodes, assets=assets, accounts=accounts, name=name, dry_run=dry_run)
    except ValidationError as error:
        raise ImportRefused(name, [("the whole", text) for text in _describe(error)]) from None


def _read_rows(model: type[S], rows: Sequence[Row], wrong: list[tuple[int, str]]) -> tuple[S, ...]:
    """Return the rows, and note the lines of those that cannot be used, without what they hold."""
    read = []
    for row in rows:
        try:
            check_text(row.fields)
            read.append(model.model_validate(row.fields))
        except Refused as error:
            wrong.append((row.line, error.message))
        except ValidationError as error:
            wrong += [(row.line, text) for text in _describe(error)]
    return tuple(read)


def _describe(error: ValidationError) -> list[str]:
    """Return what is wrong, without the values."""
    told = error.errors(include_url=False, include_context=False, include_input=False)
    return [f"{'.'.join(map(str, one['loc']))}: {one['msg']}." for one in told]


def name_line(place: re.Match[str], inventory: Inventory) -> str:
    """Return the line of the file that a `PLACE` in its body stands for."""
    rows = {"nodes": inventory.nodes, "assets": inventory.assets, "accounts": inventory.accounts}
    found = rows[place[1]][int(place[2]) :][:1]
    return f"line {found[0].line}" if found else place[0]
