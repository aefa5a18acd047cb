"""Saved tasks: the list, a task's page, and what is done with one."""

from typing import Any, Final

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import URLPattern, path, reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from provost.core.documents import RunDetailDocument, TaskDetailDocument
from provost.core.errors import Refused, UsageError, VaultError
from provost.core.model import Strategy
from provost.core.push import PushSpec
from provost.core.requests import TaskBody, TaskPatch, TaskQuery
from provost.core.specs import RotateSpec
from provost.server.api import tasks
from provost.server.console import push, schedules
from provost.server.console.filters import read_query
from provost.server.console.forms import read_version
from provost.server.console.spec_form import describe_start, fits, make_form, read_body, require_operator
from provost.server.console.specs import describe_spec
from provost.server.console.visitors import Visit


@require_GET
def list_tasks(request: Visit) -> HttpResponse:
    """List tasks, or those of which a part of the name or comment was typed."""
    query = read_query(TaskQuery, request, limit=50)
    page = tasks.list_tasks(request.visitor, query)
    part = request.htmx and request.htmx.target == "tasks"
    template = "console/tasks_part.html" if part else "console/tasks.html"
    return render(request, template, {"page": page, "search": query.search or ""})


@require_GET
def show_task(request: Visit, name: str) -> HttpResponse:
    """Show what a task does, when it is due next, and how its last runs went."""
    task = tasks.show_task(request.visitor, name)
    words = schedules.describe(task.schedule) if task.schedule else ""
    facts = {"task": task, "words": words, "asked": describe_spec(task.spec), "editable": fits(task.spec)}
    return render(request, "console/task.html", facts)


@require_http_methods(["GET", "POST"])
def edit_task(request: Visit, name: str) -> HttpResponse:
    """Show a task in the form of a run, and save it. A secret that it holds stays unless another is given."""
    require_operator(request.visitor)
    task = tasks.show_task(request.visitor, name)
    spec = task.spec
    if not fits(spec):
        text = _("This form is not for what the task does: delete it, and create it anew on the command line.")
        raise Refused(text, code="option_refused")
    saves = request.POST.get("then") == "save"
    form = make_form(request, saves=saves, start=_describe_start(task))
    preview: RunDetailDocument | None = None
    held = isinstance(spec, PushSpec | RotateSpec) and spec.strategy is Strategy.SPECIFIED
    if request.method == "POST":
        try:
            with form.telling():
                if saves:
                    schedule = schedules.read_schedule(request.POST)
                    body: TaskBody = read_body(form, base=spec, schedule=schedule)
                    version = read_version(request) or 0
                    changed = tasks.edit_task(request.visitor, name, _make_patch(body), version)
                    messages.success(request, _("The task is saved."))
                    return push.lead(request, reverse("console:task_show", args=[changed.name]))
                preview = push.begin_preview(request.visitor, form, held=held)
        except VaultError as error:
            form.fault, form.code = error.message, error.code
    seen = request.POST.get("version", task.version)
    return push.answer(request, form, preview, {"task": task, "held": held, "version": seen})


def _describe_start(task: TaskDetailDocument) -> dict[str, Any]:
    return {
        **describe_start(task.spec),
        "name": task.name,
        "comment": task.comment,
        "active": task.active,
        "new_assets": task.new_assets,
        **schedules.describe_start(task.schedule),
    }


def _make_patch(body: TaskBody) -> TaskPatch:
    return TaskPatch(
        name=body.name,
        spec=body.spec,
        schedule=body.schedule,
        active=body.active,
        new_assets=body.new_assets,
        comment=body.comment,
        secret=body.secret,
    )


@require_POST
def run_task(request: Visit, name: str) -> HttpResponse:
    """Begin a run of a task now, and lead to it."""
    run = tasks.run_task(request.visitor, name)
    return redirect(f"{reverse('console:runs')}/{run.id}")


@require_POST
def pause_task(request: Visit, name: str) -> HttpResponse:
    """Keep the clock from starting a task."""
    return _change(
        request, name, TaskPatch(active=False), _("The task is paused: the clock does not start it.")
    )


@require_POST
def resume_task(request: Visit, name: str) -> HttpResponse:
    """Let the clock start a task again."""
    return _change(request, name, TaskPatch(active=True), _("The task is active again."))


def _change(request: Visit, name: str, patch: TaskPatch, told: str) -> HttpResponse:
    try:
        tasks.edit_task(request.visitor, name, patch, read_version(request) or 0)
        messages.success(request, told)
    except UsageError as error:
        messages.error(request, error.message)
    return redirect("console:task_show", name)


@require_POST
def delete_task(request: Visit, name: str) -> HttpResponse:
    """Delete a task; its runs, and what they pushed, stay."""
    try:
        tasks.delete_task(request.visitor, name, read_version(request) or 0)
    except UsageError as error:
        messages.error(request, error.message)
        return redirect("console:task_show", name)
    messages.success(request, _("Task %(name)s is deleted.") % {"name": name})
    return redirect("console:tasks")


urlpatterns: Final[list[URLPattern]] = [
    path("tasks", list_tasks, name="tasks"),
    path("tasks/<str:name>", show_task, name="task_show"),
    path("tasks/<str:name>/edit", edit_task, name="task_edit"),
    path("tasks/<str:name>/run", run_task, name="task_run"),
    path("tasks/<str:name>/pause", pause_task, name="task_pause"),
    path("tasks/<str:name>/resume", resume_task, name="task_resume"),
    path("tasks/<str:name>/delete", delete_task, name="task_delete"),
]
