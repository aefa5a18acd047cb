"""Saved tasks: kept, started by hand, and claimed when they are due."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from django.db import InterfaceError, OperationalError, transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from provost.core.errors import Conflict, Forbidden, ProvostError, Refused
from provost.core.model import Action, SecretType, Strategy
from provost.core.push import PushSpec
from provost.core.rights import Face, Principal, Right, make_local
from provost.core.schedule import Schedule, check, find_opening, next_time
from provost.core.secrets import Secret
from provost.core.specs import SPECS, RotateSpec, Spec
from provost.server.models import Asset, Node, Run, Task
from provost.server.models.runs import RunState
from provost.server.services import audit, held
from provost.server.services.chunks import split
from provost.server.services.expansion import check_later
from provost.server.services.names import check_name, check_version, describe_missing
from provost.server.services.pages import EVERYTHING, Page, Place, cut
from provost.server.services.reach import limit, within
from provost.server.services.runs import ALIVE, create_run, settle_interrupted

logger = logging.getLogger(__name__)

CLOCK: Final = "task "
TEMPLATE: Final = "template "
"""What the name of who starts a task begins with that is due, or that assets arrived for."""

_PUT_OFF: Final = timedelta(hours=1)
_LONGEST_NAME: Final = 255
"""Of whoever asks for a run, and is written into the audit trail."""


@dataclass(frozen=True, slots=True)
class TaskFields:
    """What an operator says of a task, besides its specified secret; `new_assets`: it is a template, too."""

    name: str
    spec: Spec
    schedule: Schedule | None = None
    active: bool = True
    comment: str = ""
    new_assets: bool = False


def create_task(*, by: Principal, fields: TaskFields, specified: Secret | None) -> Task:
    """Save a task. Nothing is contacted; its nodes are expanded when a run starts, and may be empty as yet.

    Raises:
        NotFound: an asset or a node that is not there.
        Refused: a field cannot be used.
        Conflict: the name is taken.
        Forbidden: the caller may not push to one of its assets or nodes.
        VaultError: the specified secret could not be stored.
    """
    by.require(Right.OPERATE, what="save tasks")
    with transaction.atomic():
        task = _save(by, Task(), fields, specified)
        audit.write(by=by, action="task.create", subject=f"task {task}", details=_tell(fields))
    return task


def edit_task(
    *, by: Principal, name: str, fields: TaskFields, specified: Secret | None, version: int | None = None
) -> Task:
    """Give a task other fields. Without `specified` it keeps the secret that it has, if its strategy needs one.

    A time that it has missed already stays due, unless the schedule changes.

    Raises:
        NotFound: there is no such task, or as `create_task`.
        Refused: as `create_task`.
        Conflict: as `create_task`; or `version_outdated`, it is not the `version` that was seen.
        Forbidden: as `create_task`, for what it pushed to before as well.
        VaultError: as `create_task`, or the secret that it has does not decrypt.
    """
    with transaction.atomic():
        task = _find_for_change(by, name, version, what=f"change task {name}")
        before = _tell(read_fields(task=task))
        task.version += 1
        task = _save(by, task, fields, specified)
        after = _tell(fields)
        changes = {field: [before[field], after[field]] for field in after if before[field] != after[field]}
        if specified is not None:
            changes["specified_secret"] = ["", "set"]
        audit.write(by=by, action="task.edit", subject=f"task {name}", details=changes)
    return task


def _tell(fields: TaskFields) -> dict[str, Any]:
    """Return what the audit trail is told of a task."""
    return {
        "name": fields.name,
        **fields.spec.model_dump(mode="json"),
        "schedule": fields.schedule.model_dump(mode="json") if fields.schedule else None,
        "active": fields.active,
        "comment": fields.comment,
        "new_assets": fields.new_assets,
    }


def _find_for_change(by: Principal, name: str, version: int | None, *, what: str) -> Task:
    task = Task.objects.select_for_update().get(id=find_task(by=by, name=name).id)
    if task.id not in {one.id for one in _keep(by, Right.OPERATE, [task])}:
        raise Forbidden(f"{by.name} may not {what}: assets or nodes of it are out of reach for that.")
    check_version(task, version)
    return task


def _save(by: Principal, task: Task, fields: TaskFields, specified: Secret | None) -> Task:
    check_name("a task", fields.name)
    if Task.objects.filter(name=fields.name).exclude(id=task.id).exists():
        raise Conflict(f"There is a task {fields.name} already.", code="task_exists")
    wanted = _find_specified_type(fields.spec)
    secret = (specified or held.read_for_task(task_id=task.id)) if wanted else None
    if wanted and (secret is None or secret.secret_type is not wanted):
        raise Refused(
            f"The task holds no {wanted} of yours to set: give one, or let it be random.",
            code="secret_type_refused",
        )
    check_later(by=by, spec=fields.spec, specified=secret)
    if fields.new_assets and not (isinstance(fields.spec, PushSpec) and fields.spec.nodes):
        raise Refused(
            "What is also done for new assets is a push, and names nodes that they come to (/: everywhere).",
            code="template_refused",
        )
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
    task.new_assets = fields.new_assets
    task.save()
    if specified is not None and wanted:
        held.hold_for_task(task_id=task.id, secret=specified)
    elif not wanted:
        held.drop_for_task(task_id=task.id)
    if not task.new_assets:
        task.arrivals.all().delete()
    return task


def _find_specified_type(spec: Spec) -> SecretType | None:
    """Return the type of the operator's own secret that a task needs, if it needs one."""
    if isinstance(spec, PushSpec | RotateSpec) and spec.strategy is Strategy.SPECIFIED:
        return spec.secret_type
    return None


