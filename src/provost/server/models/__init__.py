"""The tables.

The secret models are registered here and not re-exported: of the services only `secrets`, `held`, `keyring`,
`rotation` and `sync` may import them, which import-linter checks.
"""

from provost.server.models import secrets as _secrets  # noqa: F401  # Django learns of models by import
from provost.server.models.accounts import Account, Pair, Rejection
from provost.server.models.audit import AuditEntry, AuditHead
from provost.server.models.discovery import FoundAccount, OnboardingRule
from provost.server.models.inventory import Asset, HostKey, Node
from provost.server.models.notices import Channel, Delivery
from provost.server.models.runs import AssetLock, IdempotencyKey, Record, Run
from provost.server.models.tasks import Arrival, Task
from provost.server.models.users import Grant, Setup, Token, User

__all__ = [
    "Account",
    "Arrival",
    "Asset",
    "AssetLock",
    "AuditEntry",
    "AuditHead",
    "Channel",
    "Delivery",
    "FoundAccount",
    "Grant",
    "HostKey",
    "IdempotencyKey",
    "Node",
    "OnboardingRule",
    "Pair",
    "Record",
    "Rejection",
    "Run",
    "Setup",
    "Task",
    "Token",
    "User",
]
