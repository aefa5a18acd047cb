"""What waits to be told: claimed by a courier, and settled by what became of it.

Any number of couriers may be at work.  Each delivery is one courier's alone until that has settled it, or for
as long as `_HELD`: a courier that was killed leaves it to the next one.  So it comes at least once, and never
twice at the same time.
"""

import random
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum, auto
from typing import Any, Final
from uuid import UUID

from django.db import transaction
from django.db.models import Q

from provost.core.errors import VaultError
from provost.core.notices import ChannelKind, DeliveryState, find_pause
from provost.core.rights import Face, make_local
from provost.core.secrets import Password
from provost.server.models import Channel, Delivery
from provost.server.services import audit, held

_HELD: Final = timedelta(minutes=2)
"""How long a courier has a delivery to itself: longer than any attempt lasts."""

_BATCH: Final = 500
_SWITCHED_OFF: Final = "The channel was switched off."


@dataclass(frozen=True, slots=True)
class Parcel:
    """A delivery that a courier has to itself. `fault` is why it cannot be sent at all just now."""

    id: UUID
    attempt: int
    kind: ChannelKind
    address: str = field(repr=False)
    event: str
    payload: dict[str, Any]
    created: datetime
    secret: Password | None = None
    fault: str = ""


class Fate(Enum):
    """What became of an attempt."""

    DELIVERED = auto()
    LATER = auto()
    """It failed, and another attempt may end otherwise."""
    NEVER = auto()
    """The receiver will not take it."""
    GONE = auto()
    """The receiver wants nothing any more: its channel is switched off."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """How an attempt ended: `status` is what a webhook answered with, `error` what went wrong, for people."""

    fate: Fate
    status: int | None = None
    error: str = ""


def claim_due(*, now: datetime, limit: int) -> list[Parcel]:
    """Take at most so many deliveries that are due, those that waited longest first.

    Where nothing is due nothing is written, so this may be asked often.
    """
    free = Q(held_until=None) | Q(held_until__lte=now)
    due = Delivery.objects.filter(free, state=DeliveryState.QUEUED, next_try__lte=now).order_by("next_try")
    ids = list(due.values_list("id", flat=True)[:limit])
    if not ids:
        return []
    with transaction.atomic():  # PostgreSQL locks rows; in SQLite, every transaction has the database to itself
        rows = due.filter(id__in=ids).select_for_update(skip_locked=True, of=("self",))
        claimed = list(rows.select_related("channel"))
        for delivery in claimed:
            delivery.attempts += 1
            delivery.held_until = now + _HELD
        Delivery.objects.bulk_update(claimed, ["attempts", "held_until"])
    return [_wrap(delivery) for delivery in claimed]


def _wrap(delivery: Delivery) -> Parcel:
    kind = ChannelKind(delivery.channel.kind)
    secret, fault = None, ""
    if kind is ChannelKind.WEBHOOK:
        try:
            secret = held.read_for_channel(channel_id=delivery.channel.id)
        except VaultError as error:
            fault = f"It cannot be signed: {error.message}"
    return Parcel(
        id=delivery.id,
        attempt=delivery.attempts,
        kind=kind,
        address=delivery.channel.address,
        event=delivery.event,
        payload=delivery.payload,
        created=delivery.created,
        secret=secret,
        fault=fault,
    )


def settle(*, parcel: Parcel, receipt: Receipt, now: datetime) -> None:
    """Write down what became of an attempt. One that another courier has taken over is left to that one."""
    with transaction.atomic():
        delivery = (
            Delivery.objects.select_for_update(of=("self",))
            .select_related("channel")
            .filter(id=parcel.id, attempts=parcel.attempt, state=DeliveryState.QUEUED)
            .first()
        )
        if delivery is None:
            return
        pause = None
        if receipt.fate is Fate.LATER:
            pause = find_pause(parcel.attempt, random.random())  # noqa: S311  # nothing secret depends on it
        delivery.status, delivery.error, delivery.held_until = receipt.status, receipt.error, None
        delivery.next_try = None if pause is None else now + pause
        if receipt.fate is Fate.DELIVERED:
            delivery.state, delivery.delivered_at = DeliveryState.DELIVERED, now
        elif pause is None:
            delivery.state = DeliveryState.FAILED
        delivery.save(
            update_fields=["status", "error", "held_until", "next_try", "state", "delivered_at"],
        )
        if receipt.fate is Fate.GONE:
            _switch_off(delivery.channel)


def _switch_off(channel: Channel) -> None:
    changed = Channel.objects.select_for_update(no_key=True).filter(id=channel.id, active=True).first()
    if changed is None:
        return
    changed.active = False
    changed.version += 1
    changed.save(update_fields=["active", "version"])
    give_up_queued(channel=changed)
    audit.write(
        by=make_local("provost", face=Face.SERVER),
        action="channel.edit",
        subject=f"channel {changed}",
        details={"active": [True, False], "because": "the receiver answered 410: it is gone"},
    )


def give_up_queued(*, channel: Channel) -> None:
    """Give up what waits for a channel that was switched off: later, it would be no news."""
    waiting = Delivery.objects.filter(channel=channel, state=DeliveryState.QUEUED)
    waiting.update(state=DeliveryState.FAILED, next_try=None, held_until=None, error=_SWITCHED_OFF)


def delete_old(*, before: datetime) -> None:
    """Delete a batch of what was to be told before an instant, and is over."""
    over = Delivery.objects.filter(created__lt=before).exclude(state=DeliveryState.QUEUED)
    batch = list(over.order_by("created").values_list("id", flat=True)[:_BATCH])
    if batch:
        Delivery.objects.filter(id__in=batch).delete()
