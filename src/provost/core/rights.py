"""Who may do what. Pure: services ask, and every one of them is told by whom it is called."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from provost.core.errors import Forbidden


class Right(StrEnum):
    """What somebody may do to what is in reach."""

    VIEW = "view"
    """See assets, accounts without their secrets, tasks and runs."""
    OPERATE = "operate"
    """Push, and change assets, accounts and tasks."""
    ADMINISTER = "administer"
    """Point an asset elsewhere, trust another host key, delete secrets; reaching everywhere, users and keys."""
    AUDIT = "audit"
    """Read the audit trail."""
    REVEAL = "reveal"
    """Read secrets. No role has it by itself."""


class Role(StrEnum):
    """A usual set of rights."""

    ADMINISTRATOR = "administrator"
    OPERATOR = "operator"
    AUDITOR = "auditor"


RIGHTS: Final[Mapping[Role, frozenset[Right]]] = MappingProxyType(
    {
        Role.ADMINISTRATOR: frozenset({Right.VIEW, Right.OPERATE, Right.ADMINISTER, Right.AUDIT}),
        Role.OPERATOR: frozenset({Right.VIEW, Right.OPERATE}),
        Role.AUDITOR: frozenset({Right.VIEW, Right.AUDIT}),
    }
)


class Face(StrEnum):
    """Where somebody came in."""

    CLI = "cli"
    API = "api"
    CONSOLE = "console"
    SERVER = "server"


@dataclass(frozen=True, slots=True)
class Reach:
    """What a right extends to: everything, or what lies in nodes and below them.

    `nodes` are the places of nodes in the tree: that of a node begins with those of all above it.
    """

    everywhere: bool = False
    nodes: frozenset[str] = frozenset()

    def __bool__(self) -> bool:
        """Tell whether it extends to anything."""
        return self.everywhere or bool(self.nodes)

    def covers(self, node: str) -> bool:
        """Tell whether a node, by its place, is within it."""
        return self.everywhere or any(node.startswith(top) for top in self.nodes)


@dataclass(frozen=True, slots=True)
class Granted:
    """A role that somebody has, with or without reveal, in one node and below (None: everywhere)."""

    role: Role
    node: str | None = None
    reveal: bool = False

    @property
    def rights(self) -> frozenset[Right]:
        """The rights that it gives."""
        return RIGHTS[self.role] | ({Right.REVEAL} if self.reveal else frozenset())


@dataclass(frozen=True, slots=True)
class Principal:
    """Who calls a service, from where, and with which rights. `limit`: the rights that a token is kept to."""

    name: str
    face: Face
    grants: tuple[Granted, ...] = ()
    limit: frozenset[Right] = frozenset(Right)
    user_id: int | None = None
    token: str = ""
    source: str = ""
    request_id: str = ""
    _reaches: dict[Right, Reach] = field(default_factory=dict, init=False, repr=False, compare=False)

    def reach(self, right: Right) -> Reach:
        """Return what a right of theirs extends to."""
        if right not in self._reaches:
            nodes = [grant.node for grant in self.grants if right in grant.rights & self.limit]
            self._reaches[right] = Reach(
                everywhere=None in nodes, nodes=frozenset(node for node in nodes if node is not None)
            )
        return self._reaches[right]

    def require(self, right: Right, *, what: str) -> Reach:
        """Return what a right extends to.

        Raises:
            Forbidden: to nothing; `what` is what was to be done, for the message.
        """
        if not (reach := self.reach(right)):
            raise Forbidden(f"{self.name} may not {what}: that takes the right to {right}.")
        return reach

    def require_everywhere(self, right: Right, *, what: str) -> None:
        """Make sure that a right extends to everything.

        Raises:
            Forbidden: it does not.
        """
        if not self.require(right, what=what).everywhere:
            raise Forbidden(f"{self.name} may not {what}: that takes the right to {right} everywhere.")


def make_local(name: str, *, face: Face = Face.CLI) -> Principal:
    """Return who works on the server itself: whoever reads the master key has every right anyway."""
    return Principal(name, face, grants=(Granted(Role.ADMINISTRATOR, reveal=True),), source="local")