def read_fields(*, task: Task) -> TaskFields:
    """Return what the operator said of a task."""
    return TaskFields(
        name=task.name,
        spec=SPECS.validate_python(task.spec),
        schedule=Schedule.model_validate(task.schedule) if task.schedule else None,
        active=task.active,
        comment=task.comment,
        new_assets=task.new_assets,
    )


def find_task(*, by: Principal, name: str) -> Task:
    """Return the task of that name.

    Raises:
        NotFound: there is none that the caller sees; the message lists what there is.
    """
    task = limited(by).select_related("last_run__task").filter(name=name).first()
    if task is None:
        known = limited(by).values_list("name", flat=True)
        raise describe_missing("task", [name], known, code="task_not_found")
    return task


def limited(by: Principal) -> QuerySet[Task]:
    """Return the tasks that somebody sees, as a query: those whose assets and nodes are all within reach."""
    if by.require(Right.VIEW, what="see tasks").everywhere:
        return Task.objects.all()
    return Task.objects.filter(id__in=[task.id for task in _keep(by, Right.VIEW, list(Task.objects.all()))])


def find_seen(*, by: Principal, ids: Sequence[UUID]) -> set[UUID]:
    """Return those of the ids that are of tasks which somebody sees."""
    found = [task for chunk in split(set(ids)) for task in Task.objects.filter(id__in=chunk)]
    return {task.id for task in _keep(by, Right.VIEW, found)}


def _keep(by: Principal, right: Right, tasks: Sequence[Task]) -> list[Task]:
    """Return the tasks all of whose assets and nodes a right extends to."""
    reach = by.reach(right)
    if reach.everywhere:
        return list(tasks)
    assets = {name for task in tasks for name in task.spec["assets"]}
    paths = {path for task in tasks for path in task.spec["nodes"]}
    near: set[str] = set()
    for chunk in split(assets):
        near.update(limit(Asset.objects.filter(name__in=chunk), reach).values_list("name", flat=True))
    inside = {
        path
        for chunk in split(paths)
        for path in Node.objects.filter(within(reach), full_path__in=chunk).values_list("full_path", flat=True)
    }
    return [
        task
        for task in tasks
        if (task.spec["assets"] or task.spec["nodes"])  # what names nothing is nobody's
        and set(task.spec["assets"]) <= near
        and set(task.spec["nodes"]) <= inside
    ]


def list_tasks(
    *, by: Principal, search: str | None = None, page: Page = EVERYTHING
) -> tuple[list[Task], Place | None]:
    """List tasks by name, and where the next page begins; `search` is a part of the name or comment."""
    settle_interrupted()
    tasks = limited(by).select_related("last_run__task")
    if search:
        tasks = tasks.filter(Q(name__icontains=search) | Q(comment__icontains=search))
    return cut(tasks, ["name"], page)


def delete_task(*, by: Principal, name: str, version: int | None = None) -> None:
    """Delete a task and the secret specified for it. Its runs stay, also one that is going on.

    Raises:
        NotFound: there is no such task.
        Conflict: it is not the `version` that was seen.
        Forbidden: the caller may not push to all that it pushes to.
    """
    with transaction.atomic():
        _find_for_change(by, name, version, what=f"delete task {name}").delete()
        audit.write(by=by, action="task.delete", subject=f"task {name}")


def start(*, by: Principal, name: str, attended: bool = True) -> Run:
    """Write down a run of a task: its assets are those of now. Active or not.

    The caller works an `attended` run off; any server takes the others.

    Raises:
        NotFound: there is no such task, or an asset or a node of it is not there any more.
        Refused: it cannot be done.
        Conflict: `task_running`, its last run is not over.
        Forbidden: the caller may not push to all that it pushes to.
        VaultError: its specified secret does not decrypt.
    """
    settle_interrupted()
    with transaction.atomic():
        task = _find_for_change(by, name, None, what=f"run task {name}")
        if going := _find_going(task):
            raise Conflict(
                f"Run {going.id} of task {task.name} is not over yet. Wait, or: provost run cancel",
                code="task_running",
            )
        return _start(by, task, attended=attended)


