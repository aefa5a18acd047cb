"""A whole push, or another action, on one page: preview it, do it now, or save it as a task."""

from typing import Any, Final

from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import URLPattern, path, reverse
from django.views.decorators.http import require_http_methods, require_POST
from django_htmx.http import HttpResponseClientRedirect
from pydantic import BaseModel

from provost.core.documents import RunDetailDocument
from provost.core.errors import VaultError
from provost.core.model import Strategy
from provost.core.requests import PushBody, SampleBody
from provost.core.rights import Principal
from provost.server.api import passwords, runs, tasks
from provost.server.console import previews
from provost.server.console.forms import Form
from provost.server.console.schedules import read_schedule
from provost.server.console.spec_form import describe_form, make_form, read_body, require_operator
from provost.server.console.visitors import Visit
from provost.server.console.words import NAMES


class _Rules(BaseModel):
    """The rules as the form of a push has them."""

    spec: SampleBody


@require_http_methods(["GET", "POST"])
def show_push(request: Visit) -> HttpResponse:
    """Show the form, and do what its button says: preview, push or save."""
    require_operator(request.visitor)
    then = request.POST.get("then", "")
    form = make_form(request, saves=then == "save")
    preview: RunDetailDocument | None = None
    if request.method == "POST":
        try:
            with form.telling():
                if then == "save":
                    body = read_body(form, schedule=read_schedule(request.POST))
                    task = tasks.create_task(request.visitor, body)
                    return lead(request, reverse("console:task_show", args=[task.name]))
                if then == "push":
                    body = read_body(form, dry_run=False)
                    run = runs.push(request.visitor, body, request.POST.get("key") or None)
                    return lead(request, f"{reverse('console:runs')}/{run.id}")
                preview = begin_preview(request.visitor, form)
        except VaultError as error:
            form.fault, form.code = error.message, error.code
    return answer(request, form, preview, {"task": None})


def begin_preview(visitor: Principal, form: Form[PushBody], *, held: bool = False) -> RunDetailDocument:
    """Begin a dry run of what was filled in. The secret is checked, and not kept.

    With `held`, a secret that is not given is one that the task holds: decisions do not depend on it.
    """
    body: PushBody = read_body(form, dry_run=True)
    if held and body.secret is None:
        body = body.model_copy(update={"spec": body.spec.model_copy(update={"strategy": Strategy.RANDOM})})
    return runs.push(visitor, body)


def lead(request: Visit, url: str) -> HttpResponse:
    """Lead the browser on, from a form that was sent by htmx or without it."""
    return HttpResponseClientRedirect(url) if request.htmx else redirect(url)


def answer(
    request: Visit, form: Form[Any], preview: RunDetailDocument | None, facts: dict[str, Any]
) -> HttpResponse:
    """Answer with the form as it was filled in, and a preview if one was asked for."""
    facts = facts | describe_form(request.visitor, form) | {"heading": NAMES.get(form["spec.action"], "")}
    if preview is not None:
        facts["preview"] = previews.describe(request.visitor, preview)
    template = "console/push_form.html" if request.htmx else "console/push.html"
    return render(request, template, facts, status=form.status)


@require_POST
def make_sample(request: Visit) -> HttpResponse:
    """Make a password by the rules that are filled in, to look at."""
    form = Form(_Rules, request)
    facts: dict[str, str] = {}
    with form.telling():
        facts["sample"] = passwords.sample_password(request.visitor, form.read().spec).sample
    facts["fault"] = next(iter(form.errors.values()), form.fault)
    return render(request, "console/push_sample.html", facts)


urlpatterns: Final[list[URLPattern]] = [
    path("push", show_push, name="push"),
    path("push/sample", make_sample, name="push_sample"),
]
