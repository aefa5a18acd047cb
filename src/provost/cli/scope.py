"""What every command that works on targets can be told, besides those that set secrets."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from provost.core.specs import Spec

HOW = "How"

Accounts = Annotated[list[str] | None, typer.Option("--account", help="A username (repeat for more).")]
Assets = Annotated[list[str] | None, typer.Option("--asset", help="An asset (repeat).")]
Nodes = Annotated[
    list[str] | None, typer.Option("--node", help="A folder: all assets in it and below (repeat).")
]
SecretTypeOption = Annotated[
    str | None, typer.Option("--secret-type", help="password or ssh_key.", show_default="every type")
]
Params = Annotated[
    list[str] | None,
    typer.Option("--param", help="A parameter of the kind, as K=V (repeat).", rich_help_panel=HOW),
]
Force = Annotated[
    bool, typer.Option("--force", help="Also accounts that Provost did not create.", rich_help_panel=HOW)
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Look, and change nothing.", rich_help_panel=HOW)]
Concurrency = Annotated[int, typer.Option("--concurrency", help="Assets at once.", rich_help_panel=HOW)]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON document.", rich_help_panel=HOW)]


def make_spec(action: str, **given: Any) -> "Spec":
    """Return what the options ask for; None and empty lists say nothing.

    Raises:
        Refused: an option cannot be used.
    """
    from pydantic import ValidationError

    from provost.core.errors import Refused
    from provost.core.specs import SPECS

    told = {name: value for name, value in given.items() if value is not None and value != []}
    try:
        return SPECS.validate_python({"action": action, **told})
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        name = str(first["loc"][-1]).replace("_", "-")
        raise Refused(f"--{name}: {first['msg']}.", code="option_refused") from None
