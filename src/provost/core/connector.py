"""The contract between the engine and the code that talks to one kind of target.

A connector raises `provost.core.errors.TargetError`s; it never returns a failure as an answer, and no error
of its own holds a secret.  It writes nothing but the target.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, Self, TypeVar

from pydantic import BaseModel

from provost.core.errors import ChangeRefused, LoginRefused, LoginUnanswered, TargetError, Unreachable
from provost.core.facts import Facts
from provost.core.job import Login, Target
from provost.core.model import Become, Capability, Decision, Presence, SecretType, Verdict
from provost.core.passwords import PasswordLimits
from provost.core.secrets import Secret, SshKey


class Witness(Protocol):
    """Is told what a connector sees on its way, besides its answers."""

    def see_host_key(self, asset_id: int, key: str) -> None:
        """Take note of a host key (an OpenSSH public key line) that nothing is known about."""
        ...

    def see_refusal(self, asset_id: int, username: str) -> None:
        """Take note of a refused login that no error and no answer tells of.

        Too many of these lock an account out.  It was a gateway's; or it was given a password, and broken off
        before that was answered.
        """
        ...


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds for each step: a connection with its login, and one exchange on it."""

    connect: float = 20.0
    command: float = 60.0


@dataclass(frozen=True, slots=True)
class Change:
    """One account to create, adopt or restore, with the secret to set. Applied twice, it is applied once.

    `others` are secrets of other types that an account that is created gets as well.  `adopt` sets a secret on
    an account that is there, whatever it is set for; with `overlap`, a new key leaves all others where they
    are, and gets the options of `replaces`, the key that it comes after, unless the parameters give it some.
    """

    username: str
    decision: Decision
    secret: Secret
    parameters: BaseModel
    others: tuple[Secret, ...] = ()
    overlap: bool = False
    replaces: SshKey | None = None


@dataclass(frozen=True, slots=True)
class Withdrawal:
    """Keys to take away from an account: those in `gone`, and all others that Provost put there but `keep`."""

    username: str
    keep: SshKey
    gone: tuple[SshKey, ...] = ()


@dataclass(frozen=True, slots=True)
class Removal:
    """One account to remove from the target. `parameters` are of the kind's own model, `Connector.removal`."""

    username: str
    parameters: BaseModel


@dataclass(frozen=True, slots=True)
class Applied:
    """The target's answer to one change: acknowledged, or an error.

    `ChangeRefused` means that certainly nothing was set; any other error that something may have been.
    `message` is what the operator should know of a change that was acknowledged: where an archive is, what
    stayed.
    """

    username: str
    error: TargetError | None = None
    message: str = ""


@dataclass(frozen=True, slots=True)
class Verification:
    """What a fresh login told, and for anything but `accepted` a code and a sentence why.

    `refused`: the target heard a secret and said no, whatever that means; or it was given a password, and
    perhaps said no (`LoginUnanswered`).  Too many of these lock an account out.
    """

    verdict: Verdict
    reason: str = ""
    message: str = ""
    refused: bool = False

    @classmethod
    def from_error(cls, error: TargetError) -> Self:
        """Return what a login told that ended with an error: whoever was refused as such has a wrong secret."""
        if error.code == LoginRefused.code:
            return cls(Verdict.REJECTED, "login_rejected", error.message, refused=True)
        return cls(Verdict.UNKNOWN, error.code, error.message, refused=isinstance(error, LoginUnanswered))


_Wanted = TypeVar("_Wanted")


def expect(given: object, wanted: type[_Wanted]) -> _Wanted:
    """Return what the engine gave, as what this kind declares for it: parameters of its model, a password.

    Raises:
        TypeError: it is another kind's.
    """
    if not isinstance(given, wanted):
        raise TypeError(f"what belongs here is a {wanted.__name__}, and no {type(given).__name__}")
    return given


def check_expendable(username: str, asset: str, *, acts: bool, needed: bool) -> None:
    """Refuse to disable or remove an account that acts in this session, or that the target needs.

    Raises:
        ChangeRefused: `acting_account` or `protected_account`.
    """
    if acts:
        raise ChangeRefused(f"{username} acts on {asset} itself.", code="acting_account")
    if needed:
        raise ChangeRefused(f"{asset} cannot do without {username}.", code="protected_account")


