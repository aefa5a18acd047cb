from collections.abc import Iterable
from typing import Any

from pydantic import SecretStr

from provost.core.documents import ImportChangesDocument, ImportDocument
from provost.core.requests import ImportBody, Said, list_given
from provost.core.rights import Principal
from provost.server.services.imports import import_inventory as bring_in
from provost.server.services.inventory_files import Inventory, Row


def import_inventory(by: Principal, body: ImportBody) -> ImportDocument:
    """Bring in nodes, assets and accounts: all of them or, when anything is wrong, nothing.

    With `dry_run`, everything is checked and done, told, and undone.
    """
    inventory = Inventory(
        nodes=[Row(number, {"path": path}, f"nodes[{number}]") for number, path in enumerate(body.nodes)],
        assets=_list_rows("assets", body.assets),
        accounts=_list_rows("accounts", body.accounts),
    )
    done = bring_in(by=by, inventory=inventory, name=body.name, dry_run=body.dry_run)
    return ImportDocument(
        dry_run=body.dry_run, imported=done.counts, changes=ImportChangesDocument(**done.changes)
    )


def _list_rows(what: str, said: Iterable[Said]) -> list[Row]:
    return [Row(number, _read(one), f"{what}[{number}]") for number, one in enumerate(said)]


def _read(said: Said) -> dict[str, Any]:
    """Return what was given of a row; a `via` of null means directly, any other null is nothing."""
    return {
        name: value.get_secret_value() if isinstance(value, SecretStr) else value
        for name, value in list_given(said).items()
        if value is not None or name == "via"
    }
