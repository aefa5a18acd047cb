from dataclasses import replace
from typing import Any

from provost.core.documents import ChannelDocument, DeliveryDocument, NewChannelDocument, PageDocument
from provost.core.notices import ChannelKind, DeliveryState, Event
from provost.core.requests import ChannelBody, ChannelPatch, DeliveryQuery, list_given
from provost.core.rights import Principal
from provost.server.api.paging import each, make_page, read_page
from provost.server.models import Channel, Delivery
from provost.server.services import channels


def list_channels(by: Principal) -> list[ChannelDocument]:
    """List channels by name, each with the last thing that it was to tell."""
    found = channels.list_channels(by=by)
    latest = channels.find_latest(channels=found)
    return [_describe(channel, latest.get(channel.id)) for channel in found]


def add_channel(by: Principal, body: ChannelBody) -> NewChannelDocument:
    """Add a channel. This is the only time that a webhook's signing secret is shown."""
    fields = channels.ChannelFields(
        name=body.name,
        kind=body.kind,
        address=body.address,
        events=body.events,
        node=body.node,
        active=body.active,
        comment=body.comment,
    )
    made = channels.add_channel(by=by, fields=fields)
    secret = made.secret.text if made.secret else None
    return NewChannelDocument(**_describe(made.channel, None).model_dump(), secret=secret)


def show_channel(by: Principal, name: str) -> ChannelDocument:
    """Show a channel, with the last thing that it was to tell."""
    return _show(channels.find_channel(by=by, name=name))


def edit_channel(by: Principal, name: str, body: ChannelPatch, version: int | None = None) -> ChannelDocument:
    """Change what is given of a channel, and leave the rest. Its signing secret stays."""
    before = channels.read_fields(channel=channels.find_channel(by=by, name=name))
    given: dict[str, Any] = {
        field: value for field, value in list_given(body).items() if field == "node" or value is not None
    }
    channel = channels.edit_channel(by=by, name=name, fields=replace(before, **given), version=version)
    return _show(channel)


def remove_channel(by: Principal, name: str, version: int | None = None) -> None:
    """Remove a channel, with what it was to tell."""
    channels.remove_channel(by=by, name=name, version=version)


def test_channel(by: Principal, name: str) -> DeliveryDocument:
    """Tell a channel that this is a test. A server sends it; the delivery says how that ended."""
    return _describe_delivery(channels.test_channel(by=by, name=name))


def list_deliveries(by: Principal, name: str, query: DeliveryQuery) -> PageDocument[DeliveryDocument]:
    """List what a channel was to tell, the newest first."""
    found = channels.list_deliveries(by=by, name=name, state=query.state, page=read_page(query))
    return make_page(found, each(_describe_delivery))


def show_delivery(by: Principal, name: str, delivery: str) -> DeliveryDocument:
    """Show one thing that a channel was to tell, and how that ended."""
    return _describe_delivery(channels.find_delivery(by=by, name=name, delivery_id=delivery))


def send_again(by: Principal, name: str, delivery: str) -> DeliveryDocument:
    """Let a delivery be tried once more: at once if it waits, from the beginning if it is over."""
    return _describe_delivery(channels.send_again(by=by, name=name, delivery_id=delivery))


def _show(channel: Channel) -> ChannelDocument:
    return _describe(channel, channels.find_latest(channels=[channel]).get(channel.id))


def _describe(channel: Channel, latest: Delivery | None) -> ChannelDocument:
    return ChannelDocument(
        name=channel.name,
        kind=ChannelKind(channel.kind),
        address=channel.address,
        events=[Event(event) for event in channel.events],
        node=channel.node.full_path if channel.node else None,
        active=channel.active,
        comment=channel.comment,
        created=channel.created,
        version=channel.version,
        latest=None if latest is None else _describe_delivery(latest),
    )


def _describe_delivery(delivery: Delivery) -> DeliveryDocument:
    return DeliveryDocument(
        id=delivery.id,
        event=delivery.event,
        payload=delivery.payload,
        state=DeliveryState(delivery.state),
        attempts=delivery.attempts,
        next_try=delivery.next_try,
        status=delivery.status,
        error=delivery.error,
        created=delivery.created,
        delivered_at=delivery.delivered_at,
    )
