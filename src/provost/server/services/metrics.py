"""What this process counts, for Prometheus. What the database tells is in gauges.py."""

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
)

disable_created_metrics()  # type: ignore[no-untyped-call]  # twice the lines, for nothing here
REGISTRY = CollectorRegistry()
ProcessCollector(registry=REGISTRY)

REQUESTS = Counter(
    "provost_requests", "Requests that were answered.", ["route", "method", "status"], registry=REGISTRY
)
REQUEST_SECONDS = Histogram(
    "provost_request_seconds", "How long requests took.", ["route", "method"], registry=REGISTRY
)
RECORDS_SETTLED = Counter(
    "provost_records_settled", "Records that this process settled.", ["status"], registry=REGISTRY
)
LEASE_TAKEOVERS = Counter(
    "provost_lease_takeovers",
    "Runs that this process took up because their holder went silent.",
    registry=REGISTRY,
)
SCHEDULER_TICK = Gauge(
    "provost_scheduler_tick_timestamp_seconds",
    "When this process last looked for tasks that are due.",
    registry=REGISTRY,
)
