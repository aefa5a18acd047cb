"""What is to be done: now, or saved as a task."""

from typing import Literal
from uuid import UUID

from pydantic import Field

from provost.core.model import Decision, Status
from provost.core.passwords import PasswordRules
from provost.core.requests.base import Flag, Instant, Name, PageQuery, Said, SecretBody, Text
from provost.core.specs import AnySpec


class SampleBody(Said):
    """The rules to make a password by."""

    rules: PasswordRules = PasswordRules()


class PushBody(Said):
    """Something to be done, or with `dry_run` looked at. A `secret` of the caller's own, or a random one.

    With `accounts`, each a USERNAME@ASSET, it is about these alone, whatever `spec` says of where and who.
    """

    spec: AnySpec
    accounts: tuple[Text, ...] = Field(default=(), max_length=10_000)
    secret: SecretBody | None = None
    dry_run: Flag = False


class RunQuery(PageQuery):
    """Which runs; `asset`: those with a record of it, `cause`: those that rules made for what it has found."""

    state: Literal["queued", "running", "finished", "cancelled", "interrupted", "skipped"] | None = None
    action: Name | None = None
    task: Name | None = None
    dry_run: bool | None = None
    asset: Name | None = None
    cause: UUID | None = None


class RecordQuery(PageQuery):
    """Which records; `status` may be `open`. `search`: a part of the asset's name or of the username."""

    status: Status | Literal["open"] | None = None
    decision: Decision | None = None
    reason: Name | None = None
    search: Name | None = None


class ScheduleBody(Said):
    """Either `every` or `cron`, in a time zone; `since` is now unless it is given."""

    every: Name | None = None
    cron: Name | None = None
    zone: Name = "UTC"
    window: Name | None = None
    since: Instant | None = None


class TaskBody(Said):
    """Something to be saved. A `secret` of the caller's own, or a random one, as `spec.strategy` says.

    With `new_assets`, it is also done for each asset that is added to its nodes.
    """

    name: Name
    spec: AnySpec
    schedule: ScheduleBody | None = None
    active: Flag = True
    comment: Text = ""
    new_assets: Flag = False
    secret: SecretBody | None = None


class TaskPatch(Said):
    """What is to change of a task; what is not given stays. A `schedule` of null: never by the clock."""

    name: Name | None = None
    spec: AnySpec | None = None
    schedule: ScheduleBody | None = None
    active: Flag | None = None
    comment: Text | None = None
    new_assets: Flag | None = None
    secret: SecretBody | None = None


class TaskQuery(PageQuery):
    """Which tasks; `search`: a part of the name or the comment."""

    search: Name | None = None
