"""No secret is ever lost: any faults in any order, over several runs, on hosts in memory.

The list is kept here as the service keeps it: pending secrets are staged before contact, a settled one becomes
current, and what a run left uncertain stays pending for the next.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field, replace
from itertools import count
from uuid import UUID

from hypothesis import event as note
from hypothesis import given, settings
from hypothesis import strategies as st

from provost import engine
from provost.connectors.memory import Account, Host, MemoryConnector, Parameters, Step
from provost.core.connector import Timeouts
from provost.core.errors import (
    ChangeRefused,
    ChangeUnknown,
    HostKeyRefused,
    LoginRefused,
    LookupFailed,
    Unreachable,
)
from provost.core.job import Job, Login, Outcome, Staged, Target, Wanted
from provost.core.model import SecretType, Status
from provost.core.secrets import Password
from provost.engine.limits import Limits

HASTY = Limits(concurrency=2, backoff=0, timeouts=Timeouts(0.002, 0.002), attempts=2)
PATIENT = Limits(concurrency=2, backoff=0)
FOREVER = 3600.0

Fault = type[Exception] | str
FAULTS: dict[Step, tuple[Fault, ...]] = {
    Step.OPEN: (Unreachable, LoginRefused, HostKeyRefused, RuntimeError, "hang", "cancel", "halt"),
    Step.OBSERVE: (Unreachable, LookupFailed, RuntimeError, "hang", "cancel", "halt"),
    Step.SET: (Unreachable, ChangeRefused, ChangeUnknown, RuntimeError, "hang", "cancel", "halt"),
    Step.ANSWER: (Unreachable, ChangeUnknown, RuntimeError, "hang", "cancel", "halt"),
    Step.VERIFY: (Unreachable, LoginRefused, RuntimeError, "hang", "cancel", "halt"),
}
KEPT_CLOSED = frozenset({Status.UNCHANGED, Status.FAILED, Status.SKIPPED, Status.CANCELLED})


@dataclass
class Entry:
    """What is stored for one account."""

    current: Password | None = None
    pending: list[Staged] = field(default_factory=list)

    def stage(self, numbers: Iterator[int]) -> Wanted:
        """Stage a new secret, before the older ones, when the account is not in the list."""
        if self.current is None:
            number = next(numbers)
            self.pending.insert(0, Staged(UUID(int=number), Password(f"staged-{number}"), fresh=True))
        return Wanted("", SecretType.PASSWORD, self.current, tuple(self.pending))

    def record(self, outcome: Outcome) -> None:
        """Take an outcome into the list."""
        if outcome.settled is not None:
            [settled] = [staged.secret for staged in self.pending if staged.id == outcome.settled]
            assert isinstance(settled, Password)
            self.current, self.pending = settled, []
        elif outcome.status in KEPT_CLOSED:
            self.pending = [staged for staged in self.pending if not staged.fresh]
        self.pending = [Staged(staged.id, staged.secret, fresh=False) for staged in self.pending]

    def list_texts(self) -> set[str | None]:
        """Return every password that is stored."""
        secrets = [self.current, *(staged.secret for staged in self.pending)]
        return {secret.text for secret in secrets if isinstance(secret, Password)}


class World:
    """Hosts, the list, and the drawn faults."""

    def __init__(self, accounts: list[tuple[bool, bool]], draw: Callable[[Step], Fault | None]) -> None:
        self.draw = draw
        self.numbers = count(1)
        self.hosts = [Host(script=self.play) for _ in range(3)]
        self.entries: dict[tuple[int, str], Entry] = {}
        for number, (on_target, in_list) in enumerate(accounts):
            username = f"user-{number}"
            if on_target:
                self.hosts[number % 3].accounts[username] = Account("original")
            current = Password(f"listed-{number}") if in_list else None
            self.entries[number % 3, username] = Entry(current)

    async def play(self, step: Step, username: str) -> None:
        """Be the script of every host."""
        fault = self.draw(step)
        if isinstance(fault, type):
            raise fault(f"{fault.__name__} for {username}")
        match fault:
            case "hang":
                await asyncio.sleep(FOREVER)
            case "cancel":
                self.cancel.set()
            case "halt":
                self.halt.set()
                await asyncio.sleep(FOREVER)

    async def give(self) -> AsyncIterator[Job]:
        """Yield a job for each host, with every account that belongs there, staged."""
        for number in range(len(self.hosts)):
            wanted = []
            for (at, username), entry in self.entries.items():
                if at == number:
                    staged = entry.stage(self.numbers)
                    wanted.append(replace(staged, username=username))
            target = Target(number, f"host-{number}", "memory", str(number), 0, (Login("root"),))
            yield Job(target, tuple(wanted), Parameters())

    async def push(self, limits: Limits = HASTY) -> list[Outcome]:
        """Run everything once, and record it."""
        self.cancel, self.halt = asyncio.Event(), asyncio.Event()
        connector = MemoryConnector({str(number): host for number, host in enumerate(self.hosts)})
        settled: list[int] = []
        outcomes: list[Outcome] = []
        async for event in engine.run(self.give(), {"memory": connector}, limits, self.cancel, self.halt):
            if isinstance(event, engine.Settled):
                settled.append(event.asset_id)
                outcomes += event.outcomes
        assert sorted(settled) == [0, 1, 2]
        assert sorted((o.asset_id, o.username) for o in outcomes) == sorted(self.entries)
        for outcome in outcomes:
            self.entries[outcome.asset_id, outcome.username].record(outcome)
        return outcomes

    def check(self) -> None:
        """Assert that whatever an account's password is, it is stored, or was there before Provost."""
        for (number, username), entry in self.entries.items():
            account = self.hosts[number].accounts.get(username)
            if account is not None and account.complete and account.password != "original":
                assert account.password in entry.list_texts()


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=6), st.data())
def test_no_secret_is_lost_whatever_goes_wrong(accounts: list[tuple[bool, bool]], data: st.DataObject) -> None:
    """After every run a stored secret logs in, or the account is as it was; a calm run then gets all right."""
    calm = False

    def draw(step: Step) -> Fault | None:
        if calm or data.draw(st.integers(0, 5), label=f"fault at {step}") < 5:
            return None
        return data.draw(st.sampled_from(FAULTS[step]))

    async def live() -> None:
        nonlocal calm
        world = World(accounts, draw)
        for _ in range(data.draw(st.integers(1, 4), label="runs")):
            for outcome in await world.push():
                note(str(outcome.status))
            world.check()
        calm = True
        await world.push(PATIENT)
        for left, ((number, username), entry) in zip(map(all, accounts), world.entries.items(), strict=True):
            assert entry.current is not None
            password = world.hosts[number].accounts[username].password
            assert password == ("original" if left else entry.current.text)

    asyncio.run(live())
