import re
from pathlib import Path
from typing import Annotated

import typer

from provost.cli.output import AsJson, print_json, print_line
from provost.core.errors import Refused


def import_(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="YAML (.yaml, .yml) or CSV (.csv).")],
    *,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Tell what would come in, and bring in nothing.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Bring in assets, nodes and accounts from a file: all of it or, when anything in it is wrong, nothing."""
    from provost.cli.call import call
    from provost.core.operations import IMPORT
    from provost.server.api.inventory import PLACE, make_body, name_line
    from provost.server.services.inventory_files import read_inventory

    inventory = read_inventory(file)
    body = make_body(inventory, name=file.name, dry_run=dry_run)
    try:
        told = call(IMPORT, body=body)
    except Refused as error:
        places = re.compile(f"^{PLACE.pattern}", re.MULTILINE)
        message = places.sub(lambda place: name_line(place, inventory), error.message)
        raise Refused(message, code=error.code) from None
    if as_json:
        print_json(told)
        return
    if dry_run:
        print_line("Nothing was brought in. It would be:")
    for what, of_it in told.imported.items():
        print_line(f"{what:<10}" + ", ".join(f"{count} {change}" for change, count in of_it.items()))
