"""How a secret comes to a command: on standard input or in a file, never on the command line."""

import sys
from getpass import getpass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from provost.core.errors import Refused
from provost.core.secrets import Password, SshKey

if TYPE_CHECKING:
    from provost.core.requests import SecretBody

PassphraseStdin = Annotated[
    bool, typer.Option("--passphrase-stdin", help="Read the key file's passphrase from standard input.")
]


def read_password() -> Password:
    """Read a password: all of standard input but for one line end, or on a terminal what is typed unseen.

    Raises:
        Refused: it is empty, or not UTF-8.
    """
    text = _read_stdin("Password: ")
    if not text:
        raise Refused("No password came on standard input.", code="secret_refused")
    return Password(text)


def read_key(file: Path, *, passphrase_stdin: bool) -> SshKey:
    """Read a private key file, or a public one. A passphrase comes from standard input or is asked for.

    Raises:
        Refused: the file cannot be read, the key cannot be used, or the passphrase does not open it.
    """
    from provost.vault import keys

    try:
        text = file.read_text(encoding="utf-8")
    except OSError as error:
        raise Refused(f"The key file {file} cannot be read: {error.strerror}.", code="key_unreadable") from None
    except UnicodeDecodeError:
        raise Refused(f"The key file {file} does not hold text.", code="key_unreadable") from None
    passphrase = _read_stdin("Passphrase: ") if passphrase_stdin else None
    try:
        return keys.read_key(text, passphrase)
    except Refused as error:
        if error.code != "key_passphrase_needed":
            raise
        if not sys.stdin.isatty():
            raise Refused(f"{error.message} Add --passphrase-stdin.", code=error.code) from None
    return keys.read_key(text, getpass(f"Passphrase of {file}: "))


def _read_stdin(prompt: str) -> str:
    if sys.stdin.isatty():
        return getpass(prompt)
    try:
        return sys.stdin.buffer.read().decode().removesuffix("\n")
    except UnicodeDecodeError:
        raise Refused("What came on standard input is not UTF-8.", code="secret_refused") from None


def make_secret_body(secret: Password | SshKey) -> "SecretBody":
    """Return a secret as an operation takes it: of a key the private half, if there is one.

    Raises:
        Refused: it is longer than any that there is.
    """
    from provost.cli.call import say
    from provost.core.requests import SecretBody

    if isinstance(secret, Password):
        return say(SecretBody, password=secret.text)
    return say(SecretBody, key=secret.private or secret.public)
