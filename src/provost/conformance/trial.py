"""Work on a bench's target through the engine, as a run of Provost's does it, with what was set on the way."""

import asyncio
from collections.abc import AsyncIterator, Collection
from dataclasses import replace
from secrets import token_hex, token_urlsafe
from uuid import UUID, uuid4

from pydantic import BaseModel

from provost import engine
from provost.conformance.bench import Bench
from provost.core.job import Job, Login, Outcome, Staged, Target, Wanted
from provost.core.keys import KeyAlgorithm
from provost.core.model import Action, SecretType
from provost.core.secrets import Password, Secret, SshKey, list_sensitive_texts
from provost.vault.keys import generate_key


class Trial:
    """One test's work. It remembers every secret, and no message may hold one of them."""

    def __init__(self, bench: Bench, limits: engine.Limits | None = None) -> None:
        self.bench = bench
        self.secrets: list[Secret] = []
        self._limits = limits or engine.Limits(attempts=1)

    @staticmethod
    def name(purpose: str = "") -> str:
        """Return a username that nobody has."""
        return f"cf{purpose}{token_hex(3)}"

    def make_secret(self, secret_type: SecretType = SecretType.PASSWORD) -> Secret:
        """Return a new secret, such that most password policies take it."""
        secret: Secret = (
            generate_key(KeyAlgorithm.ED25519)
            if secret_type is SecretType.SSH_KEY
            else Password(f"{token_urlsafe(18)}aA1")
        )
        return self.keep(secret)

    def keep(self, secret: Secret) -> Secret:
        """Remember a secret."""
        self.secrets.append(secret)
        return secret

    async def make(self, username: str, secret: Secret) -> None:
        """Have an account made by the system's own means."""
        await asyncio.to_thread(self.bench.make, username, secret)

    async def has(self, username: str) -> bool:
        """Tell whether an account is there, by the system's own means."""
        return await asyncio.to_thread(self.bench.has, username)

    async def log_in(self, username: str, secret: Secret) -> bool:
        """Tell whether a secret lets an account in, by the stock client."""
        return await asyncio.to_thread(self.bench.log_in, username, secret)

    async def push(  # noqa: PLR0913  # what a push may depend on
        self,
        username: str,
        secret: Secret | None = None,
        *,
        current: Secret | None = None,
        left: Collection[Secret] = (),
        target: Target | None = None,
        parameters: BaseModel | None = None,
    ) -> tuple[Outcome, Secret | None]:
        """Push one account; return the outcome, and the secret that the list holds afterwards.

        `current` is what the list holds; if it holds none, `secret` is staged, and before it was staged what is
        `left` of runs that were cut off.
        """
        if current is not None:
            wanted = Wanted(username, current.secret_type, current)
            [outcome] = await self.run(Action.PUSH, [wanted], target=target, parameters=parameters)
            return outcome, current
        new = secret or self.make_secret()
        staged = (Staged(uuid4(), new, fresh=True), *(Staged(uuid4(), one, fresh=False) for one in left))
        wanted = Wanted(username, new.secret_type, None, staged)
        [outcome] = await self.run(Action.PUSH, [wanted], target=target, parameters=parameters)
        return outcome, find_settled(staged, outcome.settled)

    async def rotate(  # noqa: PLR0913  # as a push
        self,
        username: str,
        current: Secret,
        new: Secret,
        *,
        left: Collection[Secret] = (),
        target: Target | None = None,
        login: Login | None = None,
    ) -> Outcome:
        """Rotate one account's secret."""
        staged = (Staged(uuid4(), new, fresh=True), *(Staged(uuid4(), one, fresh=False) for one in left))
        wanted = Wanted(username, new.secret_type, current, staged, login=login)
        [outcome] = await self.run(Action.ROTATE, [wanted], target=target)
        return outcome

    async def act(self, action: Action, *usernames: str, target: Target | None = None) -> list[Outcome]:
        """Do something to accounts as a whole."""
        return await self.run(action, [Wanted(username) for username in usernames], target=target)

    async def check(self, username: str, current: Secret, *, action: Action = Action.VERIFY) -> Outcome:
        """Verify one account, or reconcile it."""
        [outcome] = await self.run(action, [Wanted(username, current.secret_type, current)])
        return outcome

    async def run(
        self,
        action: Action,
        wanted: Collection[Wanted],
        *,
        target: Target | None = None,
        parameters: BaseModel | None = None,
    ) -> list[Outcome]:
        """Run one job, and return its outcomes in the order of what was wanted."""
        default = self.bench.make_removal if action is Action.REMOVE else self.bench.make_parameters
        job = Job(target or self.bench.target, tuple(wanted), parameters or default(), action)

        async def give() -> AsyncIterator[Job]:
            yield job

        outcomes: list[Outcome] = []
        connectors = {job.target.kind: self.bench.open_connector()}
        async for event in engine.run(give(), connectors, self._limits, asyncio.Event()):
            if isinstance(event, engine.Settled):
                outcomes += event.outcomes
        for outcome in outcomes:
            self.check_clean(repr(outcome))
        found = {(outcome.username, outcome.secret_type): outcome for outcome in outcomes}
        return [found[one.username, one.secret_type] for one in wanted]

    def check_clean(self, text: str) -> None:
        """Fail when a text holds a secret."""
        for secret in self.secrets:
            for sensitive in list_sensitive_texts(secret):
                assert sensitive not in text, "a secret is shown"


def find_settled(staged: Collection[Staged], settled: UUID | None) -> Secret | None:
    """Return the staged secret that an outcome has settled."""
    return next((one.secret for one in staged if one.id == settled), None)


def with_secret(login: Login, secret: Secret) -> Login:
    """Return a login with another secret, and this one alone."""
    if isinstance(secret, SshKey):
        return replace(login, key=secret, password=None)
    return replace(login, password=secret, key=None)
