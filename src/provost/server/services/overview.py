"""What there is, what goes on and what went wrong, counted: a few queries, whatever there is."""

from collections import Counter
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Final

from django.db.models import CharField, Count, Q
from django.db.models.functions import Cast, Substr

from provost.core.model import Action
from provost.core.rights import Principal, Right
from provost.server.models import Account, Asset, Record, Run, Task
from provost.server.services import runs, secrets, sync, tasks
from provost.server.services.assets import lacks_privileged
from provost.server.services.reach import limit_many
from provost.server.services.runs import ALIVE

DAYS: Final = 30
AGES: Final = (0, 30, 90, 180, 365)
"""Days from which on a secret counts as older."""

_FIRST: Final = 10


@dataclass(frozen=True, slots=True)
class Day:
    """The runs that began on a day (UTC), and their records by status; those without one as `open`."""

    day: date
    runs: int
    counts: Counter[str]


def count_accounts(*, by: Principal) -> dict[str, int]:
    """Count the accounts that somebody sees: listed, privileged, created_by_provost, unsettled."""
    listed = Q(listed_at__isnull=False)
    rows = limit_many(Account.objects.all(), by.require(Right.VIEW, what="see accounts"), asset="asset_id")
    return rows.aggregate(
        listed=Count("id", filter=listed),
        privileged=Count("id", filter=listed & Q(privileged=True)),
        created_by_provost=Count("id", filter=listed & Q(created_by_provost=True)),
        unsettled=Count("id", filter=Q(listed_at__isnull=True)),
    )


def count_assets(*, by: Principal) -> tuple[int, int, list[str]]:
    """Return how many assets somebody sees, how many have no privileged account, and the first of these."""
    reach = by.require(Right.VIEW, what="see assets")
    lacking = lacks_privileged()
    rows = limit_many(Asset.objects.order_by(), reach)
    found = rows.aggregate(all=Count("*"), lacking=Count("id", filter=lacking))
    names = rows.filter(lacking).order_by("name").values_list("name", flat=True)[:_FIRST]
    return found["all"], found["lacking"], list(names) if found["lacking"] else []


def list_days(*, by: Principal, now: datetime) -> list[Day]:
    """Count the runs and records of the last 30 days, by day."""
    reach = by.require(Right.VIEW, what="see runs")
    today = now.astimezone(UTC).date()
    days = [today - timedelta(days=ago) for ago in reversed(range(DAYS))]
    since = datetime(days[0].year, days[0].month, days[0].day, tzinfo=UTC)
    # As text, whose beginning is the day: SQLite has no dates, and Django's own for it are slow.
    begun = runs.limited(by).filter(created__gte=since).order_by()
    begun_days = begun.annotate(day=Substr(Cast("created", CharField()), 1, 10)).values_list("day")
    ran = dict(begun_days.annotate(count=Count("*")))
    records = limit_many(Record.objects.filter(run__created__gte=since), reach, asset="asset_id")
    counts: dict[str, Counter[str]] = {}
    rows = records.annotate(day=Substr(Cast("run__created", CharField()), 1, 10)).values_list("day", "status")
    for day, status, count in rows.annotate(count=Count("*")):
        counts.setdefault(day, Counter())[status or "open"] += count
    return [Day(day, ran.get(f"{day}", 0), counts.get(f"{day}", Counter())) for day in days]


def list_running(*, by: Principal) -> list[Run]:
    """List the runs that are not over, the newest first: at most ten."""
    return list(runs.limited(by).filter(state__in=ALIVE).order_by("-created")[:_FIRST])


def list_due(*, by: Principal) -> list[Task]:
    """List the tasks that are due next: at most ten."""
    return list(tasks.limited(by).exclude(next_due=None).order_by("next_due", "name")[:_FIRST])


def has_pushed(*, by: Principal) -> bool:
    """Tell whether there was a push that somebody sees something of, and not only a dry run."""
    return runs.limited(by).filter(dry_run=False).exists()


def count_saved(*, by: Principal) -> tuple[int, int]:
    """Return how many tasks somebody sees, and how many of them look whether secrets are those in force."""
    checking = Q(spec__action__in=[Action.VERIFY.value, Action.RECONCILE.value])
    found = tasks.limited(by).order_by().aggregate(all=Count("id"), checking=Count("id", filter=checking))
    return found["all"], found["checking"]


def count_sync(*, by: Principal) -> Counter[str]:
    """Count the accounts that somebody sees by what the last check of a secret told; see `secrets`."""
    return sync.count_sync(reach=by.require(Right.VIEW, what="see accounts"))


def count_ages(*, by: Principal, now: datetime) -> list[int]:
    """Count the secrets in force by age: of each of `AGES`, those that are that old and not of the next."""
    reach = by.require(Right.VIEW, what="see accounts")
    older = secrets.count_ages(reach=reach, now=now, days=AGES)
    return [here - beyond for here, beyond in zip(older, [*older[1:], 0], strict=True)]
