"""The words of Provost as values."""

from enum import StrEnum
from typing import Final


class Action(StrEnum):
    """What a run does."""

    PUSH = "push"
    DISCOVER = "discover"
    VERIFY = "verify"
    ROTATE = "rotate"
    RECONCILE = "reconcile"
    DISABLE = "disable"
    ENABLE = "enable"
    REMOVE = "remove"


class Capability(StrEnum):
    """What a kind may be able to do, beside setting secrets and proving them by a login."""

    DISCOVER = "discover"
    DISABLE = "disable"
    ENABLE = "enable"
    REMOVE = "remove"


class SecretType(StrEnum):
    """What kind of secret an account logs in with."""

    PASSWORD = "password"  # noqa: S105  # the name of a type, not a password
    SSH_KEY = "ssh_key"


class SecretState(StrEnum):
    """Where a stored secret stands: staged and not yet proven, in force, or replaced."""

    PENDING = "pending"
    CURRENT = "current"
    RETIRED = "retired"


class Strategy(StrEnum):
    """Where a new secret comes from."""

    SPECIFIED = "specified"
    RANDOM = "random"


class Become(StrEnum):
    """How a privileged account that is not root becomes root."""

    NONE = "none"
    SUDO = "sudo"
    SU = "su"


class Presence(StrEnum):
    """What is on the target. `incomplete`: Provost began to create it and was cut off; not there yet."""

    ABSENT = "absent"
    INCOMPLETE = "incomplete"
    PRESENT = "present"


class Decision(StrEnum):
    """What the table says for an account."""

    CREATE = "create"
    ADOPT = "adopt"
    RESTORE = "restore"
    LEAVE = "leave"


class Verdict(StrEnum):
    """What a login with a secret told. `unknown`: it could not be tried, or the host's policy forbids it."""

    ACCEPTED = "accepted"
    REJECTED = "rejected"
    UNKNOWN = "unknown"


class Sync(StrEnum):
    """Whether the secret in the list is the one in force, by its last check. Never checked is none of these."""

    IN_SYNC = "in_sync"
    OUT_OF_SYNC = "out_of_sync"
    UNKNOWN = "unknown"


class Status(StrEnum):
    """How a record ended."""

    SUCCEEDED = "succeeded"
    UNCHANGED = "unchanged"
    UNVERIFIED = "unverified"
    UNCERTAIN = "uncertain"
    FAILED = "failed"
    SKIPPED = "skipped"
    CANCELLED = "cancelled"


FINE: Final = frozenset({Status.SUCCEEDED, Status.UNCHANGED})
"""Statuses that leave nothing to do."""

SETTLED_WELL: Final = FINE | {Status.UNVERIFIED}
"""Statuses that a retry leaves alone."""
