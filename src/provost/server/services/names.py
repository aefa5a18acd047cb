"""What a name may be, what to say when nothing has it, and whether what has it is what the caller saw."""

from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from typing import Protocol

from provost.core.errors import Conflict, NotFound, Refused

_SHOWN = 10
_LONGEST = 255
_COMPARED = 500
"""How many names are compared letter by letter: among very many, those that begin alike."""


class Versioned(Protocol):
    """Something that counts its changes."""

    version: int


def check_name(what: str, name: str) -> None:
    """Raise `Refused` for a name that could not be told apart on a command line, or shown."""
    if not name or len(name) > _LONGEST:
        raise Refused(f"The name of {what} has 1 to {_LONGEST} characters.", code="name_refused")
    if (
        not name.isprintable()
        or " " in name
        or set("@/") & set(name)
        or name.startswith("-")
        or name in {".", ".."}
    ):
        raise Refused(
            f"{name!r} cannot be the name of {what}: no spaces, no @ or /, no control characters, no leading "
            "dash.",
            code="name_refused",
        )


def check_version(thing: Versioned, seen: int | None) -> None:
    """Raise `Conflict` for something that is not the version that the caller saw (None: did not look)."""
    if seen is not None and thing.version != seen:
        raise Conflict(
            f"{thing} was changed in the meantime: look at it again (it was version {seen}, and is "
            f"{thing.version}).",
            code="version_outdated",
        )


def describe_missing(what: str, missing: Sequence[str], known: Iterable[str], *, code: str) -> NotFound:
    """Return the error that says what is missing and lists what there is, the closest to it first."""
    names = sorted(known)
    first, more = missing[0], len(missing) - 1
    close = get_close_matches(first, _shortlist(first, names), n=_SHOWN, cutoff=0.5)
    shown = (close + [name for name in names[: _SHOWN + len(close)] if name not in close])[:_SHOWN]
    text = f"There is no {what} {first!r}" + (f" (nor {more} others)" if more else "") + "."
    if not shown:
        text += f" There is no {what} at all yet."
    else:
        rest = len(names) - len(shown)
        text += f" There is: {', '.join(shown)}" + (f" and {rest} more." if rest else ".")
    return NotFound(text, code=code)


def _shortlist(name: str, names: Sequence[str]) -> Sequence[str]:
    length = 0
    while len(names) > _COMPARED and length < len(name):
        length += 1
        alike = [one for one in names if one[:length] == name[:length]]
        if not alike:
            break
        names = alike
    return names[:_COMPARED]
