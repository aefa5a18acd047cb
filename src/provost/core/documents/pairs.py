"""Pairs of accounts that take turns."""

from datetime import datetime

from provost.core.documents.base import Document
from provost.core.model import Sync


class PairDocument(Document):
    """Two accounts that take turns, as USERNAME@ASSET: an application uses the `active` one.

    `switched_at` is since when that is the active one (null: since the pair was made), and `sync` whether its
    secret is in sync.
    """

    name: str
    asset: str
    active: str
    idle: str
    sync: Sync | None
    switched_at: datetime | None
    created: datetime
    version: int
