from dataclasses import dataclass
from uuid import UUID

from provost.core.job import Outcome


@dataclass(frozen=True, slots=True)
class Started:
    """Work on an asset has begun. An asset that a cancelled run never came to has no such event."""

    asset_id: int


@dataclass(frozen=True, slots=True)
class HostKeySeen:
    """A host, or a gateway on the way to one, showed a key that nothing is known about: an OpenSSH line."""

    asset_id: int
    key: str


@dataclass(frozen=True, slots=True)
class RefusalSeen:
    """A target refused a login; or was given a password, and perhaps did."""

    asset_id: int
    username: str


@dataclass(frozen=True, slots=True)
class SecretProven:
    """A privileged account got in with a secret that an earlier run left pending: it is the one in force."""

    staged: UUID


@dataclass(frozen=True, slots=True)
class Settled:
    """A job is over: one outcome for each account that it wanted, in that order."""

    asset_id: int
    outcomes: tuple[Outcome, ...]


Event = Started | HostKeySeen | RefusalSeen | SecretProven | Settled
