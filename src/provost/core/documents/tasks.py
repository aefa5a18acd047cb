"""Tasks and schedules."""

from datetime import datetime
from uuid import UUID

from provost.core.documents.base import Document
from provost.core.documents.runs import RunDocument
from provost.core.push import PushSpec


class ScheduleDocument(Document):
    """When a task is due: as it was given, and in words."""

    every: str | None
    cron: str | None
    zone: str
    window: str | None
    since: datetime
    words: str


class TaskDocument(Document):
    """A saved push; `latest` is how its last run went."""

    name: str
    spec: PushSpec
    schedule: ScheduleDocument | None
    active: bool
    next_due: datetime | None
    last_run: UUID | None
    latest: RunDocument | None
    comment: str
    created: datetime
    updated: datetime
    version: int


class TaskDetailDocument(TaskDocument):
    """A saved push with its next five times and its last five runs."""

    next_times: list[datetime]
    runs: list[RunDocument]


class TimesDocument(Document):
    """A schedule in words, and its next times."""

    words: str
    next_times: list[datetime]
