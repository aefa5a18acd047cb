from typing import ClassVar

from django.db import models

from provost.core.onboarding import Onboarding
from provost.server.models.choices import list_choices
from provost.server.models.inventory import Asset, Node


class FoundAccount(models.Model):
    """An account that a discovery found on an asset. `facts` are the latest, as `core.facts.Facts`.

    `accepted` are the facts that somebody has seen and accepted, at first those of the first time; `changes`
    are how they differ, as `core.facts.FactChange`.  `first_seen` is when it appeared, or appeared again.  One
    that is gone has `vanished_at`.  `ignored`: nobody is to be told of it.  `rule`: the name of the onboarding
    rule that has taken it.
    """

    asset = models.ForeignKey(Asset, models.CASCADE, related_name="found")
    username = models.CharField(max_length=255)
    ignored = models.BooleanField(default=False)
    can_log_in = models.BooleanField(null=True)
    powerful = models.BooleanField(null=True)
    first_seen = models.DateTimeField()
    last_seen = models.DateTimeField()
    changed_at = models.DateTimeField(null=True, blank=True)
    vanished_at = models.DateTimeField(null=True, blank=True)
    rule = models.CharField(max_length=255, blank=True)
    facts = models.JSONField()
    accepted = models.JSONField()
    changes = models.JSONField(default=list)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["asset", "username"], name="found_once_per_asset"),
        ]
        indexes: ClassVar = [
            # All that standings are counted and chosen by, so that the facts need not be read for it.
            models.Index(
                fields=[
                    *("asset", "username", "ignored", "vanished_at", "changed_at", "first_seen"),
                    *("can_log_in", "powerful"),
                ],
                name="found_standing",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.username}@{self.asset}"


class OnboardingRule(models.Model):
    """What becomes of unknown accounts whose username fits `pattern` (fnmatch), on assets of a kind or node.

    The first rule that fits, by `priority`, counts.  To adopt, `spec` is a PushSpec without assets and
    usernames.
    """

    name = models.CharField(max_length=255, unique=True)
    priority = models.IntegerField(default=10)
    pattern = models.CharField(max_length=255)
    kind = models.CharField(max_length=50, blank=True)
    node = models.ForeignKey(Node, models.CASCADE, null=True, blank=True, related_name="onboarding_rules")
    onboarding = models.CharField(max_length=10, choices=list_choices(Onboarding))
    spec = models.JSONField(null=True, blank=True)
    active = models.BooleanField(default=True)
    comment = models.TextField(blank=True)
    version = models.PositiveIntegerField(default=1)
    created = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering: ClassVar = ["priority", "name"]

    def __str__(self) -> str:
        return self.name
