"""Runs and their records as tables and as JSON (the shape is a public contract)."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final
from uuid import UUID

from provost.cli.output import print_json, print_line, print_table
from provost.server.models import Record, Run
from provost.server.models.runs import RunState
from provost.server.services.runs import ALIVE, SETTLED_WELL

_SMALL: Final = 100


def print_run(run: Run, records: Sequence[Record], *, as_json: bool, whole: bool = False) -> None:
    """Print a run with its records; of a large one, unless `whole`, those that did not end well.

    A JSON document always holds them all.
    """
    counts = Counter(record.status or "open" for record in records)
    if as_json:
        print_json(
            {"run": describe_run(run, counts), "records": [_describe_record(record) for record in records]}
        )
        return
    shown = records
    if len(records) > _SMALL and not (whole or run.dry_run):
        shown = [record for record in records if record.status not in SETTLED_WELL]
    if shown:
        _print_record_table(shown)
    if len(shown) < len(records):
        rest = f"{len(records) - len(shown)} records that ended well are not shown."
        print_line(f"{rest} All of them: provost run show {str(run.id)[:8]}")
    if run.dry_run and run.state == RunState.FINISHED and not run.reason:
        decisions = Counter(record.decision or record.status or "open" for record in records)
        print_line(f"Nothing was changed. A push would do this: {sum_up(decisions)}.")
        return
    why = f"{run.reason}: {run.message}" if run.reason else f"{sum_up(counts)}."
    print_line(f"Run {run.id} is {run.state}: {why}")
    if run.dry_run or run.state in ALIVE:
        return
    if any(status not in SETTLED_WELL for status in counts):
        print_line(f"To do again what did not end well: provost run retry {str(run.id)[:8]}")


def print_runs(runs: Sequence[Run], counts: Mapping[UUID, Counter[str]], *, as_json: bool) -> None:
    """Print a list of runs."""
    if as_json:
        print_json({"runs": [describe_run(run, counts[run.id]) for run in runs]})
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
                run.reason or sum_up(counts[run.id]),
            )
            for run in runs
        ],
        empty="There are no runs yet. Make one: provost push",
    )


def _print_record_table(records: Sequence[Record]) -> None:
    print_table(
        ("asset", "username", "type", "decision", "status", "by", "why"),
        [
            (
                record.asset_name,
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


def describe_run(run: Run, counts: Counter[str]) -> dict[str, Any]:
    """Return a run as it is in JSON."""
    return {
        "id": str(run.id),
        "state": run.state,
        "action": run.action,
        "dry_run": run.dry_run,
        "task": run.task.name if run.task else None,
        "reason": run.reason,
        "message": run.message,
        "started": run.started,
        "finished": run.finished,
        "counts": dict(counts),
    }


def _describe_record(record: Record) -> dict[str, Any]:
    return {
        "asset": record.asset_name,
        "username": record.username,
        "secret_type": record.secret_type,
        "decision": record.decision,
        "status": record.status,
        "reason": record.reason,
        "message": record.message,
        "seconds": record.seconds,
        "actor": record.actor,
    }


def sum_up(counts: Counter[str]) -> str:
    """Say how many records there are of each status."""
    return ", ".join(f"{count} {status}" for status, count in counts.most_common()) or "no records"
