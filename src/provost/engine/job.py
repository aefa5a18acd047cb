"""One job's life, whatever is done on it: open, look, tell, log in, and settle every account."""

import asyncio
import logging
import random
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Final, TypeVar

from provost.core.connector import Applied, Connector, Session, Verification
from provost.core.errors import ChangeUnknown, LoginRefused, ProvostError, TargetError, Unreachable
from provost.core.job import Job, Login, Outcome, Staged, Target, Wanted
from provost.core.model import Action, Presence, Status, Verdict
from provost.core.secrets import Secret
from provost.engine.events import Event, HostKeySeen, RefusalSeen, SecretProven
from provost.engine.ledger import Ledger
from provost.engine.limits import Limits
from provost.engine.scrub import Scrubber, collect_secrets
from provost.engine.ways import BECOME, Ways, find_refused, has_key_beside, list_at_stake, narrow

if TYPE_CHECKING:
    from uuid import UUID

SLACK: Final = 1.25
"""A connector keeps its timeouts itself; this much later the engine stops waiting for it."""

GOODBYE: Final = 5.0
"""Seconds that closing may take."""

GUARD: Final = "lockout_guard"
"""Why a login was not tried: the account has been refused so often in the last hour that it might be locked."""

_HEARD: Final = frozenset({LoginRefused.code, BECOME})
"""Codes of logins that were answered with no."""

logger = logging.getLogger(__name__)

T = TypeVar("T")


class _Cancelled(Exception):
    """The run was cancelled, and this job had not begun to change anything."""


