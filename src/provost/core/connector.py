"""The contract between the engine and the code that talks to one kind of target.

A connector raises `provost.core.errors.TargetError`s; it never returns a failure as an answer, and no error
of its own holds a secret.  It writes nothing but the target.
"""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from pydantic import BaseModel

from provost.core.errors import TargetError
from provost.core.job import Target
from provost.core.model import Decision, Presence, SecretType, Verdict
from provost.core.secrets import Secret

NoteHostKey = Callable[[int, str], None]
"""Called with (asset_id, OpenSSH public key line) when a host shows a key that nothing is known about."""


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds for each step: a connection with its login, and one exchange on it."""

    connect: float = 20.0
    command: float = 60.0


@dataclass(frozen=True, slots=True)
class Change:
    """One account to create, adopt or restore, with the secret to set. Applied twice, it is applied once.

    `others` are secrets of other types that an account that is created gets as well.
    """

    username: str
    decision: Decision
    secret: Secret
    parameters: BaseModel
    others: tuple[Secret, ...] = ()


@dataclass(frozen=True, slots=True)
class Applied:
    """The target's answer to one change: acknowledged, or an error.

    `ChangeRefused` means that certainly nothing was set; any other error that something may have been.
    """

    username: str
    error: TargetError | None = None


@dataclass(frozen=True, slots=True)
class Verification:
    """What a fresh login told, and for anything but `accepted` a code and a sentence why."""

    verdict: Verdict
    reason: str = ""
    message: str = ""


class Session(Protocol):
    """A privileged session on one target: one connection, however many accounts."""

    actor: str
    """The privileged account that acts."""

    async def observe(self, usernames: Sequence[str]) -> Mapping[str, Presence | TargetError]:
        """Tell for each username what is on the target; a look-up that failed is an error, never `absent`."""
        ...

    def apply(self, changes: Sequence[Change]) -> AsyncIterator[Applied]:
        """Make the changes and yield each answer as it comes, in any order.

        A connection that breaks ends the iterator with an error: what was not answered is then unknown.
        """
        ...

    async def verify(self, username: str, secret: Secret) -> Verification:
        """Log in afresh with `secret`, by the same route, once.  Never raises a TargetError.

        Several accounts may be verified at once.
        """
        ...

    async def close(self) -> None:
        """End the session. Never raises."""
        ...


class Connector(Protocol):
    """One kind of target. An instance serves one run and may share connections (gateways) within it."""

    kind: str
    default_port: int
    secret_types: frozenset[SecretType]
    options: type[BaseModel]
    """What an asset of this kind may carry (`provost asset add --option K=V`)."""
    parameters: type[BaseModel]
    """What a push to this kind may carry (`provost push --param K=V`)."""

    def check_username(self, username: str) -> None:
        """Raise `Refused` for a username that this kind cannot set exactly."""
        ...

    def check_secret(self, secret: Secret) -> None:
        """Raise `Refused` for a secret that this kind cannot set exactly."""
        ...

    async def open(self, target: Target, timeouts: Timeouts, note_host_key: NoteHostKey) -> Session:
        """Log in with the target's privileged accounts in turn, until one is accepted and is root.

        Raises:
            Unreachable: no connection; no other account was tried.
            LoginRefused: every privileged account was refused; each was tried once.
            HostKeyRefused: the host is not the one it was.
        """
        ...

    async def close(self) -> None:
        """End what sessions shared. Never raises."""
        ...
