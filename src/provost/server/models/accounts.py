import uuid
from typing import ClassVar

from django.db import models

from provost.core.model import Become
from provost.server.models.choices import list_choices
from provost.server.models.inventory import Asset


class Account(models.Model):
    """A username on an asset.

    `listed_at` is null until the account is in the list: it then holds a pending secret of a push that is
    not settled yet.  Privileged accounts of an asset are tried in order of `priority`, the least first.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    asset = models.ForeignKey(Asset, models.CASCADE, related_name="accounts")
    username = models.CharField(max_length=255)
    privileged = models.BooleanField(default=False)
    priority = models.IntegerField(default=10)
    become = models.CharField(max_length=10, choices=list_choices(Become), default=Become.NONE.value)
    created_by_provost = models.BooleanField(default=False)
    listed_at = models.DateTimeField(null=True, blank=True)
    version = models.PositiveIntegerField(default=1)
    created = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["asset", "username"], name="account_once_per_asset"),
        ]

    def __str__(self) -> str:
        return f"{self.username}@{self.asset}"
