"""The table: what a push does, by what is on the target and what is in the list.

It is the heart of Provost, and the only place that says it.  "In the list" is per secret type.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from provost.core.model import Decision, Presence

TABLE: Final[Mapping[tuple[bool, bool], Decision]] = MappingProxyType(
    {
        # (on the target, in the list)
        (False, False): Decision.CREATE,
        (True, True): Decision.LEAVE,
        (True, False): Decision.ADOPT,
        (False, True): Decision.RESTORE,
    }
)


def decide(presence: Presence, *, in_list: bool) -> Decision:
    """Return the table's decision. An account whose creation was cut off counts as not on the target."""
    return TABLE[presence is Presence.PRESENT, in_list]
