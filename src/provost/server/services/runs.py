"""Runs and their records: made before anything is contacted, kept as the account of what was done."""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from string import hexdigits
from typing import Final
from uuid import UUID

from django.db import transaction
from django.db.models import Count, Exists, OuterRef, Q, QuerySet
from django.utils import timezone

from provost.core.errors import Conflict, Forbidden, NotFound, Refused, VaultError
from provost.core.model import SETTLED_WELL, Strategy
from provost.core.push import PushSpec
from provost.core.rights import Face, Principal, Right, make_local
from provost.core.secrets import Secret
from provost.core.specs import SPECS, DisableSpec, RemoveSpec, RotateSpec, Spec
from provost.server.models import Asset, Record, Run, Task
from provost.server.models.runs import RunState
from provost.server.services import audit, held, notices
from provost.server.services.assets import find_asset
from provost.server.services.expansion import expand, find_right
from provost.server.services.leases import is_held
from provost.server.services.locks import is_gone, name_owner
from provost.server.services.pages import EVERYTHING, Page, Place, cut, read_all
from provost.server.services.reach import check_assets, limit
from provost.server.services.recording import settle_interrupted_records, settle_unbegun
from provost.server.services.selection import Places

_UUID_DIGITS: Final = 32
_UNTAKEN: Final = timedelta(minutes=10)

ALIVE = frozenset({RunState.QUEUED, RunState.RUNNING})
"""States of a run that is not over."""


@dataclass(frozen=True, slots=True)
class RunFilter:
    """Which runs are wanted; `task` is a task's name, `asset` that of one that has a record in them.

    `cause` is the id of a discovery: the runs that rules made for what it has found.
    """

    state: str | None = None
    action: str | None = None
    task: str | None = None
    dry_run: bool | None = None
    asset: str | None = None
    cause: UUID | None = None


@dataclass(frozen=True, slots=True)
class RecordFilter:
    """Which records are wanted; `status` may be `open`; `search`: a part of the asset's name or username."""

    status: str | None = None
    decision: str | None = None
    reason: str | None = None
    search: str | None = None


def create_run(  # noqa: PLR0913  # what a run is made of
    *,
    by: Principal,
    spec: Spec,
    specified: Secret | None = None,
    task: Task | None = None,
    attended: bool = True,
    dry_run: bool = False,
    places: Places | None = None,
) -> Run:
    """Write down a run, with a record for every account that it means. Nothing is contacted.

    The caller works an `attended` run off; any server takes the others.  For a dry run the specified secret is
    checked and not held.  With `places`, it is about these accounts, wherever the spec says that it is.

    Raises:
        UsageError: what was asked for cannot be done, or not by the caller.
        VaultError: the specified secret could not be stored.
    """
    expansion = expand(by=by, spec=spec, specified=specified, places=places)
    with transaction.atomic():
        run = Run.objects.create(
            action=spec.action,
            spec=spec.model_dump(mode="json"),
            task=task,
            dry_run=dry_run,
            attended=attended,
            requested_by=by.name,
            owner=name_owner() if attended else "",
        )
        Record.objects.bulk_create(
            (
                Record(
                    run=run,
                    asset=item.asset,
                    asset_name=item.asset.name,
                    username=item.username,
                    secret_type=item.secret_type or "",
                )
                for item in expansion.items
            ),
            batch_size=1000,
        )
        if specified is not None and not dry_run:
            held.hold_specified(run_id=run.id, secret=specified)
        told = {"task": task.name if task else None, "dry_run": dry_run, "records": run.records.count()}
        _audit(by, "run.create", run, **told)
    return run


_TOLD: Final = ("usernames", "assets", "nodes", "secret_type", "strategy", "force", "privileged")


def _audit(by: Principal, action: str, run: Run, **details: object) -> None:
    asked = {name: run.spec.get(name) for name in _TOLD if name in run.spec}
    details = {"action": run.action, **asked, **details}
    audit.write(by=by, action=action, subject=f"run {run.id}", details=details)


