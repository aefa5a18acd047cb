"""What a push can be told, once for every command that takes it: `push`, `task create` and `task edit`."""

import inspect
from collections.abc import Callable, Mapping
from copy import copy
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeVar, get_args

import typer

if TYPE_CHECKING:
    from dataclasses import Field

    from pydantic import BaseModel

    from provost.core.passwords import PasswordRules
    from provost.core.push import PushSpec
    from provost.core.secrets import Secret
    from provost.core.specs import RotateSpec, Spec

S = TypeVar("S", bound="BaseModel")

_NEW: Final = "The new secret"
_RULES: Final = "Random passwords"
HOW: Final = "How"


@dataclass(frozen=True)
class PushOptions:
    """The options. Those of a field's type and default, as Typer reads them in a command's signature."""

    accounts: Annotated[list[str], typer.Option("--account", help="A username to create (repeat for more).")]
    secret_type: Annotated[str, typer.Option("--secret-type", help="password or ssh_key.")]
    assets: Annotated[list[str] | None, typer.Option("--asset", help="An asset to push to (repeat).")] = None
    nodes: Annotated[
        list[str] | None, typer.Option("--node", help="A folder: all assets in it and below (repeat).")
    ] = None
    kinds: Annotated[
        list[str] | None, typer.Option("--kind", help="Only assets of this kind (repeat for more).")
    ] = None
    secret_stdin: Annotated[
        bool,
        typer.Option("--secret-stdin", help="Read the password from standard input.", rich_help_panel=_NEW),
    ] = False
    key: Annotated[
        Path | None,
        typer.Option("--key", help="Take this SSH key: private, or public alone.", rich_help_panel=_NEW),
    ] = None
    passphrase_stdin: Annotated[
        bool,
        typer.Option(
            "--passphrase-stdin", help="Read the key's passphrase from standard input.", rich_help_panel=_NEW
        ),
    ] = False
    algorithm: Annotated[str, typer.Option("--algorithm", help="Of random SSH keys.", rich_help_panel=_NEW)] = (
        "ed25519"
    )
    length: Annotated[int, typer.Option("--length", help="8 to 128.", rich_help_panel=_RULES)] = 24
    lower: Annotated[bool, typer.Option("--lower/--no-lower", rich_help_panel=_RULES)] = True
    upper: Annotated[bool, typer.Option("--upper/--no-upper", rich_help_panel=_RULES)] = True
    digits: Annotated[bool, typer.Option("--digits/--no-digits", rich_help_panel=_RULES)] = True
    symbols: Annotated[bool, typer.Option("--symbols/--no-symbols", rich_help_panel=_RULES)] = True
    min_lower: Annotated[int, typer.Option("--min-lower", rich_help_panel=_RULES)] = 1
    min_upper: Annotated[int, typer.Option("--min-upper", rich_help_panel=_RULES)] = 1
    min_digits: Annotated[int, typer.Option("--min-digits", rich_help_panel=_RULES)] = 1
    min_symbols: Annotated[int, typer.Option("--min-symbols", rich_help_panel=_RULES)] = 1
    exclude: Annotated[
        str, typer.Option("--exclude", help="Characters never to use.", rich_help_panel=_RULES)
    ] = ""
    params: Annotated[
        list[str] | None,
        typer.Option("--param", help="A parameter of the kind, as K=V (repeat).", rich_help_panel=HOW),
    ] = None
    verify: Annotated[
        bool, typer.Option("--verify/--no-verify", help="Log in with what was set.", rich_help_panel=HOW)
    ] = True
    lifetime: Annotated[
        str | None,
        typer.Option(
            "--lifetime",
            help="How long accounts live that Provost creates: 12h, 30d (usual: for good).",
            show_default=False,
            rich_help_panel=HOW,
        ),
    ] = None
    grace: Annotated[
        str,
        typer.Option(
            "--grace",
            help="At the end of its lifetime an account is disabled; after this time it is removed.",
            rich_help_panel=HOW,
        ),
    ] = "7d"
    concurrency: Annotated[int, typer.Option("--concurrency", help="Assets at once.", rich_help_panel=HOW)] = 50
    connect_timeout: Annotated[
        float, typer.Option("--connect-timeout", help="Seconds.", rich_help_panel=HOW)
    ] = 20.0
    command_timeout: Annotated[
        float, typer.Option("--command-timeout", help="Seconds.", rich_help_panel=HOW)
    ] = 60.0


