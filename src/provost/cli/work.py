"""Working a run off in the foreground: progress while it goes on, Ctrl-C, the report and the exit status."""

import asyncio
import signal
import sys
from collections.abc import Coroutine, Sequence
from typing import Any, TypeVar

import typer

from provost.cli.progress import Progress
from provost.cli.report import print_run
from provost.server.models import Record, Run
from provost.server.services.execution import Control, execute
from provost.server.services.runs import FINE, list_records

T = TypeVar("T")

_INTERRUPTED = 128 + signal.SIGINT


def work_off(run: Run, *, as_json: bool) -> None:
    """Execute a run, report it, and exit with its status."""
    control = Control()
    with Progress(run.records.count(), quiet=as_json) as progress:
        _, interrupted = _drive(execute(run=run, control=control, observe=progress.observe), control)
    records = list_records(run=run)
    print_run(run, records, as_json=as_json)
    _exit(records, interrupted=interrupted)


def _exit(records: Sequence[Record], *, interrupted: bool) -> None:
    if interrupted:
        raise typer.Exit(_INTERRUPTED)
    if any(record.status not in FINE for record in records):
        raise typer.Exit(1)


def _drive(work: Coroutine[Any, Any, T], control: Control) -> tuple[T, bool]:
    """Run `work`, and tell what it returned and whether a signal came.

    The first Ctrl-C (or SIGTERM, SIGHUP) ends it in good order, the second interrupts what has begun.
    """
    interrupted = False

    def stop() -> None:
        nonlocal interrupted
        interrupted = True
        if control.cancel.is_set():
            control.halt.set()
            sys.stderr.write("Stopping at once.\n")
        else:
            control.cancel.set()
            sys.stderr.write("Stopping: finishing what has begun. Once more stops at once.\n")

    async def main() -> T:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, stop)
        return await work

    return asyncio.run(main()), interrupted
