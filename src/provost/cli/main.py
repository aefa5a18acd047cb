"""The program `provost`. Commands import what they need when they run: start-up is part of every run."""

import os
import sys
import traceback
from pathlib import Path
from typing import Annotated

import typer

from provost import __version__
from provost.cli import (
    account,
    asset,
    audit,
    channel,
    found,
    imports,
    key,
    kind,
    lab,
    node,
    pair,
    rule,
    run,
    task,
    token,
    user,
)
from provost.cli.check import check
from provost.cli.disable import disable
from provost.cli.discover import discover
from provost.cli.enable import enable
from provost.cli.init import init
from provost.cli.output import print_json
from provost.cli.push import push
from provost.cli.reconcile import reconcile
from provost.cli.remove import remove
from provost.cli.rotate import rotate
from provost.cli.serve import serve
from provost.cli.server import Server, choose
from provost.cli.verify import verify
from provost.cli.who import whoami
from provost.core.errors import ProvostError, UsageError
from provost.core.inert import make_inert

app = typer.Typer(
    help="Creates accounts and SSH keys on target systems, and loses no secret on the way.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["--help", "-h"]},
)
app.command()(init)
app.command()(serve)
app.command()(check)
app.add_typer(node.app, name="node")
app.add_typer(asset.app, name="asset")
app.add_typer(account.app, name="account")
app.add_typer(pair.app, name="pair")
app.command("import")(imports.import_)
app.command()(push)
app.command()(discover)
app.command()(verify)
app.command()(rotate)
app.command()(reconcile)
app.command()(disable)
app.command()(enable)
app.command()(remove)
app.add_typer(found.app, name="found")
app.add_typer(rule.app, name="rule")
app.add_typer(task.app, name="task")
app.add_typer(run.app, name="run")
app.add_typer(kind.app, name="kind")
app.add_typer(user.app, name="user")
app.add_typer(token.app, name="token")
app.command()(whoami)
app.add_typer(channel.app, name="channel")
app.add_typer(audit.app, name="audit")
app.add_typer(key.app, name="key")
app.add_typer(lab.app, name="lab")


def _print_version(*, wanted: bool) -> None:
    if wanted:
        typer.echo(f"provost {__version__}")
        raise typer.Exit


@app.callback()
def _main(
    context: typer.Context,
    *,
    server: Annotated[
        str | None,
        typer.Option(metavar="URL", envvar="PROVOST_SERVER", help="Work with this server, not with data here."),
    ] = None,
    token_file: Annotated[
        Path | None,
        typer.Option(metavar="FILE", envvar="PROVOST_TOKEN_FILE", help="Holds the token for the server."),
    ] = None,
    ca_file: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", envvar="PROVOST_CA_FILE", help="Certificates (PEM) that sign the server's own."
        ),
    ] = None,
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    del version  # its callback has told it
    chosen = Server(server.rstrip("/"), token_file, ca_file) if server else None
    choose(chosen, verb=context.invoked_subcommand)


def main() -> None:
    """Run the command line. The exit status is 0, 1 (something failed) or 2 (nothing was touched)."""
    try:
        "".join(sys.argv).encode()
    except UnicodeEncodeError:
        _fail("usage", "An argument is not valid UTF-8.", 2)
    try:
        status = app(standalone_mode=False)
        sys.stdout.flush()  # so that a full disk is told, too
    except typer.TyperException as error:
        text = error.format_message()  # empty where the help was shown instead
        _fail("usage", f"{text} See --help." if text else "", error.exit_code)
    except typer.Abort:
        _fail("aborted", "Stopped; nothing was done, unless a run had begun: provost run list", 1)
    except UsageError as error:
        _fail(error.code, error.message, 2)
    except ProvostError as error:
        _fail(error.code, error.message, 1)
    except Exception as error:  # noqa: BLE001  # the last resort: a traceback could show a secret
        if os.environ.get("PROVOST_DEBUG") == "1":
            traceback.print_exc()
        _fail(*_explain(error), 1)
    else:
        sys.exit(status)


def _explain(error: Exception) -> tuple[str, str]:
    """Return a code and a message for what nobody foresaw. Its own text may hold anything: it is not shown."""
    kind = type(error)
    if kind.__module__.startswith("django.db") and kind.__name__ in {"OperationalError", "DatabaseError"}:
        return (
            "database_error",
            f"The database does not answer as it should: {str(error).strip().splitlines()[0]}",
        )
    if isinstance(error, OSError) and error.strerror:
        where = f": {error.filename}" if error.filename else ""
        return "system_error", f"The system says: {error.strerror}{where}."
    return (
        "internal_error",
        f"Something unexpected went wrong ({kind.__name__}). PROVOST_DEBUG=1 shows where.",
    )


def _fail(code: str, message: str, status: int) -> None:
    if "--json" in sys.argv:
        print_json({"error": {"code": code, "message": message}})
    else:
        for line in message.splitlines():
            sys.stderr.write(f"provost: {make_inert(line)}\n")
    sys.exit(status)