Given = Mapping[str, Any]
"""Options by the names of PushOptions: all of them, or those that were given."""

_SAME: Final = {
    "accounts": "usernames",
    "kinds": "kinds",
    "secret_type": "secret_type",
    "algorithm": "key_algorithm",
    "verify": "verify",
    "concurrency": "concurrency",
    "connect_timeout": "connect_timeout",
    "command_timeout": "command_timeout",
}
"""Options that are a field of PushSpec as they stand."""


def take_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command all options of a push, in the place of its parameter `given`, which gets them."""
    return _take(command, [_make_parameter(field.name, field.type, field.default) for field in _FIELDS])


def take_rotation_options(command: Callable[..., None]) -> Callable[..., None]:
    """As `take_options`, with the options of a rotation: of all accounts in the list, and always proven."""
    usual = {"accounts": None, "secret_type": "password"}
    parameters = [
        _make_parameter(
            field.name,
            Annotated[list[str] | None, typer.Option("--account", help="A username (repeat for more).")]
            if field.name == "accounts"
            else field.type,
            usual.get(field.name, field.default),
        )
        for field in _FIELDS
        if field.name not in _PUSH_ALONE
    ]
    return _take(command, parameters)


def take_adoption_options(command: Callable[..., None]) -> Callable[..., None]:
    """As `take_given_options`, with the options that say what secret accounts get, of those that there are."""
    return _take(command, [_make_optional(field) for field in _FIELDS if field.name not in _ELSEWHERE])


_ELSEWHERE: Final = frozenset({"accounts", "assets", "nodes", "secret_stdin", "key", "passphrase_stdin"})


def take_given_options(command: Callable[..., None]) -> Callable[..., None]:
    """As `take_options`, with none of them needed: `given` gets those that were given."""
    return _take(command, [_make_optional(field) for field in _FIELDS])


_FIELDS: Final = fields(PushOptions)
_PUSH_ALONE: Final = {"verify", "kinds", "lifetime", "grace"}
"""Options that say nothing of a rotation."""


def _make_optional(field: "Field[Any]") -> inspect.Parameter:
    kind, option = get_args(field.type)
    optional = copy(option)
    optional.show_default = False
    return _make_parameter(field.name, Annotated[kind | None, optional], None)


def _make_parameter(name: str, kind: Any, default: Any) -> inspect.Parameter:
    usual = inspect.Parameter.empty if default is MISSING else default
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, annotation=kind, default=usual)


def _take(command: Callable[..., None], parameters: list[inspect.Parameter]) -> Callable[..., None]:
    own = inspect.signature(command).parameters.values()
    whole = [
        one.replace(kind=inspect.Parameter.KEYWORD_ONLY)
        for parameter in own
        for one in (parameters if parameter.name == "given" else [parameter])
    ]

    def run(**values: Any) -> None:
        told = {one.name: values.pop(one.name) for one in parameters}
        given = {name: value for name, value in told.items() if value is not None and value != []}
        command(given=given, **values)

    run.__name__ = command.__name__
    run.__doc__ = command.__doc__
    run.__signature__ = inspect.Signature(whole)  # type: ignore[attr-defined]  # what Typer reads
    run.__annotations__ = {one.name: one.annotation for one in whole}
    return run


def read_specified(given: Given, secret_type: str) -> "Secret | None":
    """Read the operator's own secret from where the options say that it is; None: they say nothing.

    Raises:
        Refused: the options do not fit together, or the secret cannot be used.
    """
    from provost.cli.secrets import read_key, read_password
    from provost.core.errors import Refused
    from provost.core.model import SecretType

    secret_stdin, key = given.get("secret_stdin"), given.get("key")
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
    return read_key(key, passphrase_stdin=bool(given.get("passphrase_stdin"))) if key else None


def build_spec(given: Given, *, specified: bool, base: "PushSpec | None" = None) -> "PushSpec":
    """Return the push that the options ask for, where they say nothing as in `base`.

    Assets and nodes are one answer to "where": with either given, both are replaced.

    Raises:
        Refused: an option cannot be used.
    """
    from provost.core.passwords import PasswordRules
    from provost.core.push import PushSpec

    values: dict[str, Any] = base.model_dump() if base else {}
    values |= _read_options(given, base.rules if base else PasswordRules(), specified=specified)
    return _validate(PushSpec, values)


def build_adoption(given: Given, *, base: "PushSpec | None" = None) -> "PushSpec":
    """Return with what secret accounts are adopted: as the options say, else as in `base`, else a password.

    Raises:
        Refused: an option cannot be used.
    """
    usual = {"accounts": [], **({} if base else {"secret_type": "password"})}
    return build_spec({**usual, **given}, specified=False, base=base)


_OPTIONS: Final = {
    "usernames": "account",
    "key_algorithm": "algorithm",
    "parameters": "param",
    "rules": "length and the other rules of passwords",
}
"""What the fields of a spec are called on the command line, where that is something else."""


def build_any(
    action: str, given: Given, *, specified: bool, privileged: bool | None = None, base: "Spec | None" = None
) -> "Spec":
    """Return what the options ask for, where they say nothing as in `base`: any action that may be saved.

    Raises:
        Refused: an option cannot be used, is needed, or has nothing to do with the action.
    """
    from provost.core.errors import Refused
    from provost.core.passwords import PasswordRules
    from provost.core.push import PushSpec
    from provost.core.specs import DiscoverSpec, ReconcileSpec, RotateSpec, VerifySpec

    models: dict[str, type[Any]] = {
        "push": PushSpec,
        "verify": VerifySpec,
        "reconcile": ReconcileSpec,
        "rotate": RotateSpec,
        "discover": DiscoverSpec,
    }
    if (model := models.get(action)) is None:
        raise Refused(f"--action {action}: it is one of {', '.join(models)}.", code="option_refused")
    if action == "push" and base is None and (needed := {"accounts", "secret_type"} - given.keys()):
        names = " and ".join(f"--{name.removesuffix('s').replace('_', '-')}" for name in sorted(needed))
        raise Refused(f"A push needs {names}.", code="usage")
    rules = base.rules if isinstance(base, PushSpec | RotateSpec) else PasswordRules()
    values = _read_options(given, rules, specified=specified)
    if values["rules"] == rules:
        del values["rules"]
    if privileged is not None:
        values["privileged"] = privileged
    if strange := sorted(values.keys() - model.model_fields.keys()):
        name = _OPTIONS.get(strange[0], strange[0]).replace("_", "-")
        raise Refused(f"To {action}, there is no --{name}: leave it out.", code="option_refused")
    made: Spec = _validate(model, (base.model_dump() if base else {"action": action}) | values)
    return made


def build_rotation(given: Given, *, specified: bool, privileged: bool) -> "RotateSpec":
    """Return the rotation that the options ask for.

    Raises:
        Refused: an option cannot be used.
    """
    from provost.core.passwords import PasswordRules
    from provost.core.specs import RotateSpec

    values = _read_options(given, PasswordRules(), specified=specified)
    return _validate(RotateSpec, values | {"action": "rotate", "privileged": privileged})


def _read_options(given: Given, rules: "PasswordRules", *, specified: bool) -> dict[str, Any]:
    from provost.cli.pairs import split_pairs
    from provost.core.durations import parse_duration
    from provost.core.model import Strategy

    values = {field: given[name] for name, field in _SAME.items() if name in given}
    if "assets" in given or "nodes" in given:
        values |= {"assets": given.get("assets", ()), "nodes": given.get("nodes", ())}
    if "params" in given:
        values["parameters"] = split_pairs(given["params"])
    values |= {name: parse_duration(given[name]) for name in ("lifetime", "grace") if name in given}
    if specified:
        values["strategy"] = Strategy.SPECIFIED
    values["rules"] = _change_rules(rules, given)
    return values


def _validate(model: type[S], values: dict[str, Any]) -> S:
    from pydantic import ValidationError

    from provost.core.errors import Refused

    try:
        return model.model_validate(values)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        name = str(first["loc"][0]).removeprefix("key_").replace("_", "-") if first["loc"] else "push"
        raise Refused(f"--{name}: {first['msg']}.", code="option_refused") from None


def _change_rules(rules: "PasswordRules", given: Given) -> "PasswordRules":
    from dataclasses import replace

    changes = {name: given[name] for name in ("length", "exclude") if name in given}
    for name in ("lower", "upper", "digits", "symbols"):
        usual = getattr(rules, name)
        least = given.get(f"min_{name}", 1 if usual is None else usual)
        changes[name] = least if given.get(name, usual is not None) else None
    return replace(rules, **changes)
