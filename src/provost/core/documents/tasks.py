"""Tasks and schedules."""

from datetime import datetime
from uuid import UUID

from provost.core.documents.base import Document
from provost.core.documents.runs import RunDocument
from provost.core.specs import AnySpec


class ScheduleDocument(Document):
    """When a task is due: as it was given, and in words."""

    every: str | None
    cron: str | None
    zone: str
    window: str | None
    since: datetime
    words: str


class TaskDocument(Document):
    """Something saved to be done; `latest` is how its last run went.

    With `new_assets`, it is also done for each asset that is added to its nodes.
    """

    name: str
    spec: AnySpec
    schedule: ScheduleDocument | None
    active: bool
    next_due: datetime | None
    last_run: UUID | None
    latest: RunDocument | None
    comment: str
    new_assets: bool
    created: datetime
    updated: datetime
    version: int


class TaskDetailDocument(TaskDocument):
    """A task with its next five times and its last five runs."""

    next_times: list[datetime]
    runs: list[RunDocument]


class TimesDocument(Document):
    """A schedule in words, and its next times."""

    words: str
    next_times: list[datetime]
