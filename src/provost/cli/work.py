"""Working a run off in the foreground: progress while it goes on, Ctrl-C, the report and the exit status."""

import asyncio
import signal
import sys
from collections.abc import Coroutine
from typing import Any

from provost.cli.progress import Progress
from provost.cli.report import report_run
from provost.engine import Event, Settled
from provost.server.models import Run
from provost.server.models.runs import RunState
from provost.server.services.execution import Control, execute


def work_off(run: Run, *, as_json: bool) -> None:
    """Execute a run, and those that rules make for what it finds; report it, and exit with its status."""
    interrupted = _execute(run, as_json=as_json)
    for effect in run.effects.filter(attended=True, state=RunState.QUEUED):
        interrupted = interrupted or _execute(effect, as_json=as_json)
    report_run(str(run.id), as_json=as_json, interrupted=interrupted)


def _execute(run: Run, *, as_json: bool) -> bool:
    """Execute a run, and tell whether a signal ended it."""
    control = Control()
    with Progress(run.records.count(), quiet=as_json) as progress:

        def observe(event: Event) -> None:
            if isinstance(event, Settled):
                progress.count(outcome.status.value for outcome in event.outcomes)

        return _drive(execute(run=run, control=control, observe=observe), control)


def _drive(work: Coroutine[Any, Any, None], control: Control) -> bool:
    """Run `work`, and tell whether a signal came.

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

    async def main() -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, stop)
        await work

    asyncio.run(main())
    return interrupted
