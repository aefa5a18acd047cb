"""A run is held by one process at a time, until its lease ends. Who has lost it writes nothing more."""

from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from django.db import connection, transaction
from django.utils import timezone

from provost.core.errors import LeaseLost
from provost.server.models import Run
from provost.server.models.runs import RunState
from provost.server.services.locks import LEASE, is_gone, name_owner, renew_locks
from provost.server.services.metrics import LEASE_TAKEOVERS

_LOOKED_AT: Final = 200
"""How many runs, the oldest first, are looked at for one that is free."""


@dataclass(frozen=True, slots=True)
class Lease:
    """That this process holds a run, as its `epoch`-th holder."""

    run_id: UUID
    epoch: int


def take(*, run_id: UUID) -> Lease:
    """Take a run that nobody holds, and begin it or go on with it.

    Raises:
        LeaseLost: it is over, or another process holds it.
    """
    return _take(run_id, skip_locked=False)


def take_next(*, without: Collection[UUID] = ()) -> Lease | None:
    """Take the oldest run that is nobody's to attend to and that nobody holds; None: there is none.

    Where there is nothing to take nothing is written, so this may be asked often.  `without` are runs to leave
    alone: those that the caller is still at work on.
    """
    rows = Run.objects.filter(attended=False, state__in=[RunState.QUEUED, RunState.RUNNING])
    rows = rows.only("state", "owner", "lease_ends").order_by("created", "id")
    free = [run.id for run in rows[:_LOOKED_AT] if run.id not in without and not is_held(run=run)]
    for run_id in free:
        with suppress(LeaseLost):  # another was quicker
            return _take(run_id, skip_locked=True)
    return None


def is_held(*, run: Run) -> bool:
    """Tell whether a process works on a run: not, once its lease is over or the process has certainly ended."""
    if run.state != RunState.RUNNING or run.lease_ends is None:
        return False
    return run.lease_ends > timezone.now() and not is_gone(run.owner)


@contextmanager
def fence(*, lease: Lease) -> Iterator[Run]:
    """Do what is inside in one transaction, as the run's holder: nobody can take it meanwhile.

    Gives the run, with a spec that is only read when it is asked for.

    Raises:
        LeaseLost: the run is another's, or over, or its lease has ended; nothing was written.
    """
    with transaction.atomic():
        _let_end_when_silent()
        run = Run.objects.select_for_update().defer("spec").filter(id=lease.run_id).first()
        if (
            run is None
            or (run.epoch, run.state) != (lease.epoch, RunState.RUNNING)
            or run.lease_ends is None
            or run.lease_ends <= timezone.now()
        ):
            raise LeaseLost(
                f"Run {lease.run_id} is not held by this process any more: it records nothing more of it. "
                f"What was staged is kept. See: provost run show {str(lease.run_id)[:8]}"
            )
        yield run


def renew(*, lease: Lease) -> bool:
    """Put off the end of a lease and of the run's locks. Returns whether somebody asked the run to end.

    Raises:
        LeaseLost: as `fence`.
    """
    with fence(lease=lease) as run:
        Run.objects.filter(id=run.id).update(lease_ends=timezone.now() + LEASE)
        renew_locks(run_id=run.id)
    return run.cancel_requested


def _let_end_when_silent() -> None:
    """Let PostgreSQL end this transaction when its process says nothing for as long as a lease.

    A machine that is cut off in the middle of it would hold the run's row, and nobody could take the run.
    """
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT set_config('idle_in_transaction_session_timeout', %s, true)",
                [f"{LEASE.total_seconds():.0f}s"],
            )


def _take(run_id: UUID, *, skip_locked: bool) -> Lease:
    with transaction.atomic():
        _let_end_when_silent()
        rows = Run.objects.select_for_update(skip_locked=skip_locked).defer("spec")
        run = rows.filter(id=run_id, state__in=[RunState.QUEUED, RunState.RUNNING]).first()
        if run is None or is_held(run=run):
            raise LeaseLost(
                f"Run {run_id} is over, or another process works on it. See: provost run show {str(run_id)[:8]}"
            )
        if run.state == RunState.RUNNING:
            transaction.on_commit(LEASE_TAKEOVERS.inc)
        now = timezone.now()
        run.state = RunState.RUNNING
        run.owner = name_owner()
        run.epoch += 1
        run.lease_ends = now + LEASE
        run.started = run.started or now
        run.save(update_fields=["state", "owner", "epoch", "lease_ends", "started"])
    return Lease(run.id, run.epoch)
