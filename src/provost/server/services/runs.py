"""Runs and their records: made before anything is contacted, kept as the account of what was done."""

from collections import Counter
from collections.abc import Iterator, Sequence
from uuid import UUID

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Count
from django.utils import timezone

from provost.core.errors import NotFound, Refused
from provost.core.model import Status, Strategy
from provost.core.push import PushSpec
from provost.core.secrets import Secret
from provost.server.models import Record, Run, Task
from provost.server.models.runs import RunState
from provost.server.services import secrets
from provost.server.services.expansion import Expansion, expand
from provost.server.services.leases import is_held
from provost.server.services.locks import is_gone, name_owner
from provost.server.services.recording import settle_interrupted_records, settle_unbegun

FINE = frozenset({Status.SUCCEEDED, Status.UNCHANGED})
"""Statuses that leave nothing to do."""

ALIVE = frozenset({RunState.QUEUED, RunState.RUNNING})
"""States of a run that is not over."""

SETTLED_WELL = FINE | {Status.UNVERIFIED}
"""Statuses that a retry leaves alone."""


def create_push(  # noqa: PLR0913  # what a run is made of
    *,
    spec: PushSpec,
    specified: Secret | None,
    task: Task | None = None,
    dry_run: bool = False,
    attended: bool = True,
    requested_by: str = "",
) -> Run:
    """Write down a push: the run, with a record for every account that it means. Nothing is contacted.

    The caller works an `attended` run off; any server takes the others.  For a dry run the specified secret is
    checked and not held.

    Raises:
        UsageError: what was asked for cannot be done.
        VaultError: the specified secret could not be stored.
    """
    expansion = expand(spec=spec, specified=specified)
    with transaction.atomic():
        run = Run.objects.create(
            action="push",
            spec=spec.model_dump(mode="json"),
            task=task,
            dry_run=dry_run,
            attended=attended,
            requested_by=requested_by,
            owner=name_owner() if attended else "",
        )
        Record.objects.bulk_create(_draft_records(run, expansion, spec), batch_size=1000)
        if specified is not None and not dry_run:
            secrets.hold_specified(run_id=run.id, secret=specified)
    return run


def _draft_records(run: Run, expansion: Expansion, spec: PushSpec) -> Iterator[Record]:
    for asset in expansion.assets:
        for username in dict.fromkeys(spec.usernames):
            yield Record(
                run=run, asset=asset, asset_name=asset.name, username=username, secret_type=spec.secret_type
            )


def create_retry(*, run: Run, attended: bool = True) -> Run:
    """Write down another run for all records of `run` that did not end well, with the same settings.

    `attended` is as for `create_push`.

    Raises:
        Refused: the run is not over yet, or there is nothing to do again.
    """
    if run.state in ALIVE:
        raise Refused(f"Run {run.id} is not over yet.", code="run_not_over")
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
    if specified is None and spec.strategy is Strategy.SPECIFIED:
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
            secrets.drop_specified(run_id=run.id)
            secrets.hold_specified(run_id=retry.id, secret=specified)
    return retry


def find_run(*, run_id: str) -> Run:
    """Return the run whose id begins with `run_id` (eight characters tell most apart).

    Raises:
        NotFound: there is none, or more than one.
    """
    settle_interrupted()
    try:
        exact = Run.objects.filter(id=run_id).first()
    except (ValidationError, ValueError):
        exact = None
    found = (
        [exact]
        if exact
        else [run for run in Run.objects.order_by("-created") if str(run.id).startswith(run_id)]
    )
    if len(found) != 1 or not run_id:
        what = "no run" if not found else f"{len(found)} runs"
        raise NotFound(f"There is {what} {run_id!r}. See: provost run list", code="run_not_found")
    return found[0]


def list_runs(*, limit: int = 50, task: Task | None = None) -> list[Run]:
    """List the newest runs: of all, or of one task."""
    settle_interrupted()
    runs = Run.objects.select_related("task").order_by("-created")
    return list((runs if task is None else runs.filter(task=task))[:limit])


def list_records(*, run: Run) -> list[Record]:
    """List a run's records by asset and username."""
    return list(run.records.order_by("asset_name", "username"))


def count_records(*, runs: Sequence[Run]) -> dict[UUID, Counter[str]]:
    """Count each run's records by status; those without one yet as `open`."""
    counts: dict[UUID, Counter[str]] = {run.id: Counter() for run in runs}
    rows = Record.objects.filter(run_id__in=counts).values_list("run_id", "status").annotate(count=Count("id"))
    for run_id, status, count in rows:
        counts[run_id][status or "open"] += count
    return counts


def request_cancel(*, run: Run) -> None:
    """Ask the process that works on a run to end it in good order.

    A run that waits for a server is cancelled at once: what an earlier server may have set there is uncertain.

    Raises:
        Refused: the run is over.
    """
    with transaction.atomic():
        run = Run.objects.select_for_update().get(id=run.id)
        if run.state not in ALIVE:
            raise Refused(f"Run {run.id} is over already ({run.state}).", code="run_over")
        run.cancel_requested = True
        if not (run.attended or is_held(run=run)):
            run.epoch += 1  # nobody's any more: whoever held it last can write nothing
            settle_unbegun(run=run)
            run.state, run.finished = RunState.CANCELLED, timezone.now()
        run.save(update_fields=["cancel_requested", "epoch", "state", "finished"])


def settle_interrupted() -> None:
    """Close the attended runs whose process has ended without closing them. Their secrets stay pending."""
    for run in Run.objects.filter(attended=True, state__in=ALIVE):
        if not _is_abandoned(run):
            continue
        with transaction.atomic():
            run = Run.objects.select_for_update().defer("spec").get(id=run.id)  # noqa: PLW2901  # as it now is
            if run.state in ALIVE and _is_abandoned(run):
                settle_interrupted_records(run=run)
                run.state, run.finished = RunState.INTERRUPTED, timezone.now()
                run.save(update_fields=["state", "finished"])


def _is_abandoned(run: Run) -> bool:
    """Tell whether nobody can write anything more for an attended run."""
    return is_gone(run.owner) if run.state == RunState.QUEUED else not is_held(run=run)


def read_spec(*, run: Run) -> tuple[PushSpec, Secret | None]:
    """Return what a run was asked for, with the specified secret if there is one.

    Raises:
        VaultError: the secret does not decrypt.
    """
    return PushSpec.model_validate(run.spec), secrets.read_specified(run_id=run.id)
