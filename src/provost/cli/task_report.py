"""Saved tasks as tables and as JSON (the shape is a public contract)."""

from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

from django.utils import timezone

from provost.cli.output import print_fields, print_json, print_line, print_table
from provost.cli.report import describe_run, print_runs, sum_up
from provost.core import schedule as schedules
from provost.core.model import SecretType, Strategy
from provost.core.push import PushSpec
from provost.core.schedule import Schedule
from provost.server.models import Run, Task
from provost.server.services.runs import count_records, list_runs
from provost.server.services.tasks import TaskFields, read_fields

_RUNS: Final = 5


def print_tasks(tasks: Sequence[Task], *, as_json: bool) -> None:
    """Print a list of tasks."""
    last = [task.last_run for task in tasks if task.last_run]
    counts = count_records(runs=last)
    if as_json:
        print_json({"tasks": [_describe(task) for task in tasks]})
        return
    rows = []
    for task in tasks:
        fields = read_fields(task=task)
        rows.append(
            (
                task.name,
                _say_when(fields),
                _show_time(fields.schedule, task.next_due) if fields.schedule else None,
                _say_last(task.last_run, counts[task.last_run.id]) if task.last_run else None,
            )
        )
    print_table(
        ("task", "when", "next", "last run"), rows, "There are no tasks yet. Make one: provost task create"
    )


def print_task(task: Task, *, as_json: bool) -> None:
    """Print a task, its next times and its last runs."""
    runs = list_runs(limit=_RUNS, task=task)
    counts = count_records(runs=runs)
    fields = read_fields(task=task)
    times = schedules.next_times(fields.schedule, timezone.now()) if fields.schedule and fields.active else []
    if as_json:
        document = _describe(task)
        document |= {"next_times": times, "runs": [describe_run(run, counts[run.id]) for run in runs]}
        print_json({"task": document})
        return
    spec = fields.spec
    lines: list[tuple[str, object]] = [
        ("task", task.name),
        ("accounts", list(spec.usernames)),
        ("assets", list(spec.assets)),
        ("nodes", list(spec.nodes)),
        ("secret", _say_secret(spec)),
        ("parameters", [f"{name}={value}" for name, value in spec.parameters.items()]),
        ("verify", spec.verify),
        ("concurrency", spec.concurrency),
        ("when", _say_when(fields)),
        ("next times", [_show_time(fields.schedule, time) for time in times]),
        ("comment", task.comment),
        ("updated", task.updated),
    ]
    print_fields([(name, value) for name, value in lines if value not in ([], "")])
    if runs:
        print_line("")
        print_runs(runs, counts, as_json=False)


def _describe(task: Task) -> dict[str, Any]:
    schedule = read_fields(task=task).schedule
    return {
        "name": task.name,
        "spec": task.spec,
        "schedule": {**schedule.model_dump(mode="json"), "words": schedules.describe(schedule)}
        if schedule
        else None,
        "active": task.active,
        "next_due": task.next_due,
        "last_run": str(task.last_run_id) if task.last_run_id else None,
        "comment": task.comment,
        "created": task.created,
        "updated": task.updated,
    }


def _say_when(fields: TaskFields) -> str:
    if fields.schedule is None:
        return "when somebody runs it"
    return schedules.describe(fields.schedule) + ("" if fields.active else " (not active)")


def _say_secret(spec: PushSpec) -> str:
    if spec.strategy is Strategy.SPECIFIED:
        return f"{spec.secret_type}, specified: the same for all, held in the vault"
    if spec.secret_type is SecretType.SSH_KEY:
        return f"{spec.secret_type}, random: {spec.key_algorithm}"
    classes = ", ".join(f"{least} or more {name}" for name, _, least in spec.rules.list_classes())
    without = f", without {spec.rules.exclude}" if spec.rules.exclude else ""
    return f"{spec.secret_type}, random: {spec.rules.length} characters, {classes}{without}"


def _show_time(schedule: Schedule | None, time: Any) -> str | None:
    if schedule is None or time is None:
        return None
    return f"{time.astimezone(schedules.find_zone(schedule.zone)):%a %Y-%m-%d %H:%M} {schedule.zone}"


def _say_last(run: Run, counts: Counter[str]) -> str:
    return f"{run.state}: {run.reason or sum_up(counts)}"
