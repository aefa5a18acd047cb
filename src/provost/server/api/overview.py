from collections.abc import Iterable
from datetime import timedelta

from django.utils import timezone

from provost.core import documents as told
from provost.core.requests import FoundQuery
from provost.core.rights import Principal
from provost.server.api.describe_runs import describe_runs
from provost.server.api.found import count_found
from provost.server.services import overview, reasons, runs
from provost.server.services.overview import AGES

_FAILURES = timedelta(days=7)


def show_overview(by: Principal) -> told.OverviewDocument:
    """Show what there is, what goes on, and what went wrong of late."""
    runs.settle_interrupted()
    now = timezone.now()
    assets, lacking, names = overview.count_assets(by=by)
    saved, checking = overview.count_saved(by=by)
    checks = overview.count_sync(by=by)
    return told.OverviewDocument(
        steps=told.StepsDocument(
            asset=assets > lacking,
            push=overview.has_pushed(by=by),
            task=saved > 0,
            check=checking > 0,
        ),
        assets=assets,
        accounts=told.AccountCountsDocument(**overview.count_accounts(by=by)),
        checks=told.ChecksDocument(
            in_sync=checks["in_sync"],
            out_of_sync=checks["out_of_sync"],
            unknown=checks["unknown"],
            never=checks["never"],
        ),
        days=[
            told.DayDocument(day=one.day, runs=one.runs, counts=dict(one.counts))
            for one in overview.list_days(by=by, now=now)
        ],
        failures=_describe(reasons.list_failures(by=by, since=now - _FAILURES)),
        stopped=_describe(reasons.list_stopped(by=by, since=now - _FAILURES)),
        running=describe_runs(by, overview.list_running(by=by)),
        due=[
            told.DueDocument(task=task.name, at=task.next_due)
            for task in overview.list_due(by=by)
            if task.next_due
        ],
        wanting=told.WantingDocument(count=lacking, assets=names),
        ages=[
            told.AgeDocument(least=least, below=below, count=count)
            for least, below, count in zip(
                AGES, [*AGES[1:], None], overview.count_ages(by=by, now=now), strict=True
            )
        ],
        found=count_found(by, FoundQuery()),
    )


def _describe(failures: Iterable[reasons.Failure]) -> list[told.FailureDocument]:
    return [
        told.FailureDocument(status=one.status, reason=one.reason, count=one.count, runs=list(one.runs))
        for one in failures
    ]