def _start(by: Principal, task: Task, *, attended: bool) -> Run:
    specified = held.read_for_task(task_id=task.id)
    spec = SPECS.validate_python(task.spec)
    task.last_run = create_run(by=by, spec=spec, specified=specified, task=task, attended=attended)
    task.save(update_fields=["last_run"])
    return task.last_run


def _find_going(task: Task) -> Run | None:
    """Return the run of a task that is not over; those for new assets alone keep nothing waiting."""
    return task.runs.filter(state__in=ALIVE).exclude(requested_by__startswith=TEMPLATE).first()


def put_right(*, now: datetime) -> int:
    """Give tasks that a wrong clock made due too late their next time again, and return how many there were."""
    count = 0
    for task in Task.objects.filter(next_due__gt=now):
        expected = next_time(Schedule.model_validate(task.schedule), now)
        if expected is not None and task.next_due is not None and expected < task.next_due:
            count += Task.objects.filter(id=task.id, next_due=task.next_due).update(next_due=expected)
    return count


def claim_due(*, now: datetime, limit: int) -> list[Run]:
    """Start what is due, the longest due first: at most `limit` tasks. Returns their runs; servers take them.

    Any number of processes may do this at once; each due time is one process's alone.  Times that were missed
    count as one, and that one waits for the maintenance window.  A task whose run is not over, or that cannot
    start, gets a run in state `skipped` that says why, and is due again at its next time.  One at which Provost
    itself fails is due again in an hour, and keeps no other waiting.
    """
    settle_interrupted()
    due = Task.objects.filter(next_due__lte=now).order_by("next_due").values_list("id", flat=True)
    runs = [_claim_or_put_off(task_id, now) for task_id in due[:limit]]
    return [run for run in runs if run is not None]


def _claim_or_put_off(task_id: UUID, now: datetime) -> Run | None:
    try:
        return _claim(task_id, now)
    except (InterfaceError, OperationalError) as error:  # the database's fault: the task stays due
        logger.error("Task %s could not be started; trying again.", task_id, exc_info=error)  # noqa: TRY400  # the log leaves its text out
    except Exception as error:  # whatever it is, the others are due as well
        logger.error("Task %s could not be started; it is put off.", task_id, exc_info=error)  # noqa: TRY400  # as above
        reason, message = "internal_error", "Provost met a fault of its own; its log says more."
        if isinstance(error, ProvostError):
            reason, message = error.code, error.message
        with transaction.atomic():
            if (task := _find_due(task_id, now)) is not None:
                task.next_due = now + _PUT_OFF
                task.last_run = skip(task, reason, message)
                task.save(update_fields=["next_due", "last_run"])
    return None


def _find_due(task_id: UUID, now: datetime) -> Task | None:
    """Return a task that is due, unless another process has it; until the transaction ends nobody else does."""
    return Task.objects.select_for_update(skip_locked=True).filter(id=task_id, next_due__lte=now).first()


def _claim(task_id: UUID, now: datetime) -> Run | None:
    """Start one task, unless another process has it. The claim and its run are one transaction.

    PostgreSQL locks the row; in SQLite, every transaction has the database to itself.
    """
    with transaction.atomic():
        if (task := _find_due(task_id, now)) is None:
            return None
        schedule = Schedule.model_validate(task.schedule)
        opening = find_opening(schedule, now)
        task.next_due = opening if opening > now else next_time(schedule, now)
        task.save(update_fields=["next_due"])
        if opening > now:
            return None
        if going := _find_going(task):
            skip(task, "still_running", f"Run {going.id} of the task was not over when it was due again.")
            return None
        try:
            with transaction.atomic():
                scheduler = make_local(name_starter(task, CLOCK), face=Face.SERVER)
                return _start(scheduler, task, attended=False)
        except ProvostError as error:  # nobody is there to be told: it is written down
            task.last_run = skip(task, error.code, error.message)
            task.save(update_fields=["last_run"])
            return None


def name_starter(task: Task, what: str) -> str:
    """Return who starts a task without being asked: itself. No user has such a name."""
    return f"{what}{task.name}"[:_LONGEST_NAME]


def skip(task: Task, reason: str, message: str, *, starter: str = CLOCK) -> Run:
    """Write down that a task was not begun, and why."""
    return Run.objects.create(
        action=task.spec.get("action", Action.PUSH),
        state=RunState.SKIPPED,
        spec=task.spec,
        task=task,
        requested_by=name_starter(task, starter),
        reason=reason,
        message=message,
        finished=timezone.now(),
    )
