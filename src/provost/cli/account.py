import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from provost.cli.call import call, call_all, list_given, say
from provost.cli.output import AsJson, print_fields, print_json, print_line, print_table
from provost.cli.secrets import PassphraseStdin, make_secret_body, read_key, read_password
from provost.core.errors import Refused
from provost.core.model import Become, SecretType, Sync

if TYPE_CHECKING:
    from provost.core.documents import AccountDocument, SecretDocument

app = typer.Typer(help="Accounts: usernames on assets, and their secrets.", no_args_is_help=True)

AccountName = Annotated[str, typer.Argument(metavar="USERNAME@ASSET")]
_Privileged = Annotated[
    bool | None,
    typer.Option("--privileged/--not-privileged", help="Push on behalf of it.", show_default=False),
]
_Priority = Annotated[
    int | None, typer.Option(help="Privileged accounts are tried in this order, least first (usual: 10).")
]
_Become = Annotated[Become | None, typer.Option(help="How it becomes root (usual: none).")]


_LIFE = "Lifetime"


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
    privileged: _Privileged = None,
    priority: _Priority = None,
    become: _Become = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="Retire the current secret of this type, if there is one.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Put an account that exists on an asset into the list, with its secret."""
    if password_stdin == (key is not None):
        raise Refused("Give its secret: either --password-stdin or --key FILE.", code="usage")
    from provost.core.operations import ADD_ACCOUNT
    from provost.core.requests import AccountBody

    secret = read_key(key, passphrase_stdin=passphrase_stdin) if key else read_password()
    body = say(
        AccountBody,
        username=username,
        asset=asset,
        secret=make_secret_body(secret),
        privileged=privileged,
        priority=priority,
        become=become,
        replace=replace,
    )
    _print_account(call(ADD_ACCOUNT, body=body), as_json=as_json)


