"""Channels, and what was told by them."""

from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import Field

from provost.core.documents.base import Document
from provost.core.notices import ChannelKind, DeliveryState, Event


class DeliveryDocument(Document):
    """One thing that was told by a channel, or is to be; `next_try` is null when that is over.

    `status` is what a webhook answered the last attempt with, `error` what went wrong with it.
    """

    id: UUID
    event: str
    payload: dict[str, Any]
    state: DeliveryState
    attempts: int
    next_try: datetime | None
    status: int | None
    error: str
    created: datetime
    delivered_at: datetime | None


class ChannelDocument(Document):
    """A way to tell people or programs, of what lies in `node` and below (null: everywhere)."""

    name: str
    kind: ChannelKind
    address: str
    events: list[Event]
    node: str | None
    active: bool
    comment: str
    created: datetime
    version: int
    latest: DeliveryDocument | None


class NewChannelDocument(ChannelDocument):
    """A channel that was made just now: the only time that its signing secret is shown (null for e-mail)."""

    secret: str | None = Field(repr=False)
