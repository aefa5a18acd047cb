"""Many jobs at once, on hosts in memory."""

import asyncio
import time
import tracemalloc
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from uuid import UUID

import pytest

from provost import engine
from provost.connectors.memory import Host, MemoryConnector, Parameters, Step
from provost.core.errors import Refused
from provost.core.job import HostTrust, Job, Login, Staged, Target, Wanted
from provost.core.model import SecretType, Status
from provost.core.secrets import Password
from provost.engine.limits import Limits

FOREVER = 3600.0


def make_job(number: int, trust: HostTrust | None = None) -> Job:
    target = Target(
        number, f"host-{number}", "memory", str(number), 0, (Login("root"),), trust=trust or HostTrust()
    )
    staged = Staged(UUID(int=number), Password(f"secret-{number}"), fresh=True)
    return Job(target, (Wanted("app", SecretType.PASSWORD, None, (staged,)),), Parameters())


class Fleet(MemoryConnector):
    """Hosts that give way to others at every step; who is at work at once is counted."""

    def __init__(self, size: int) -> None:
        super().__init__({str(number): Host(script=self.play) for number in range(size)})
        self.size = size
        self.taken = 0
        self.now = self.most = 0
        self.closed = 0
        self.barrier = asyncio.Event()
        self.barrier.set()

    async def give(self) -> AsyncIterator[Job]:
        """Yield a job for each host."""
        for number in range(self.size):
            self.taken += 1
            yield make_job(number)

    async def play(self, step: Step, _username: str) -> None:
        """Be the script of every host."""
        self.now += step is Step.OPEN
        self.most = max(self.most, self.now)
        await asyncio.sleep(0)
        if step is Step.SET:
            await self.barrier.wait()
        self.now -= step is Step.VERIFY

    async def close(self) -> None:
        """Count."""
        self.closed += 1


@pytest.mark.parametrize(("size", "concurrency"), [(0, 5), (1, 5), (5, 5), (40, 7), (40, 1)])
async def test_every_job_settles_once_and_no_more_than_the_limit_run(size: int, concurrency: int) -> None:
    """All workers are used, none more; each asset starts once, then settles once; the connector is closed."""
    fleet = Fleet(size)
    events = [
        event
        async for event in engine.run(
            fleet.give(), {"memory": fleet}, Limits(concurrency=concurrency), asyncio.Event()
        )
    ]
    counts = Counter(type(event) for event in events)
    assert counts[engine.Started] == counts[engine.Settled] == size
    settled = [event for event in events if isinstance(event, engine.Settled)]
    assert {event.asset_id for event in settled} == set(range(size))
    assert all(event.outcomes[0].status is Status.SUCCEEDED for event in settled)
    assert fleet.most == min(size, concurrency)
    assert fleet.closed == 1


async def test_jobs_are_taken_as_there_is_room() -> None:
    """A consumer that is slow holds the run back, instead of piling up jobs or events."""
    fleet = Fleet(60)
    consumed = 0
    async for event in engine.run(fleet.give(), {"memory": fleet}, Limits(concurrency=3), asyncio.Event()):
        for _ in range(200):
            await asyncio.sleep(0)
        assert fleet.taken - consumed <= 6
        consumed += isinstance(event, engine.Settled)
    assert consumed == 60


async def test_a_slow_host_holds_nobody_back() -> None:
    """There are no batches: with two workers, one that waits leaves all other jobs to the other."""
    fleet = Fleet(20)
    fleet.barrier.clear()
    script = fleet.play

    async def play(step: Step, username: str) -> None:
        if step is not Step.SET:
            await script(step, username)

    for number in range(1, 20):
        fleet._hosts[str(number)].script = play
    order = []
    async for event in engine.run(fleet.give(), {"memory": fleet}, Limits(concurrency=2), asyncio.Event()):
        if isinstance(event, engine.Settled):
            order.append(event.asset_id)
        if len(order) == 19:
            fleet.barrier.set()
    assert order == [*range(1, 20), 0]


async def test_jobs_that_cannot_be_read_end_the_run_after_those_that_could() -> None:
    """What was taken is settled first; then the caller gets its own error back."""
    fleet = Fleet(3)

    async def give() -> AsyncIterator[Job]:
        async for job in fleet.give():
            yield job
        raise OSError("database is gone")

    settled = 0

    async def consume() -> None:
        nonlocal settled
        async for event in engine.run(give(), {"memory": fleet}, Limits(concurrency=2), asyncio.Event()):
            settled += isinstance(event, engine.Settled)

    with pytest.raises(OSError, match="database is gone"):
        await consume()
    assert settled == 3
    assert fleet.closed == 1


