"""Which Provost the commands work on: the data folder here, or a server elsewhere."""

import os
from contextvars import ContextVar
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Final
from urllib.parse import urlsplit

import typer

from provost.core.errors import Refused

LOCAL_VERBS: Final = frozenset({"init", "serve", "check", "lab"})
"""Commands that are about this machine, whatever the server."""

_OTHERS: Final = 0o077


@dataclass(frozen=True, slots=True)
class Server:
    """A server to ask. `url` ends without a slash; `ca_file`: who signs its certificate (None: the usual)."""

    url: str
    token_file: Path | None = None
    ca_file: Path | None = None


_chosen: ContextVar[Server | None] = ContextVar("_chosen", default=None)


def choose(server: Server | None, *, verb: str | None) -> None:
    """Let the commands from here on ask a server, or (None) work here. `verb` is the command that comes.

    Raises:
        Refused: `server_refused`, the address cannot be used; or `usage`, the command works here alone.
    """
    if server is not None:
        if verb in LOCAL_VERBS:
            raise Refused(
                f"provost {verb} works on this machine alone: leave out --server and PROVOST_SERVER.",
                code="usage",
            )
        _check_url(server.url)
    _chosen.set(server)


def find_chosen() -> Server | None:
    """Return the server that is asked; None: commands work here."""
    return _chosen.get()


def _check_url(url: str) -> None:
    """Make sure that a token may be sent there.

    Raises:
        Refused: the URL has another form, or would carry the token and secrets in the clear.
    """
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port  # the port is read when it is asked for
    except ValueError:
        host = None
    if (
        not host
        or parts.scheme not in {"https", "http"}
        or "@" in parts.netloc
        or parts.query
        or parts.fragment
    ):
        # The URL is not shown: it may hold a password.
        raise Refused(
            "The address of a server is written like https://provost.example.org, without a name or password.",
            code="server_refused",
        )
    if parts.scheme == "http" and not _is_loopback(host):
        raise Refused(
            f"http:// would show the token and secrets to everyone on the way to {host}: use https://. "
            "Plain http is for this machine alone, such as http://127.0.0.1:8000.",
            code="server_refused",
        )


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def read_token(server: Server) -> str:
    """Read the token that a server is asked with, from a file that nobody else may read.

    Raises:
        Refused: `token_needed`, `token_unreadable`, or `token_exposed`: others may read the file.
    """
    file = server.token_file
    if file is None:
        raise Refused(
            "A server wants a token: name the file that holds it, by PROVOST_TOKEN_FILE or --token-file.",
            code="token_needed",
        )
    try:
        with file.open(encoding="ascii") as opened:
            status = os.fstat(opened.fileno())
            token = opened.read(4096).strip()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not text"
        raise Refused(f"The token file {file} cannot be read: {why}.", code="token_unreadable") from None
    if status.st_mode & _OTHERS:
        raise Refused(
            f"The token file {file} has mode {status.st_mode & 0o777:04o}: others may read it. "
            f"Run: chmod 600 {file}",
            code="token_exposed",
        )
    if not token or not token.isprintable() or " " in token:
        raise Refused(f"The token file {file} does not hold a token.", code="token_unreadable")
    return token


Detach = Annotated[bool, typer.Option("--detach", help="Leave the run to the server, instead of following it.")]


def check_detach(*, detach: bool) -> None:
    """Make sure that there is a server to leave a run to.

    Raises:
        Refused: `usage`, the run would be worked off here.
    """
    if detach and find_chosen() is None:
        raise Refused("--detach leaves a run to a server: say which by --server.", code="usage")
