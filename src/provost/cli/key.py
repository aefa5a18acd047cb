from typing import Annotated

import typer

from provost.cli.call import call, say
from provost.cli.output import AsJson, print_json, print_line

app = typer.Typer(help="The keys that secrets are stored under.", no_args_is_help=True)


@app.callback()
def _key() -> None:
    pass


@app.command()
def rotate(
    *,
    master: Annotated[bool, typer.Option("--master", help="Make a new master key as well.")] = False,
    as_json: AsJson = False,
) -> None:
    """Make a new data key and encrypt every secret anew. Nothing stops meanwhile; cut off, run it again."""
    from provost.core.operations import ROTATE_KEYS
    from provost.core.requests import KeyRotationBody

    done = call(ROTATE_KEYS, body=say(KeyRotationBody, master=master))
    if as_json:
        print_json({"rotation": done})
        return
    print_line(f"{done.secrets} secrets are encrypted anew, with data key {done.data_key}.")
    if master:
        print_line(f"The master key is {done.master_key} now. Keep a copy of its file in a safe place.")
