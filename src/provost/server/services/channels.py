"""Channels: how people and programs are told of what happened.

Whoever administers everything sees and changes them, and nobody else: an address may let its holder in
somewhere, and what was delivered names assets everywhere.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from secrets import token_bytes
from typing import Any, Final
from urllib.parse import urlsplit
from uuid import UUID

from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import transaction
from django.db.models import OuterRef, Subquery
from django.utils import timezone

from provost.core.errors import Conflict, NotFound, Refused
from provost.core.notices import (
    SUBJECTS,
    ChannelKind,
    DeliveryState,
    Event,
    Trial,
    check_url,
    make_signing_secret,
)
from provost.core.rights import Principal, Right
from provost.core.secrets import Password
from provost.server.models import Channel, Delivery
from provost.server.services import audit, held
from provost.server.services.deliveries import give_up_queued
from provost.server.services.names import check_name, check_version, describe_missing
from provost.server.services.nodes import find_node
from provost.server.services.notices import make_delivery
from provost.server.services.pages import EVERYTHING, Page, Place, cut

_LONGEST: Final = 254
_KEY_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class ChannelFields:
    """What is said of a channel; `node` is a path, None means everywhere."""

    name: str
    kind: ChannelKind
    address: str
    events: tuple[Event, ...]
    node: str | None = None
    active: bool = True
    comment: str = ""


@dataclass(frozen=True, slots=True)
class NewChannel:
    """A channel that was made just now, with what a webhook's deliveries are signed with."""

    channel: Channel
    secret: Password | None


def add_channel(*, by: Principal, fields: ChannelFields) -> NewChannel:
    """Add a channel. For a webhook, Provost makes the secret that it signs with.

    Raises:
        Refused: a field cannot be used.
        Conflict: the name is taken.
        NotFound: there is no such node.
        Forbidden: the caller may not administer everything.
        VaultError: the signing secret could not be stored.
    """
    by.require_everywhere(Right.ADMINISTER, what="manage channels")
    secret = None
    with transaction.atomic():
        channel = _save(by, Channel(kind=fields.kind), fields)
        if fields.kind is ChannelKind.WEBHOOK:
            secret = Password(make_signing_secret(token_bytes(_KEY_BYTES)))
            held.hold_for_channel(channel_id=channel.id, secret=secret)
        audit.write(by=by, action="channel.add", subject=f"channel {channel}", details=_tell(fields))
    return NewChannel(channel, secret)


def edit_channel(*, by: Principal, name: str, fields: ChannelFields, version: int | None = None) -> Channel:
    """Give a channel other fields. Its kind, and the secret that it signs with, stay.

    When it is switched off, what waits for it is given up.

    Raises:
        NotFound: there is no such channel, or no such node.
        Refused: a field cannot be used.
        Conflict: the name is taken; or it is not the `version` that was seen.
        Forbidden: the caller may not administer everything.
    """
    with transaction.atomic():
        channel = find_channel(by=by, name=name, lock=True)
        check_version(channel, version)
        old = read_fields(channel=channel)
        if fields.kind is not old.kind:
            raise Refused("The kind of a channel stays: remove it and add another.", code="kind_refused")
        before, after = _tell(old), _tell(fields)
        changes = {field: [before[field], after[field]] for field in after if before[field] != after[field]}
        if old.address != fields.address:  # on another path of the same host, too
            changes["address"] = [before["address"], after["address"]]
        if not changes:
            return channel
        channel.version += 1
        _save(by, channel, fields)
        if not fields.active:
            give_up_queued(channel=channel)
        audit.write(by=by, action="channel.edit", subject=f"channel {name}", details=changes)
    return channel


def _save(by: Principal, channel: Channel, fields: ChannelFields) -> Channel:
    check_name("a channel", fields.name)
    if Channel.objects.filter(name=fields.name).exclude(id=channel.id).exists():
        raise Conflict(f"There is a channel {fields.name} already.", code="channel_exists")
    _check_address(fields)
    if not fields.events or set(fields.events) - set(SUBJECTS):
        raise Refused(f"A channel is told of some of: {', '.join(SUBJECTS)}.", code="events_refused")
    channel.node = None if fields.node is None else find_node(by=by, path=fields.node)
    channel.name, channel.address, channel.comment = fields.name, fields.address, fields.comment
    channel.events = [event for event in SUBJECTS if event in fields.events]
    channel.active = fields.active
    channel.save()
    return channel


def _check_address(fields: ChannelFields) -> None:
    if fields.kind is ChannelKind.WEBHOOK:
        check_url(fields.address)
        return
    try:
        validate_email(fields.address)
        fits = fields.address.isascii() and len(fields.address) <= _LONGEST
    except ValidationError:
        fits = False
    if not fits:
        raise Refused(f"{fields.address!r} is not an e-mail address.", code="address_refused")


def _tell(fields: ChannelFields) -> dict[str, Any]:
    """Return what the audit trail is told of a channel: of a webhook's address no path, which may be secret."""
    address = fields.address
    if fields.kind is ChannelKind.WEBHOOK:
        parts = urlsplit(address)
        address = f"{parts.scheme}://{parts.netloc}/..."
    return {
        "name": fields.name,
        "kind": str(fields.kind),
        "address": address,
        "events": [str(event) for event in SUBJECTS if event in fields.events],
        "node": fields.node,
        "active": fields.active,
        "comment": fields.comment,
    }


