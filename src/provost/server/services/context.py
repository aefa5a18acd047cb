"""What is being worked on just now, for the log: the request, and the run."""

from contextvars import ContextVar
from dataclasses import dataclass
from typing import Final


@dataclass(slots=True)
class Request:
    """A request on its way. `source` is the client's address; the last two are filled in as they are known."""

    id: str
    source: str
    secure: bool
    principal: str = ""
    route: str = ""


request: Final[ContextVar[Request | None]] = ContextVar("request", default=None)
"""The request, in whatever serves it."""

run_id: Final[ContextVar[str]] = ContextVar("run_id", default="")
"""The run, in whatever works on it: its worker sets this."""


def note_principal(name: str) -> None:
    """Tell who makes the request that is being served, once it is known."""
    if (current := request.get()) is not None:
        current.principal = name
