"""Targets that exist in memory alone: to try Provost out, and to test all that is above a connector.

A host comes into being when it is first contacted, and lives as long as the process.  What goes wrong on it is
scripted by `Host.script`, which is called at every step and may raise what a real target would.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final

from pydantic import BaseModel, ConfigDict, Field

from provost.core.connector import (
    Applied,
    Change,
    Connector,
    Removal,
    Timeouts,
    Verification,
    Withdrawal,
    Witness,
    answer_each,
    check_expendable,
)
from provost.core.errors import (
    HostKeyRefused,
    LoginRefused,
    LoginUnanswered,
    LookupFailed,
    Refused,
    TargetError,
)
from provost.core.facts import Facts
from provost.core.job import Login, Target
from provost.core.keys import read_key_line
from provost.core.model import Become, Capability, Decision, Presence, SecretType, Verdict
from provost.core.passwords import PasswordLimits
from provost.core.secrets import Password, Secret


class Step(StrEnum):
    """Where a script is called, and with whose username. What it raises there, the target has answered."""

    OPEN = "open"
    """Before a privileged account logs in."""
    OBSERVE = "observe"
    """Before an account is looked up. `LookupFailed` is about this account, any other ends the look-up."""
    SET = "set"
    """Before a secret is set; an account that is being created is there by now, and incomplete."""
    WITHDRAW = "withdraw"
    """Before keys are taken away."""
    DISABLE = "disable"
    """Before an account is disabled."""
    ENABLE = "enable"
    """Before an account is enabled."""
    REMOVE = "remove"
    """Before an account is removed."""
    ANSWER = "answer"
    """After any of these five. At all of them `Unreachable` ends all answers, another error is this one's."""
    DISCOVER = "discover"
    """Before each account is told of, and with an empty name before the first."""
    VERIFY = "verify"
    """Before a verifying login: `LoginRefused` rejects it, others (`LoginUnanswered`) leave it unknown."""


Script = Callable[[Step, str], Awaitable[None]]


async def behave(_step: Step, _username: str) -> None:
    """Let everything go well."""


@dataclass(slots=True)
class Account:
    """An account on a host: public keys are OpenSSH lines, and `managed` are those that Provost put there."""

    password: str | None = None
    keys: set[str] = field(default_factory=set)
    managed: set[str] = field(default_factory=set)
    complete: bool = True
    uid: int | None = None
    groups: tuple[str, ...] = ()
    privileges: tuple[str, ...] = ()
    disabled: bool = False
    refused: int = 0
    """Logins that it was refused."""
    last_login: datetime | None = None

    def set_secret(self, secret: Secret, *, overlap: bool = False) -> None:
        """Set a password, or put a key in the place of those that Provost put there before; or beside them."""
        if isinstance(secret, Password):
            self.password = secret.text
            return
        if not overlap:
            self.withdraw(self.managed)
        self.keys.add(secret.public)
        self.managed.add(secret.public)

    def withdraw(self, keys: Iterable[str]) -> None:
        """Take keys away."""
        gone = set(keys)
        self.keys -= gone
        self.managed -= gone

    def accept(self, secret: Secret) -> bool:
        """Tell whether the account lets this secret in."""
        if not self.complete or self.disabled:
            return False
        return secret.text == self.password if isinstance(secret, Password) else secret.public in self.keys

    def accept_login(self, login: Login) -> bool:
        """Tell whether the account lets one of a login's secrets in."""
        return any(self.accept(secret) for secret in (login.key, login.password) if secret is not None)

    def describe(self, username: str) -> Facts:
        """Tell what can be told of it."""
        return Facts(
            username=username,
            uid=self.uid,
            groups=self.groups,
            system=False,
            can_log_in=self.complete and not self.disabled and bool(self.password or self.keys),
            locked=self.disabled or self.password is None,
            superuser=self.uid == 0,
            privileges=self.privileges,
            last_login=self.last_login,
            keys=tuple(key for line in sorted(self.keys) if (key := read_key_line(line))),
        )


