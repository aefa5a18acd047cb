"""What the database tells, for Prometheus: asked for at each scrape, with one query for each kind of thing."""

import logging
from collections.abc import Iterable, Iterator

from django.db import DatabaseError
from django.db.models import Count, Min, Q
from django.utils import timezone
from prometheus_client import generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from provost.core.model import Sync
from provost.core.rights import Reach
from provost.server.models import Account, Record, Run, Task
from provost.server.models.runs import RunState
from provost.server.services import sync, vitals
from provost.server.services.metrics import REGISTRY

logger = logging.getLogger(__name__)


class _Gauges(Collector):
    """Reads the gauges as they are scraped."""

    def describe(self) -> Iterable[Metric]:
        """Tell of nothing beforehand: that would take a database."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """Yield the gauges of now. A database that does not answer leaves out its own, and no others."""
        if (age := vitals.tell_beat_age()) is not None:
            yield GaugeMetricFamily(
                "provost_worker_beat_age_seconds", "How long ago the worker last showed life.", value=age
            )
        try:
            yield from list(self._ask())
        except DatabaseError:
            logger.warning("The database did not answer: its metrics are left out.")

    def _ask(self) -> Iterator[Metric]:
        now = timezone.now()
        runs = GaugeMetricFamily("provost_runs", "Runs by state.", labels=["state"])
        counts = dict(Run.objects.order_by().values_list("state").annotate(count=Count("id")))
        for state in RunState:
            runs.add_metric([state], counts.get(state, 0))
        yield runs
        yield GaugeMetricFamily(
            "provost_open_records",
            "Records that are not settled yet.",
            value=Record.objects.filter(
                status=None, run__state__in=[RunState.QUEUED, RunState.RUNNING]
            ).count(),
        )
        oldest = Run.objects.filter(state=RunState.QUEUED, attended=False).aggregate(at=Min("created"))["at"]
        yield GaugeMetricFamily(
            "provost_oldest_queued_run_age_seconds",
            "How long the oldest queued run has waited for a server; 0 when none waits.",
            value=max(0.0, (now - oldest).total_seconds()) if oldest else 0.0,
        )
        yield GaugeMetricFamily(
            "provost_due_tasks",
            "Tasks that are due and not started yet.",
            value=Task.objects.filter(next_due__lte=now).count(),
        )
        accounts = GaugeMetricFamily("provost_accounts", "Accounts by state.", labels=["state"])
        found = Account.objects.aggregate(
            listed=Count("id", filter=Q(listed_at__isnull=False)), all=Count("id")
        )
        accounts.add_metric(["listed"], found["listed"])
        accounts.add_metric(["pending"], found["all"] - found["listed"])
        yield accounts
        checks = GaugeMetricFamily(
            "provost_accounts_by_sync", "Accounts by what the last check of a secret told.", labels=["sync"]
        )
        counts = sync.count_sync(reach=Reach(everywhere=True))
        for told in (*Sync, "never"):
            checks.add_metric([told], counts[told])
        yield checks


def render() -> bytes:
    """Return all metrics, those of this process and those of the database, as Prometheus reads them."""
    return generate_latest(REGISTRY)


REGISTRY.register(_Gauges())
