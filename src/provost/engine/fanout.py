import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, Mapping

from provost.core.connector import Connector
from provost.core.job import Job, Outcome
from provost.engine.actions import ACTIONS
from provost.engine.events import Event, Settled, Started
from provost.engine.job import Work, close_in_time
from provost.engine.limits import Limits


async def run(
    jobs: AsyncIterable[Job],
    connectors: Mapping[str, Connector],
    limits: Limits,
    cancel: asyncio.Event,
    halt: asyncio.Event | None = None,
) -> AsyncGenerator[Event, None]:
    """Run the jobs, `limits.concurrency` at once, and yield events as they come.

    Every job that is taken from `jobs` gets exactly one `Settled`.  Jobs are taken as there is room for them:
    at most twice the concurrency is taken and not yet consumed.

    Setting `cancel` ends the run in good order: changes that have begun are finished and verified, all else
    settles as cancelled.  Setting `halt` interrupts changes too, and still yields every `Settled`.  Closing the
    generator (use `contextlib.aclosing`) interrupts without a word.  The connectors, by kind, are closed at the
    end.

    Raises:
        Exception: what `jobs` raised, once the jobs taken before are settled.
    """
    shift = _Shift(jobs, connectors, limits, cancel)
    workers = [asyncio.create_task(shift.work()) for _ in range(limits.concurrency)]
    watcher = asyncio.create_task(shift.watch(halt)) if halt else None
    try:
        working = len(workers)
        while working:
            event = await shift.events.get()
            if event is None:
                working -= 1
                continue
            yield event
            if isinstance(event, Settled):
                shift.room.release()
        await asyncio.gather(*workers)
    finally:
        tasks = [*workers, watcher] if watcher else workers
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for connector in connectors.values():
            await close_in_time(connector)


class _Shift:
    """What the workers of one run share."""

    def __init__(
        self,
        jobs: AsyncIterable[Job],
        connectors: Mapping[str, Connector],
        limits: Limits,
        cancel: asyncio.Event,
    ) -> None:
        self.events: asyncio.Queue[Event | None] = asyncio.Queue()
        self.room = asyncio.Semaphore(2 * limits.concurrency)
        self._jobs = aiter(jobs)
        self._taking = asyncio.Lock()
        self._connectors = connectors
        self._limits = limits
        self._cancel = cancel
        self._guards: set[asyncio.Timeout] = set()

    async def work(self) -> None:
        """Take one job after the other; put None when there are no more."""
        try:
            while (job := await self._take()) is not None:
                if not self._cancel.is_set():
                    self.events.put_nowait(Started(job.target.asset_id))
                outcomes = await self._settle(job)
                self.events.put_nowait(Settled(job.target.asset_id, outcomes))
        finally:
            self.events.put_nowait(None)

    async def watch(self, halt: asyncio.Event) -> None:
        """Wait for `halt`, then interrupt every job."""
        await halt.wait()
        self._cancel.set()
        now = asyncio.get_running_loop().time()
        for guard in self._guards:
            guard.reschedule(now)

    async def _take(self) -> Job | None:
        """Take the next job, if there is one, as soon as there is room for it."""
        async with self._taking:
            await self.room.acquire()
            return await anext(self._jobs, None)

    async def _settle(self, job: Job) -> tuple[Outcome, ...]:
        work = Work(job, self._connectors, self._limits, self._cancel, self.events.put_nowait)
        try:
            async with asyncio.timeout(None) as guard:
                self._guards.add(guard)
                try:
                    await work.run(ACTIONS[job.action])
                finally:
                    self._guards.discard(guard)
        except TimeoutError:
            work.interrupt()
        return work.list_outcomes()
