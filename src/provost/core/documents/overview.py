"""What there is and what goes on, counted."""

from datetime import date, datetime
from uuid import UUID

from provost.core.documents.base import Document
from provost.core.documents.found import StandingCountsDocument
from provost.core.documents.runs import RunDocument


class AccountCountsDocument(Document):
    """How many accounts are in the list; of these, the privileged and those made by Provost; the unsettled."""

    listed: int
    privileged: int
    created_by_provost: int
    unsettled: int


class ChecksDocument(Document):
    """How many accounts have a secret in force whose last check told this; `never`: that was never checked."""

    in_sync: int
    out_of_sync: int
    unknown: int
    never: int


class DayDocument(Document):
    """The runs that began on a day (UTC), and their records by status, those without one yet as `open`."""

    day: date
    runs: int
    counts: dict[str, int]


class FailureDocument(Document):
    """A reason that records, or runs, ended badly for: how many, and the newest runs of it."""

    status: str
    reason: str
    count: int
    runs: list[UUID]


class DueDocument(Document):
    """When a task is due next."""

    task: str
    at: datetime


class WantingDocument(Document):
    """How many assets lack something, and the names of the first few."""

    count: int
    assets: list[str]


class AgeDocument(Document):
    """How many secrets in force are at least, and less than, so many days old (null: however old)."""

    least: int
    below: int | None
    count: int


class StepsDocument(Document):
    """What has been done already: an asset with a privileged account, a push, a saved task, one that checks."""

    asset: bool
    push: bool
    task: bool
    check: bool


class OverviewDocument(Document):
    """What there is, what goes on, and what went wrong, of all that the caller sees.

    `days` are the last 30.  `failures` are of the records of the last 7 days, and `stopped` of runs that did
    not begin or could not go on.  `wanting` are assets without a privileged account: no push can work there.
    `found` counts what discoveries have found.
    """

    steps: StepsDocument
    assets: int
    accounts: AccountCountsDocument
    checks: ChecksDocument
    days: list[DayDocument]
    failures: list[FailureDocument]
    stopped: list[FailureDocument]
    running: list[RunDocument]
    due: list[DueDocument]
    wanting: WantingDocument
    ages: list[AgeDocument]
    found: StandingCountsDocument