def create_retry(*, by: Principal, run: Run, attended: bool = True) -> Run:
    """Write down another run for all records of `run` that did not end well, with the same settings.

    `attended` is as for `create_run`.

    Raises:
        Refused: there is nothing to do again.
        Conflict: the run is not over yet.
        Forbidden: the caller may not push to all of its assets.
    """
    check_run(by, run, what="retry this run", right=find_right(SPECS.validate_python(run.spec)))
    if run.state in ALIVE:
        raise Conflict(f"Run {run.id} is not over yet.", code="run_not_over")
    if run.state == RunState.SKIPPED:
        raise Refused(
            f"Run {run.id} was skipped: there is nothing to retry. To start its task: provost task run",
            code="no_retry",
        )
    if run.dry_run:
        raise Refused(
            f"Run {run.id} was a dry run: there is nothing to retry. Push, or do another: provost push",
            code="no_retry",
        )
    spec, specified = read_spec(run=run)
    again = run.records.exclude(status__in=SETTLED_WELL).exclude(asset=None)
    if not again.exists():
        raise Refused(f"Every record of run {run.id} ended well: there is nothing to retry.", code="no_retry")
    if isinstance(spec, DisableSpec | RemoveSpec):  # what an account is may have changed since
        places = [(one.asset_id, one.username) for one in again if one.asset_id is not None]
        expand(by=by, spec=spec, specified=None, places=places)
    if specified is None and isinstance(spec, PushSpec | RotateSpec) and spec.strategy is Strategy.SPECIFIED:
        raise Refused(
            f"Provost no longer holds the secret of run {run.id}: retry its latest retry, or push anew.",
            code="secret_not_held",
        )
    with transaction.atomic():
        retry = Run.objects.create(
            action=run.action,
            spec=run.spec,
            task_id=run.task_id,
            attended=attended,
            requested_by=by.name,
            owner=name_owner() if attended else "",
        )
        Record.objects.bulk_create(
            (
                Record(
                    run=retry,
                    asset_id=record.asset_id,
                    asset_name=record.asset_name,
                    username=record.username,
                    secret_type=record.secret_type,
                )
                for record in again.order_by("id")
            ),
            batch_size=1000,
        )
        if specified is not None:
            held.drop_specified(run_id=run.id)
            held.hold_specified(run_id=retry.id, secret=specified)
        _audit(by, "run.retry", retry, of=str(run.id), records=retry.records.count())
    return retry


def check_run(by: Principal, run: Run, *, what: str, right: Right = Right.OPERATE) -> None:
    """Make sure that somebody may work on every asset of a run, or has another right there.

    Raises:
        Forbidden: they may not.
    """
    if not by.require(right, what=what).everywhere:
        check_assets(by, right, Asset.objects.filter(records__run=run).distinct(), what=what)
        if run.records.filter(asset=None).exists():
            raise Forbidden(
                f"{by.name} may not {what}: assets of it are gone, and nobody knows where they were."
            )


def limited(by: Principal) -> QuerySet[Run]:
    """Return the runs that somebody sees something of, as a query."""
    runs = Run.objects.select_related("task")
    if by.require(Right.VIEW, what="see runs").everywhere:
        return runs
    return runs.filter(Exists(limited_records(by).filter(run_id=OuterRef("pk"))))


def limited_records(by: Principal) -> QuerySet[Record]:
    """Return the records that somebody sees, as a query."""
    return limit(Record.objects.all(), by.require(Right.VIEW, what="see runs"), asset="asset_id")


def find_run(*, by: Principal, run_id: str) -> Run:
    """Return the run whose id begins with `run_id` (eight characters tell most apart).

    Raises:
        NotFound: there is none, or more than one.
    """
    settle_interrupted()
    found: list[Run] = []
    digits = run_id.replace("-", "").lower()
    if digits and len(digits) <= _UUID_DIGITS and set(digits) <= set(hexdigits):
        first, last = (UUID(digits.ljust(_UUID_DIGITS, filler)) for filler in "0f")
        found = list(limited(by).filter(id__gte=first, id__lte=last)[:2])
    if len(found) != 1:
        what = "no run" if not found else "more than one run"
        raise NotFound(f"There is {what} {run_id!r}. See: provost run list", code="run_not_found")
    return found[0]


def list_runs(
    *, by: Principal, filters: RunFilter | None = None, page: Page = EVERYTHING
) -> tuple[list[Run], Place | None]:
    """List runs, the newest first, and where the next page begins.

    Raises:
        NotFound: there is no such asset.
    """
    settle_interrupted()
    filters = filters or RunFilter()
    runs = limited(by)
    if filters.state is not None:
        runs = runs.filter(state=filters.state)
    if filters.action is not None:
        runs = runs.filter(action=filters.action)
    if filters.task is not None:
        runs = runs.filter(task__name=filters.task)
    if filters.dry_run is not None:
        runs = runs.filter(dry_run=filters.dry_run)
    if filters.cause is not None:
        runs = runs.filter(cause_id=filters.cause)
    if filters.asset is not None:
        asset = find_asset(by=by, name=filters.asset)
        runs = runs.filter(id__in=Record.objects.filter(asset=asset).values("run_id"))
    return cut(runs, ["-created", "-id"], page)


