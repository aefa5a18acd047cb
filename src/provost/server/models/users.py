import uuid
from typing import ClassVar

from allauth.mfa.models import Authenticator
from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.db import models
from django.db.models import Q

from provost.core.rights import Role
from provost.server.models.choices import list_choices
from provost.server.models.inventory import Node


class User(AbstractBaseUser):
    """Someone who signs in or has tokens. Their grants say what they may do; `version` counts changes."""

    username = models.CharField(max_length=150, unique=True)
    email = models.EmailField(blank=True)
    is_active = models.BooleanField(default=True)
    version = models.PositiveIntegerField(default=1)
    created = models.DateTimeField(auto_now_add=True)

    objects = BaseUserManager["User"]()

    USERNAME_FIELD = "username"
    EMAIL_FIELD = "email"

    class Meta:
        ordering: ClassVar = ["username"]

    def __str__(self) -> str:
        return self.username

    @property
    def has_second_factor(self) -> bool:
        """Whether they have one; recovery codes alone are none."""
        return any(one.type != Authenticator.Type.RECOVERY_CODES for one in self.authenticator_set.all())


class Grant(models.Model):
    """That a user has a role in a node and below, or without a node everywhere; with or without reveal."""

    user = models.ForeignKey(User, models.CASCADE, related_name="grants")
    role = models.CharField(max_length=15, choices=list_choices(Role))
    node = models.ForeignKey(Node, models.CASCADE, null=True, blank=True, related_name="grants")
    reveal = models.BooleanField(default=False)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["user", "role", "node"], name="grant_once_per_node"),
            models.UniqueConstraint(
                fields=["user", "role"], condition=Q(node=None), name="grant_once_everywhere"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.user}: {self.role} {self.node or 'everywhere'}"


class Token(models.Model):
    """A program's way in. Only the SHA-256 of its text is kept; `rights` of its user's are all that it has."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(User, models.CASCADE, related_name="tokens")
    name = models.CharField(max_length=150)
    digest = models.CharField(max_length=64, unique=True)
    rights = models.JSONField()
    expires = models.DateTimeField()
    created = models.DateTimeField(auto_now_add=True)
    last_used = models.DateTimeField(null=True, blank=True)
    revoked = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering: ClassVar = ["-created"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["user", "name"], name="token_name_once_per_user"),
        ]

    def __str__(self) -> str:
        return f"{self.name} of {self.user}"


class Setup(models.Model):
    """The one row that lets whoever has its token make the first administrator; gone once that is done."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    digest = models.CharField(max_length=64)
    created = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints: ClassVar = [models.CheckConstraint(condition=Q(id=1), name="one_setup")]

    def __str__(self) -> str:
        return "first administrator"
