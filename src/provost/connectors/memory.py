"""Targets that exist in memory alone: to try Provost out, and to test all that is above a connector.

A host comes into being when it is first contacted, and lives as long as the process.  What goes wrong on it is
scripted by `Host.script`, which is called at every step and may raise what a real target would.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from pydantic import BaseModel, ConfigDict

from provost.core.connector import Applied, Change, Connector, NoteHostKey, Timeouts, Verification
from provost.core.errors import HostKeyRefused, LoginRefused, LookupFailed, Refused, TargetError, Unreachable
from provost.core.job import Login, Target
from provost.core.model import Decision, Presence, SecretType, Verdict
from provost.core.secrets import Password, Secret


class Step(StrEnum):
    """Where a script is called, and with whose username. What it raises there, the target has answered."""

    OPEN = "open"
    """Before a privileged account logs in."""
    OBSERVE = "observe"
    """Before an account is looked up. `LookupFailed` is about this account, any other ends the look-up."""
    SET = "set"
    """Before a secret is set; an account that is being created is there by now, and incomplete."""
    ANSWER = "answer"
    """After a secret was set. At both of these `Unreachable` ends all answers, another error is this one's."""
    VERIFY = "verify"
    """Before a verifying login: `LoginRefused` rejects it, another error leaves it unknown."""


Script = Callable[[Step, str], Awaitable[None]]


async def behave(_step: Step, _username: str) -> None:
    """Let everything go well."""


@dataclass(slots=True)
class Account:
    """An account on a host: public keys are OpenSSH lines, and `managed` is the one that Provost put there."""

    password: str | None = None
    keys: set[str] = field(default_factory=set)
    managed: str | None = None
    complete: bool = True

    def set_secret(self, secret: Secret) -> None:
        """Set a password, or put a key in the place of the one that Provost put there before."""
        if isinstance(secret, Password):
            self.password = secret.text
        else:
            self.keys -= {self.managed}
            self.keys.add(secret.public)
            self.managed = secret.public

    def accept(self, secret: Secret) -> bool:
        """Tell whether the account lets this secret in."""
        if not self.complete:
            return False
        return secret.text == self.password if isinstance(secret, Password) else secret.public in self.keys


@dataclass(slots=True)
class Host:
    """A target: its accounts, the host key that it shows (if any), and its script."""

    accounts: dict[str, Account] = field(default_factory=dict)
    key: str | None = None
    script: Script = behave


HOSTS: Final[dict[str, Host]] = {}
"""The hosts of this process by address, for connectors that are not given others."""


class Options(BaseModel):
    """What an asset may carry: the accounts that are there already, separated by commas."""

    model_config = ConfigDict(extra="forbid")

    present: str = ""


class Parameters(BaseModel):
    """An account in memory has nothing but its secrets."""

    model_config = ConfigDict(extra="forbid")


class MemoryConnector:
    """The kind `memory`."""

    kind = "memory"
    default_port = 1
    secret_types = frozenset(SecretType)
    options: type[BaseModel] = Options
    parameters: type[BaseModel] = Parameters

    def __init__(self, hosts: dict[str, Host] | None = None) -> None:
        self._hosts = HOSTS if hosts is None else hosts

    def check_username(self, username: str) -> None:
        """Refuse an empty username."""
        if not username:
            raise Refused("A username cannot be empty.", code="username_refused")

    def check_secret(self, secret: Secret) -> None:
        """Refuse an empty password."""
        if isinstance(secret, Password) and not secret.text:
            raise Refused("A password cannot be empty.", code="secret_refused")

    async def open(self, target: Target, timeouts: Timeouts, note_host_key: NoteHostKey) -> "MemorySession":  # noqa: ARG002  # the contract's
        """Log in with the first privileged account that the script lets in; any secret will do.

        Raises:
            Unreachable: the script says so.
            LoginRefused: the script refused every one.
            HostKeyRefused: the host's key is not the pinned one, or not pinned and the trust is strict.
        """
        present = Options(**target.options).present.split(",")
        host = self._hosts.setdefault(target.address, Host({name: Account() for name in present if name}))
        refused = LoginRefused(f"{target.asset} has no privileged account.")
        for login in target.logins:
            try:
                await host.script(Step.OPEN, login.username)
            except LoginRefused as error:
                refused = error
            else:
                _check_host_key(host, target, note_host_key)
                return MemorySession(host, target.asset, login)
        raise refused

    async def close(self) -> None:
        """Do nothing: sessions share nothing."""


class MemorySession:
    """A session on one host."""

    def __init__(self, host: Host, asset: str, login: Login) -> None:
        self.actor = login.username
        self._host = host
        self._asset = asset

    async def observe(self, usernames: Sequence[str]) -> Mapping[str, Presence | TargetError]:
        """Tell what is on the host.

        Raises:
            TargetError: the script ended the look-up.
        """
        found: dict[str, Presence | TargetError] = {}
        for username in usernames:
            try:
                await self._host.script(Step.OBSERVE, username)
                found[username] = self._look_up(username)
            except LookupFailed as error:
                found[username] = error
        return found

    async def apply(self, changes: Sequence[Change]) -> AsyncIterator[Applied]:
        """Make the changes one after the other.

        Raises:
            Unreachable: the script broke the connection.
        """
        for change in changes:
            error: TargetError | None = None
            try:
                await self._set(change)
            except Unreachable:
                raise
            except TargetError as met:
                error = met
            yield Applied(change.username, error)

    async def verify(self, username: str, secret: Secret) -> Verification:
        """Compare the secret with the account's."""
        try:
            await self._host.script(Step.VERIFY, username)
        except LoginRefused as error:
            return Verification(Verdict.REJECTED, error.code, error.message)
        except TargetError as error:
            return Verification(Verdict.UNKNOWN, error.code, error.message)
        if not isinstance(secret, Password) and secret.private is None:
            return Verification(
                Verdict.UNKNOWN,
                "no_private_half",
                "Provost holds only the public half of this key.",
            )
        account = self._host.accounts.get(username)
        if account is not None and account.accept(secret):
            return Verification(Verdict.ACCEPTED)
        return Verification(Verdict.REJECTED, "login_rejected", f"{self._asset} did not let {username} in.")

    async def close(self) -> None:
        """Do nothing."""

    def _look_up(self, username: str) -> Presence:
        account = self._host.accounts.get(username)
        if account is None:
            return Presence.ABSENT
        return Presence.PRESENT if account.complete else Presence.INCOMPLETE

    async def _set(self, change: Change) -> None:
        if change.decision is not Decision.ADOPT:
            self._host.accounts.setdefault(change.username, Account(complete=False))
        await self._host.script(Step.SET, change.username)
        account = self._host.accounts[change.username]
        for secret in (change.secret, *change.others):
            account.set_secret(secret)
        account.complete = True
        await self._host.script(Step.ANSWER, change.username)


def _check_host_key(host: Host, target: Target, note_host_key: NoteHostKey) -> None:
    if host.key is None or host.key in target.trust.pinned:
        return
    if target.trust.pinned:
        raise HostKeyRefused(f"The host key of {target.asset} has changed.")
    if target.trust.strict:
        raise HostKeyRefused(f"The host key of {target.asset} is not known.", code="host_key_unknown")
    note_host_key(target.asset_id, host.key)


connector: type[Connector] = MemoryConnector