@app.command("list")
def list_(
    asset: Annotated[str | None, typer.Option(help="Only those on this asset.")] = None,
    *,
    pending: Annotated[
        bool, typer.Option("--pending", help="Instead, those that only hold a secret of an unsettled push.")
    ] = False,
    sync: Annotated[
        str | None,
        typer.Option(
            "--sync",
            help="Only those whose last check told in_sync, out_of_sync, unknown; or never.",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List the accounts in the list."""
    from provost.core.operations import LIST_ACCOUNTS
    from provost.core.requests import AccountQuery

    found = list(call_all(LIST_ACCOUNTS, say(AccountQuery, asset=asset, pending=pending, sync=sync)))
    if as_json:
        print_json({"accounts": found})
        return
    print_table(
        ["account", "privileged", "secrets", "on the asset", "since"],
        [
            [
                f"{one.username}@{one.asset}",
                one.privileged,
                ", ".join(f"{held.secret_type} ({held.state})" for held in one.secrets),
                ", ".join(_say_sync(held) for held in one.secrets if held.state == "current"),
                one.listed_at,
            ]
            for one in found
        ],
        _say_none(pending=pending, sync=sync),
    )


@app.command()
def show(account: AccountName, *, as_json: AsJson = False) -> None:
    """Show an account and which secrets are held of it, without the secrets."""
    from provost.core.operations import SHOW_ACCOUNT

    _print_account(call(SHOW_ACCOUNT, account=account), as_json=as_json)


@app.command("edit", hidden=True)
@app.command("set")
def set_(
    account: AccountName,
    *,
    privileged: _Privileged = None,
    priority: _Priority = None,
    become: _Become = None,
    expires: Annotated[
        str | None,
        typer.Option(help="When it is disabled, like 2026-12-31T12:00Z.", rich_help_panel=_LIFE),
    ] = None,
    lifetime: Annotated[
        str | None, typer.Option(help="The same, from now: 90s, 15m, 12h or 30d.", rich_help_panel=_LIFE)
    ] = None,
    never_expires: Annotated[
        bool, typer.Option("--never-expires", help="It lives for good.", rich_help_panel=_LIFE)
    ] = False,
    grace: Annotated[
        str | None,
        typer.Option(help="How long after its end it is removed (usual: 7d).", rich_help_panel=_LIFE),
    ] = None,
    reconcile: Annotated[
        bool | None,
        typer.Option(
            "--reconcile/--no-reconcile",
            help="Whether its secret may be set again where the target refuses it.",
            show_default=False,
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Change what is given of an account, and leave the rest. Its secret: account add --replace."""
    from provost.core.durations import parse_duration
    from provost.core.operations import EDIT_ACCOUNT
    from provost.core.requests import AccountPatch

    if [expires is not None, lifetime is not None, never_expires].count(True) > 1:
        raise Refused("Give one of --expires, --lifetime and --never-expires.", code="usage")
    given = list_given(
        privileged=privileged,
        priority=priority,
        become=become,
        reconcile=reconcile,
        expires_at=expires,
        lifetime=None if lifetime is None else parse_duration(lifetime),
        grace=None if grace is None else parse_duration(grace),
    )
    if never_expires:
        given["expires_at"] = None
    _print_account(call(EDIT_ACCOUNT, account=account, body=say(AccountPatch, **given)), as_json=as_json)


@app.command()
def reveal(
    account: AccountName,
    secret_type: Annotated[SecretType | None, typer.Option(help="Needed when it has both.")] = None,
    version: Annotated[int | None, typer.Option(help="One of its history, instead of the current.")] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Print an account's secret, alone: the password and a line end, or the private key."""
    from provost.core.operations import REVEAL
    from provost.core.requests import RevealBody

    found = call(REVEAL, account=account, body=say(RevealBody, secret_type=secret_type, version=version))
    if as_json:
        print_json(found)
    else:
        sys.stdout.write(found.secret if found.secret.endswith("\n") else f"{found.secret}\n")


@app.command()
def history(account: AccountName, *, as_json: AsJson = False) -> None:
    """List every secret that an account has or had, the newest first."""
    from provost.core.operations import LIST_HISTORY

    found = call(LIST_HISTORY, account=account)
    if as_json:
        print_json(found)
        return
    columns = ["secret_type", "version", "state", "origin", "created", "promoted_at", "retired_at", "run"]
    print_table(
        columns,
        [[getattr(one, column) for column in columns] for one in found.versions],
        f"{account} has no secrets yet.",
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
    from provost.core.names import split_account
    from provost.core.operations import REMOVE_ACCOUNT, SHOW_ACCOUNT, SHOW_ASSET
    from provost.core.requests import ForgetQuery

    username, asset = split_account(account)
    privileged = call(SHOW_ACCOUNT, account=account).privileged
    if forget and not yes:
        typer.confirm(f"All secrets of {account} will be lost. Forget it?", abort=True, err=True)
    call(REMOVE_ACCOUNT, account=account, query=say(ForgetQuery, forget=forget))
    if as_json:
        print_json({"removed": {"username": username, "asset": asset, "forgotten": forget}})
    elif forget:
        print_line(f"{account} is forgotten.")
    else:
        print_line(f"{account} is off the list. Its secrets stay: provost account history {account}")
    if privileged and not as_json and not call(SHOW_ASSET, name=asset).privileged:
        print_line(f"Nothing can be done on {asset} now: no privileged account of it is left in the list.")


def _print_account(account: "AccountDocument", *, as_json: bool) -> None:
    if as_json:
        print_json({"account": account})
        return
    fields: list[tuple[str, object]] = [
        ("account", f"{account.username}@{account.asset}"),
        ("in the list", f"since {account.listed_at:%Y-%m-%d %H:%M:%S}" if account.listed_at else "no"),
        ("privileged", account.privileged),
    ]
    if account.privileged:
        fields += [("priority", account.priority), ("become", account.become)]
    if not account.reconcile:
        fields.append(("reconcile", "never"))
    fields += [
        ("made by", "Provost" if account.created_by_provost else "others"),
        ("lifetime", _say_life(account)),
        ("secrets", [_sum_up(held) for held in account.secrets] or "none"),
    ]
    print_fields(fields)


def _say_life(account: "AccountDocument") -> str:
    from provost.core.durations import write_duration

    text = "for good"
    if account.expires_at is not None:
        grace = f"removed {write_duration(account.grace)} later" if account.grace else "then removed"
        text = f"until {account.expires_at:%Y-%m-%d %H:%M:%S}, {grace}"
    if account.disabled_at is not None:
        text += f"; disabled since {account.disabled_at:%Y-%m-%d %H:%M:%S}"
    return text


def _sum_up(held: "SecretDocument") -> str:
    text = f"{held.secret_type} version {held.version}, {held.state}, {held.origin}"
    if held.fingerprint:
        text += f", {held.fingerprint}"
    if held.public_only:
        text += " (public key only: Provost holds no private half)"
    if held.state == "pending":
        text += " (not proven: push again to settle it)"
    if held.state == "current":
        text += f"; {_say_sync(held)}"
        if held.checked_at:
            text += f" at {held.checked_at:%Y-%m-%d %H:%M:%S}"
        if held.reason:
            text += f", {held.reason}: {held.message}"
    return text


def _say_sync(held: "SecretDocument") -> str:
    if held.sync is None:
        return "never checked"
    return "could not tell" if held.sync is Sync.UNKNOWN else held.sync.replace("_", " ")


def _say_none(*, pending: bool, sync: str | None) -> str:
    if pending:
        return "No account waits for a push to be settled."
    return "No account is like that." if sync else "There are no accounts in the list yet."
