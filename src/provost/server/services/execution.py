"""Runs a run: stage, engine, record. The database is worked with in threads of its own."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Collection, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass, field
from typing import Final, ParamSpec, TypeVar

from django.db import DatabaseError, InterfaceError, InternalError, OperationalError
from django.db.models import Q
from django.utils import timezone

from provost.core.errors import LeaseLost, ProvostError, VaultError
from provost.core.job import Job, Outcome
from provost.core.model import FINE, Action, SecretType, Status
from provost.core.rights import Face, make_local
from provost.core.specs import RotateSpec
from provost.engine import Event, HostKeySeen, RefusalSeen, SecretProven, Settled
from provost.server.models import Record, Run
from provost.server.models.runs import RunState
from provost.server.services import context, held
from provost.server.services.assets import pin_host_keys
from provost.server.services.clerk import Clerk, open_clerk
from provost.server.services.gateways import Turns
from provost.server.services.guard import note_refusals
from provost.server.services.leases import Lease, fence, renew, take
from provost.server.services.locks import LEASE, release_locks
from provost.server.services.onboarding import apply_rules
from provost.server.services.order import Order, read_order
from provost.server.services.pairs import leave_out, skip_active
from provost.server.services.recording import (
    leave_open,
    leave_unbegun,
    read_type,
    record_outcomes,
    settle_interrupted_records,
    settle_unbegun,
)
from provost.server.services.runs import request_cancel, tell_end
from provost.server.services.secrets import promote
from provost.server.services.staging import Usernames, make_trial_jobs, stage_jobs

logger = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")

_STAGED_AT_ONCE: Final = 200
_POLL: Final = 2.0
_BATCH_SECONDS: Final = 0.5
_WRITE_PAUSES: Final = (1, 5, 15, 30)
_LOCK_POLL: Final = 0.5
_LOCK_PATIENCE: Final = 600.0

_BUSY: Final = (
    f"Another run has worked on this asset for {_LOCK_PATIENCE / 60:.0f} minutes. See: provost run list."
)

Observer = Callable[[Event], None]
"""Is told of every event as it comes."""


@dataclass(slots=True)
class Control:
    """How a run is stopped from outside. `cancel` ends it in good order, `halt` interrupts what has begun."""

    cancel: asyncio.Event = field(default_factory=asyncio.Event)
    halt: asyncio.Event = field(default_factory=asyncio.Event)
    handing_over: bool = False

    def hand_over(self) -> None:
        """End in good order what has begun, and leave the rest of the run for another to go on with."""
        self.handing_over = True
        self.cancel.set()


async def execute(*, run: Run, control: Control, observe: Observer, lease: Lease | None = None) -> None:
    """Work a run off, as the holder of `lease`; without one the run is taken first.

    Every record of it is settled when this returns, unless it was handed over.

    Raises:
        LeaseLost: another process holds the run, or may do so; from then on nothing more was written here.
        VaultError: the master key is missing or wrong; what was not yet begun is settled as cancelled.
    """
    context.run_id.set(str(run.id))
    async with open_clerk() as clerk:
        mine = await clerk.do(take, run_id=run.id) if lease is None else lease
        begun: set[int] = set()
        why = ("internal_error", "Provost met a fault of its own; its log says more.")
        finish = True
        try:
            order = await clerk.do(read_order, lease=mine)
            if order.cancelled:
                control.cancel.set()
            await _Work(mine, order, clerk, control, begun).run(observe)
            why = ("", "")
        except LeaseLost:
            finish = False
            raise
        except (InterfaceError, InternalError, OperationalError):
            finish = run.attended  # any other goes on with it when the lease has ended
            raise
        except ProvostError as error:
            why = (error.code, error.message)
            raise
        finally:
            if finish:
                await clerk.do(_finish, mine, begun=begun, control=control, why=why)
                await clerk.do(run.refresh_from_db)


def _finish(lease: Lease, *, begun: Collection[int], control: Control, why: tuple[str, str]) -> None:
    _apply_rules(lease, control)
    with fence(lease=lease) as run:
        if control.handing_over:
            leave_unbegun(run=run, begun=begun)
        else:
            settle_unbegun(run=run, begun=begun)
            settle_interrupted_records(run=run)
        release_locks(run_id=run.id)
        handed_over = run.records.filter(status=None).exists()
        if handed_over:
            run.state, run.owner, run.lease_ends = RunState.QUEUED, "", None
        else:
            if not run.records.exclude(status__in=FINE).exists():
                held.drop_specified(run_id=run.id)
            was_cut = run.records.filter(Q(status=Status.CANCELLED) | Q(reason="interrupted")).exists()
            cancelled = control.cancel.is_set() and was_cut
            run.state = RunState.CANCELLED if cancelled else RunState.FINISHED
            run.finished = timezone.now()
            run.reason, run.message = why
        run.save(update_fields=["state", "owner", "lease_ends", "finished", "reason", "message"])
        if not handed_over:
            tell_end(run=run)
    if handed_over and run.cancel_requested:
        request_cancel(by=make_local("provost", face=Face.SERVER), run=run)


def _apply_rules(lease: Lease, control: Control) -> None:
    """Let rules take what a discovery has found, before it counts as over: who waits for it finds it done."""
    with fence(lease=lease) as held_run:
        run = held_run
    if run.action != Action.DISCOVER or run.dry_run:
        return
    if control.handing_over and run.records.filter(status=None).exists():
        return
    try:
        apply_rules(run=run)
    except (DatabaseError, InterfaceError, ProvostError) as error:  # the run has to end all the same
        logger.error("Run %s: its finds wait for the next discovery.", run.id, exc_info=error)  # noqa: TRY400  # the log leaves its text out


_Recorded = HostKeySeen | RefusalSeen | SecretProven | Settled
"""Events that are written down."""


def _was_tried(outcome: Outcome) -> bool:
    """Tell whether somebody has tried to get to the target."""
    return outcome.status not in {Status.SKIPPED, Status.CANCELLED}


class _Work:
    """One run on its way: a feeder that stages, the engine, a recorder, and a heartbeat."""

    def __init__(self, lease: Lease, order: Order, clerk: Clerk, control: Control, begun: set[int]) -> None:
        self._lease = lease
        self._run_id = lease.run_id
        self._order = order
        self._spec = order.spec
        self._clerk = clerk
        self._control = control
        self._begun = begun
        """The assets whose jobs the engine has been given: something may have been set there."""
        self._turns = Turns(lease.run_id)
        self._unrecorded: asyncio.Queue[_Recorded] = asyncio.Queue()
        self._hurry = asyncio.Event()
        """What is unrecorded is to be written down at once."""
        self._over = asyncio.Event()
        self._lost: LeaseLost | None = None
        self._renewed = asyncio.get_running_loop().time()
        self._staged_at_once = _STAGED_AT_ONCE // 10 if self._order.is_slow() else _STAGED_AT_ONCE

    async def run(self, observe: Observer) -> None:
        recorder = asyncio.create_task(self._record())
        hearts = [asyncio.create_task(self._beat()), asyncio.create_task(self._watch())]
        try:
            events = self._order.start(self._feed(), self._control.cancel, self._control.halt)
            async with aclosing(events):
                async for event in events:
                    if isinstance(event, _Recorded):
                        self._unrecorded.put_nowait(event)
                    if isinstance(event, RefusalSeen):
                        # If this process is killed, the next one has to know of it.
                        self._hurry.set()
                    with suppress(OSError):  # nobody may be watching any more: no reason to stop
                        observe(event)
        finally:
            self._over.set()
            self._hurry.set()
            try:
                await recorder
            finally:
                for heart in hearts:
                    heart.cancel()
                await asyncio.gather(*hearts, return_exceptions=True)
            if self._lost:
                raise self._lost

    async def _do(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Let the clerk do what only the run's holder may do."""
        try:
            return await self._clerk.do(function, *args, **kwargs)
        except LeaseLost as error:
            self._lose(error)
            raise

    def _lose(self, error: LeaseLost) -> None:
        """Stop at once: another may be at work on the run by now."""
        self._lost = error
        self._control.halt.set()

    async def _feed(self) -> AsyncGenerator[Job, None]:
        """Yield staged jobs; an asset that another run works on comes later."""
        waiting = await self._do(self._list_open_assets)
        clock = asyncio.get_running_loop().time
        patience: float | None = None
        while waiting and not self._control.cancel.is_set():
            busy: list[int] = []
            for start in range(0, len(waiting), self._staged_at_once):
                chunk = waiting[start : start + self._staged_at_once]
                if self._control.cancel.is_set():
                    return
                jobs, locked = await self._do(self._stage, chunk)
                busy += locked
                for job in jobs:
                    self._begun.add(job.target.asset_id)
                    yield job
                    if self._control.cancel.is_set():
                        return
            patience = patience or clock() + _LOCK_PATIENCE
            if busy and clock() > patience:
                await self._do(self._fail, busy, "asset_busy", _BUSY)
                return
            if busy:
                await asyncio.sleep(_LOCK_POLL)
            waiting = busy

    def _list_open_assets(self) -> list[int]:
        records = Record.objects.filter(run_id=self._run_id, status=None).exclude(asset=None)
        return list(dict.fromkeys(records.order_by("asset_name").values_list("asset_id", flat=True)))

    def _stage(self, asset_ids: Sequence[int]) -> tuple[list[Job], list[int]]:
        """Lock the assets and stage for them; return the jobs, and the assets that another run works on."""
        with fence(lease=self._lease):
            locked = self._turns.enter(asset_ids)
        usernames: dict[int, list[tuple[str, SecretType | None]]] = {}
        for record in Record.objects.filter(run_id=self._run_id, status=None, asset_id__in=locked):
            if record.asset_id is not None:
                usernames.setdefault(record.asset_id, []).append((record.username, read_type(record)))
        wanted = self._leave_active(usernames) if isinstance(self._spec, RotateSpec) else usernames
        try:
            jobs = self._make_jobs(wanted)
        except VaultError as error:
            if error.code != "secret_does_not_decrypt":
                raise
            jobs = self._make_jobs_singly(wanted)
        return jobs, [asset_id for asset_id in asset_ids if asset_id not in locked]

    def _leave_active(self, usernames: Usernames) -> Usernames:
        """Settle the accounts that came into use since the run was written down, and return the others."""
        outcomes = skip_active(usernames=usernames)
        record_outcomes(lease=self._lease, outcomes=outcomes)
        left = leave_out(usernames, {(one.asset_id, one.username) for one in outcomes})
        self._turns.leave([one for one in usernames if one not in left])
        return left

    def _make_jobs(self, usernames: Usernames) -> list[Job]:
        order = self._order
        if order.dry_run:
            return make_trial_jobs(spec=order.spec, parameters=order.parameters, usernames=usernames)
        return stage_jobs(
            lease=self._lease,
            spec=order.spec,
            specified=order.specified,
            parameters=order.parameters,
            usernames=usernames,
        )

    def _make_jobs_singly(self, usernames: Usernames) -> list[Job]:
        """Stage asset by asset, so that a secret that does not decrypt fails its own asset alone."""
        jobs = []
        for asset_id, names in usernames.items():
            try:
                jobs += self._make_jobs({asset_id: names})
            except VaultError as error:
                self._fail([asset_id], error.code, error.message)
        return jobs

    def _fail(self, asset_ids: Sequence[int], reason: str, message: str) -> None:
        """Settle the records of assets that no job is made for."""
        open_records = Record.objects.filter(run_id=self._run_id, status=None, asset_id__in=asset_ids)
        outcomes = [
            Outcome(one.asset_id, one.username, Status.FAILED, read_type(one), reason=reason, message=message)
            for one in open_records
            if one.asset_id is not None
        ]
        record_outcomes(lease=self._lease, outcomes=outcomes)
        self._turns.leave(asset_ids)

    async def _record(self) -> None:
        """Write down what has come, a batch at a time and refused logins at once, until the run is over."""
        while not (self._over.is_set() and self._unrecorded.empty()):
            with suppress(TimeoutError):
                await asyncio.wait_for(self._hurry.wait(), _BATCH_SECONDS)
            self._hurry.clear()
            events = [self._unrecorded.get_nowait() for _ in range(self._unrecorded.qsize())]
            if events and not self._lost:
                await self._insist(events)

    async def _insist(self, events: Sequence[_Recorded]) -> None:
        """Write events down; a database that does not answer is asked again, and then the run is stopped."""
        for pause in (*_WRITE_PAUSES, None):
            try:
                with suppress(LeaseLost):
                    await self._do(self._write, events)
            except (DatabaseError, InterfaceError):
                if pause is None or self._lost:
                    self._control.cancel.set()
                    raise
                logger.warning("The database did not take a record; trying again in %s s.", pause)
                await asyncio.sleep(pause)
            else:
                return

    def _write(self, events: Sequence[_Recorded]) -> None:
        keys = [(event.asset_id, event.key) for event in events if isinstance(event, HostKeySeen)]
        refusals = [(event.asset_id, event.username) for event in events if isinstance(event, RefusalSeen)]
        proven = [event.staged for event in events if isinstance(event, SecretProven)]
        settled = [event for event in events if isinstance(event, Settled)]
        if keys:
            pin_host_keys(keys=keys)
        if refusals:
            note_refusals(refusals=refusals)
        if proven and not self._order.dry_run:
            with fence(lease=self._lease):
                promote(version_ids=proven, sparing=self._run_id)
        if settled:
            outcomes = [outcome for event in settled for outcome in event.outcomes]
            if self._control.handing_over:
                left = [
                    one for one in outcomes if one.status is Status.CANCELLED or one.reason == "interrupted"
                ]
                leave_open(lease=self._lease, outcomes=left)
                outcomes = [one for one in outcomes if one not in left]
            record_outcomes(lease=self._lease, outcomes=outcomes)
            self._turns.leave(
                [event.asset_id for event in settled],
                tried=[event.asset_id for event in settled if any(map(_was_tried, event.outcomes))],
            )

    async def _beat(self) -> None:
        """Keep the lease with the locks, and look whether somebody asked the run to stop.

        It has a clerk of its own: a long write must not cost the lease.
        """
        clock = asyncio.get_running_loop().time
        async with open_clerk() as clerk:
            while True:
                await asyncio.sleep(_POLL)
                asked = clock()
                try:
                    if await clerk.do(renew, lease=self._lease):
                        self._control.cancel.set()
                except LeaseLost as error:
                    self._lose(error)
                    return
                except (DatabaseError, InterfaceError):
                    logger.warning("The lease of run %s could not be renewed; trying again.", self._run_id)
                else:
                    self._renewed = asked

    async def _watch(self) -> None:
        """When the lease is not renewed, end the run: in good order while it still stands, then at once.

        The database may have refused that, or never have answered.
        """
        clock = asyncio.get_running_loop().time
        while (silence := clock() - self._renewed) < LEASE.total_seconds():
            if silence > LEASE.total_seconds() / 2:
                self._stop()
            await asyncio.sleep(_POLL / 2)
        self._lose(
            LeaseLost(f"The lease of run {self._run_id} could not be renewed: the database did not answer.")
        )

    def _stop(self) -> None:
        if self._order.attended:
            self._control.cancel.set()
        else:
            self._control.hand_over()
