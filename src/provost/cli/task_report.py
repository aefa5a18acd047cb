"""Saved tasks as tables and as JSON (the shape is a public contract)."""

from collections.abc import Sequence
from datetime import datetime

from provost.cli.call import call
from provost.cli.output import print_fields, print_json, print_line, print_table
from provost.cli.report import print_runs, sum_up
from provost.core.documents import ScheduleDocument, TaskDetailDocument, TaskDocument
from provost.core.durations import write_duration
from provost.core.errors import NotFound
from provost.core.model import SecretType, Strategy
from provost.core.operations import SHOW_RUN
from provost.core.push import PushSpec
from provost.core.schedule import find_zone
from provost.core.specs import DiscoverSpec, ReconcileSpec, RemoveSpec, RotateSpec, Spec, VerifySpec


def print_tasks(tasks: Sequence[TaskDocument], *, as_json: bool) -> None:
    """Print a list of tasks."""
    if as_json:
        print_json({"tasks": tasks})
        return
    print_table(
        ("task", "action", "when", "next", "last run"),
        [
            (
                task.name,
                task.spec.action,
                _say_when(task),
                _show_time(task.schedule, task.next_due) if task.schedule else None,
                _say_last(task),
            )
            for task in tasks
        ],
        "There are no tasks yet. Make one: provost task create",
    )


def print_task(task: TaskDetailDocument, *, as_json: bool) -> None:
    """Print a task, its next times and its last runs."""
    if as_json:
        print_json({"task": task})
        return
    spec = task.spec
    lines: list[tuple[str, object]] = [
        ("task", task.name),
        ("action", spec.action),
        ("accounts", _say_accounts(spec)),
        ("assets", list(spec.assets)),
        ("nodes", list(spec.nodes)),
        ("kinds", list(spec.kinds) if isinstance(spec, PushSpec) else []),
        *_say_settings(spec),
        ("concurrency", spec.concurrency),
        ("when", _say_when(task)),
        ("next times", [_show_time(task.schedule, time) for time in task.next_times]),
        ("comment", task.comment),
        ("updated", task.updated),
    ]
    print_fields([(name, value) for name, value in lines if value not in ([], "")])
    if task.runs:
        print_line("")
        print_runs(task.runs, as_json=False)


def _say_accounts(spec: Spec) -> list[str] | str:
    if isinstance(spec, DiscoverSpec):
        return "all that there are"
    if isinstance(spec, RotateSpec) and not (spec.usernames or spec.privileged):
        return "all in the list, but for privileged ones"
    return list(spec.usernames) or "all in the list"


def _say_settings(spec: Spec) -> list[tuple[str, object]]:
    lines: list[tuple[str, object]] = []
    if isinstance(spec, PushSpec | RotateSpec):
        lines.append(("secret", _say_secret(spec)))
    if isinstance(spec, PushSpec | RotateSpec | RemoveSpec):
        lines.append(("parameters", [f"{name}={value}" for name, value in spec.parameters.items()]))
    if isinstance(spec, VerifySpec | ReconcileSpec):
        lines.append(("secrets", spec.secret_type or "of every type"))
    if isinstance(spec, PushSpec):
        lines.append(("verify", spec.verify))
        if spec.lifetime is not None:
            lines.append(("lifetime", write_duration(spec.lifetime)))
            lines.append(("grace", write_duration(spec.grace)))
    return lines


def _say_when(task: TaskDocument) -> str:
    words = "when somebody runs it" if task.schedule is None else task.schedule.words
    if task.new_assets:
        words += ", and for new assets"
    return words if task.active or not (task.schedule or task.new_assets) else f"{words} (not active)"


def _say_secret(spec: PushSpec | RotateSpec) -> str:
    if spec.strategy is Strategy.SPECIFIED:
        return f"{spec.secret_type}, specified: the same for all, held in the vault"
    if spec.secret_type is SecretType.SSH_KEY:
        return f"{spec.secret_type}, random: {spec.key_algorithm}"
    classes = ", ".join(f"{least} or more {name}" for name, _, least in spec.rules.list_classes())
    without = f", without {spec.rules.exclude}" if spec.rules.exclude else ""
    return f"{spec.secret_type}, random: {spec.rules.length} characters, {classes}{without}"


def _show_time(schedule: ScheduleDocument | None, time: datetime | None) -> str | None:
    if schedule is None or time is None:
        return None
    return f"{time.astimezone(find_zone(schedule.zone)):%a %Y-%m-%d %H:%M} {schedule.zone}"


def _say_last(task: TaskDocument) -> str | None:
    if task.last_run is None:
        return None
    try:
        run = call(SHOW_RUN, run=str(task.last_run))
    except NotFound:  # out of the caller's sight, or removed
        return None
    return f"{run.state}: {run.reason or sum_up(run.counts)}"
