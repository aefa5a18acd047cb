"""Accounts and their secrets."""

from datetime import datetime
from uuid import UUID

from pydantic import Field

from provost.core.documents.base import Document
from provost.core.model import Become, SecretState, SecretType, Strategy, Sync
from provost.core.rights import Right


class SecretDocument(Document):
    """What is known of a stored secret, besides the secret itself; `run` staged it.

    `sync` is what its last check told, at `checked_at`, and `reason` and `message` say why; null: never
    checked.
    """

    secret_type: SecretType
    version: int
    state: SecretState
    origin: Strategy
    public_key: str | None
    fingerprint: str | None
    public_only: bool
    run: UUID | None
    created: datetime
    promoted_at: datetime | None
    retired_at: datetime | None
    sync: Sync | None
    checked_at: datetime | None
    reason: str
    message: str


class AccountDocument(Document):
    """A username on an asset; in the list since `listed_at`, or not (null).

    It lives until `expires_at`, or for good (null), and is removed `grace` seconds after that.  With
    `reconcile`, its secret may be set again where the target refuses it.
    """

    username: str
    asset: str
    privileged: bool
    priority: int
    become: Become
    created_by_provost: bool
    reconcile: bool
    expires_at: datetime | None
    grace: int
    disabled_at: datetime | None
    listed_at: datetime | None
    created: datetime
    version: int
    secrets: list[SecretDocument]


class AccountDetailDocument(AccountDocument):
    """An account, with its asset's `kind`, its `pair`, and those of the caller's `rights` that extend to it."""

    kind: str
    pair: str | None
    rights: list[Right]


class HistoryDocument(Document):
    """Every secret that an account has or had, the newest first."""

    username: str
    asset: str
    versions: list[SecretDocument]


class RevealedDocument(Document):
    """A secret, for who asked for it: a password, or an SSH key's private half."""

    username: str
    asset: str
    secret_type: SecretType
    secret: str = Field(repr=False)
