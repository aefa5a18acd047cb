import uuid
from typing import ClassVar

from django.db import models

from provost.core.model import Become, SecretType
from provost.server.models.choices import list_choices
from provost.server.models.inventory import Asset


class Account(models.Model):
    """A username on an asset.

    `listed_at` is null until the account is in the list: it then holds a pending secret of a push that is
    not settled yet.  Privileged accounts of an asset are tried in order of `priority`, the least first.

    One that `expires_at` some time is disabled then, and removed `grace` seconds later; `expiry_due` is when
    the clock sees to it next, and `warn_due` when people are told that it ends.

    `reconcile`: its secret may be set again when the target refuses it.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    asset = models.ForeignKey(Asset, models.CASCADE, related_name="accounts")
    username = models.CharField(max_length=255)
    privileged = models.BooleanField(default=False)
    priority = models.IntegerField(default=10)
    become = models.CharField(max_length=10, choices=list_choices(Become), default=Become.NONE.value)
    created_by_provost = models.BooleanField(default=False)
    reconcile = models.BooleanField(default=True)
    expires_at = models.DateTimeField(null=True, blank=True)
    grace = models.PositiveIntegerField(default=7 * 86_400)
    expiry_due = models.DateTimeField(null=True, blank=True, db_index=True)
    warn_due = models.DateTimeField(null=True, blank=True, db_index=True)
    disabled_at = models.DateTimeField(null=True, blank=True)
    listed_at = models.DateTimeField(null=True, blank=True)
    version = models.PositiveIntegerField(default=1)
    created = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["asset", "username"], name="account_once_per_asset"),
        ]

    def __str__(self) -> str:
        return f"{self.username}@{self.asset}"


class Rejection(models.Model):
    """That a target heard a login of an account and refused it: too many in an hour could lock it out."""

    account = models.ForeignKey(Account, models.CASCADE, related_name="rejections")
    at = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return f"{self.account} at {self.at}"


class Pair(models.Model):
    """Two accounts of an asset that take turns: `active` is in use, the other one is rotated next.

    It is about their secrets of one `secret_type`: others are rotated as those of any account.
    """

    name = models.CharField(max_length=255, unique=True)
    asset = models.ForeignKey(Asset, models.CASCADE, related_name="pairs")
    active = models.OneToOneField(Account, models.CASCADE, related_name="active_in")
    idle = models.OneToOneField(Account, models.CASCADE, related_name="idle_in")
    secret_type = models.CharField(max_length=10, choices=list_choices(SecretType))
    switched_at = models.DateTimeField(null=True, blank=True)
    version = models.PositiveIntegerField(default=1)
    created = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering: ClassVar = ["name"]

    def __str__(self) -> str:
        return self.name
