from dataclasses import asdict
from typing import Annotated

import typer

from provost.cli.output import AsJson, print_json, print_line


def check(
    *,
    deploy: Annotated[
        bool, typer.Option("--deploy", help="Look at what matters for a server that others reach, too.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Look the data folder, the database, the keys and the settings over. Changes nothing."""
    from provost.config.start import prepare

    prepare()
    from provost.config.advice import examine_settings
    from provost.config.settings import ENVIRONMENT
    from provost.server.services.checkup import Level, examine

    findings = [*examine_settings(ENVIRONMENT, deploy=deploy), *examine(deploy=deploy)]
    if as_json:
        print_json({"findings": [asdict(one) for one in findings]})
    else:
        for one in findings:
            print_line(f"{one.level:<8} {one.code:<18} {one.message}")
            if one.advice:
                print_line(f"{'':<27} {one.advice}")
    if any(one.level is Level.PROBLEM for one in findings):
        raise typer.Exit(1)
