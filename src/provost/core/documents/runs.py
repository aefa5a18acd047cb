"""Runs and records."""

from datetime import datetime
from uuid import UUID

from provost.core.documents.base import Document
from provost.core.model import Decision, SecretType, Status
from provost.core.specs import AnySpec


class RunDocument(Document):
    """One execution; `counts` are its records by status, those without one yet as `open`.

    `usernames` are the first few it was told.  Records and a task that the caller does not see are left out.
    """

    id: UUID
    state: str
    action: str
    dry_run: bool
    usernames: list[str]
    task: str | None
    requested_by: str
    reason: str
    message: str
    created: datetime
    started: datetime | None
    finished: datetime | None
    counts: dict[str, int]


class RecordDocument(Document):
    """The result for one account in a run; `status` is null until it is settled.

    What concerns an account as a whole has no `secret_type`; a discovery has one record for an asset, with an
    empty `username`.
    """

    asset: str
    username: str
    secret_type: SecretType | None
    decision: Decision | None
    status: Status | None
    reason: str
    message: str
    seconds: float
    actor: str


class ActivityDocument(RecordDocument):
    """What a run did, or would have done, about an account; `at` is null until it is settled."""

    run: UUID
    action: str
    dry_run: bool
    created: datetime
    at: datetime | None


class RecordCountDocument(Document):
    """How many records of a run ended alike; `status` is null for those that are not settled."""

    decision: Decision | None
    status: Status | None
    reason: str
    count: int


class RunDetailDocument(RunDocument):
    """A run with what was asked for: of assets and nodes, those that the caller sees.

    `cancel_requested`: it was asked to stop, and ends when what has begun is finished.
    """

    spec: AnySpec
    cancel_requested: bool


class ReasonDocument(Document):
    """The records of a run that ended in the same way: how many, the message of one, and the first assets."""

    status: Status
    reason: str
    count: int
    message: str
    assets: list[str]
