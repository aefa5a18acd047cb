"""SSH keys of accounts on targets, for every kind that holds some.

The underscore keeps this module out of the list of kinds.
"""

import re
from enum import StrEnum
from typing import Annotated, Final

from pydantic import AfterValidator

KEY_MARK: Final = "provost-managed"
"""The comment of every key that Provost puts somewhere."""


class KeyStrategy(StrEnum):
    """What happens to the keys that an account has already."""

    APPEND = "append"
    REPLACE_MANAGED = "replace_managed"
    EXCLUSIVE = "exclusive"


def check_line(text: str) -> str:
    """Refuse what is no line of text, for pydantic."""
    if any(ord(c) < ord(" ") or c == "\x7f" for c in text):
        raise ValueError("may hold no control character")
    if any("\ud800" <= c <= "\udfff" for c in text):
        raise ValueError("is not valid Unicode")
    return text


# sshd(8), AUTHORIZED_KEYS FILE FORMAT; without cert-authority, which would make the key something else.
_KEY_FLAGS = (
    "agent-forwarding|no-agent-forwarding|no-port-forwarding|no-pty|no-user-rc|no-X11-forwarding|port-forwarding|"
    "pty|no-touch-required|verify-required|restrict|user-rc|X11-forwarding"
)
_KEY_VALUES = "command|environment|expiry-time|from|permitlisten|permitopen|principals|tunnel"
_KEY_OPTION = rf'(?:(?i:{_KEY_FLAGS})|(?i:{_KEY_VALUES})="(?:[^"\\]|\\.)*")'


def _check_key_options(text: str) -> str:
    if text and not re.fullmatch(rf"{_KEY_OPTION}(?:,{_KEY_OPTION})*", text):
        raise ValueError(
            'are not options as sshd(8) has them, such as from="10.0.0.0/8",no-pty (with the quotes)'
        )
    return check_line(text)


KeyOptions = Annotated[str, AfterValidator(_check_key_options)]


def write_key_line(public: str, options: str) -> str:
    """Return the line that holds a key of Provost's."""
    return f"{options} {public} {KEY_MARK}" if options else f"{public} {KEY_MARK}"
