"""The commands `provost task create`, `list`, `show`, `edit`, `run` and `delete`."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from provost.cli.output import AsJson
from provost.cli.push_options import Given, build_any, read_specified, take_given_options
from provost.cli.server import Detach, check_detach, find_chosen

if TYPE_CHECKING:
    from provost.core.requests import ScheduleBody

app = typer.Typer(help="Tasks: saved, run again, or by the clock.", no_args_is_help=True)

_WHEN = "When"
_Name = Annotated[str, typer.Argument(metavar="NAME", help="The task's name.")]
_Every = Annotated[
    str | None, typer.Option("--every", help="30m, 6h or 1d, counted from now.", rich_help_panel=_WHEN)
]
_Cron = Annotated[
    str | None,
    typer.Option("--cron", help="Minute, hour, day, month, weekday, like '30 2 * * *'.", rich_help_panel=_WHEN),
]
_Zone = Annotated[
    str | None, typer.Option("--zone", help="Like Europe/Paris (usual: UTC).", rich_help_panel=_WHEN)
]
_Window = Annotated[
    str | None, typer.Option("--window", help="Only in it: 'sat,sun 22:00-04:00'.", rich_help_panel=_WHEN)
]
_Privileged = Annotated[
    bool | None,
    typer.Option(
        "--privileged/--not-privileged",
        help="Rotate privileged accounts, too, without naming them.",
        show_default=False,
        rich_help_panel="How",
    ),
]
_Comment = Annotated[str | None, typer.Option("--comment", help="For people.", show_default=False)]


@app.command()
@take_given_options
def create(
    name: _Name,
    *,
    action: Annotated[
        str, typer.Option("--action", help="push, verify, reconcile, rotate or discover.")
    ] = "push",
    given: Given,
    privileged: _Privileged = None,
    every: _Every = None,
    cron: _Cron = None,
    zone: _Zone = None,
    window: _Window = None,
    inactive: Annotated[
        bool, typer.Option("--inactive", help="The clock does not start it.", rich_help_panel=_WHEN)
    ] = False,
    on_new_assets: Annotated[
        bool,
        typer.Option(
            "--on-new-assets", help="Also for each asset that is added to its folders.", rich_help_panel=_WHEN
        ),
    ] = False,
    comment: _Comment = None,
    as_json: AsJson = False,
) -> None:
    """Save a push, or another action, under a name. Nothing is contacted; folders are looked into when it runs.

    A push needs --account and --secret-type; whatever else there is has the defaults of that command.
    """
    from provost.cli.call import call, say
    from provost.cli.secrets import make_secret_body
    from provost.cli.task_report import print_task
    from provost.core.operations import CREATE_TASK
    from provost.core.requests import TaskBody

    specified = read_specified(given, given.get("secret_type", "password"))
    body = say(
        TaskBody,
        name=name,
        spec=build_any(action, given, specified=specified is not None, privileged=privileged),
        schedule=_build_schedule(None, every=every, cron=cron, zone=zone, window=window),
        active=not inactive,
        comment=comment or "",
        new_assets=on_new_assets,
        secret=make_secret_body(specified) if specified else None,
    )
    print_task(call(CREATE_TASK, body=body), as_json=as_json)


@app.command("list")
def list_(*, as_json: AsJson = False) -> None:
    """List tasks by name."""
    from provost.cli.call import call_all
    from provost.cli.task_report import print_tasks
    from provost.core.operations import LIST_TASKS
    from provost.core.requests import TaskQuery

    print_tasks(list(call_all(LIST_TASKS, TaskQuery())), as_json=as_json)


@app.command()
def show(name: _Name, *, as_json: AsJson = False) -> None:
    """Show a task: what it does, when it is due, and its last runs."""
    from provost.cli.call import call
    from provost.cli.task_report import print_task
    from provost.core.operations import SHOW_TASK

    print_task(call(SHOW_TASK, name=name), as_json=as_json)


@app.command()
@take_given_options
def edit(
    name: _Name,
    *,
    given: Given,
    privileged: _Privileged = None,
    random: Annotated[bool, typer.Option("--random", help="Random secrets, instead of one of yours.")] = False,
    no_lifetime: Annotated[bool, typer.Option("--no-lifetime", help="Accounts live for good.")] = False,
    all_kinds: Annotated[bool, typer.Option("--all-kinds", help="Assets of every kind.")] = False,
    no_params: Annotated[bool, typer.Option("--no-params", help="Take all parameters away.")] = False,
    every: _Every = None,
    cron: _Cron = None,
    zone: _Zone = None,
    window: _Window = None,
    no_window: Annotated[bool, typer.Option("--no-window", help="At any time.", rich_help_panel=_WHEN)] = False,
    no_schedule: Annotated[
        bool, typer.Option("--no-schedule", help="Never by the clock.", rich_help_panel=_WHEN)
    ] = False,
    active: Annotated[
        bool | None, typer.Option("--active/--inactive", show_default=False, rich_help_panel=_WHEN)
    ] = None,
    on_new_assets: Annotated[
        bool | None,
        typer.Option(
            "--on-new-assets/--no-on-new-assets",
            help="Also for each asset that is added to its folders.",
            show_default=False,
            rich_help_panel=_WHEN,
        ),
    ] = None,
    rename: Annotated[str | None, typer.Option("--rename", help="Give it another name.")] = None,
    comment: _Comment = None,
    as_json: AsJson = False,
) -> None:
    """Change what is given of a task, and leave the rest. Assets and folders are replaced together."""
    from provost.cli.call import call, list_given, say
    from provost.cli.secrets import make_secret_body
    from provost.cli.task_report import print_task
    from provost.core.errors import Refused
    from provost.core.model import Strategy
    from provost.core.operations import EDIT_TASK, SHOW_TASK
    from provost.core.push import PushSpec
    from provost.core.requests import ScheduleBody, TaskPatch
    from provost.core.specs import RotateSpec

    before = call(SHOW_TASK, name=name)
    spec = before.spec
    sets = isinstance(spec, PushSpec | RotateSpec)
    if (random or no_params) and not sets:
        raise Refused(f"To {spec.action} sets no secrets: leave out --random and --no-params.", code="usage")
    usual = spec.secret_type if isinstance(spec, PushSpec | RotateSpec) else "password"
    specified = read_specified(given, given.get("secret_type", usual))
    changes: dict[str, Any] = {}
    if random:
        changes["strategy"] = Strategy.RANDOM
    if no_lifetime:
        changes["lifetime"] = None
    if all_kinds:
        changes["kinds"] = ()
    if no_params:
        changes["parameters"] = {}
    base = None
    if before.schedule and not no_schedule:
        base = ScheduleBody(**before.schedule.model_dump(exclude={"words"}))
        if no_window:
            base = base.model_copy(update={"window": None})
    patch = list_given(
        name=rename,
        active=active,
        new_assets=on_new_assets,
        comment=comment,
        secret=make_secret_body(specified) if specified else None,
    )
    patch |= {
        "spec": build_any(
            spec.action,
            given,
            specified=specified is not None,
            privileged=privileged,
            base=spec.model_copy(update=changes),
        ),
        "schedule": _build_schedule(base, every=every, cron=cron, zone=zone, window=window),
    }
    task = call(EDIT_TASK, name=name, body=say(TaskPatch, **patch), version=before.version)
    print_task(task, as_json=as_json)


@app.command()
def run(name: _Name, *, detach: Detach = False, as_json: AsJson = False) -> None:
    """Run a task now, in the foreground, whether or not it is active."""
    check_detach(detach=detach)
    if find_chosen():
        from provost.cli.call import call
        from provost.cli.watch import watch
        from provost.core.operations import RUN_TASK

        watch(call(RUN_TASK, name=name), detach=detach, as_json=as_json)
    else:
        from provost.cli.call import open_here

        by = open_here()
        from provost.cli.work import work_off
        from provost.server.services import tasks

        work_off(tasks.start(by=by, name=name, attended=True), as_json=as_json)


@app.command()
def delete(name: _Name, *, as_json: AsJson = False) -> None:
    """Delete a task and the secret specified for it. Its runs, and what they pushed, stay."""
    from provost.cli.call import call
    from provost.cli.output import print_json, print_line
    from provost.core.operations import DELETE_TASK

    call(DELETE_TASK, name=name)
    if as_json:
        print_json({"deleted": {"task": name}})
    else:
        print_line(f"Task {name} is deleted.")


def _build_schedule(
    base: "ScheduleBody | None", *, every: str | None, cron: str | None, zone: str | None, window: str | None
) -> "ScheduleBody | None":
    """Return a schedule with what is given, and the rest as in `base`."""
    from provost.cli.call import list_given, say
    from provost.core.errors import Refused
    from provost.core.requests import ScheduleBody

    values = list_given(zone=zone, window=window)
    if every is not None or cron is not None:
        values |= {"every": every, "cron": cron, "since": None}
    elif base is None:
        if values:
            raise Refused(
                "--zone and --window say when --every or --cron counts: give one of them too.",
                code="schedule_refused",
            )
        return None
    return say(ScheduleBody, **(base.model_dump() if base else {}) | values)
