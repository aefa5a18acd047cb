"""What the suite needs of a kind: one real target, and ways to look at it that are not the connector's."""

from abc import ABC, abstractmethod
from collections.abc import Collection, Sequence
from dataclasses import replace

from pydantic import BaseModel

from provost import connectors
from provost.core.connector import Connector
from provost.core.job import Target
from provost.core.model import SecretType
from provost.core.secrets import Secret


class Bench(ABC):
    """A target with a privileged account that has the least rights that the kind's documentation names.

    Everything here is done by the system's own means (its stock client, its administrator), so that a
    connector is not believed when it speaks of itself.  These methods may block; the suite calls them in
    threads.  Usernames that the suite makes begin with `cf`.
    """

    target: Target
    """With one login, that of the privileged account, whose secret a test may rotate."""
    gateway: Target | None = None
    """A host that the target can be reached through by SSH; without one, that is not tested."""
    by_network: bool = True
    """Whether the target is reached at an address and a port, where a connection can be cut."""
    has_rights: bool = True
    """Whether it takes rights to act on the target, which accounts do not have by themselves."""
    proves: Collection[SecretType] = tuple(SecretType)
    """The types of secrets that a login can prove; a push of another is `unverified` at best."""
    policy_refusals: Collection[str] = ()
    """Codes of a refusal of a password by the target's own policy: what is refused so is not set."""
    hostile: Sequence[str] = ()
    """Usernames that somebody could try to break out of a statement with, and that this kind can set."""

    @abstractmethod
    def make(self, username: str, secret: Secret) -> None:
        """Make an account that `secret` lets in, as an administrator would."""

    @abstractmethod
    def has(self, username: str) -> bool:
        """Tell whether the account is there."""

    @abstractmethod
    def log_in(self, username: str, secret: Secret) -> bool:
        """Tell whether the target's stock client gets in. Raises when it could not be told."""

    def list_names(self) -> set[str]:
        """Return every account that is there; by default what the connector is not asked about is not seen."""
        return set()

    def grant(self, username: str) -> None:
        """Give an account something that no push may take away: a role, a group, an attribute."""
        raise NotImplementedError

    def is_granted(self, username: str) -> bool:
        """Tell whether the account has what `grant` gave it."""
        raise NotImplementedError

    def read_log(self) -> str:
        """Return what the target has logged until now, at its most verbose; empty: it keeps no log."""
        return ""

    def open_connector(self) -> Connector:
        """Return a fresh connector, as for one run."""
        return connectors.load(self.target.kind)

    def make_parameters(self) -> BaseModel:
        """Return the parameters of a push; a kind that needs some overrides this."""
        return self.open_connector().parameters()

    def make_removal(self) -> BaseModel:
        """Return the parameters of a removal."""
        return self.open_connector().removal()

    def aim(self, **changes: object) -> Target:
        """Return the target with other options: a value of None takes one away."""
        options = {
            name: value for name, value in {**self.target.options, **changes}.items() if value is not None
        }
        return replace(self.target, options={name: str(value) for name, value in options.items()})
