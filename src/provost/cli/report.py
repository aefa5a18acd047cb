"""Runs and their records as tables and as JSON (the shape is a public contract)."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final

import typer

from provost.cli.call import call, call_all
from provost.cli.finds import Finds, print_finds, read_finds
from provost.cli.output import print_json, print_line, print_table
from provost.core.documents import RecordDocument, RunDetailDocument, RunDocument
from provost.core.model import FINE, SETTLED_WELL
from provost.core.operations import LIST_RECORDS, SHOW_RUN
from provost.core.requests import RecordQuery

ALIVE: Final = frozenset({"queued", "running"})
"""States of a run that is not over."""

_SMALL: Final = 100
_INTERRUPTED: Final = 130


def report_run(run_id: str, *, as_json: bool, interrupted: bool = False) -> None:
    """Print a run that was worked off, and exit with its status; `interrupted`: a signal ended it."""
    run = call(SHOW_RUN, run=run_id)
    records = list_records(run_id)
    finds = read_finds(run) if run.action == "discover" and run.state == "finished" else None
    print_run(run, records, as_json=as_json, finds=finds)
    if interrupted:
        raise typer.Exit(_INTERRUPTED)
    effects = finds.effects if finds else []
    if any(record.status not in FINE for record in records) or any(
        effect.state == "skipped" or (effect.state not in ALIVE and effect.counts.keys() - FINE)
        for effect in effects
    ):
        raise typer.Exit(1)


def list_records(run_id: str) -> list[RecordDocument]:
    """Return all records of a run."""
    return list(call_all(LIST_RECORDS, RecordQuery(), run=run_id))


def print_run(
    run: RunDetailDocument,
    records: Sequence[RecordDocument],
    *,
    as_json: bool,
    whole: bool = False,
    finds: Finds | None = None,
) -> None:
    """Print a run with its records; of a large one, unless `whole`, those that did not end well.

    A JSON document always holds them all.
    """
    if as_json:
        told = {"found": finds.new, "effects": finds.effects} if finds else {}
        print_json({"run": run, "records": records, **told})
        return
    shown = records
    if len(records) > _SMALL and not (whole or run.dry_run):
        shown = [record for record in records if record.status not in SETTLED_WELL]
    if shown:
        _print_record_table(shown)
    if len(shown) < len(records):
        rest = f"{len(records) - len(shown)} records that ended well are not shown."
        print_line(f"{rest} All of them: provost run show {str(run.id)[:8]}")
    if run.dry_run and run.state == "finished" and not run.reason:
        decisions = Counter(record.decision or record.status or "open" for record in records)
        what = "A push would do this" if run.action == "push" else "What was looked at"
        print_line(f"Nothing was changed. {what}: {sum_up(decisions)}.")
        return
    why = f"{run.reason}: {run.message}" if run.reason else f"{sum_up(run.counts)}."
    print_line(f"Run {run.id} is {run.state}: {why}")
    if finds:
        print_finds(finds)
    if run.dry_run or run.state in ALIVE:
        return
    if any(record.status not in SETTLED_WELL for record in records):
        print_line(f"To do again what did not end well: provost run retry {str(run.id)[:8]}")


def print_runs(runs: Sequence[RunDocument], *, as_json: bool) -> None:
    """Print a list of runs."""
    if as_json:
        print_json({"runs": runs})
        return
    print_table(
        ("run", "action", "task", "state", "started", "records"),
        [
            (
                str(run.id)[:8],
                f"{run.action} (dry run)" if run.dry_run else run.action,
                run.task,
                run.state,
                run.started,
                run.reason or sum_up(run.counts),
            )
            for run in runs
        ],
        empty="There are no runs yet. Make one: provost push",
    )


def _print_record_table(records: Sequence[RecordDocument]) -> None:
    print_table(
        ("asset", "username", "type", "decision", "status", "by", "why"),
        [
            (
                record.asset,
                record.username,
                record.secret_type,
                record.decision,
                record.status or "open",
                record.actor or None,
                ": ".join(text for text in (record.reason, record.message) if text),
            )
            for record in records
        ],
        empty="The run has no records.",
    )


def sum_up(counts: Mapping[str, int]) -> str:
    """Say how many records there are of each status."""
    most_first = sorted(counts.items(), key=lambda pair: -pair[1])
    return ", ".join(f"{count} {status}" for status, count in most_first) or "no records"