async def test_cancel_settles_every_job() -> None:
    """Changes that began are finished; the jobs after them are cancelled, and never start."""
    fleet = Fleet(30)
    fleet.barrier.clear()
    cancel = asyncio.Event()
    statuses: Counter[Status] = Counter()
    started = 0
    async for event in engine.run(fleet.give(), {"memory": fleet}, Limits(concurrency=4), cancel):
        started += isinstance(event, engine.Started)
        if started == 4 and not cancel.is_set():
            for _ in range(20):
                await asyncio.sleep(0)
            cancel.set()
            fleet.barrier.set()
        if isinstance(event, engine.Settled):
            statuses[event.outcomes[0].status] += 1
    assert statuses == {Status.SUCCEEDED: 4, Status.CANCELLED: 26}
    assert started == 4
    assert sum(bool(host.accounts) for host in fleet._hosts.values()) == 4


async def test_halt_settles_every_job() -> None:
    """Changes that hang are interrupted, and said to be uncertain; the rest is cancelled."""
    fleet = Fleet(30)
    fleet.barrier.clear()
    halt = asyncio.Event()
    statuses: Counter[Status] = Counter()
    async for event in engine.run(
        fleet.give(), {"memory": fleet}, Limits(concurrency=4), asyncio.Event(), halt
    ):
        if isinstance(event, engine.Started) and event.asset_id == 3:
            for _ in range(20):
                await asyncio.sleep(0)
            halt.set()
        if isinstance(event, engine.Settled):
            statuses[event.outcomes[0].status] += 1
    assert statuses == {Status.UNCERTAIN: 4, Status.CANCELLED: 26}
    assert fleet.closed == 1


async def test_closing_the_generator_leaves_no_task_behind() -> None:
    """A consumer that goes away takes the workers with it, and the connectors are closed."""
    fleet = Fleet(30)
    fleet.barrier.clear()
    before = asyncio.all_tasks()
    async with aclosing(
        engine.run(fleet.give(), {"memory": fleet}, Limits(concurrency=4), asyncio.Event(), asyncio.Event())
    ) as events:
        async for _ in events:
            break
    assert asyncio.all_tasks() == before
    assert fleet.closed == 1


async def test_a_cancelled_consumer_leaves_no_task_behind() -> None:
    """The same when the task that consumes is cancelled while it waits."""
    fleet = Fleet(3)
    fleet.barrier.clear()
    before = asyncio.all_tasks()

    async def consume() -> None:
        async for _ in engine.run(fleet.give(), {"memory": fleet}, Limits(), asyncio.Event()):
            pass

    consumer = asyncio.create_task(consume())
    for _ in range(20):
        await asyncio.sleep(0)
    consumer.cancel()
    with pytest.raises(asyncio.CancelledError):
        await consumer
    assert asyncio.all_tasks() == before
    assert fleet.closed == 1


async def test_a_host_key_that_nothing_is_known_about_is_an_event_before_the_job_is_over() -> None:
    """It can be pinned at once; a pinned one is no news."""
    key = "ssh-ed25519 AAAA"
    fleet = Fleet(2)
    for host in fleet._hosts.values():
        host.key = key

    async def give() -> AsyncIterator[Job]:
        yield make_job(0)
        yield make_job(1, HostTrust(pinned=(key,)))

    events = [
        event async for event in engine.run(give(), {"memory": fleet}, Limits(concurrency=1), asyncio.Event())
    ]
    assert events[:2] == [engine.Started(0), engine.HostKeySeen(0, key)]
    assert [type(event) for event in events[2:]] == [engine.Settled, engine.Started, engine.Settled]


async def test_ten_thousand_jobs_stay_lean(capsys: pytest.CaptureFixture[str]) -> None:
    """The engine holds no more than the jobs it works on, however many there are."""
    size = 10_000
    hosts: dict[str, Host] = {}

    async def give() -> AsyncIterator[Job]:
        for number in range(size):
            yield make_job(number)

    statuses: Counter[Status] = Counter()
    began = time.perf_counter()
    events = engine.run(give(), {"memory": MemoryConnector(hosts)}, Limits(), asyncio.Event())
    tracemalloc.start()
    try:
        async for event in events:
            if isinstance(event, engine.Settled):
                statuses[event.outcomes[0].status] += 1
                del hosts[str(event.asset_id)]
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    with capsys.disabled():
        seconds = time.perf_counter() - began
        print(f"\n{size} jobs: {seconds:.1f} s with memory traced, peak {peak / 2**20:.1f} MiB")  # noqa: T201  # the figure is for people
    assert statuses == {Status.SUCCEEDED: size}
    assert peak < 5 * 2**20


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("concurrency", lambda least: Limits(concurrency=least)),
        ("attempts", lambda least: Limits(attempts=least)),
        ("logins", lambda least: Limits(logins=least)),
    ],
)
def test_limits_that_allow_nothing_are_refused(name: str, make: Callable[[int], Limits]) -> None:
    """A run without workers, attempts or logins would never end, or settle nothing."""
    with pytest.raises(Refused, match=name):
        make(0)
