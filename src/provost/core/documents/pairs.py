"""Pairs of accounts that take turns."""

from datetime import datetime

from provost.core.documents.base import Document
from provost.core.model import SecretType, Sync


class PairDocument(Document):
    """Two accounts that take turns, as USERNAME@ASSET: an application uses the `active` one.

    `switched_at` is since when that is the active one (null: since the pair was made), and `sync` whether its
    secret of the pair's `secret_type` is in sync.
    """

    name: str
    asset: str
    active: str
    idle: str
    secret_type: SecretType
    sync: Sync | None
    switched_at: datetime | None
    created: datetime
    version: int