def read_fields(*, channel: Channel) -> ChannelFields:
    """Return what was said of a channel."""
    return ChannelFields(
        name=channel.name,
        kind=ChannelKind(channel.kind),
        address=channel.address,
        events=tuple(map(Event, channel.events)),
        node=channel.node.full_path if channel.node else None,
        active=channel.active,
        comment=channel.comment,
    )


def list_channels(*, by: Principal) -> list[Channel]:
    """List channels by name.

    Raises:
        Forbidden: the caller may not administer everything.
    """
    by.require_everywhere(Right.ADMINISTER, what="manage channels")
    return list(Channel.objects.select_related("node"))


def find_latest(*, channels: Sequence[Channel]) -> dict[UUID, Delivery]:
    """Return the newest delivery of each channel that has one."""
    newest = Delivery.objects.filter(channel=OuterRef("pk")).order_by("-created", "-id").values("id")[:1]
    ids = Channel.objects.filter(id__in=[one.id for one in channels]).annotate(newest=Subquery(newest))
    return {one.channel_id: one for one in Delivery.objects.filter(id__in=ids.values("newest"))}


def find_channel(*, by: Principal, name: str, lock: bool = False) -> Channel:
    """Return the channel of that name; with `lock`, nobody else changes it before the transaction ends.

    Raises:
        NotFound: there is none; the message lists what there is.
        Forbidden: the caller may not administer everything.
    """
    by.require_everywhere(Right.ADMINISTER, what="manage channels")
    channels = Channel.objects.select_related("node")
    if lock:
        channels = channels.select_for_update(no_key=True, of=("self",))
    channel = channels.filter(name=name).first()
    if channel is None:
        known = Channel.objects.values_list("name", flat=True)
        raise describe_missing("channel", [name], known, code="channel_not_found")
    return channel


def remove_channel(*, by: Principal, name: str, version: int | None = None) -> None:
    """Remove a channel with its deliveries, those that wait too.

    Raises:
        NotFound: there is no such channel.
        Conflict: it is not the `version` that was seen.
        Forbidden: the caller may not administer everything.
    """
    with transaction.atomic():
        channel = find_channel(by=by, name=name, lock=True)
        check_version(channel, version)
        channel.delete()
        audit.write(by=by, action="channel.remove", subject=f"channel {name}")


def test_channel(*, by: Principal, name: str) -> Delivery:
    """Write down a delivery that says that this is a test, also for a channel that is switched off.

    Raises:
        NotFound: there is no such channel.
        Forbidden: the caller may not administer everything.
    """
    with transaction.atomic():
        channel = find_channel(by=by, name=name)
        delivery = make_delivery(channel, Event.TEST, Trial(requested_by=by.name))
        delivery.save(force_insert=True)
        audit.write(by=by, action="channel.test", subject=f"channel {name}")
    return delivery


def list_deliveries(
    *, by: Principal, name: str, state: str | None = None, page: Page = EVERYTHING
) -> tuple[list[Delivery], Place | None]:
    """List a channel's deliveries, the newest first, and where the next page begins.

    Raises:
        NotFound: there is no such channel.
        Forbidden: the caller may not administer everything.
    """
    deliveries = Delivery.objects.filter(channel=find_channel(by=by, name=name))
    if state is not None:
        deliveries = deliveries.filter(state=state)
    return cut(deliveries, ["-created", "-id"], page)


def find_delivery(*, by: Principal, name: str, delivery_id: str, lock: bool = False) -> Delivery:
    """Return a delivery of a channel; with `lock`, nobody else changes it before the transaction ends.

    Raises:
        NotFound: there is no such channel, or no such delivery of it.
        Forbidden: the caller may not administer everything.
    """
    deliveries = Delivery.objects.filter(channel=find_channel(by=by, name=name))
    if lock:
        deliveries = deliveries.select_for_update()
    delivery = deliveries.filter(id=_read_id(delivery_id)).first()
    if delivery is None:
        raise NotFound(f"Channel {name} has no delivery {delivery_id!r}.", code="delivery_not_found")
    return delivery


def _read_id(text: str) -> UUID:
    """Return an id; what is none is that of nothing."""
    try:
        return UUID(text)
    except ValueError:
        return UUID(int=0)


def send_again(*, by: Principal, name: str, delivery_id: str) -> Delivery:
    """Let a delivery be tried once more: at once if it waits, from the beginning if it is over.

    Raises:
        NotFound: there is no such channel, or no such delivery of it.
        Forbidden: the caller may not administer everything.
    """
    with transaction.atomic():
        delivery = find_delivery(by=by, name=name, delivery_id=delivery_id, lock=True)
        if (
            delivery.state != DeliveryState.QUEUED
        ):  # one that waits may be on its way just now: it keeps its count
            delivery.attempts, delivery.error, delivery.status = 0, "", None
        delivery.state = DeliveryState.QUEUED
        delivery.next_try, delivery.delivered_at = timezone.now(), None
        delivery.save()
        audit.write(
            by=by, action="channel.send_again", subject=f"channel {name}", details={"delivery": delivery.id}
        )
    return delivery
