from typing import ClassVar

from django.db import models
from treebeard.mp_tree import MP_Node


class Node(MP_Node):
    """A folder of assets. `full_path` is its name below its parents' ("/prod/web"), kept by services/nodes."""

    name = models.CharField(max_length=100)
    full_path = models.CharField(max_length=1000, unique=True)

    def __str__(self) -> str:
        return self.full_path


class Asset(models.Model):
    """A target system. `options` are those of its kind; `via` is the asset that it is reached through.

    `version` counts changes, so that who changes an asset can say which one was seen.  `discovered_at` is when
    its accounts were last listed.
    """

    name = models.CharField(max_length=255, unique=True)
    kind = models.CharField(max_length=50)
    address = models.CharField(max_length=255)
    port = models.PositiveIntegerField()
    via = models.ForeignKey("self", models.PROTECT, null=True, blank=True, related_name="behind")
    options = models.JSONField(default=dict, blank=True)
    comment = models.TextField(blank=True)
    version = models.PositiveIntegerField(default=1)
    created = models.DateTimeField(auto_now_add=True)
    discovered_at = models.DateTimeField(null=True, blank=True)
    nodes = models.ManyToManyField(Node, related_name="assets", blank=True)

    class Meta:
        ordering: ClassVar = ["name"]

    def __str__(self) -> str:
        return self.name


class HostKeyState(models.TextChoices):
    """Whether a host key is believed, or is one that was believed before `provost asset trust`."""

    TRUSTED = "trusted"
    REPLACED = "replaced"


class HostKey(models.Model):
    """A host key pinned for an asset: an OpenSSH public key line without comment."""

    asset = models.ForeignKey(Asset, models.CASCADE, related_name="host_keys")
    key = models.TextField()
    fingerprint = models.CharField(max_length=100)
    state = models.CharField(max_length=10, choices=HostKeyState, default=HostKeyState.TRUSTED)
    first_seen = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return self.fingerprint
