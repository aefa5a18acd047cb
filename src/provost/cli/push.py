"""The command `provost push`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from provost.core.push import PushSpec
    from provost.core.secrets import Secret

_NEW = "The new secret"
_RULES = "Random passwords"
_HOW = "How"


def push(  # noqa: PLR0917  # Typer's way
    accounts: Annotated[list[str], typer.Option("--account", help="A username to create (repeat for more).")],
    secret_type: Annotated[str, typer.Option("--secret-type", help="password or ssh_key.")],
    assets: Annotated[list[str] | None, typer.Option("--asset", help="An asset to push to (repeat).")] = None,
    nodes: Annotated[
        list[str] | None, typer.Option("--node", help="A folder: all assets in it and below (repeat).")
    ] = None,
    secret_stdin: Annotated[
        bool,
        typer.Option("--secret-stdin", help="Read the password from standard input.", rich_help_panel=_NEW),
    ] = False,
    key: Annotated[
        Path | None,
        typer.Option("--key", help="Take this SSH key: private, or public alone.", rich_help_panel=_NEW),
    ] = None,
    passphrase_stdin: Annotated[
        bool,
        typer.Option(
            "--passphrase-stdin", help="Read the key's passphrase from standard input.", rich_help_panel=_NEW
        ),
    ] = False,
    algorithm: Annotated[
        str, typer.Option("--algorithm", help="Of random SSH keys.", rich_help_panel=_NEW)
    ] = "ed25519",
    length: Annotated[int, typer.Option("--length", help="8 to 128.", rich_help_panel=_RULES)] = 24,
    lower: Annotated[bool, typer.Option("--lower/--no-lower", rich_help_panel=_RULES)] = True,
    upper: Annotated[bool, typer.Option("--upper/--no-upper", rich_help_panel=_RULES)] = True,
    digits: Annotated[bool, typer.Option("--digits/--no-digits", rich_help_panel=_RULES)] = True,
    symbols: Annotated[bool, typer.Option("--symbols/--no-symbols", rich_help_panel=_RULES)] = True,
    min_lower: Annotated[int, typer.Option("--min-lower", rich_help_panel=_RULES)] = 1,
    min_upper: Annotated[int, typer.Option("--min-upper", rich_help_panel=_RULES)] = 1,
    min_digits: Annotated[int, typer.Option("--min-digits", rich_help_panel=_RULES)] = 1,
    min_symbols: Annotated[int, typer.Option("--min-symbols", rich_help_panel=_RULES)] = 1,
    exclude: Annotated[
        str, typer.Option("--exclude", help="Characters never to use.", rich_help_panel=_RULES)
    ] = "",
    params: Annotated[
        list[str] | None,
        typer.Option("--param", help="A parameter of the kind, as K=V (repeat).", rich_help_panel=_HOW),
    ] = None,
    verify: Annotated[
        bool, typer.Option("--verify/--no-verify", help="Log in with what was set.", rich_help_panel=_HOW)
    ] = True,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Look, decide, and change nothing.", rich_help_panel=_HOW),
    ] = False,
    concurrency: Annotated[
        int, typer.Option("--concurrency", help="Assets at once.", rich_help_panel=_HOW)
    ] = 50,
    connect_timeout: Annotated[
        float, typer.Option("--connect-timeout", help="Seconds.", rich_help_panel=_HOW)
    ] = 20.0,
    command_timeout: Annotated[
        float, typer.Option("--command-timeout", help="Seconds.", rich_help_panel=_HOW)
    ] = 60.0,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document.", rich_help_panel=_HOW)] = False,
) -> None:
    """Create accounts and SSH keys on assets, by the table: create, adopt, restore or leave."""
    from provost.config.start import start

    start()
    from provost.cli.arguments import split_pairs
    from provost.cli.work import rehearse_push, work_off
    from provost.core.model import Strategy
    from provost.core.passwords import PasswordRules
    from provost.server.services.runs import create_push

    specified = _read_specified(secret_type, key, secret_stdin=secret_stdin, passphrase_stdin=passphrase_stdin)
    spec = _check_spec(
        {
            "assets": assets or (),
            "nodes": nodes or (),
            "usernames": accounts,
            "secret_type": secret_type,
            "strategy": Strategy.RANDOM if specified is None else Strategy.SPECIFIED,
            "rules": PasswordRules(
                length=length,
                lower=min_lower if lower else None,
                upper=min_upper if upper else None,
                digits=min_digits if digits else None,
                symbols=min_symbols if symbols else None,
                exclude=exclude,
            ),
            "key_algorithm": algorithm,
            "parameters": split_pairs(params or ()),
            "verify": verify,
            "concurrency": concurrency,
            "connect_timeout": connect_timeout,
            "command_timeout": command_timeout,
        }
    )
    if dry_run:
        rehearse_push(spec, specified, as_json=as_json)
    else:
        work_off(create_push(spec=spec, specified=specified), as_json=as_json)


def _read_specified(
    secret_type: str, key: Path | None, *, secret_stdin: bool, passphrase_stdin: bool
) -> "Secret | None":
    from provost.cli.secrets import read_key, read_password
    from provost.core.errors import Refused
    from provost.core.model import SecretType

    if secret_stdin and key:
        raise Refused("Give --secret-stdin or --key, not both.", code="secret_ambiguous")
    if secret_stdin and secret_type != SecretType.PASSWORD:
        raise Refused(
            "--secret-stdin is a password: an SSH key comes with --key FILE.", code="secret_type_refused"
        )
    if key and secret_type != SecretType.SSH_KEY:
        raise Refused("--key is an SSH key: push it with --secret-type ssh_key.", code="secret_type_refused")
    if secret_stdin:
        return read_password()
    return read_key(key, passphrase_stdin=passphrase_stdin) if key else None


def _check_spec(values: dict[str, object]) -> "PushSpec":
    from pydantic import ValidationError

    from provost.core.errors import Refused
    from provost.core.push import PushSpec

    try:
        return PushSpec.model_validate(values)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        name = str(first["loc"][0]).removeprefix("key_").replace("_", "-") if first["loc"] else "push"
        raise Refused(f"--{name}: {first['msg']}.", code="option_refused") from None
