"""Following a run that a server works off: progress, Ctrl-C, the report and the exit status."""

import signal
import sys
import time
from types import FrameType
from typing import Final

import typer

from provost.cli.call import call
from provost.cli.output import print_json, print_line
from provost.cli.progress import Progress
from provost.cli.remote import ServerAway
from provost.cli.report import ALIVE, report_run
from provost.core.documents import RunDetailDocument
from provost.core.errors import ProvostError
from provost.core.operations import CANCEL_RUN, SHOW_RUN

_POLL: Final = 1.0
_PATIENCE: Final = 120.0
_INTERRUPTED: Final = 130
_RUN_OVER: Final = "run_over"


class _Left(Exception):  # a second signal: it never leaves this module
    pass


def watch(run: RunDetailDocument, *, detach: bool, as_json: bool) -> None:
    """Follow a run until it is over, report it, and exit with its status; with `detach`, only say which it is.

    The first Ctrl-C (or SIGTERM, SIGHUP) cancels the run, the second leaves it to the server.
    """
    if detach:
        if as_json:
            print_json({"run": run})
        else:
            print_line(f"Run {run.id} is {run.state}. See: provost run show {str(run.id)[:8]}")
        return
    signals = _Signals()
    try:
        with signals, Progress(sum(run.counts.values()), quiet=as_json) as progress:
            _follow(run, signals, progress)
    except _Left:
        _say_that_it_goes_on(run)
        raise typer.Exit(_INTERRUPTED) from None
    except ProvostError:
        _say_that_it_goes_on(run)
        raise
    report_run(str(run.id), as_json=as_json, interrupted=signals.count > 0)


class _Signals:
    """Counts the signals that ask to stop; the second one interrupts whatever is being waited for."""

    def __init__(self) -> None:
        self.count = 0
        self._before: dict[signal.Signals, signal._HANDLER] = {}

    def __enter__(self) -> None:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            self._before[number] = signal.signal(number, self._take)

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _take(self, _number: int, _frame: FrameType | None) -> None:
        self.count += 1
        if self.count > 1:
            raise _Left


def _follow(run: RunDetailDocument, signals: _Signals, progress: Progress) -> None:
    """Look at a run until it is over. A server that is away for a while, being started anew, is waited for."""
    asked = False
    seen = time.monotonic()
    while run.state in ALIVE:
        time.sleep(_POLL)
        try:
            if signals.count and not asked:
                sys.stderr.write("Stopping: the server finishes what has begun. Once more leaves it alone.\n")
                asked = True
                _cancel(run)
            run = call(SHOW_RUN, run=str(run.id))
        except ServerAway:
            if time.monotonic() - seen > _PATIENCE:
                raise
            continue
        seen = time.monotonic()
        progress.show({status: count for status, count in run.counts.items() if status != "open"})


def _cancel(run: RunDetailDocument) -> None:
    try:
        call(CANCEL_RUN, run=str(run.id))
    except ProvostError as error:
        if error.code != _RUN_OVER:  # it was over before this came
            raise


def _say_that_it_goes_on(run: RunDetailDocument) -> None:
    sys.stderr.write(f"The run goes on at the server. See: provost run show {str(run.id)[:8]}\n")
