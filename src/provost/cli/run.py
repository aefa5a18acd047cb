"""The commands `provost run list`, `show`, `export`, `report`, `retry` and `cancel`."""

import sys
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from provost.cli.output import AsJson
from provost.cli.server import Detach, check_detach, find_chosen

app = typer.Typer(help="Runs: list, show, export, report, retry, cancel.", no_args_is_help=True)

_Id = Annotated[str, typer.Argument(metavar="RUN", help="The run's id, or how it begins.")]


class _Form(StrEnum):
    CSV = "csv"
    JSON = "json"


class _ReportForm(StrEnum):
    HTML = "html"
    CSV = "csv"


@app.command("list")
def list_(
    limit: Annotated[int, typer.Option("--limit", min=1, help="How many, the newest first.")] = 50,
    as_json: AsJson = False,
) -> None:
    """List runs, the newest first."""
    from provost.cli.call import call_all
    from provost.cli.report import print_runs
    from provost.core.operations import LIST_RUNS
    from provost.core.requests import RunQuery

    print_runs(list(call_all(LIST_RUNS, RunQuery(), most=limit)), as_json=as_json)


@app.command()
def show(run_id: _Id, as_json: AsJson = False) -> None:
    """Show a run and its records."""
    from provost.cli.call import call
    from provost.cli.report import list_records, print_run
    from provost.core.operations import SHOW_RUN

    run = call(SHOW_RUN, run=run_id)
    print_run(run, list_records(str(run.id)), as_json=as_json, whole=True)


@app.command()
def export(
    run_id: _Id,
    form: Annotated[_Form, typer.Option("--format", help="CSV has the records alone.")] = _Form.CSV,
) -> None:
    """Write a run's records, to be kept or read by others: as CSV, or as the JSON that `run show` writes."""
    from provost.cli.call import call, call_all
    from provost.cli.report import list_records, print_run
    from provost.core.operations import LIST_RECORDS, SHOW_RUN
    from provost.core.requests import RecordQuery
    from provost.core.spreadsheet import write_csv

    run = call(SHOW_RUN, run=run_id)
    if form is _Form.JSON:
        print_run(run, list_records(str(run.id)), as_json=True)
    else:
        for line in write_csv(call_all(LIST_RECORDS, RecordQuery(), run=str(run.id))):
            sys.stdout.write(line)


@app.command()
def report(
    run_id: _Id,
    *,
    form: Annotated[
        _ReportForm, typer.Option("--format", help="CSV has the records alone.")
    ] = _ReportForm.HTML,
    output: Annotated[
        Path | None, typer.Option("--output", metavar="FILE", help="Write it there; what is there is replaced.")
    ] = None,
) -> None:
    """Write a report of a run: a page that can be printed and sent, or its records as CSV."""
    from provost.cli.call import call, call_all
    from provost.core.operations import LIST_REASONS, LIST_RECORDS, SHOW_RUN
    from provost.core.report import write_html
    from provost.core.requests import RecordQuery
    from provost.core.spreadsheet import write_csv

    run = call(SHOW_RUN, run=run_id)
    records = call_all(LIST_RECORDS, RecordQuery(), run=str(run.id))
    if form is _ReportForm.CSV:
        parts = write_csv(records)
    else:
        reasons = call(LIST_REASONS, run=str(run.id))
        parts = write_html(run, reasons, records, made=datetime.now(UTC))
    if output is None:
        sys.stdout.writelines(parts)
        return
    with output.open("w", encoding="utf-8", newline="") as file:  # CSV brings its own ends of lines
        file.writelines(parts)


@app.command()
def retry(run_id: _Id, *, detach: Detach = False, as_json: AsJson = False) -> None:
    """Do again, in a new run, whatever did not end well: also after Ctrl-C or a crash."""
    check_detach(detach=detach)
    if find_chosen():
        from provost.cli.call import call
        from provost.cli.watch import watch
        from provost.core.operations import RETRY_RUN

        watch(call(RETRY_RUN, run=run_id), detach=detach, as_json=as_json)
    else:
        from provost.cli.call import open_here

        by = open_here()
        from provost.cli.work import work_off
        from provost.server.services.runs import create_retry, find_run

        work_off(create_retry(by=by, run=find_run(by=by, run_id=run_id), attended=True), as_json=as_json)


@app.command()
def cancel(run_id: _Id, as_json: AsJson = False) -> None:
    """Ask a run in another process to stop: what has begun is finished, the rest is cancelled."""
    from provost.cli.call import call
    from provost.cli.report import list_records, print_run
    from provost.core.operations import CANCEL_RUN

    run = call(CANCEL_RUN, run=run_id)
    print_run(run, list_records(str(run.id)), as_json=as_json)
