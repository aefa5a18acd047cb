import uuid
from typing import ClassVar

from django.db import models

from provost.server.models.inventory import Asset
from provost.server.models.runs import Run


class Task(models.Model):
    """What the operator saved to be done. `spec` is a Spec, never a secret; `schedule` is a Schedule.

    A template, `new_assets`, is also done for each asset that is added to its nodes, or moved there.
    `next_due` is null while the clock never starts it: without a schedule, or not active.  `last_run` is the
    last one that was started, or that could not be.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(max_length=255, unique=True)
    spec = models.JSONField()
    schedule = models.JSONField(null=True, blank=True)
    active = models.BooleanField(default=True)
    comment = models.TextField(blank=True)
    new_assets = models.BooleanField(default=False)
    version = models.PositiveIntegerField(default=1)
    created = models.DateTimeField(auto_now_add=True)
    updated = models.DateTimeField(auto_now=True)
    last_run = models.ForeignKey(Run, models.SET_NULL, null=True, blank=True, related_name="+")
    next_due = models.DateTimeField(null=True, blank=True, db_index=True)

    class Meta:
        ordering: ClassVar = ["name"]

    def __str__(self) -> str:
        return self.name


class Arrival(models.Model):
    """That an asset came to where a template is for, which is still to be done for it: not before `due`."""

    asset = models.ForeignKey(Asset, models.CASCADE, related_name="arrivals")
    task = models.ForeignKey(Task, models.CASCADE, related_name="arrivals")
    due = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["asset", "task"], name="arrival_once")]

    def __str__(self) -> str:
        return f"{self.asset} for {self.task}"
