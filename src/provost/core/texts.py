"""What no text may hold, wherever it comes from: the databases could not keep it."""

from typing import Any

from provost.core.errors import Refused


def check_text(value: Any) -> None:
    """Raise `Refused` where a text holds a NUL character, or half of one that takes two (a lone surrogate)."""
    if isinstance(value, str):
        if "\0" in value or not _is_whole(value):
            raise Refused("A text holds a character that is none.", code="request_invalid")
    elif isinstance(value, dict):
        for name, part in value.items():
            check_text(name)
            check_text(part)
    elif isinstance(value, list | tuple):
        for part in value:
            check_text(part)


def _is_whole(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def mend_text(value: Any) -> Any:
    """Return what a target said with a mark in the place of each character that no text may hold."""
    if isinstance(value, str):
        return value.encode(errors="replace").decode().replace("\0", "\N{REPLACEMENT CHARACTER}")
    if isinstance(value, dict):
        return {mend_text(name): mend_text(part) for name, part in value.items()}
    if isinstance(value, list):
        return [mend_text(part) for part in value]
    return value
