"""The command `provost push`."""

from typing import Annotated

import typer

from provost.cli.begin import begin
from provost.cli.push_options import HOW, Given, build_spec, read_specified, take_options
from provost.cli.server import Detach, check_detach


@take_options
def push(
    *,
    given: Given,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Look, decide, and change nothing.", rich_help_panel=HOW),
    ] = False,
    detach: Detach = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document.", rich_help_panel=HOW)] = False,
) -> None:
    """Create accounts and SSH keys on assets, by the table: create, adopt, restore or leave."""
    check_detach(detach=detach)
    specified = read_specified(given, given["secret_type"])
    spec = build_spec(given, specified=specified is not None)
    begin(spec, specified=specified, dry_run=dry_run, detach=detach, as_json=as_json)
