"""The audit trail, channels, and keys."""

from typing import Annotated

from pydantic import Field

from provost.core.notices import SUBJECTS, ChannelKind, DeliveryState, Event
from provost.core.requests.base import Flag, Instant, Name, PageQuery, Said, Text


class AuditQuery(PageQuery):
    """Which entries; an `action` that ends with a dot means all that begin with it."""

    who: Name | None = None
    action: Annotated[str, Field(max_length=50)] | None = None
    subject: Annotated[str, Field(max_length=600)] | None = None
    since: Instant | None = None
    until: Instant | None = None


class ProofQuery(Said):
    """An entry that was noted before, by number and digest, to be found as it was."""

    number: int | None = Field(None, ge=1, le=2**62)
    digest: Annotated[str, Field(max_length=64)] | None = None


class ChannelBody(Said):
    """A new channel: an e-mail address or a webhook's URL, what it is told of, and where (null: everywhere)."""

    name: Name
    kind: ChannelKind
    address: Text
    events: tuple[Event, ...] = Field(SUBJECTS, min_length=1, max_length=20)
    node: Text | None = None
    active: Flag = True
    comment: Text = ""


class ChannelPatch(Said):
    """What is to change of a channel; what is not given stays. A `node` of null: everywhere."""

    name: Name | None = None
    address: Text | None = None
    events: tuple[Event, ...] | None = Field(None, min_length=1, max_length=20)
    node: Text | None = None
    active: Flag | None = None
    comment: Text | None = None


class DeliveryQuery(PageQuery):
    """Which deliveries of a channel."""

    state: DeliveryState | None = None


class KeyRotationBody(Said):
    """With `master`, a new master key as well."""

    master: Flag = False
