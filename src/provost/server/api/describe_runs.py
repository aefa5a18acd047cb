"""From runs, records and tasks to documents; apart, since most commands need not wait for this."""

from collections.abc import Collection, Sequence
from uuid import UUID

from django.utils import timezone

from provost.core import documents as told
from provost.core import schedule as schedules
from provost.core.model import Decision, SecretType, Status
from provost.core.rights import Principal, Right
from provost.core.schedule import Schedule
from provost.core.specs import SPECS
from provost.server.models import Record, Run, Task
from provost.server.services import assets, nodes, runs, tasks
from provost.server.services.pages import Page

_LAST_RUNS = 5
_FIRST_USERNAMES = 3


def describe_runs(by: Principal, found: Sequence[Run]) -> list[told.RunDocument]:
    """Tell of runs: of their records and tasks, those that the caller sees."""
    counts = runs.count_records(by=by, runs=found)
    seen = tasks.find_seen(by=by, ids=[run.task_id for run in found if run.task_id is not None])
    return [
        told.RunDocument(
            id=run.id,
            state=run.state,
            action=run.action,
            dry_run=run.dry_run,
            usernames=list(run.spec.get("usernames", ()))[:_FIRST_USERNAMES],
            task=run.task.name if run.task and run.task.id in seen else None,
            requested_by=_tell_requester(by, run, seen),
            reason=run.reason,
            message=run.message,
            created=run.created,
            started=run.started,
            finished=run.finished,
            counts=dict(counts[run.id]),
        )
        for run in found
    ]


def _tell_requester(by: Principal, run: Run, seen: Collection[UUID]) -> str:
    """Return who asked for a run; of a task that the caller does not see, that it was one."""
    if run.task_id in seen or by.reach(Right.VIEW).everywhere:
        return run.requested_by
    starter = next((one for one in (tasks.CLOCK, tasks.TEMPLATE) if run.requested_by.startswith(one)), None)
    return starter.strip() if starter else run.requested_by


def describe_run_detail(by: Principal, run: Run) -> told.RunDetailDocument:
    """Tell of a run and what was asked for, but for assets and nodes that the caller does not see."""
    spec = SPECS.validate_python(run.spec)
    if not by.reach(Right.VIEW).everywhere:
        seen_assets = set(assets.limited(by).filter(name__in=spec.assets).values_list("name", flat=True))
        seen_nodes = set(nodes.limited(by).filter(full_path__in=spec.nodes).values_list("full_path", flat=True))
        spec = spec.model_copy(
            update={
                "assets": tuple(name for name in spec.assets if name in seen_assets),
                "nodes": tuple(path for path in spec.nodes if path in seen_nodes),
            }
        )
    return told.RunDetailDocument(
        **describe_runs(by, [run])[0].model_dump(), spec=spec, cancel_requested=run.cancel_requested
    )


def describe_record(record: Record) -> told.RecordDocument:
    """Tell of one record."""
    return told.RecordDocument(
        asset=record.asset_name,
        username=record.username,
        secret_type=SecretType(record.secret_type) if record.secret_type else None,
        decision=Decision(record.decision) if record.decision else None,
        status=Status(record.status) if record.status else None,
        reason=record.reason,
        message=record.message,
        seconds=record.seconds,
        actor=record.actor,
    )


def describe_activity(record: Record) -> told.ActivityDocument:
    """Tell of one record, with its run."""
    return told.ActivityDocument(
        **describe_record(record).model_dump(),
        run=record.run.id,
        action=record.run.action,
        dry_run=record.run.dry_run,
        created=record.run.created,
        at=record.settled_at,
    )


def describe_tasks(by: Principal, found: Sequence[Task]) -> list[told.TaskDocument]:
    """Tell of tasks, each with how its last run went."""
    last = [task.last_run for task in found if task.last_run is not None]
    latest = {run.id: run for run in describe_runs(by, last)}
    return [_describe_task(task, latest.get(task.last_run.id) if task.last_run else None) for task in found]


def _describe_task(task: Task, latest: told.RunDocument | None) -> told.TaskDocument:
    schedule = Schedule.model_validate(task.schedule) if task.schedule else None
    return told.TaskDocument(
        name=task.name,
        spec=SPECS.validate_python(task.spec),
        schedule=told.ScheduleDocument(**schedule.model_dump(), words=schedules.describe(schedule))
        if schedule
        else None,
        active=task.active,
        next_due=task.next_due,
        last_run=task.last_run_id,
        latest=latest,
        comment=task.comment,
        new_assets=task.new_assets,
        created=task.created,
        updated=task.updated,
        version=task.version,
    )


def describe_task_detail(by: Principal, task: Task) -> told.TaskDetailDocument:
    """Tell of a task, its next times and its last runs."""
    last, _ = runs.list_runs(by=by, filters=runs.RunFilter(task=task.name), page=Page(_LAST_RUNS))
    schedule = Schedule.model_validate(task.schedule) if task.schedule and task.active else None
    return told.TaskDetailDocument(
        **describe_tasks(by, [task])[0].model_dump(),
        next_times=schedules.next_times(schedule, timezone.now()) if schedule else [],
        runs=describe_runs(by, last),
    )
