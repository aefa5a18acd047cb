"""The commands `provost task create`, `list`, `show`, `edit`, `run` and `delete`."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from provost.cli.output import AsJson
from provost.cli.push_options import Given, build_spec, read_specified, take_given_options, take_options

if TYPE_CHECKING:
    from provost.core.schedule import Schedule

app = typer.Typer(help="Push tasks: saved, run again, or by the clock.", no_args_is_help=True)

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
_Comment = Annotated[str | None, typer.Option("--comment", help="For people.", show_default=False)]


@app.command()
@take_options
def create(
    name: _Name,
    *,
    given: Given,
    every: _Every = None,
    cron: _Cron = None,
    zone: _Zone = None,
    window: _Window = None,
    inactive: Annotated[
        bool, typer.Option("--inactive", help="The clock does not start it.", rich_help_panel=_WHEN)
    ] = False,
    comment: _Comment = None,
    as_json: AsJson = False,
) -> None:
    """Save a push under a name. Nothing is contacted; its folders are looked into when it runs."""
    from provost.config.start import start

    start()
    from provost.cli.task_report import print_task
    from provost.server.services.tasks import TaskFields, create_task

    specified = read_specified(given, given["secret_type"])
    fields = TaskFields(
        name=name,
        spec=build_spec(given, specified=specified is not None),
        schedule=_build_schedule(None, every=every, cron=cron, zone=zone, window=window),
        active=not inactive,
        comment=comment or "",
    )
    print_task(create_task(fields=fields, specified=specified), as_json=as_json)


@app.command("list")
def list_(*, as_json: AsJson = False) -> None:
    """List tasks by name."""
    from provost.config.start import start

    start()
    from provost.cli.task_report import print_tasks
    from provost.server.services.tasks import list_tasks

    print_tasks(list_tasks(), as_json=as_json)


@app.command()
def show(name: _Name, *, as_json: AsJson = False) -> None:
    """Show a task: what it pushes, when it is due, and its last runs."""
    from provost.config.start import start

    start()
    from provost.cli.task_report import print_task
    from provost.server.services.tasks import find_task

    print_task(find_task(name=name), as_json=as_json)


@app.command()
@take_given_options
def edit(
    name: _Name,
    *,
    given: Given,
    random: Annotated[bool, typer.Option("--random", help="Random secrets, instead of one of yours.")] = False,
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
    rename: Annotated[str | None, typer.Option("--rename", help="Give it another name.")] = None,
    comment: _Comment = None,
    as_json: AsJson = False,
) -> None:
    """Change what is given of a task, and leave the rest. Assets and folders are replaced together."""
    from provost.config.start import start

    start()
    from dataclasses import replace

    from provost.cli.task_report import print_task
    from provost.core.model import Strategy
    from provost.server.services.tasks import edit_task, find_task, read_fields

    before = read_fields(task=find_task(name=name))
    specified = read_specified(given, given.get("secret_type", before.spec.secret_type))
    changes: dict[str, Any] = {}
    if random:
        changes["strategy"] = Strategy.RANDOM
    if no_params:
        changes["parameters"] = {}
    schedule = None if no_schedule else before.schedule
    if schedule and no_window:
        schedule = schedule.model_copy(update={"window": None})
    fields = replace(
        before,
        name=before.name if rename is None else rename,
        spec=build_spec(given, specified=specified is not None, base=before.spec.model_copy(update=changes)),
        schedule=_build_schedule(schedule, every=every, cron=cron, zone=zone, window=window),
        active=before.active if active is None else active,
        comment=before.comment if comment is None else comment,
    )
    print_task(edit_task(name=name, fields=fields, specified=specified), as_json=as_json)


@app.command()
def run(name: _Name, *, as_json: AsJson = False) -> None:
    """Run a task now, in the foreground, whether or not it is active."""
    from provost.config.start import start

    start()
    from provost.cli.work import work_off
    from provost.server.services import tasks

    work_off(tasks.start(task=tasks.find_task(name=name)), as_json=as_json)


@app.command()
def delete(name: _Name, *, as_json: AsJson = False) -> None:
    """Delete a task and the secret specified for it. Its runs, and what they pushed, stay."""
    from provost.config.start import start

    start()
    from provost.cli.output import print_json, print_line
    from provost.server.services.tasks import delete_task

    delete_task(name=name)
    if as_json:
        print_json({"deleted": {"task": name}})
    else:
        print_line(f"Task {name} is deleted.")


def _build_schedule(
    base: "Schedule | None", *, every: str | None, cron: str | None, zone: str | None, window: str | None
) -> "Schedule | None":
    from datetime import UTC, datetime

    from provost.core.errors import Refused
    from provost.core.schedule import Schedule

    told: dict[str, Any] = {"zone": zone, "window": window}
    values = {name: value for name, value in told.items() if value is not None}
    if every is not None or cron is not None:
        now = datetime.now(UTC).replace(second=0, microsecond=0)
        values |= {"every": every, "cron": cron, "since": now}
    elif base is None:
        if values:
            raise Refused(
                "--zone and --window say when --every or --cron counts: give one of them too.",
                code="schedule_refused",
            )
        return None
    return Schedule.model_validate((base.model_dump() if base else {}) | values)
