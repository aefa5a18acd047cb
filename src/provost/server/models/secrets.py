import uuid
from typing import ClassVar

from django.db import models
from django.db.models import Q

from provost.core.model import SecretState, SecretType, Strategy, Sync
from provost.server.models.accounts import Account
from provost.server.models.choices import list_choices
from provost.server.models.notices import Channel
from provost.server.models.runs import Run
from provost.server.models.tasks import Task


class Keyset(models.Model):
    """The one row that holds the data keyset, wrapped by the master key `master_key_id`."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    wrapped = models.TextField()
    master_key_id = models.BigIntegerField()
    created = models.DateTimeField(auto_now_add=True)
    rotated = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints: ClassVar = [models.CheckConstraint(condition=Q(id=1), name="one_keyset")]

    def __str__(self) -> str:
        return f"keyset under master key {self.master_key_id}"


class SecretVersion(models.Model):
    """One secret that an account has, had, or may have: never changed but in its state, kept as history.

    `key_id` is the data key that it is encrypted with.  `public_key` is an SSH key's public half, for people to
    see; what is pushed comes out of the ciphertext, which nobody can change without notice.  `run` and its
    `epoch` tell who staged it: what an earlier holder of the run staged may be on the target already.  `sync`
    is what its last check told, at `checked_at` (null: never checked), and `reason` and `message` say why.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    account = models.ForeignKey(Account, models.CASCADE, related_name="versions")
    secret_type = models.CharField(max_length=10, choices=list_choices(SecretType))
    version = models.PositiveIntegerField()
    state = models.CharField(max_length=10, choices=list_choices(SecretState))
    ciphertext = models.BinaryField()
    key_id = models.BigIntegerField(db_index=True)
    public_key = models.TextField(blank=True)
    public_only = models.BooleanField(default=False)
    origin = models.CharField(max_length=10, choices=list_choices(Strategy))
    run = models.ForeignKey(Run, models.SET_NULL, null=True, blank=True, related_name="+")
    epoch = models.PositiveIntegerField(default=0)
    created = models.DateTimeField()
    promoted_at = models.DateTimeField(null=True, blank=True)
    retired_at = models.DateTimeField(null=True, blank=True)
    sync = models.CharField(max_length=12, choices=list_choices(Sync), blank=True)
    checked_at = models.DateTimeField(null=True, blank=True)
    reason = models.CharField(max_length=50, blank=True)
    message = models.TextField(blank=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["account", "secret_type", "version"], name="version_once"),
            models.UniqueConstraint(
                fields=["account", "secret_type"],
                condition=Q(state=SecretState.CURRENT.value),
                name="one_current_secret",
            ),
        ]
        indexes: ClassVar = [
            models.Index(fields=["state", "account", "promoted_at"], name="secret_age"),
            models.Index(fields=["state", "sync", "account"], name="secret_sync"),
        ]

    def __str__(self) -> str:
        return f"{self.state} {self.secret_type} version {self.version}"


class Held(models.Model):
    """The operator's own secret, encrypted for its `holder` alone."""

    ciphertext = models.BinaryField()
    key_id = models.BigIntegerField(db_index=True)

    class Meta:
        abstract = True

    @property
    def holder(self) -> str:
        """What the ciphertext is bound to."""
        raise NotImplementedError


class SpecifiedSecret(Held):
    """The operator's own secret for a run, held until the run no longer needs it."""

    run = models.OneToOneField(Run, models.CASCADE, primary_key=True, related_name="+")

    def __str__(self) -> str:
        return f"specified secret of run {self.run_id}"

    @property
    def holder(self) -> str:
        """The run."""
        return str(self.run_id)


class TaskSecret(Held):
    """The operator's own secret for a saved task, which each of its runs gets a copy of."""

    task = models.OneToOneField(Task, models.CASCADE, primary_key=True, related_name="+")

    def __str__(self) -> str:
        return f"specified secret of task {self.task}"

    @property
    def holder(self) -> str:
        """The task."""
        return f"task {self.task_id}"


class ChannelSecret(Held):
    """What the deliveries of a webhook are signed with; its receiver has it too."""

    channel = models.OneToOneField(Channel, models.CASCADE, primary_key=True, related_name="+")

    def __str__(self) -> str:
        return f"signing secret of channel {self.channel}"

    @property
    def holder(self) -> str:
        """The channel."""
        return f"channel {self.channel_id}"


class AuditKey(Held):
    """The one row that holds the key which the audit trail is chained with.

    It is kept like a secret of somebody's: whoever has the database alone cannot forge an entry.
    """

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)

    class Meta:
        constraints: ClassVar = [models.CheckConstraint(condition=Q(id=1), name="one_audit_key")]

    def __str__(self) -> str:
        return "key of the audit trail"

    @property
    def holder(self) -> str:
        """The audit trail."""
        return "audit"


class ConsoleKey(Held):
    """The one row that holds the key which the console signs with, and encrypts second factors with."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)

    class Meta:
        constraints: ClassVar = [models.CheckConstraint(condition=Q(id=1), name="one_console_key")]

    def __str__(self) -> str:
        return "key of the console"

    @property
    def holder(self) -> str:
        """The console."""
        return "console"
