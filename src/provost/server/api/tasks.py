from dataclasses import replace
from typing import Any

from django.utils import timezone

from provost.core import schedule as schedules
from provost.core.documents import (
    PageDocument,
    RunDetailDocument,
    TaskDetailDocument,
    TaskDocument,
    TimesDocument,
)
from provost.core.requests import ScheduleBody, TaskBody, TaskPatch, TaskQuery, list_given
from provost.core.rights import Principal
from provost.core.schedule import Schedule
from provost.server.api.describe_runs import describe_run_detail, describe_task_detail, describe_tasks
from provost.server.api.paging import make_page, read_page
from provost.server.api.reading import match_strategy, read_secret
from provost.server.services import tasks


def list_tasks(by: Principal, query: TaskQuery) -> PageDocument[TaskDocument]:
    """List tasks by name."""
    found = tasks.list_tasks(by=by, search=query.search, page=read_page(query))
    return make_page(found, lambda rows: describe_tasks(by, rows))


def create_task(by: Principal, body: TaskBody) -> TaskDetailDocument:
    """Save a push under a name. Nothing is contacted; its nodes are looked into when it runs."""
    secret = read_secret(body.secret)
    fields = tasks.TaskFields(
        name=body.name,
        spec=match_strategy(body.spec, secret),
        schedule=_read_schedule(body.schedule),
        active=body.active,
        comment=body.comment,
        new_assets=body.new_assets,
    )
    return describe_task_detail(by, tasks.create_task(by=by, fields=fields, specified=secret))


def show_task(by: Principal, name: str) -> TaskDetailDocument:
    """Show a task: what it pushes, when it is due, and its last runs."""
    return describe_task_detail(by, tasks.find_task(by=by, name=name))


def edit_task(by: Principal, name: str, body: TaskPatch, version: int | None = None) -> TaskDetailDocument:
    """Change what is given of a task, and leave the rest."""
    before = tasks.read_fields(task=tasks.find_task(by=by, name=name))
    secret = read_secret(body.secret)
    given: dict[str, Any] = {
        field: value
        for field, value in list_given(body).items()
        if field not in {"secret", "schedule"} and value is not None
    }
    if "schedule" in body.model_fields_set:
        given["schedule"] = _read_schedule(body.schedule)
    fields = replace(before, **given)
    if secret is not None:
        fields = replace(fields, spec=match_strategy(fields.spec, secret))
    task = tasks.edit_task(by=by, name=name, fields=fields, specified=secret, version=version)
    return describe_task_detail(by, task)


def delete_task(by: Principal, name: str, version: int | None = None) -> None:
    """Delete a task and the secret specified for it. Its runs, and what they pushed, stay."""
    tasks.delete_task(by=by, name=name, version=version)


def run_task(by: Principal, name: str) -> RunDetailDocument:
    """Begin a run of a task now, whether or not it is active. A server works it off."""
    return describe_run_detail(by, tasks.start(by=by, name=name, attended=False))


def list_times(by: Principal, body: ScheduleBody) -> TimesDocument:
    """Say a schedule in words, with its next five times. Nothing is saved."""
    del by  # whoever may come in may ask this
    schedule = _make_schedule(body)
    now = timezone.now()
    schedules.check(schedule, now)
    return TimesDocument(words=schedules.describe(schedule), next_times=schedules.next_times(schedule, now))


def _read_schedule(body: ScheduleBody | None) -> Schedule | None:
    return None if body is None else _make_schedule(body)


def _make_schedule(body: ScheduleBody) -> Schedule:
    since = body.since or timezone.now().replace(second=0, microsecond=0)
    return Schedule(every=body.every, cron=body.cron, zone=body.zone, window=body.window, since=since)
