"""Saved push tasks: kept, started by hand, and claimed when they are due."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from provost.core.errors import ProvostError, Refused
from provost.core.model import Strategy
from provost.core.push import PushSpec
from provost.core.schedule import Schedule, check, find_opening, next_time
from provost.core.secrets import Secret
from provost.server.models import Run, Task
from provost.server.models.runs import RunState
from provost.server.services import secrets
from provost.server.services.expansion import check_later
from provost.server.services.names import check_name, describe_missing
from provost.server.services.runs import ALIVE, create_push, settle_interrupted


@dataclass(frozen=True, slots=True)
class TaskFields:
    """What an operator says of a task, besides its specified secret."""

    name: str
    spec: PushSpec
    schedule: Schedule | None = None
    active: bool = True
    comment: str = ""


def create_task(*, fields: TaskFields, specified: Secret | None) -> Task:
    """Save a task. Nothing is contacted; its nodes are expanded when a run starts, and may be empty as yet.

    Raises:
        NotFound: an asset or a node that is not there.
        Refused: a field cannot be used, or the name is taken.
        VaultError: the specified secret could not be stored.
    """
    with transaction.atomic():
        return _save(Task(), fields, specified)


def edit_task(*, name: str, fields: TaskFields, specified: Secret | None) -> Task:
    """Give a task other fields. Without `specified` it keeps the secret that it has, if its strategy needs one.

    A time that it has missed already stays due, unless the schedule changes.

    Raises:
        NotFound: there is no such task, or as `create_task`.
        Refused: as `create_task`.
        VaultError: as `create_task`, or the secret that it has does not decrypt.
    """
    with transaction.atomic():
        find_task(name=name)
        return _save(Task.objects.select_for_update().get(name=name), fields, specified)


def _save(task: Task, fields: TaskFields, specified: Secret | None) -> Task:
    check_name("a task", fields.name)
    if Task.objects.filter(name=fields.name).exclude(id=task.id).exists():
        raise Refused(f"There is a task {fields.name} already.", code="task_exists")
    is_specified = fields.spec.strategy is Strategy.SPECIFIED
    secret = (specified or secrets.read_for_task(task_id=task.id)) if is_specified else None
    if is_specified and (secret is None or secret.secret_type is not fields.spec.secret_type):
        raise Refused(
            f"The task holds no {fields.spec.secret_type} of yours to push: give one, or let it be random.",
            code="secret_type_refused",
        )
    check_later(spec=fields.spec, specified=secret)
    now = timezone.now()
    if fields.schedule:
        check(fields.schedule, now)
    schedule = fields.schedule.model_dump(mode="json") if fields.schedule else None
    if (schedule, fields.active) != (task.schedule, task.active) or task._state.adding:  # noqa: SLF001  # Django's documented way to tell
        task.next_due = next_time(fields.schedule, now) if fields.schedule and fields.active else None
    task.name = fields.name
    task.spec = fields.spec.model_dump(mode="json")
    task.schedule = schedule
    task.active = fields.active
    task.comment = fields.comment
    task.save()
    if specified is not None and is_specified:
        secrets.hold_for_task(task_id=task.id, secret=specified)
    elif not is_specified:
        secrets.drop_for_task(task_id=task.id)
    return task


def read_fields(*, task: Task) -> TaskFields:
    """Return what the operator said of a task."""
    return TaskFields(
        name=task.name,
        spec=PushSpec.model_validate(task.spec),
        schedule=Schedule.model_validate(task.schedule) if task.schedule else None,
        active=task.active,
        comment=task.comment,
    )


def find_task(*, name: str) -> Task:
    """Return the task of that name.

    Raises:
        NotFound: there is none; the message lists what there is.
    """
    task = Task.objects.select_related("last_run").filter(name=name).first()
    if task is None:
        known = Task.objects.values_list("name", flat=True)
        raise describe_missing("task", [name], known, code="task_not_found")
    return task


def list_tasks() -> list[Task]:
    """List all tasks by name."""
    settle_interrupted()
    return list(Task.objects.select_related("last_run"))


def delete_task(*, name: str) -> None:
    """Delete a task and the secret specified for it. Its runs stay, also one that is going on.

    Raises:
        NotFound: there is no such task.
    """
    find_task(name=name).delete()


def start(*, task: Task, attended: bool = True) -> Run:
    """Write down a run of a task: its assets are those of now. Active or not.

    The caller works an `attended` run off; any server takes the others.

    Raises:
        NotFound: an asset or a node is not there any more.
        Refused: `task_running`, its last run is not over; or it cannot be done.
        VaultError: its specified secret does not decrypt.
    """
    settle_interrupted()
    with transaction.atomic():
        task = Task.objects.select_for_update().get(id=task.id)
        if going := _find_going(task):
            raise Refused(
                f"Run {going.id} of task {task.name} is not over yet. Wait, or: provost run cancel",
                code="task_running",
            )
        return _start(task, attended=attended)


def _start(task: Task, *, attended: bool, requested_by: str = "") -> Run:
    specified = secrets.read_for_task(task_id=task.id)
    task.last_run = create_push(
        spec=PushSpec.model_validate(task.spec),
        specified=specified,
        task=task,
        attended=attended,
        requested_by=requested_by,
    )
    task.save(update_fields=["last_run"])
    return task.last_run


def _find_going(task: Task) -> Run | None:
    return task.runs.filter(state__in=ALIVE).first()


def claim_due(*, now: datetime, limit: int) -> list[Run]:
    """Start what is due, the longest due first: at most `limit` tasks. Returns their runs; servers take them.

    Any number of processes may do this at once; each due time is one process's alone.  Times that were missed
    count as one, and that one waits for the maintenance window.  A task whose run is not over, or that cannot
    start, gets a run in state `skipped` that says why, and is due again at its next time.
    """
    settle_interrupted()
    due = Task.objects.filter(next_due__lte=now).order_by("next_due").values_list("id", flat=True)
    runs = [_claim(task_id, now) for task_id in due[:limit]]
    return [run for run in runs if run is not None]


def _claim(task_id: UUID, now: datetime) -> Run | None:
    """Start one task, unless another process has it. The claim and its run are one transaction.

    PostgreSQL locks the row; in SQLite, every transaction has the database to itself.
    """
    with transaction.atomic():
        mine = Task.objects.select_for_update(skip_locked=True).filter(id=task_id, next_due__lte=now)
        if (task := mine.first()) is None:
            return None
        schedule = Schedule.model_validate(task.schedule)
        opening = find_opening(schedule, now)
        task.next_due = opening if opening > now else next_time(schedule, now)
        task.save(update_fields=["next_due"])
        if opening > now:
            return None
        if going := _find_going(task):
            _skip(task, "still_running", f"Run {going.id} of the task was not over when it was due again.")
            return None
        try:
            with transaction.atomic():
                return _start(task, attended=False, requested_by=f"task {task.name}")
        except ProvostError as error:  # nobody is there to be told: it is written down
            task.last_run = _skip(task, error.code, error.message)
            task.save(update_fields=["last_run"])
            return None


def _skip(task: Task, reason: str, message: str) -> Run:
    return Run.objects.create(
        action="push",
        state=RunState.SKIPPED,
        spec=task.spec,
        task=task,
        requested_by=f"task {task.name}",
        reason=reason,
        message=message,
        finished=timezone.now(),
    )
