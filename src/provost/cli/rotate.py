"""The command `provost rotate`."""

from typing import Annotated

import typer

from provost.cli.begin import begin
from provost.cli.push_options import Given, build_rotation, read_specified, take_rotation_options
from provost.cli.scope import AsJson, DryRun
from provost.cli.server import Detach


@take_rotation_options
def rotate(
    *,
    given: Given,
    privileged: Annotated[
        bool, typer.Option("--privileged", help="Privileged accounts, too, without naming them.")
    ] = False,
    dry_run: DryRun = False,
    detach: Detach = False,
    as_json: AsJson = False,
) -> None:
    """Give accounts in the list new secrets; the old one is given up when the new one is proven."""
    specified = read_specified(given, given["secret_type"])
    spec = build_rotation(given, specified=specified is not None, privileged=privileged)
    begin(spec, specified=specified, dry_run=dry_run, detach=detach, as_json=as_json)
