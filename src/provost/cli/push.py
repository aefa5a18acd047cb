"""The command `provost push`."""

from typing import Annotated

import typer

from provost.cli.push_options import HOW, Given, build_spec, read_specified, take_options


@take_options
def push(
    *,
    given: Given,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Look, decide, and change nothing.", rich_help_panel=HOW),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document.", rich_help_panel=HOW)] = False,
) -> None:
    """Create accounts and SSH keys on assets, by the table: create, adopt, restore or leave."""
    from provost.config.start import start

    start()
    from provost.cli.work import work_off
    from provost.server.services.runs import create_push

    specified = read_specified(given, given["secret_type"])
    spec = build_spec(given, specified=specified is not None)
    work_off(create_push(spec=spec, specified=specified, dry_run=dry_run), as_json=as_json)
