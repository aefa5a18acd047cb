"""Nodes, assets, kinds and imports."""

from datetime import datetime
from typing import Any

from provost.core.documents.base import Document
from provost.core.model import Become, Capability, SecretType


class NodeDocument(Document):
    """A folder of assets; `assets` are those in it, `within` those in it and below it, each once."""

    path: str
    assets: int
    within: int


class HostKeyDocument(Document):
    """A host key, trusted now or before; `key` is an OpenSSH line."""

    fingerprint: str
    state: str
    first_seen: datetime
    key: str


class PrivilegedDocument(Document):
    """A privileged account of an asset; `usable`: a secret to log in with is held."""

    username: str
    priority: int
    become: Become
    usable: bool


class AssetDocument(Document):
    """A target system; `via` is the asset that it is reached through.

    Nodes and a gateway that the caller does not see are left out.  `privileged` are its privileged accounts in
    the order in which they are tried; without a usable one, nothing is attempted on it.
    """

    name: str
    kind: str
    address: str
    port: int
    nodes: list[str]
    via: str | None
    options: dict[str, str]
    comment: str
    privileged: list[PrivilegedDocument]
    created: datetime
    version: int


class AssetDetailDocument(AssetDocument):
    """An asset, with how many accounts of it are in the list, and with what it is known by.

    `unlisted` counts the accounts that are not in the list, and of which secrets are kept; `secrets` are all
    that are kept of its accounts, with their history.
    """

    accounts: int
    unlisted: int
    secrets: int
    host_keys: list[HostKeyDocument]


class TrustDocument(Document):
    """The fingerprints of an asset's host keys that are no longer trusted."""

    asset: str
    forgotten: list[str]


class KindDocument(Document):
    """A kind of target, with the JSON schemas of an asset's options, and of what pushes and removals are told.

    `capabilities` are what it can do besides setting secrets and proving them, and `becomes` how a privileged
    account may come by its rights there.  A password has at most `longest_password` bytes.
    """

    kind: str
    default_port: int
    secret_types: list[SecretType]
    capabilities: list[Capability]
    becomes: list[Become]
    longest_password: int
    forbidden_in_passwords: str
    options: dict[str, Any]
    parameters: dict[str, Any]
    removal: dict[str, Any]


class TargetsDocument(Document):
    """How many assets are meant, of which kinds, and how many of them cannot be logged in to.

    `skipped` have no privileged account whose secret is held: a push does not touch them.
    """

    assets: int
    skipped: int
    kinds: dict[str, int]


class SampleDocument(Document):
    """A password made by rules, for somebody to look at: it is not kept, and nothing is set to it."""

    sample: str


class ImportChangesDocument(Document):
    """What an inventory changed, by name: of what was there, each field with what was and what is."""

    nodes_added: list[str]
    assets_added: list[str]
    assets_changed: dict[str, dict[str, list[Any]]]
    accounts_added: list[str]
    accounts_changed: dict[str, dict[str, list[Any]]]
    secrets_set: list[str]


class ImportDocument(Document):
    """How many nodes, assets, accounts and secrets were changed, and how; of a dry run, would be."""

    dry_run: bool
    imported: dict[str, dict[str, int]]
    changes: ImportChangesDocument
