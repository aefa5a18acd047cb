"""The commands `provost run list`, `show`, `retry` and `cancel`."""

from typing import Annotated

import typer

from provost.cli.output import AsJson

app = typer.Typer(help="Runs: list, show, retry, cancel.", no_args_is_help=True)

_Id = Annotated[str, typer.Argument(metavar="RUN", help="The run's id, or how it begins.")]


@app.command("list")
def list_(
    limit: Annotated[int, typer.Option("--limit", min=1, help="How many, the newest first.")] = 50,
    as_json: AsJson = False,
) -> None:
    """List runs, the newest first."""
    from provost.config.start import start

    start()
    from provost.cli.report import print_runs
    from provost.server.services.runs import count_records, list_runs

    runs = list_runs(limit=limit)
    print_runs(runs, count_records(runs=runs), as_json=as_json)


@app.command()
def show(run_id: _Id, as_json: AsJson = False) -> None:
    """Show a run and its records."""
    from provost.config.start import start

    start()
    from provost.cli.report import print_run
    from provost.server.services.runs import find_run, list_records

    run = find_run(run_id=run_id)
    print_run(run, list_records(run=run), as_json=as_json, whole=True)


@app.command()
def retry(run_id: _Id, as_json: AsJson = False) -> None:
    """Do again, in a new run, whatever did not end well: also after Ctrl-C or a crash."""
    from provost.config.start import start

    start()
    from provost.cli.work import work_off
    from provost.server.services.runs import create_retry, find_run

    work_off(create_retry(run=find_run(run_id=run_id)), as_json=as_json)


@app.command()
def cancel(run_id: _Id, as_json: AsJson = False) -> None:
    """Ask a run in another process to stop: what has begun is finished, the rest is cancelled."""
    from provost.config.start import start

    start()
    from provost.cli.report import print_run
    from provost.server.services.runs import find_run, list_records, request_cancel

    run = find_run(run_id=run_id)
    request_cancel(run=run)
    print_run(run, list_records(run=run), as_json=as_json)
