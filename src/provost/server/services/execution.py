"""Runs a run: stage, engine, record. The database is worked with in one thread of its own."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Final, ParamSpec, TypeVar
from uuid import UUID

from django.db import DatabaseError, close_old_connections, connections
from django.db.models import Q
from django.utils import timezone
from pydantic import BaseModel

from provost import connectors, engine
from provost.core.connector import Timeouts
from provost.core.errors import VaultError
from provost.core.job import Job, Outcome
from provost.core.keys import KeyAlgorithm
from provost.core.model import SecretType, Status
from provost.core.push import PushSpec
from provost.core.secrets import Secret
from provost.engine import Event, HostKeySeen, Limits, Settled
from provost.server.models import Record, Run
from provost.server.models.runs import RunState
from provost.server.services import secrets
from provost.server.services.assets import pin_host_keys
from provost.server.services.chunks import split
from provost.server.services.expansion import expand, read_parameters
from provost.server.services.locks import LEASE, acquire_locks, name_owner, release_locks, renew_locks
from provost.server.services.recording import (
    fill_record,
    record_outcomes,
    settle_interrupted_records,
    settle_unbegun,
)
from provost.server.services.runs import FINE, draft_records, read_spec, settle_interrupted
from provost.server.services.staging import make_trial_jobs, stage_jobs

logger = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")

_STAGED_AT_ONCE: Final = 200
_SLOW_KEYS: Final = frozenset({KeyAlgorithm.RSA_3072, KeyAlgorithm.RSA_4096})
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


class _Clerk:
    """The one thread that works with the database during a run."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="clerk")

    async def do(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        def work() -> T:
            close_old_connections()  # one that broke would stay broken
            return function(*args, **kwargs)

        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    async def close(self) -> None:
        await self.do(connections.close_all)
        self._thread.shutdown()


@asynccontextmanager
async def _open_clerk() -> AsyncGenerator[_Clerk, None]:
    clerk = _Clerk()
    try:
        yield clerk
    finally:
        await clerk.close()


async def execute(*, run: Run, control: Control, observe: Observer) -> None:
    """Work a queued run off. Every record of it is settled when this returns.

    Raises:
        VaultError: the master key is missing or wrong; what was not yet begun is settled as cancelled.
    """
    async with _open_clerk() as clerk:
        spec, specified, parameters = await clerk.do(_begin, run)
        work = _Work(run.id, spec, specified, parameters, clerk, control)
        try:
            await work.run(observe)
        finally:
            await clerk.do(_finish, run, begun=work.begun, cancelled=control.cancel.is_set())


async def rehearse(
    *, spec: PushSpec, specified: Secret | None, control: Control, observe: Observer
) -> list[Record]:
    """Do a dry run: hosts are contacted and looked at; nothing is changed and nothing staged.

    Returns records that are in no database, one for each account.

    Raises:
        UsageError: what was asked for cannot be done.
    """
    async with _open_clerk() as clerk:
        expansion = await clerk.do(expand, spec=spec, specified=specified)
        records = {
            (record.asset_id, record.username): record
            for record in draft_records(expansion=expansion, spec=spec)
        }

        async def feed() -> AsyncGenerator[Job, None]:
            for chunk in split(expansion.assets):
                usernames = {asset.id: tuple(dict.fromkeys(spec.usernames)) for asset in chunk}
                for job in await clerk.do(
                    make_trial_jobs, spec=spec, parameters=expansion.parameters, usernames=usernames
                ):
                    yield job

        async with aclosing(_start_engine(spec, expansion.parameters, feed(), control)) as events:
            async for event in events:
                if isinstance(event, HostKeySeen):
                    await clerk.do(pin_host_keys, keys=[(event.asset_id, event.key)])
                elif isinstance(event, Settled):
                    for outcome in event.outcomes:
                        fill_record(records[outcome.asset_id, outcome.username], outcome)
                observe(event)
    return list(records.values())


def _start_engine(
    spec: PushSpec, kinds: dict[str, BaseModel], jobs: AsyncGenerator[Job, None], control: Control
) -> AsyncGenerator[Event, None]:
    limits = Limits(
        concurrency=spec.concurrency,
        timeouts=Timeouts(connect=spec.connect_timeout, command=spec.command_timeout),
    )
    loaded = {kind: connectors.load(kind) for kind in kinds}
    return engine.run(jobs, loaded, limits, control.cancel, control.halt)


def _begin(run: Run) -> tuple[PushSpec, Secret | None, dict[str, BaseModel]]:
    settle_interrupted()
    spec, specified = read_spec(run=run)
    kinds = set(run.records.exclude(asset=None).values_list("asset__kind", flat=True))
    now = timezone.now()
    Run.objects.filter(id=run.id).update(
        state=RunState.RUNNING, owner=name_owner(), started=now, lease_ends=now + LEASE
    )
    return spec, specified, read_parameters(spec, sorted(kinds))


def _finish(run: Run, *, begun: Collection[int], cancelled: bool) -> None:
    settle_unbegun(run_id=run.id, begun=begun)
    settle_interrupted_records(run_id=run.id)
    release_locks(run_id=run.id)
    if not run.records.exclude(status__in=FINE).exists():
        secrets.drop_specified(run_id=run.id)
    was_cut = run.records.filter(Q(status=Status.CANCELLED) | Q(reason="interrupted")).exists()
    Run.objects.filter(id=run.id).update(
        state=RunState.CANCELLED if cancelled and was_cut else RunState.FINISHED, finished=timezone.now()
    )
    run.refresh_from_db()


class _Work:
    """One run on its way: a feeder that stages, the engine, a recorder, and a heartbeat."""

    def __init__(  # noqa: PLR0913, PLR0917  # what one run is made of
        self,
        run_id: UUID,
        spec: PushSpec,
        specified: Secret | None,
        parameters: dict[str, BaseModel],
        clerk: _Clerk,
        control: Control,
    ) -> None:
        self._run_id = run_id
        self._spec = spec
        self._specified = specified
        self._parameters = parameters
        self._clerk = clerk
        self._control = control
        self._unrecorded: asyncio.Queue[HostKeySeen | Settled] = asyncio.Queue()
        self._over = asyncio.Event()
        slow = spec.secret_type is SecretType.SSH_KEY and spec.key_algorithm in _SLOW_KEYS
        self._staged_at_once = _STAGED_AT_ONCE // 10 if slow else _STAGED_AT_ONCE
        self.begun: set[int] = set()
        """The assets whose jobs the engine has been given: something may have been set there."""

    async def run(self, observe: Observer) -> None:
        recorder = asyncio.create_task(self._record())
        heart = asyncio.create_task(self._beat())
        try:
            events = _start_engine(self._spec, self._parameters, self._feed(), self._control)
            async with aclosing(events):
                async for event in events:
                    if isinstance(event, HostKeySeen | Settled):
                        self._unrecorded.put_nowait(event)
                    with suppress(OSError):  # nobody may be watching any more: no reason to stop
                        observe(event)
        finally:
            heart.cancel()
            with suppress(asyncio.CancelledError):
                await heart
            self._over.set()
            await recorder

    async def _feed(self) -> AsyncGenerator[Job, None]:
        """Yield staged jobs; an asset that another run works on comes later."""
        waiting = await self._clerk.do(self._list_open_assets)
        clock = asyncio.get_running_loop().time
        patience: float | None = None
        while waiting and not self._control.cancel.is_set():
            busy: list[int] = []
            for start in range(0, len(waiting), self._staged_at_once):
                chunk = waiting[start : start + self._staged_at_once]
                if self._control.cancel.is_set():
                    return
                jobs, locked = await self._clerk.do(self._stage, chunk)
                busy += locked
                for job in jobs:
                    self.begun.add(job.target.asset_id)
                    yield job
                    if self._control.cancel.is_set():
                        return
            patience = patience or clock() + _LOCK_PATIENCE
            if busy and clock() > patience:
                await self._clerk.do(self._fail, busy, "asset_busy", _BUSY)
                return
            if busy:
                await asyncio.sleep(_LOCK_POLL)
            waiting = busy

    def _list_open_assets(self) -> list[int]:
        records = Record.objects.filter(run_id=self._run_id, status=None).exclude(asset=None)
        return list(dict.fromkeys(records.order_by("asset_name").values_list("asset_id", flat=True)))

    def _stage(self, asset_ids: Sequence[int]) -> tuple[list[Job], list[int]]:
        """Lock the assets and stage for them; return the jobs, and the assets that another run works on."""
        locked = acquire_locks(run_id=self._run_id, asset_ids=asset_ids)
        usernames: dict[int, list[str]] = {}
        for asset_id, username in Record.objects.filter(
            run_id=self._run_id, status=None, asset_id__in=locked
        ).values_list("asset_id", "username"):
            usernames.setdefault(asset_id, []).append(username)
        try:
            jobs = self._make_jobs(usernames)
        except VaultError as error:
            if error.code != "secret_does_not_decrypt":
                raise
            jobs = self._make_jobs_singly(usernames)
        return jobs, [asset_id for asset_id in asset_ids if asset_id not in locked]

    def _make_jobs(self, usernames: Mapping[int, Sequence[str]]) -> list[Job]:
        return stage_jobs(
            run_id=self._run_id,
            spec=self._spec,
            specified=self._specified,
            parameters=self._parameters,
            usernames=usernames,
        )

    def _make_jobs_singly(self, usernames: Mapping[int, Sequence[str]]) -> list[Job]:
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
            Outcome(asset_id, username, Status.FAILED, reason=reason, message=message)
            for asset_id, username in open_records.values_list("asset_id", "username")
        ]
        record_outcomes(run_id=self._run_id, secret_type=self._spec.secret_type, outcomes=outcomes)
        release_locks(run_id=self._run_id, asset_ids=asset_ids)

    async def _record(self) -> None:
        """Write down what has come, a batch at a time, until the run is over."""
        while not (self._over.is_set() and self._unrecorded.empty()):
            with suppress(TimeoutError):
                await asyncio.wait_for(self._over.wait(), _BATCH_SECONDS)
            events = [self._unrecorded.get_nowait() for _ in range(self._unrecorded.qsize())]
            if events:
                await self._insist(events)

    async def _insist(self, events: Sequence[HostKeySeen | Settled]) -> None:
        """Write events down; a database that does not answer is asked again, and then the run is stopped."""
        for pause in (*_WRITE_PAUSES, None):
            try:
                await self._clerk.do(self._write, events)
            except DatabaseError:
                if pause is None:
                    self._control.cancel.set()
                    raise
                logger.warning("The database did not take a record; trying again in %s s.", pause)
                await asyncio.sleep(pause)
            else:
                return

    def _write(self, events: Sequence[HostKeySeen | Settled]) -> None:
        keys = [(event.asset_id, event.key) for event in events if isinstance(event, HostKeySeen)]
        settled = [event for event in events if isinstance(event, Settled)]
        if keys:
            pin_host_keys(keys=keys)
        if settled:
            outcomes = [outcome for event in settled for outcome in event.outcomes]
            record_outcomes(run_id=self._run_id, secret_type=self._spec.secret_type, outcomes=outcomes)
            release_locks(run_id=self._run_id, asset_ids=[event.asset_id for event in settled])

    async def _beat(self) -> None:
        """Keep the locks, and look whether somebody asked the run to stop.

        It has a clerk of its own: a long write must not cost the locks.  When they could not be kept, the run
        stops in good order, before another may take the assets.
        """
        clock = asyncio.get_running_loop().time
        kept = clock()
        async with _open_clerk() as clerk:
            while True:
                await asyncio.sleep(_POLL)
                try:
                    if await clerk.do(self._renew):
                        self._control.cancel.set()
                    kept = clock()
                except DatabaseError:
                    logger.warning("The run's locks could not be renewed; trying again.")
                    if clock() - kept > LEASE.total_seconds() / 2:
                        self._control.cancel.set()

    def _renew(self) -> bool:
        renew_locks(run_id=self._run_id)
        Run.objects.filter(id=self._run_id).update(lease_ends=timezone.now() + LEASE)
        return Run.objects.filter(id=self._run_id, cancel_requested=True).exists()