def list_records(
    *, by: Principal, run: Run, filters: RecordFilter | None = None, page: Page = EVERYTHING
) -> tuple[list[Record], Place | None]:
    """List a run's records by asset and username, and where the next page begins."""
    filters = filters or RecordFilter()
    records = limited_records(by).filter(run=run)
    if filters.status is not None:
        records = records.filter(status=None if filters.status == "open" else filters.status)
    if filters.decision is not None:
        records = records.filter(decision=filters.decision)
    if filters.reason is not None:
        records = records.filter(reason=filters.reason)
    if filters.search:
        records = records.filter(
            Q(asset_name__icontains=filters.search) | Q(username__icontains=filters.search)
        )
    return cut(records, ["asset_name", "username"], page)


def export_records(*, by: Principal, run: Run) -> Iterator[Record]:
    """Yield a run's records by asset and username."""
    return read_all(lambda page: list_records(by=by, run=run, page=page))


def count_records(*, by: Principal, runs: Sequence[Run]) -> dict[UUID, Counter[str]]:
    """Count each run's records by status; those without one yet as `open`."""
    counts: dict[UUID, Counter[str]] = {run.id: Counter() for run in runs}
    rows = limited_records(by).filter(run_id__in=counts).values_list("run_id", "status")
    for run_id, status, count in rows.annotate(count=Count("id")):
        counts[run_id][status or "open"] += count
    return counts


def count_alike(*, by: Principal, run: Run) -> list[tuple[str | None, str | None, str, int]]:
    """Count a run's records by decision, status and reason: these three, and how many; the most first."""
    rows = limited_records(by).filter(run=run).values_list("decision", "status", "reason")
    return list(rows.annotate(count=Count("id")).order_by("-count", "decision", "status", "reason"))


def request_cancel(*, by: Principal, run: Run) -> None:
    """Ask the process that works on a run to end it in good order.

    A run that waits for a server is cancelled at once: what an earlier server may have set there is uncertain.

    Raises:
        Conflict: the run is over.
        Forbidden: the caller may not work on all of its assets.
    """
    check_run(by, run, what="cancel this run")
    with transaction.atomic():
        run = Run.objects.select_for_update().get(id=run.id)
        if run.state not in ALIVE:
            raise Conflict(f"Run {run.id} is over already ({run.state}).", code="run_over")
        run.cancel_requested = True
        if not (run.attended or is_held(run=run)):
            run.epoch += 1  # nobody's any more: whoever held it last can write nothing
            settle_unbegun(run=run)
            run.state, run.finished = RunState.CANCELLED, timezone.now()
        run.save(update_fields=["cancel_requested", "epoch", "state", "finished"])
        _audit(by, "run.cancel", run, state=run.state)


def tell_end(*, run: Run) -> None:
    """Write into the audit trail that a run is over, and how; tell channels if it did not end well."""
    notices.tell_run(run=run)
    counts = run.records.values_list("status").annotate(count=Count("id"))
    audit.write(
        by=make_local(run.requested_by, face=Face.SERVER),
        action="run.finish",
        subject=f"run {run.id}",
        details={"state": run.state, "reason": run.reason, "counts": dict(counts)},
    )


def settle_interrupted() -> None:
    """Close the attended runs whose process has ended without closing them. Their secrets stay pending."""
    for run in Run.objects.filter(attended=True, state__in=ALIVE):
        if not _is_abandoned(run):
            continue
        with suppress(VaultError), transaction.atomic():  # runs can be looked at without a vault
            run = Run.objects.select_for_update().defer("spec").get(id=run.id)  # noqa: PLW2901  # as it now is
            if run.state in ALIVE and _is_abandoned(run):
                settle_interrupted_records(run=run)
                run.state, run.finished = RunState.INTERRUPTED, timezone.now()
                run.save(update_fields=["state", "finished"])
                tell_end(run=run)


def _is_abandoned(run: Run) -> bool:
    """Tell whether nobody can write anything more for an attended run."""
    if run.state == RunState.QUEUED:  # its process takes it at once, if it can
        return is_gone(run.owner) or run.created < timezone.now() - _UNTAKEN
    return not is_held(run=run)


def read_spec(*, run: Run) -> tuple[Spec, Secret | None]:
    """Return what a run was asked for, with the specified secret if there is one.

    Raises:
        VaultError: the secret does not decrypt.
    """
    return SPECS.validate_python(run.spec), held.read_specified(run_id=run.id)
