"""What the engine is given and what it gives back: values only, no database, no sockets."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Final
from uuid import UUID

from pydantic import BaseModel

from provost.core.facts import Facts
from provost.core.model import Action, Become, Decision, SecretType, Status, Verdict
from provost.core.secrets import Password, Secret, SshKey

SUPERUSER: Final = "root"
"""Whose password su asks for."""


@dataclass(frozen=True, slots=True)
class Login:
    """A way into a target: a username, its secrets, and how it becomes root there.

    `become_password` is what sudo (the login's own password) or su (root's) asks for; None when not held.
    `staged` are the pending secrets among these: a login that is accepted proves them.  `tries` is how many
    refused logins the account can still afford in this hour, `asked_tries` how many the `asked` one.
    """

    username: str
    password: Password | None = None
    key: SshKey | None = None
    become: Become = Become.NONE
    become_password: Password | None = None
    staged: tuple[UUID, ...] = ()
    tries: int = 2
    asked_tries: int = 2

    @property
    def asked(self) -> str:
        """The account whose password it takes to become root."""
        return {Become.NONE: "", Become.SUDO: self.username, Become.SU: SUPERUSER}[self.become]

    def renew(self, username: str, secret: Secret) -> "Login":
        """Return the login as it is once an account has a new secret."""
        mine = username == self.username
        if isinstance(secret, SshKey):
            return replace(self, key=secret, staged=()) if mine else self
        return replace(
            self,
            password=secret if mine else self.password,
            become_password=secret if username == self.asked else self.become_password,
            staged=(),
        )


@dataclass(frozen=True, slots=True)
class HostTrust:
    """Which host keys are believed: pinned keys (OpenSSH lines), and an OpenSSH known_hosts file's.

    With `strict`, a host that neither knows is refused instead of being pinned at first contact.
    """

    pinned: tuple[str, ...] = ()
    known_hosts: str | None = None
    strict: bool = False


@dataclass(frozen=True, slots=True)
class Target:
    """An asset as a connector needs it. `logins` are its privileged accounts in order of their priority."""

    asset_id: int
    asset: str
    kind: str
    address: str
    port: int
    logins: tuple[Login, ...]
    options: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    trust: HostTrust = HostTrust()
    via: "Target | None" = None


@dataclass(frozen=True, slots=True)
class Staged:
    """A pending secret. `fresh`: staged for this very run, so it cannot be on the target yet."""

    id: UUID
    secret: Secret
    fresh: bool


@dataclass(frozen=True, slots=True)
class Wanted:
    """One account that a job is about, and the type of secret (None: it is about the account as a whole).

    `current` is the secret that the list holds (None: not in the list, for this secret type).
    `pending` holds the staged secrets, the one to set first.  `others` are the list's secrets of other types:
    an account that is created gets them too, since it counts as being there from then on.

    `login` is the one that this account's secret is part of, as its own or as what su asks for: a new secret is
    proven by a session as root.  `tries` is how many refused logins the account can still afford in this hour.
    `out_of_sync`: the target refused its current secret not long ago, and another login need not tell it again.
    """

    username: str
    secret_type: SecretType | None = None
    current: Secret | None = None
    pending: tuple[Staged, ...] = ()
    others: tuple[Secret, ...] = ()
    login: Login | None = None
    tries: int = 2
    out_of_sync: bool = False


@dataclass(frozen=True, slots=True)
class Job:
    """All that is wanted on one asset in one run. Each asset is in one job at a time.

    `parameters` are those of the kind for a push, or for a removal.  A discovery wants one account without a
    name.
    """

    target: Target
    wanted: tuple[Wanted, ...]
    parameters: BaseModel
    action: Action = Action.PUSH
    verify: bool = True
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one wanted account ended.

    `settled` is the pending secret that is now the account's: set and acknowledged, or found in force by a
    probe.  `actor` is the privileged account that acted.  `message` is clean of secrets and control characters.
    `verdict` is what a login told of the secret that the account has now; None: there was none.  `found` is
    what a discovery found.
    """

    asset_id: int
    username: str
    status: Status
    secret_type: SecretType | None = None
    decision: Decision | None = None
    reason: str = ""
    message: str = ""
    seconds: float = 0.0
    actor: str = ""
    settled: UUID | None = None
    verdict: Verdict | None = None
    found: tuple[Facts, ...] = ()
