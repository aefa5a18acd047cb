"""One job's life: open, observe, probe what is unsettled, decide, apply, verify."""

import asyncio
import logging
import random
from collections.abc import Mapping
from typing import Final

from provost.core.connector import Change, Connector, NoteHostKey, Session, Verification
from provost.core.errors import ChangeUnknown, ProvostError, TargetError, Unreachable
from provost.core.job import Job, Outcome, Staged, Target, Wanted
from provost.core.model import Decision, Presence, Status, Verdict
from provost.core.secrets import Secret
from provost.core.table import decide
from provost.engine.ledger import Ledger
from provost.engine.limits import Limits
from provost.engine.scrub import Scrubber, collect_secrets

SLACK: Final = 1.25
"""A connector keeps its timeouts itself; this much later the engine stops waiting for it."""

PROBES: Final = 2
"""Logins that a probe may cost an account: more could lock it out."""

GOODBYE: Final = 5.0
"""Seconds that closing may take."""

logger = logging.getLogger(__name__)


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
        note_host_key: NoteHostKey,
    ) -> None:
        self._job = job
        self._connectors = connectors
        self._limits = limits
        self._cancel = cancel
        self._note_host_key = note_host_key
        self._asset = job.target.asset
        self._logins = asyncio.Semaphore(limits.logins)
        self._patience = _measure_patience(job.target, limits)
        self._scrubber = Scrubber(collect_secrets(job))
        self._ledger = Ledger(job, self._scrubber)
        self._session: Session | None = None

    async def run(self) -> None:
        """Do the job and settle every account. Raises nothing, unless its task is cancelled."""
        try:
            try:
                await self._push()
            finally:
                await self._close()
        except _Cancelled:
            self._ledger.settle_rest(
                Status.CANCELLED,
                "cancelled",
                f"The run was cancelled before it changed anything on {self._asset}.",
            )
        except ProvostError as error:
            self._ledger.settle_rest(Status.FAILED, error.code, error.message)
        except Exception as error:  # noqa: BLE001  # a bug in a connector ends this job, not the run
            logger.error("Internal error on %s: %s", self._asset, self._scrubber.scrub_traceback(error))  # noqa: TRY400  # logging the exception itself could log a secret
            self._ledger.settle_rest(
                Status.FAILED,
                "internal_error",
                f"Provost met a fault of its own on {self._asset} ({type(error).__name__}); its log says more.",
            )

    def interrupt(self) -> None:
        """Settle what a hard stop left open."""
        self._ledger.settle_rest(
            Status.CANCELLED, "interrupted", f"The run was stopped while it worked on {self._asset}."
        )

    def list_outcomes(self) -> tuple[Outcome, ...]:
        """Return one outcome for each wanted account."""
        return self._ledger.list_outcomes()

    async def _push(self) -> None:
        if not self._job.target.logins:
            self._ledger.settle_rest(
                Status.SKIPPED,
                "no_privileged_account",
                f"{self._asset} has no privileged account that Provost holds a secret of; add one: "
                f"provost account add USERNAME --asset {self._asset} --privileged",
            )
            return
        presence = self._sort(await self._reach())
        if not self._job.dry_run:
            await self._probe(presence)
        changes = self._decide(presence)
        if not changes:
            return
        if self._cancel.is_set():
            raise _Cancelled
        await self._apply(changes)
        await self._verify({change.username: change.secret for change in changes})

    async def _reach(self) -> Mapping[str, Presence | TargetError]:
        """Open a session and observe, as often as the limits allow while the errors are worth another try."""
        attempt = 1
        while True:
            if self._cancel.is_set():
                raise _Cancelled
            try:
                return await self._observe()
            except ProvostError as error:
                if error.permanent or attempt == self._limits.attempts:
                    raise
            await self._close()
            await self._pause(attempt)
            attempt += 1

    async def _observe(self) -> Mapping[str, Presence | TargetError]:
        connector = self._connectors[self._job.target.kind]
        timeouts = self._limits.timeouts
        try:
            async with asyncio.timeout(self._patience):
                self._session = await connector.open(self._job.target, timeouts, self._note_host_key)
            self._ledger.actor = self._session.actor
            usernames = [wanted.username for wanted in self._job.wanted]
            async with asyncio.timeout(SLACK * timeouts.command):
                return await self._session.observe(usernames)
        except TimeoutError:
            raise Unreachable(f"{self._asset} stopped answering before anything was changed.") from None

    async def _pause(self, attempt: int) -> None:
        """Wait before the next attempt, longer each time, and not in step with other jobs."""
        longest = min(self._limits.backoff * 2 ** (attempt - 1), self._limits.longest_backoff)
        try:
            async with asyncio.timeout(longest * random.uniform(0.5, 1)):  # noqa: S311  # spreads load, guards nothing
                await self._cancel.wait()
        except TimeoutError:
            return

    def _sort(self, observed: Mapping[str, Presence | TargetError]) -> dict[str, Presence]:
        """Settle the accounts whose look-up failed, and return the others."""
        presence = {}
        for wanted in self._job.wanted:
            found = observed[wanted.username]
            if isinstance(found, TargetError):
                self._ledger.settle(wanted.username, Status.FAILED, found.code, found.message)
            else:
                presence[wanted.username] = found
        return presence

    async def _probe(self, presence: Mapping[str, Presence]) -> None:
        """Find out by logging in whether a secret that an earlier run left pending is in force."""
        async with asyncio.TaskGroup() as group:
            for wanted in self._job.wanted:
                if unsettled := _list_unsettled(wanted, presence.get(wanted.username)):
                    group.create_task(self._probe_account(wanted.username, unsettled[:PROBES]))

    async def _probe_account(self, username: str, unsettled: list[Staged]) -> None:
        for staged in unsettled:
            if self._cancel.is_set():
                return
            verification = await self._log_in(username, staged.secret)
            if verification.verdict is Verdict.ACCEPTED:
                self._ledger.note(username, Decision.LEAVE, staged.id)
                self._ledger.settle(
                    username,
                    Status.UNCHANGED,
                    "settled",
                    f"This secret had been set on {self._asset} before Provost was cut off; a login proved it, "
                    "and the account is now in the list.",
                )
                return

    def _decide(self, presence: Mapping[str, Presence]) -> list[Change]:
        """Settle what is to be left as it is, and return the changes to make."""
        changes = []
        for wanted in self._job.wanted:
            username = wanted.username
            if self._ledger.is_settled(username):
                continue
            decision = decide(presence[username], in_list=wanted.current is not None)
            self._ledger.note(username, decision)
            if self._job.dry_run:
                self._settle_dry(wanted, presence[username])
            elif decision is Decision.LEAVE:
                self._ledger.settle(
                    username, Status.UNCHANGED, "", f"On {self._asset} and in the list: left as it is."
                )
            elif wanted.current is not None:
                changes.append(self._make_change(wanted, decision, wanted.current))
            elif wanted.pending:
                staged = wanted.pending[0]
                self._ledger.note(username, decision, staged.id)
                changes.append(self._make_change(wanted, decision, staged.secret))
            else:
                logger.error("No secret was staged for %s on %s.", username, self._asset)
                self._ledger.settle(
                    username,
                    Status.FAILED,
                    "internal_error",
                    f"No secret was staged for {username}; report this.",
                )
        return changes

    def _make_change(self, wanted: Wanted, decision: Decision, secret: Secret) -> Change:
        others = () if decision is Decision.ADOPT else wanted.others
        return Change(wanted.username, decision, secret, self._job.parameters, others)

    def _settle_dry(self, wanted: Wanted, presence: Presence) -> None:
        if _list_unsettled(wanted, presence):
            reason, message = (
                "unsettled",
                "An earlier run left this account open; a push first finds out by a login.",
            )
        else:
            reason, message = "dry_run", ""
        self._ledger.settle(wanted.username, Status.UNCHANGED, reason, message)

    async def _apply(self, changes: list[Change]) -> None:
        """Make the changes, and settle all but the acknowledged ones."""
        lost: ProvostError = ChangeUnknown(f"{self._asset} ended without an answer for this account.")
        for change in changes:
            self._ledger.send(change.username)
        try:
            answers = self._connected.apply(changes)
            while True:
                async with asyncio.timeout(SLACK * self._limits.timeouts.command):
                    applied = await anext(answers, None)
                if applied is None:
                    break
                self._ledger.answer(applied)
        except TimeoutError:
            lost = ChangeUnknown(f"{self._asset} stopped answering while it made the changes.")
        except ProvostError as error:
            lost = error
        self._ledger.settle_unanswered(lost.code, lost.message)

    async def _verify(self, secrets: Mapping[str, Secret]) -> None:
        """Log in to each acknowledged account, a few at once."""
        async with asyncio.TaskGroup() as group:
            for username in self._ledger.list_acknowledged():
                if self._job.verify:
                    group.create_task(self._verify_account(username, secrets[username]))
                else:
                    self._ledger.settle(username, Status.SUCCEEDED, "not_verified")

    async def _verify_account(self, username: str, secret: Secret) -> None:
        verification = await self._log_in(username, secret)
        match verification.verdict:
            case Verdict.ACCEPTED:
                self._ledger.settle(username, Status.SUCCEEDED)
            case Verdict.REJECTED:
                said = f"{self._asset} acknowledged the change, then refused the login. {verification.message}"
                self._ledger.settle(username, Status.UNCERTAIN, "login_rejected", said)
            case Verdict.UNKNOWN:
                self._ledger.settle(username, Status.UNVERIFIED, verification.reason, verification.message)

    async def _log_in(self, username: str, secret: Secret) -> Verification:
        async with self._logins:
            try:
                async with asyncio.timeout(self._patience):
                    return await self._connected.verify(username, secret)
            except TimeoutError:
                return Verification(
                    Verdict.UNKNOWN, Unreachable.code, f"The login on {self._asset} was not answered in time."
                )

    @property
    def _connected(self) -> Session:
        if self._session is None:
            raise RuntimeError("No session is open.")
        return self._session

    async def _close(self) -> None:
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


def _measure_patience(target: Target, limits: Limits) -> float:
    """Return how many seconds logging in may take: all logins tried in turn, on the target and its gateways."""
    logins = 0
    hop: Target | None = target
    while hop is not None:
        logins += max(1, len(hop.logins))
        hop = hop.via
    return SLACK * logins * (limits.timeouts.connect + limits.timeouts.command)


def _list_unsettled(wanted: Wanted, presence: Presence | None) -> list[Staged]:
    """Return the pending secrets that an earlier run may have set on an account that is not in the list."""
    if presence is not Presence.PRESENT or wanted.current is not None:
        return []
    return [staged for staged in wanted.pending if not staged.fresh]
