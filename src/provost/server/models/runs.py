import uuid
from typing import ClassVar

from django.db import models

from provost.core.model import Decision, SecretType, Status
from provost.server.models.accounts import Account
from provost.server.models.choices import list_choices
from provost.server.models.inventory import Asset
from provost.server.models.users import User


class RunState(models.TextChoices):
    """Where a run stands. `interrupted`: its process ended before it did; `skipped`: due, and not begun."""

    QUEUED = "queued"
    RUNNING = "running"
    FINISHED = "finished"
    CANCELLED = "cancelled"
    INTERRUPTED = "interrupted"
    SKIPPED = "skipped"


class Run(models.Model):
    """One execution. `spec` is what was asked for, never a secret; `owner` is the process that works on it.

    An `attended` run is worked off by the command that made it, and ends with it; any server takes the others
    up again.  Whoever works on a run holds it until `lease_ends`; `epoch` counts the holders.

    Of a saved task, `spec` is what the task was as the run was made.  `reason` and `message` say why a run of
    it was skipped.  `cause` is the discovery whose finds an onboarding rule made the run for.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    action = models.CharField(max_length=20)
    state = models.CharField(max_length=20, choices=RunState, default=RunState.QUEUED)
    spec = models.JSONField(default=dict)
    task = models.ForeignKey("server.Task", models.SET_NULL, null=True, blank=True, related_name="runs")
    cause = models.ForeignKey("self", models.SET_NULL, null=True, blank=True, related_name="effects")
    reason = models.CharField(max_length=50, blank=True)
    message = models.TextField(blank=True)
    dry_run = models.BooleanField(default=False)
    attended = models.BooleanField(default=False)
    requested_by = models.CharField(max_length=255, blank=True)
    owner = models.CharField(max_length=255, blank=True)
    epoch = models.PositiveIntegerField(default=0)
    lease_ends = models.DateTimeField(null=True, blank=True)
    cancel_requested = models.BooleanField(default=False)
    created = models.DateTimeField(auto_now_add=True)
    started = models.DateTimeField(null=True, blank=True)
    finished = models.DateTimeField(null=True, blank=True)

    class Meta:
        indexes: ClassVar = [
            models.Index(fields=["-created"], name="run_created"),
            models.Index(fields=["state"], name="run_state"),
        ]

    def __str__(self) -> str:
        return f"{self.action} {self.id}"


class Record(models.Model):
    """The result for one (asset, username, secret type) in a run. `status` is null until it is settled.

    What concerns an account as a whole has no secret type, and a discovery has one record for an asset, without
    a username.  Names are kept beside the references, so that a record outlives its asset.
    """

    run = models.ForeignKey(Run, models.CASCADE, related_name="records")
    asset = models.ForeignKey(Asset, models.SET_NULL, null=True, blank=True, related_name="records")
    asset_name = models.CharField(max_length=255)
    username = models.CharField(max_length=255, blank=True)
    account = models.ForeignKey(Account, models.SET_NULL, null=True, blank=True, related_name="records")
    secret_type = models.CharField(max_length=10, choices=list_choices(SecretType), blank=True)
    decision = models.CharField(max_length=10, choices=list_choices(Decision), null=True, blank=True)  # noqa: DJ001  # as in the JSON: null is "none taken"
    status = models.CharField(max_length=12, choices=list_choices(Status), null=True, blank=True)  # noqa: DJ001  # null is "not settled"
    reason = models.CharField(max_length=50, blank=True)
    message = models.TextField(blank=True)
    seconds = models.FloatField(default=0.0)
    actor = models.CharField(max_length=255, blank=True)
    settled_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["run", "asset_name", "username", "secret_type"], name="record_once_per_run"
            ),
        ]
        indexes: ClassVar = [
            models.Index(fields=["run", "status", "reason"], name="record_run_reason"),
            models.Index(fields=["account", "-settled_at"], name="record_account"),
        ]

    def __str__(self) -> str:
        return f"{self.username}@{self.asset_name}" if self.username else self.asset_name


class IdempotencyKey(models.Model):
    """That a user asked for a run under a key of their own: asked again, the same run is the answer."""

    user = models.ForeignKey(User, models.CASCADE, related_name="+")
    key = models.CharField(max_length=255)
    fingerprint = models.CharField(max_length=64)
    run = models.ForeignKey(Run, models.CASCADE, related_name="+")
    created = models.DateTimeField(auto_now_add=True, db_index=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["user", "key"], name="idempotency_key_once_per_user"),
        ]

    def __str__(self) -> str:
        return f"{self.key} of {self.user}"


class AssetLock(models.Model):
    """That one run works on an asset, until `expires` unless its owner prolongs it."""

    asset = models.OneToOneField(Asset, models.CASCADE, primary_key=True, related_name="lock")
    run = models.ForeignKey(Run, models.CASCADE, related_name="locks")
    owner = models.CharField(max_length=255)
    expires = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.asset} by {self.owner}"
