"""The server itself, and its audit trail."""

from datetime import datetime
from typing import Any, Literal

from provost.core.documents.base import Document
from provost.core.rights import Face


class RotationDocument(Document):
    """How many secrets were encrypted anew, and the ids of the keys in use from now on."""

    secrets: int
    data_key: int
    master_key: int


class SettingDocument(Document):
    """A setting: its variable, what it says, and the value in force, but for passwords (null: none).

    `given`: it was set, and is not as usual.
    """

    variable: str
    meaning: str
    value: str | None
    given: bool


class VaultDocument(Document):
    """The keys in use, by their ids; those of the vault that cannot be opened are null."""

    master_key_file: str
    master_key: int | None
    data_key: int | None
    created: datetime | None
    rotated: datetime | None


class SettingsDocument(Document):
    """The configuration in force. It is changed in the environment of the server, and read when it starts."""

    version: str
    database: str
    settings: list[SettingDocument]
    vault: VaultDocument


class FindingDocument(Document):
    """Something that the check-up found: how bad it is, what it is, and what to do (empty: nothing)."""

    level: Literal["ok", "warning", "problem"]
    code: str
    message: str
    advice: str


class AuditDocument(Document):
    """One entry of the audit trail."""

    number: int
    at: datetime
    who: str
    token: str
    face: Face
    source: str
    request_id: str
    action: str
    subject: str
    details: dict[str, Any]
    digest: str


class ProofDocument(Document):
    """Whether the audit trail is whole; `broken` is the number of the first entry that is not."""

    whole: bool
    entries: int
    digest: str
    broken: int | None
    why: str