@dataclass(slots=True)
class Host:
    """A target: its accounts, the host key that it shows (if any), and its script."""

    accounts: dict[str, Account] = field(default_factory=dict)
    key: str | None = None
    script: Script = behave

    def note_refusal(self, username: str) -> None:
        """Count a refused login."""
        if account := self.accounts.get(username):
            account.refused += 1


HOSTS: Final[dict[str, Host]] = {}
"""The hosts of this process by address, for connectors that are not given others."""


class Options(BaseModel):
    """What an asset may carry: the accounts that are there already, separated by commas."""

    model_config = ConfigDict(extra="forbid")

    present: str = Field("", description="accounts that are there already, separated by commas")


class Parameters(BaseModel):
    """An account in memory has nothing but its secrets."""

    model_config = ConfigDict(extra="forbid")


class RemovalParameters(BaseModel):
    """Nothing of an account in memory could be kept."""

    model_config = ConfigDict(extra="forbid")


class MemoryConnector:
    """The kind `memory`."""

    kind = "memory"
    default_port = 1
    secret_types = frozenset(SecretType)
    capabilities = frozenset(Capability)
    protected = frozenset({"root"})
    passwords = PasswordLimits(longest=1024)
    becomes = frozenset(Become)
    options: type[BaseModel] = Options
    parameters: type[BaseModel] = Parameters
    removal: type[BaseModel] = RemovalParameters

    def __init__(self, hosts: dict[str, Host] | None = None) -> None:
        self._hosts = HOSTS if hosts is None else hosts

    def check_username(self, username: str) -> None:
        """Refuse an empty username, and one with control characters."""
        if not username or not username.isprintable():
            raise Refused("A username has at least one character, all printable.", code="username_refused")

    async def open(self, target: Target, login: Login, timeouts: Timeouts, witness: Witness) -> "MemorySession":  # noqa: ARG002  # the contract's
        """Log in, if the script lets the account in; any secret will do for one that is not there.

        Raises:
            Unreachable: the script says so.
            LoginRefused: likewise, or the account lets none of the login's secrets in, or does not become root.
            HostKeyRefused: the host's key is not the pinned one, or not pinned and the trust is strict.
        """
        present = Options(**target.options).present.split(",")
        host = self._hosts.setdefault(target.address, Host({name: Account() for name in present if name}))
        try:
            await host.script(Step.OPEN, login.username)
            _check_host_key(host, target, witness)
            _check_login(host, target, login)
        except LoginRefused as error:
            host.note_refusal(login.asked if error.code.startswith("become_") else login.username)
            raise
        return MemorySession(host, target.asset, login)

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

    async def discover(self) -> Sequence[Facts]:
        """Tell of every account.

        Raises:
            TargetError: the script ended it.
        """
        await self._host.script(Step.DISCOVER, "")
        found = []
        for username, account in sorted(self._host.accounts.items()):
            await self._host.script(Step.DISCOVER, username)
            found.append(account.describe(username))
        return found

    def apply(self, changes: Sequence[Change]) -> AsyncIterator[Applied]:
        """Make the changes one after the other.

        Raises:
            Unreachable: the script broke the connection.
        """
        return answer_each(changes, self._set)

    def withdraw(self, withdrawals: Sequence[Withdrawal]) -> AsyncIterator[Applied]:
        """Take keys away; raises as `apply` does."""
        return answer_each(withdrawals, self._withdraw)

    def disable(self, usernames: Sequence[str]) -> AsyncIterator[Applied]:
        """Disable accounts; raises as `apply` does."""
        return answer_each(usernames, self._disable)

    def enable(self, usernames: Sequence[str]) -> AsyncIterator[Applied]:
        """Enable accounts; raises as `apply` does."""
        return answer_each(usernames, self._enable)

    def remove(self, removals: Sequence[Removal]) -> AsyncIterator[Applied]:
        """Remove accounts; raises as `apply` does."""
        return answer_each(removals, self._remove)

    async def verify(self, username: str, secret: Secret) -> Verification:
        """Compare the secret with the account's."""
        try:
            await self._host.script(Step.VERIFY, username)
        except LoginUnanswered as error:
            self._host.note_refusal(username)
            return Verification(Verdict.UNKNOWN, error.code, error.message, refused=True)
        except LoginRefused as error:
            self._host.note_refusal(username)
            return Verification(Verdict.REJECTED, error.code, error.message, refused=True)
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
        self._host.note_refusal(username)
        return Verification(
            Verdict.REJECTED, "login_rejected", f"{self._asset} did not let {username} in.", refused=True
        )

    async def close(self) -> None:
        """Do nothing."""

    def _look_up(self, username: str) -> Presence:
        account = self._host.accounts.get(username)
        if account is None:
            return Presence.ABSENT
        return Presence.PRESENT if account.complete else Presence.INCOMPLETE

    async def _set(self, change: Change) -> str:
        if change.decision is not Decision.ADOPT:
            self._host.accounts.setdefault(change.username, Account(complete=False))
        await self._host.script(Step.SET, change.username)
        account = self._host.accounts[change.username]
        for secret in (change.secret, *change.others):
            account.set_secret(secret, overlap=change.overlap)
        account.complete = True
        return await self._acknowledge(change.username)

    async def _withdraw(self, withdrawal: Withdrawal) -> str:
        await self._host.script(Step.WITHDRAW, withdrawal.username)
        if account := self._host.accounts.get(withdrawal.username):
            gone = account.managed | {key.public for key in withdrawal.gone}
            account.withdraw(gone - {withdrawal.keep.public})
        return await self._acknowledge(withdrawal.username)

    async def _disable(self, username: str) -> str:
        self._check_expendable(username)
        await self._host.script(Step.DISABLE, username)
        if account := self._host.accounts.get(username):
            account.disabled = True
        return await self._acknowledge(username)

    async def _enable(self, username: str) -> str:
        await self._host.script(Step.ENABLE, username)
        if account := self._host.accounts.get(username):
            account.disabled = False
        return await self._acknowledge(username)

    async def _remove(self, removal: Removal) -> str:
        self._check_expendable(removal.username)
        await self._host.script(Step.REMOVE, removal.username)
        self._host.accounts.pop(removal.username, None)
        return await self._acknowledge(removal.username)

    async def _acknowledge(self, username: str) -> str:
        await self._host.script(Step.ANSWER, username)
        return ""

    def _check_expendable(self, username: str) -> None:
        account = self._host.accounts.get(username)
        needed = username in MemoryConnector.protected or (account is not None and account.uid == 0)
        check_expendable(username, self._asset, acts=username == self.actor, needed=needed)


def _check_login(host: Host, target: Target, login: Login) -> None:
    account = host.accounts.get(login.username)
    if account is None:
        return
    if not account.accept_login(login):
        raise LoginRefused(f"{target.asset} refused the login of {login.username}.")
    asked = {Become.NONE: None, Become.SUDO: account, Become.SU: host.accounts.get("root")}[login.become]
    if asked is not None and (login.become_password is None or asked.password != login.become_password.text):
        raise LoginRefused(f"{login.become} did not make {login.username} root.", code="become_refused")


def _check_host_key(host: Host, target: Target, witness: Witness) -> None:
    if host.key is None or host.key in target.trust.pinned:
        return
    if target.trust.pinned:
        raise HostKeyRefused(f"The host key of {target.asset} has changed.")
    if target.trust.strict:
        raise HostKeyRefused(f"The host key of {target.asset} is not known.", code="host_key_unknown")
    witness.see_host_key(target.asset_id, host.key)


connector: type[Connector] = MemoryConnector
