"""The command `provost push`."""

from typing import Annotated

import typer

from provost.cli.push_options import HOW, Given, build_spec, read_specified, take_options
from provost.cli.server import Detach, check_detach, find_chosen


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
    if find_chosen():
        from uuid import uuid4

        from provost.cli.call import call, say
        from provost.cli.secrets import make_secret_body
        from provost.cli.watch import watch
        from provost.core.operations import PUSH
        from provost.core.requests import PushBody

        secret = make_secret_body(specified) if specified else None
        body = say(PushBody, spec=spec, secret=secret, dry_run=dry_run)
        watch(call(PUSH, body=body, key=str(uuid4())), detach=detach, as_json=as_json)
    else:
        from provost.cli.call import open_here

        by = open_here()
        from provost.cli.work import work_off
        from provost.server.services.runs import create_run

        run = create_run(by=by, spec=spec, specified=specified, dry_run=dry_run, attended=True)
        work_off(run, as_json=as_json)
