import uuid
from typing import ClassVar

from django.db import models

from provost.core.notices import ChannelKind, DeliveryState
from provost.server.models.choices import list_choices
from provost.server.models.inventory import Node


class Channel(models.Model):
    """A way to tell people or programs: `events` are those that it wants, in `node` and below, or everywhere.

    A channel whose node is removed goes with it: it would be told of everything otherwise.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(max_length=255, unique=True)
    kind = models.CharField(max_length=10, choices=list_choices(ChannelKind))
    address = models.TextField()
    events = models.JSONField()
    node = models.ForeignKey(Node, models.CASCADE, null=True, blank=True, related_name="+")
    active = models.BooleanField(default=True)
    comment = models.TextField(blank=True)
    version = models.PositiveIntegerField(default=1)
    created = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering: ClassVar = ["name"]

    def __str__(self) -> str:
        return self.name


class Delivery(models.Model):
    """One thing to tell by one channel. `next_try` is when it is tried (again), null when that is over.

    Whoever tries it has it alone until `held_until`, and counts `attempts`: should it end, another tries again.
    `status` is what a webhook answered with, null where no answer came.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    channel = models.ForeignKey(Channel, models.CASCADE, related_name="deliveries")
    event = models.CharField(max_length=30)
    payload = models.JSONField()
    state = models.CharField(
        max_length=10, choices=list_choices(DeliveryState), default=DeliveryState.QUEUED.value
    )
    attempts = models.PositiveSmallIntegerField(default=0)
    next_try = models.DateTimeField(null=True, blank=True)
    held_until = models.DateTimeField(null=True, blank=True)
    status = models.PositiveSmallIntegerField(null=True, blank=True)
    error = models.TextField(blank=True)
    created = models.DateTimeField()
    delivered_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        indexes: ClassVar = [
            models.Index(fields=["state", "next_try"], name="delivery_due"),
            models.Index(fields=["channel", "-created", "-id"], name="delivery_of_channel"),
            models.Index(fields=["created"], name="delivery_created"),
        ]

    def __str__(self) -> str:
        return f"{self.event} by {self.channel_id}"
