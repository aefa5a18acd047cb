"""What a discovery has found that is new, and what rules made of it."""

from collections.abc import Sequence
from dataclasses import dataclass

from provost.cli.call import call, call_all
from provost.cli.output import print_line
from provost.core.documents import RunDetailDocument, RunDocument, StandingCountsDocument
from provost.core.operations import COUNT_FOUND, LIST_RUNS
from provost.core.requests import FoundQuery, RunQuery


@dataclass(frozen=True)
class Finds:
    """What is new since a discovery began, what stands where by now, and the runs that rules made.

    `entries` are those of the new that can log in.
    """

    new: StandingCountsDocument
    entries: StandingCountsDocument
    all: StandingCountsDocument
    effects: Sequence[RunDocument]


def read_finds(run: RunDetailDocument) -> Finds:
    """Ask for what a discovery, which is over, has found."""
    since = run.started or run.created
    return Finds(
        new=call(COUNT_FOUND, query=FoundQuery(since=since)),
        entries=call(COUNT_FOUND, query=FoundQuery(since=since, can_log_in=True)),
        all=call(COUNT_FOUND, query=FoundQuery()),
        effects=list(call_all(LIST_RUNS, RunQuery(cause=run.id))),
    )


def print_finds(finds: Finds) -> None:
    """Say what is new, and what to type next."""
    for standing, what in _WHAT.items():
        new, count = getattr(finds.new, standing), getattr(finds.all, standing)
        if count:
            news = f"{new} new ({getattr(finds.entries, standing)} can log in), " if new else ""
            print_line(f"{what}: {news}{count} in all. See: provost found list --standing {standing}")
    for run in finds.effects:
        told = run.message or ", ".join(f"{count} {status}" for status, count in run.counts.items())
        print_line(f"{run.requested_by.capitalize()}: run {str(run.id)[:8]} is {run.state}: {told}")


_WHAT = {
    "unknown": "Accounts that are not in the list",
    "changed": "Accounts that changed",
    "vanished": "Accounts that are gone",
}