_Item = TypeVar("_Item", str, Change, Withdrawal, Removal)


async def answer_each(items: Iterable[_Item], act: Callable[[_Item], Awaitable[str]]) -> AsyncIterator[Applied]:
    """Do one thing after the other, and yield an answer to each: for connectors that cannot do many at once.

    `act` returns a message for the operator, mostly an empty one, and what it raises is the answer.

    Raises:
        Unreachable: the connection broke, which ends all answers.
    """
    for item in items:
        username = item if isinstance(item, str) else item.username
        try:
            message = await act(item)
        except Unreachable:
            raise
        except TargetError as error:
            yield Applied(username, error)
        else:
            yield Applied(username, message=message)


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

    async def discover(self) -> Sequence[Facts]:
        """Tell what accounts there are on the target, each once, and what they can do.

        What of an account could not be read is None there: it is not "nothing".

        Raises:
            LookupFailed: the accounts cannot be listed, or not all of them.
        """
        ...

    def withdraw(self, withdrawals: Sequence[Withdrawal]) -> AsyncIterator[Applied]:
        """Take keys away and yield each answer. One that is not there is no error."""
        ...

    def disable(self, usernames: Sequence[str]) -> AsyncIterator[Applied]:
        """Let accounts in no more, by any secret, and end what they have running. Twice is once."""
        ...

    def enable(self, usernames: Sequence[str]) -> AsyncIterator[Applied]:
        """Let disabled accounts in again, by the secrets that they had. One that lets in is no error."""
        ...

    def remove(self, removals: Sequence[Removal]) -> AsyncIterator[Applied]:
        """Remove accounts with what Provost made for them. One that is not there is no error.

        An account that a system cannot do without, or that acts in this session, is refused: `ChangeRefused`.
        """
        ...

    async def close(self) -> None:
        """End the session. Never raises."""
        ...


class PlainSession:
    """What a session may inherit: the methods that are not called, as its kind does not declare them."""

    async def discover(self) -> Sequence[Facts]:
        """See `Session.discover`."""
        raise NotImplementedError

    def withdraw(self, withdrawals: Sequence[Withdrawal]) -> AsyncIterator[Applied]:
        """See `Session.withdraw`."""
        raise NotImplementedError

    def disable(self, usernames: Sequence[str]) -> AsyncIterator[Applied]:
        """See `Session.disable`."""
        raise NotImplementedError

    def enable(self, usernames: Sequence[str]) -> AsyncIterator[Applied]:
        """See `Session.enable`."""
        raise NotImplementedError

    def remove(self, removals: Sequence[Removal]) -> AsyncIterator[Applied]:
        """See `Session.remove`."""
        raise NotImplementedError


class Connector(Protocol):
    """One kind of target. An instance serves one run and may share connections (gateways) within it."""

    kind: str
    default_port: int
    secret_types: frozenset[SecretType]
    capabilities: frozenset[Capability]
    """Which of a session's methods of these names may be called; `withdraw` comes with SSH keys."""
    passwords: PasswordLimits
    """What a password may be here: specified ones and the rules of random ones are checked before contact."""
    becomes: frozenset[Become]
    """How a privileged account may come by its rights; `none`: it has them by itself."""
    options: type[BaseModel]
    """What an asset of this kind may carry (`provost asset add --option K=V`)."""
    parameters: type[BaseModel]
    """What a push to this kind may carry (`provost push --param K=V`)."""
    protected: frozenset[str]
    """Usernames that a target of this kind cannot do without: they are never disabled or removed."""
    removal: type[BaseModel]
    """What a removal may carry (`provost remove --param K=V`)."""

    def check_username(self, username: str) -> None:
        """Raise `Refused` for a username that this kind cannot set exactly."""
        ...

    async def open(self, target: Target, login: Login, timeouts: Timeouts, witness: Witness) -> Session:
        """Log in as a privileged account, once, and make sure that it may do there what sessions do.

        `target.logins` are not looked at: whoever calls tries one after the other.

        Raises:
            Unreachable: no connection.
            LoginRefused: the account was refused, or is not privileged there.
            LoginUnanswered: it was given a password, and the connection ended or no answer came in time.
            HostKeyRefused: the host is not the one it was.
        """
        ...

    async def close(self) -> None:
        """End what sessions shared. Never raises."""
        ...
