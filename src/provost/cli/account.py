import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from provost.cli.arguments import split_account
from provost.cli.output import AsJson, print_fields, print_json, print_line, print_table
from provost.cli.secrets import PassphraseStdin, read_key, read_password
from provost.core.errors import Refused
from provost.core.model import Become, SecretType
from provost.core.secrets import Password

if TYPE_CHECKING:
    from collections.abc import Sequence

    from provost.server.models import Account
    from provost.server.services.secrets import Version

app = typer.Typer(help="Accounts: usernames on assets, and their secrets.", no_args_is_help=True)

AccountName = Annotated[str, typer.Argument(metavar="USERNAME@ASSET")]


@app.command()
def add(
    username: Annotated[str, typer.Argument(metavar="USERNAME")],
    asset: Annotated[str, typer.Option(help="The asset that it is on.")],
    *,
    password_stdin: Annotated[
        bool, typer.Option("--password-stdin", help="Read its password from standard input.")
    ] = False,
    key: Annotated[Path | None, typer.Option(help="Its private key file, or a public key alone.")] = None,
    passphrase_stdin: PassphraseStdin = False,
    privileged: Annotated[
        bool | None,
        typer.Option("--privileged/--not-privileged", help="Push on behalf of it.", show_default=False),
    ] = None,
    priority: Annotated[
        int | None, typer.Option(help="Privileged accounts are tried in this order, least first (usual: 10).")
    ] = None,
    become: Annotated[Become | None, typer.Option(help="How it becomes root (usual: none).")] = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="Retire the current secret of this type, if there is one.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Put an account that exists on an asset into the list, with its secret."""
    if password_stdin == (key is not None):
        raise Refused("Give its secret: either --password-stdin or --key FILE.", code="usage")
    from provost.config.start import start

    start()
    from provost.server.services import accounts
    from provost.server.services.checks import AccountFields

    secret = read_key(key, passphrase_stdin=passphrase_stdin) if key else read_password()
    account = accounts.add_account(
        fields=AccountFields(username, asset, privileged=privileged, priority=priority, become=become),
        secret=secret,
        replace=replace,
    )
    _print_account(account, as_json=as_json)


@app.command("list")
def list_(
    asset: Annotated[str | None, typer.Option(help="Only those on this asset.")] = None,
    *,
    pending: Annotated[
        bool, typer.Option("--pending", help="Instead, those that only hold a secret of an unsettled push.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """List the accounts in the list."""
    from provost.config.start import start

    start()
    from provost.server.services import accounts, secrets

    found = accounts.list_accounts(asset=asset, pending=pending)
    held = secrets.list_held(account_ids=[account.id for account in found])
    documents = [_describe(account, held.get(account.id, ())) for account in found]
    if as_json:
        print_json({"accounts": documents})
        return
    print_table(
        ["account", "privileged", "secrets", "since"],
        [
            [
                f"{one['username']}@{one['asset']}",
                one["privileged"],
                ", ".join(f"{held['secret_type']} ({held['state']})" for held in one["secrets"]),
                one["listed_at"],
            ]
            for one in documents
        ],
        "No account waits for a push to be settled." if pending else "There are no accounts in the list yet.",
    )


@app.command()
def show(account: AccountName, *, as_json: AsJson = False) -> None:
    """Show an account and which secrets are held of it, without the secrets."""
    from provost.config.start import start

    start()
    from provost.server.services import accounts

    username, asset = split_account(account)
    _print_account(accounts.find_account(username=username, asset=asset), as_json=as_json)


@app.command()
def reveal(
    account: AccountName,
    secret_type: Annotated[SecretType | None, typer.Option(help="Needed when it has both.")] = None,
    version: Annotated[int | None, typer.Option(help="One of its history, instead of the current.")] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Print an account's secret, alone: the password and a line end, or the private key."""
    from provost.config.start import start

    start()
    from provost.server.services import accounts, secrets

    username, asset = split_account(account)
    found = accounts.find_account(username=username, asset=asset)
    secret_type = secret_type or _choose_type(account, secrets.history(account_id=found.id))
    secret = secrets.reveal(account_id=found.id, secret_type=secret_type, version=version)
    text = secret.text if isinstance(secret, Password) else secret.private
    if text is None:
        raise Refused(
            f"Provost holds the public key of {account} only, and no private half.", code="public_key_only"
        )
    if as_json:
        print_json({"username": username, "asset": asset, "secret_type": secret_type, "secret": text})
    else:
        sys.stdout.write(text if text.endswith("\n") else f"{text}\n")


@app.command()
def history(account: AccountName, *, as_json: AsJson = False) -> None:
    """List every secret that an account has or had, the newest first."""
    from provost.config.start import start

    start()
    from provost.server.services import accounts, secrets

    username, asset = split_account(account)
    found = accounts.find_account(username=username, asset=asset)
    versions = [_describe_version(version) for version in secrets.history(account_id=found.id)]
    if as_json:
        print_json({"username": username, "asset": asset, "versions": versions})
        return
    columns = ["secret_type", "version", "state", "origin", "created", "promoted_at", "retired_at", "run"]
    print_table(
        columns, [[one[column] for column in columns] for one in versions], f"{account} has no secrets yet."
    )


@app.command()
def remove(
    account: AccountName,
    *,
    forget: Annotated[bool, typer.Option("--forget", help="Delete its secrets too, with all history.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: AsJson = False,
) -> None:
    """Take an account off the list. Its secrets stay in its history, and the target is left alone."""
    from provost.config.start import start

    start()
    from provost.server.services import accounts

    username, asset = split_account(account)
    if forget:
        accounts.find_account(username=username, asset=asset)
        if not yes:
            typer.confirm(f"All secrets of {account} will be lost. Forget it?", abort=True, err=True)
        accounts.forget_account(username=username, asset=asset)
    else:
        accounts.unlist_account(username=username, asset=asset)
    if as_json:
        print_json({"removed": {"username": username, "asset": asset, "forgotten": forget}})
    elif forget:
        print_line(f"{account} is forgotten.")
    else:
        print_line(f"{account} is off the list. Its secrets stay: provost account history {account}")


def _choose_type(account: str, versions: "Sequence[Version]") -> SecretType:
    types = sorted({version.secret_type for version in versions})
    if len(types) > 1:
        raise Refused(f"{account} has {' and '.join(types)}: say which by --secret-type.", code="usage")
    return types[0] if types else SecretType.PASSWORD


def _print_account(account: "Account", *, as_json: bool) -> None:
    from provost.server.services import secrets

    document = _describe(account, secrets.list_held(account_ids=[account.id]).get(account.id, ()))
    if as_json:
        print_json({"account": document})
        return
    fields: list[tuple[str, object]] = [
        ("account", f"{account.username}@{account.asset.name}"),
        ("in the list", f"since {account.listed_at:%Y-%m-%d %H:%M:%S}" if account.listed_at else "no"),
        ("privileged", account.privileged),
    ]
    if account.privileged:
        fields += [("priority", account.priority), ("become", account.become)]
    fields += [
        ("made by", "Provost" if account.created_by_provost else "others"),
        ("secrets", [_summarise(held) for held in document["secrets"]] or "none"),
    ]
    print_fields(fields)


def _summarise(held: dict[str, Any]) -> str:
    text = f"{held['secret_type']} version {held['version']}, {held['state']}, {held['origin']}"
    if held["fingerprint"]:
        text += f", {held['fingerprint']}"
    if held["public_only"]:
        text += " (public key only: Provost holds no private half)"
    if held["state"] == "pending":
        text += " (not proven: push again to settle it)"
    return text


def _describe(account: "Account", held: "Sequence[Version]") -> dict[str, Any]:
    return {
        "username": account.username,
        "asset": account.asset.name,
        "privileged": account.privileged,
        "priority": account.priority,
        "become": account.become,
        "created_by_provost": account.created_by_provost,
        "listed_at": account.listed_at,
        "created": account.created,
        "secrets": [_describe_version(version) for version in held],
    }


def _describe_version(version: "Version") -> dict[str, Any]:
    from provost.vault.keys import fingerprint

    return {
        "secret_type": version.secret_type,
        "version": version.version,
        "state": version.state,
        "origin": version.origin,
        "public_key": version.public_key or None,
        "fingerprint": fingerprint(version.public_key) if version.public_key else None,
        "public_only": version.public_only,
        "run": version.run_id,
        "created": version.created,
        "promoted_at": version.promoted_at,
        "retired_at": version.retired_at,
    }
