from typing import ClassVar

from django.db import models
from django.db.models import Q

from provost.core.rights import Face
from provost.server.models.choices import list_choices


class AuditEntry(models.Model):
    """Who did what, when and from where. Never changed or deleted: the database refuses (migration 0004).

    `digest` is bound to this row and to all before it (services/audit.py).
    """

    number = models.PositiveBigIntegerField(primary_key=True)
    at = models.DateTimeField(db_index=True)
    who = models.CharField(max_length=255)
    token = models.CharField(max_length=150, blank=True)
    face = models.CharField(max_length=10, choices=list_choices(Face))
    source = models.CharField(max_length=255, blank=True)
    request_id = models.CharField(max_length=64, blank=True)
    action = models.CharField(max_length=50, db_index=True)
    subject = models.CharField(max_length=600)
    details = models.JSONField(default=dict)
    digest = models.CharField(max_length=64)

    class Meta:
        ordering: ClassVar = ["-number"]
        indexes: ClassVar = [
            models.Index(fields=["subject", "number"], name="audit_subject"),
            models.Index(fields=["who", "number"], name="audit_who"),
        ]

    def __str__(self) -> str:
        return f"{self.number}: {self.who} {self.action} {self.subject}"


class AuditHead(models.Model):
    """The one row that knows the newest entry: who adds one holds it. `seal` is of that entry alone."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    number = models.PositiveBigIntegerField(default=0)
    seal = models.CharField(max_length=64)

    class Meta:
        constraints: ClassVar = [models.CheckConstraint(condition=Q(id=1), name="one_audit_head")]

    def __str__(self) -> str:
        return f"entry {self.number}"
