from pathlib import Path
from typing import Annotated

import typer

from provost.cli.output import AsJson, print_json, print_line


def import_(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="YAML (.yaml, .yml) or CSV (.csv).")],
    *,
    as_json: AsJson = False,
) -> None:
    """Bring in assets, nodes and accounts from a file: all of it or, when anything in it is wrong, nothing."""
    from provost.config.start import start

    start()
    from provost.server.services.imports import import_file

    counts = import_file(path=file)
    if as_json:
        print_json({"imported": counts})
        return
    for what, of_it in counts.items():
        print_line(f"{what:<10}" + ", ".join(f"{count} {change}" for change, count in of_it.items()))
