"""Telling: what happened is written down for each channel that wants it, and a courier sends it later.

The deliveries are written in the caller's transaction: what is rolled back is not told, what is committed is.
"""

from collections.abc import Collection, Iterable, Sequence
from typing import Final

from django.db.models import Count, F, QuerySet, Window
from django.db.models.functions import RowNumber
from django.utils import timezone

from provost.core.model import FINE, Status
from provost.core.notices import Event, Payload, Problem, RunFailed
from provost.core.rights import Reach
from provost.server.models import Asset, Channel, Delivery, Record, Run
from provost.server.services.chunks import split
from provost.server.services.reach import limit, limit_many

_MOST: Final = 100
"""How many single things one delivery lists."""

_FIRST: Final = 5
_BAD: Final = frozenset(Status) - FINE - {Status.CANCELLED}


def tell(*, event: Event, payload: Payload, asset_ids: Iterable[int]) -> int:
    """Write a delivery for each channel that wants the event, and return how many there are.

    Call it in the transaction of what it tells about, before the audit trail is written.  `asset_ids` are of
    the assets that `payload` names: a channel that is limited to a node is told of what lies in it alone.
    """
    deliveries = []
    assets = set(asset_ids)
    for channel in _list_wanting(event):
        told = payload if channel.node is None else payload.keep(_name_within(channel, assets))
        if told is not None:
            deliveries.append(make_delivery(channel, event, told.cut(_MOST)))
    return len(Delivery.objects.bulk_create(deliveries))


def tell_run(*, run: Run) -> None:
    """Tell of a run that is over, if it did not end well. Of a dry run nothing is told: it was to do nothing.

    Call it as `tell`.
    """
    if run.dry_run:
        return
    deliveries = []
    for channel in _list_wanting(Event.RUN_FAILED):
        records = limit_many(Record.objects.filter(run=run), _reach(channel), asset="asset_id")
        if (told := _describe_run(run, records)) is not None:
            deliveries.append(make_delivery(channel, Event.RUN_FAILED, told))
    Delivery.objects.bulk_create(deliveries)


def make_delivery(channel: Channel, event: Event, payload: Payload) -> Delivery:
    """Return a delivery that is due now, not saved as yet."""
    now = timezone.now()
    told = payload.model_dump(mode="json")
    return Delivery(channel=channel, event=event, payload=told, created=now, next_try=now)


def _list_wanting(event: Event) -> list[Channel]:
    """Return the channels that want an event. There are few: JSON is not searched alike by every database."""
    channels = Channel.objects.filter(active=True).select_related("node")
    return [channel for channel in channels if event in channel.events]


def _reach(channel: Channel) -> Reach:
    if channel.node is None:
        return Reach(everywhere=True)
    return Reach(nodes=frozenset({channel.node.path}))


def _name_within(channel: Channel, asset_ids: Collection[int]) -> set[str]:
    names: set[str] = set()
    for chunk in split(asset_ids):
        rows = limit(Asset.objects.filter(id__in=chunk), _reach(channel))
        names.update(rows.values_list("name", flat=True))
    return names


def _describe_run(run: Run, records: QuerySet[Record]) -> RunFailed | None:
    """Tell of a run by some of its records; None: with them, all is well."""
    rows = records.values_list("status", "reason").annotate(count=Count("id"))
    alike = {(Status(status), reason): count for status, reason, count in rows if status is not None}
    if not alike or not (run.reason or any(status in _BAD for status, _ in alike)):
        return None
    counts: dict[str, int] = {}
    for (status, _), count in alike.items():
        counts[status] = counts.get(status, 0) + count
    worst = sorted(((count, *key) for key, count in alike.items() if key[0] not in FINE), reverse=True)[:_MOST]
    assets = _list_first_assets(records) if worst else {}
    return RunFailed(
        run=run.id,
        action=run.action,
        task=run.task.name if run.task else None,
        requested_by=run.requested_by,
        state=run.state,
        reason=run.reason,
        finished=run.finished,
        counts=counts,
        problems=tuple(
            Problem(status=status, reason=reason, count=count, assets=tuple(assets.get((status, reason), ())))
            for count, status, reason in worst
        ),
    )


def _list_first_assets(records: QuerySet[Record]) -> dict[tuple[str, str], Sequence[str]]:
    """Return the first assets of each status and reason."""
    first = records.exclude(status=None).exclude(status__in=FINE)
    first = first.annotate(
        place=Window(RowNumber(), partition_by=[F("status"), F("reason")], order_by=["asset_name", "username"])
    ).filter(place__lte=_FIRST)
    found: dict[tuple[str, str], dict[str, None]] = {}
    for status, reason, name in first.order_by("place").values_list("status", "reason", "asset_name"):
        found.setdefault((status or "", reason), {})[name] = None
    return {key: list(names) for key, names in found.items()}