class Work:
    """The work on one job. It may be interrupted at any instant; the ledger then tells how far it got."""

    def __init__(
        self,
        job: Job,
        connectors: Mapping[str, Connector],
        limits: Limits,
        cancel: asyncio.Event,
        emit: Callable[[Event], None],
    ) -> None:
        self.job = job
        self.asset = job.target.asset
        self._connectors = connectors
        self._limits = limits
        self._cancel = cancel
        self._emit = emit
        self._logins = asyncio.Semaphore(limits.logins)
        self._turns: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        """One login at a time to an account: what it can afford is known when the one before is answered."""
        self._patience = _measure_patience(job.target, limits)
        self._scrubber = Scrubber(collect_secrets(job))
        self.ledger = Ledger(job, self._scrubber)
        self._session: Session | None = None
        self._tries = {login.asked: login.asked_tries for login in job.target.logins}
        self._tries |= {login.username: login.tries for login in job.target.logins}
        self._tries |= {wanted.username: wanted.tries for wanted in job.wanted}
        self.ways = Ways(job.target.logins)
        self.proven: set[UUID] = set()
        """Pending secrets that a session was opened with."""
        self.entered: set[Wanted] = set()
        """Accounts with whose new secrets a session was opened."""

    async def run(self, act: Callable[["Work"], Awaitable[None]]) -> None:
        """Do the job by `act` and settle every account. Raises nothing, unless its task is cancelled."""
        try:
            try:
                if self.job.target.logins:
                    await act(self)
                else:
                    self.ledger.settle_rest(
                        Status.SKIPPED,
                        "no_privileged_account",
                        f"{self.asset} has no privileged account that Provost holds a secret of; add one: "
                        f"provost account add USERNAME --asset {self.asset} --privileged",
                    )
            finally:
                await self.close()
        except _Cancelled:
            self.ledger.settle_rest(
                Status.CANCELLED,
                "cancelled",
                f"The run was cancelled before it changed anything on {self.asset}.",
            )
        except ProvostError as error:
            looked = self.job.action in {Action.VERIFY, Action.RECONCILE}
            status = Status.SKIPPED if looked and error.code == GUARD else self._unable
            self.ledger.settle_rest(status, error.code, error.message)
        except Exception as error:  # noqa: BLE001  # a bug in a connector ends this job, not the run
            logger.error("Internal error on %s: %s", self.asset, self._scrubber.scrub_traceback(error))  # noqa: TRY400  # logging the exception itself could log a secret
            self.ledger.settle_rest(
                self._unable,
                "internal_error",
                f"Provost met a fault of its own on {self.asset} ({type(error).__name__}); its log says more.",
            )

    def interrupt(self) -> None:
        """Settle what a hard stop left open."""
        self.ledger.settle_rest(
            Status.CANCELLED, "interrupted", f"The run was stopped while it worked on {self.asset}."
        )

    @property
    def protected(self) -> frozenset[str]:
        """Usernames that the target cannot do without."""
        return self._connectors[self.job.target.kind].protected

    def list_outcomes(self) -> tuple[Outcome, ...]:
        """Return one outcome for each wanted account."""
        return self.ledger.list_outcomes()

    def see_host_key(self, asset_id: int, key: str) -> None:
        """Pass on what a connector saw."""
        self._emit(HostKeySeen(asset_id, key))

    def see_refusal(self, asset_id: int, username: str) -> None:
        """Pass on that a login was refused, or perhaps was, and count it where it is on this target."""
        self._emit(RefusalSeen(asset_id, username))
        if asset_id == self.job.target.asset_id:
            self._tries[username] = self._tries.get(username, 0) - 1

    def is_cancelled(self) -> bool:
        """Tell whether nothing new is to be begun."""
        return self._cancel.is_set()

    def stop_if_cancelled(self) -> None:
        """End the job here if the run was cancelled: what the target was not told yet, it is not told."""
        if self._cancel.is_set():
            raise _Cancelled

    async def observe(self) -> dict[str, Presence]:
        """Return what is on the target, and settle the accounts whose look-up failed.

        Raises:
            TargetError: nothing could be looked up.
        """
        usernames = list(dict.fromkeys(wanted.username for wanted in self.job.wanted))
        observed = await self.reach(lambda session: session.observe(usernames))
        presence = {}
        for wanted in self.job.wanted:
            found = observed[wanted.username]
            if isinstance(found, TargetError):
                self.ledger.settle(wanted, self._unable, found.code, found.message)
            else:
                presence[wanted.username] = found
        return presence

    @property
    def _unable(self) -> Status:
        """What it is that a job could not do its work: of a look alone, no failure but no answer."""
        return Status.UNVERIFIED if self.job.action is Action.VERIFY else Status.FAILED

    def find_proven(self, wanted: Wanted) -> Staged | None:
        """Return the pending secret of an account that this job has got in with, if there is one."""
        return next((staged for staged in wanted.pending if staged.id in self.proven), None)

    async def reach(self, look: Callable[[Session], Awaitable[T]]) -> T:
        """Open a session and look, as often as the limits allow while the errors are worth another try.

        Raises:
            TargetError: the target cannot be reached, or not be looked at.
        """
        attempt = 1
        while True:
            self.stop_if_cancelled()
            try:
                if self._session is None:
                    await self._open()
                async with asyncio.timeout(SLACK * self._limits.timeouts.command):
                    return await look(self._connected)
            except TimeoutError:
                error: ProvostError = Unreachable(
                    f"{self.asset} stopped answering before anything was changed."
                )
            except ProvostError as met:
                error = met
            if error.permanent or attempt == self._limits.attempts:
                raise error from None
            await self.close()
            await self._pause(attempt)
            attempt += 1

    async def _open(self) -> None:
        """Log in with one privileged account after the other, until one is accepted. None is refused twice."""
        for login in self.ways:
            try:
                await self._open_as(login)
            except LoginRefused as error:
                self.ways.refuse(login, error)
            else:
                self.ways.take(login)
                if self.ways.is_proof(login):
                    for staged in login.staged:
                        self.proven.add(staged)
                        self._emit(SecretProven(staged))
                return
        raise self.ways.sum_up()

    async def _open_as(self, login: Login) -> None:
        connector = self._connectors[self.job.target.kind]
        for username in list_at_stake(login):
            if self._tries[username] < 1:
                raise LoginRefused(_tell_guard(username, self.asset), code=GUARD)
        try:
            async with asyncio.timeout(self._patience):
                self._session = await connector.open(self.job.target, login, self._limits.timeouts, self)
        except TimeoutError:
            raise Unreachable(f"{self.asset} stopped answering before anything was changed.") from None
        except LoginRefused as error:
            if username := find_refused(login, error):
                self.see_refusal(self.job.target.asset_id, username)
            raise
        self.ledger.actor = self._session.actor

    async def _pause(self, attempt: int) -> None:
        """Wait before the next attempt, longer each time, and not in step with other jobs."""
        longest = min(self._limits.backoff * 2 ** (attempt - 1), self._limits.longest_backoff)
        try:
            async with asyncio.timeout(longest * random.uniform(0.5, 1)):  # noqa: S311  # spreads load, guards nothing
                await self._cancel.wait()
        except TimeoutError:
            return

    async def tell(self, told: Iterable[Wanted], ask: Callable[[Session], AsyncIterator[Applied]]) -> None:
        """Have the target do something to accounts, and settle all but the acknowledged ones."""
        lost: ProvostError = ChangeUnknown(f"{self.asset} ended without an answer for this account.")
        answers = ask(self._connected)
        for wanted in told:
            self.ledger.send(wanted)
        try:
            await self._listen(answers, self.ledger.answer)
        except TimeoutError:
            lost = ChangeUnknown(f"{self.asset} stopped answering while it made the changes.")
        except ProvostError as error:
            lost = error
        self.ledger.settle_unanswered(lost.code, lost.message)

    async def tell_after(self, ask: Callable[[Session], AsyncIterator[Applied]]) -> dict[str, str]:
        """Have the target tidy up after a change that stands; return by username what went wrong."""
        wrong: dict[str, str] = {}

        def note(applied: Applied) -> None:
            if applied.error is not None:
                wrong[applied.username] = applied.error.message

        try:
            await self._listen(ask(self._connected), note)
        except TimeoutError:
            wrong[""] = f"{self.asset} stopped answering."
        except ProvostError as error:
            wrong[""] = error.message
        return wrong

    async def _listen(self, answers: AsyncIterator[Applied], hear: Callable[[Applied], None]) -> None:
        while True:
            async with asyncio.timeout(SLACK * self._limits.timeouts.command):
                applied = await anext(answers, None)
            if applied is None:
                return
            hear(applied)

    async def log_in(self, wanted: Wanted, secret: Secret, *, spare: int = 0) -> Verification:
        """Log in once as an account, if it can afford to be refused and has `spare` tries left even then."""
        async with self._turns[wanted.username], self._logins:
            if self._tries[wanted.username] <= spare:
                return Verification(Verdict.UNKNOWN, GUARD, _tell_guard(wanted.username, self.asset))
            try:
                async with asyncio.timeout(self._patience):
                    verification = await self._connected.verify(wanted.username, secret)
            except TimeoutError:
                return Verification(
                    Verdict.UNKNOWN, Unreachable.code, f"The login on {self.asset} was not answered in time."
                )
            if verification.refused:
                self.see_refusal(self.job.target.asset_id, wanted.username)
            return verification

    async def prove(self, wanted: Wanted, secret: Secret) -> Verification:
        """Log in with a secret that was just set; where it makes somebody root, open a session with it, too.

        That session is the job's from then on; if it is refused, the job goes on by another way, if it can.
        """
        # Who gets in without this secret keeps a try for that.
        told = await self.log_in(wanted, secret, spare=int(has_key_beside(wanted, secret)))
        if wanted.login is None or told.verdict is Verdict.REJECTED:
            return told
        way = self.ways.find(wanted.login).renew(wanted.username, secret)
        if (proof := narrow(way, wanted, secret, told.verdict)) is None:
            return told
        await self.close()  # two sessions of Provost's on one target would wait for each other
        try:
            await self._open_as(proof)
        except LoginRefused as error:
            verdict = Verdict.REJECTED if error.code in _HEARD else Verdict.UNKNOWN
            told = Verification(verdict, error.code, error.message)
        except TargetError as error:
            told = Verification(Verdict.UNKNOWN, error.code, error.message)
        else:
            self.ways.renew(way, wanted.username, secret)
            self.entered.add(wanted)
            return told
        try:
            await self._open()
        except ProvostError:
            await self.close()
        return told

    @property
    def _connected(self) -> Session:
        if self._session is None:
            raise Unreachable(f"There is no session on {self.asset} any more.", code="connection_lost")
        return self._session

    async def close(self) -> None:
        """End the session, if there is one."""
        if self._session is not None:
            session, self._session = self._session, None
            await close_in_time(session)


async def close_in_time(closing: Session | Connector) -> None:
    """Close a session or a connector; one that hangs is left behind."""
    try:
        async with asyncio.timeout(GOODBYE):
            await closing.close()
    except TimeoutError:
        logger.warning("%s did not close in %s s.", type(closing).__name__, GOODBYE)


def _tell_guard(username: str, asset: str) -> str:
    return (
        f"{username} was refused on {asset} as often in the last hour as Provost lets happen; another refusal "
        "might lock the account. It is tried again an hour after the first of these, or when it is given "
        "another secret: provost account add --replace"
    )


def _measure_patience(target: Target, limits: Limits) -> float:
    """Return how many seconds logging in may take: all logins tried in turn, on the target and its gateways."""
    logins = 1
    hop = target.via
    while hop is not None:
        logins += max(1, len(hop.logins))
        hop = hop.via
    return SLACK * logins * (limits.timeouts.connect + limits.timeouts.command)
