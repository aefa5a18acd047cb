"""Why records ended as they did, counted: of one run, and of all runs since a day."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from django.db.models import Count, F, Window
from django.db.models.functions import RowNumber

from provost.core.model import Status
from provost.core.rights import Principal, Right
from provost.server.models import Record, Run
from provost.server.models.runs import RunState
from provost.server.services.reach import limit_many
from provost.server.services.runs import limited, limited_records

FAILED: Final = (Status.FAILED, Status.UNCERTAIN, Status.SKIPPED)
"""Statuses of records that did not end as they should have."""

_FIRST: Final = 3


@dataclass(frozen=True, slots=True)
class Reason:
    """How many records of a run ended with a status and a reason; a message of theirs, and the first assets."""

    status: str
    reason: str
    count: int
    message: str
    assets: Sequence[str]


@dataclass(frozen=True, slots=True)
class Failure:
    """How many records, or runs, ended with a status and a reason, and the newest runs of it."""

    status: str
    reason: str
    count: int
    runs: Sequence[UUID]


def list_reasons(*, by: Principal, run: Run) -> list[Reason]:
    """Group the records of a run that are settled, the most frequent status and reason first."""
    records = limited_records(by).filter(run=run).exclude(status=None)
    counts = {
        (status, reason): count
        for status, reason, count in records.values_list("status", "reason").annotate(count=Count("id"))
    }
    groups = [F("status"), F("reason")]
    first = records.annotate(
        place=Window(RowNumber(), partition_by=groups, order_by=["asset_name", "username"])
    ).filter(place__lte=_FIRST)
    rows: dict[tuple[str | None, str], list[Record]] = {}
    for record in first.order_by("place"):
        rows.setdefault((record.status, record.reason), []).append(record)
    return [
        Reason(
            status=status,
            reason=reason,
            count=count,
            message=next((one.message for one in rows[status, reason] if one.message), ""),
            assets=list(dict.fromkeys(one.asset_name for one in rows[status, reason])),
        )
        for (status, reason), count in sorted(counts.items(), key=lambda one: (-one[1], one[0]))
        if (status, reason) in rows
    ]


def list_failures(*, by: Principal, since: datetime) -> list[Failure]:
    """Group the records that failed in runs since then, the most frequent status and reason first.

    A dry run is not counted: nothing was to come of it.
    """
    reach = by.require(Right.VIEW, what="see runs")
    records = limit_many(Record.objects.all(), reach, asset="asset_id")
    rows = (
        records.filter(run__created__gte=since, run__dry_run=False, status__in=FAILED)
        .values_list("status", "reason", "run_id", "run__created")
        .annotate(count=Count("id"))
    )
    return _group(list(rows))


def list_stopped(*, by: Principal, since: datetime) -> list[Failure]:
    """Group the runs since then that did not begin, or could not go on, by why."""
    rows = limited(by).filter(created__gte=since).exclude(reason="")
    rows = rows.filter(state__in=[RunState.SKIPPED, RunState.FINISHED, RunState.INTERRUPTED])
    return _group([(*row, 1) for row in rows.values_list("state", "reason", "id", "created")])


def _group(rows: Sequence[tuple[str | None, str, UUID, datetime, int]]) -> list[Failure]:
    counts: dict[tuple[str, str], int] = {}
    runs: dict[tuple[str, str], list[UUID]] = {}
    for status, reason, run_id, _, count in sorted(rows, key=lambda row: row[3], reverse=True):
        key = (status or "", reason)
        counts[key] = counts.get(key, 0) + count
        runs.setdefault(key, []).append(run_id)
    return [
        Failure(status, reason, count, runs[status, reason][:_FIRST])
        for (status, reason), count in sorted(counts.items(), key=lambda one: (-one[1], one[0]))
    ]
