import time
from dataclasses import dataclass, replace
from typing import Final
from uuid import UUID

from provost.core.connector import Applied
from provost.core.errors import ChangeRefused
from provost.core.job import Job, Outcome
from provost.core.model import Decision, Status
from provost.engine.scrub import Scrubber

IN_FORCE: Final = frozenset({Status.SUCCEEDED, Status.UNVERIFIED, Status.UNCHANGED})
"""Statuses under which the secret noted for an account is the one that it now has."""

KEPT: Final = "The secret is kept, and the next push of this account finds out which one is in force."


@dataclass(slots=True)
class _Line:
    decision: Decision | None = None
    staged: UUID | None = None
    sent: bool = False
    acknowledged: bool = False
    outcome: Outcome | None = None


class Ledger:
    """Where each account of one job stands, so that the job can be settled at any instant.

    An account is settled once; its line goes from open to sent to acknowledged before that, or settles earlier.
    """

    def __init__(self, job: Job, scrubber: Scrubber) -> None:
        self.actor = ""
        self._job = job
        self._scrubber = scrubber
        self._began = time.monotonic()
        self._lines = {wanted.username: _Line() for wanted in job.wanted}

    def is_settled(self, username: str) -> bool:
        """Tell whether the account has its outcome."""
        return self._lines[username].outcome is not None

    def note(self, username: str, decision: Decision, staged: UUID | None = None) -> None:
        """Note what is to be done, and the pending secret (if it is one) that is to be in force afterwards."""
        line = self._lines[username]
        line.decision, line.staged = decision, staged

    def send(self, username: str) -> None:
        """Note that the target is about to be told: from here on something may have been set."""
        self._lines[username].sent = True

    def answer(self, applied: Applied) -> None:
        """Note the target's answer to one change.

        Raises:
            LookupError: nothing was asked about this account, or it was answered already.
        """
        line = self._lines[applied.username]
        if not line.sent or line.acknowledged or line.outcome is not None:
            raise LookupError(f"An answer about {applied.username} that nobody waits for.")
        if applied.error is None:
            line.acknowledged = True
        else:
            refused = isinstance(applied.error, ChangeRefused)
            status = Status.FAILED if refused else Status.UNCERTAIN
            self.settle(applied.username, status, applied.error.code, applied.error.message)

    def list_acknowledged(self) -> list[str]:
        """Return the accounts that the target acknowledged and that are not settled yet."""
        return [name for name, line in self._lines.items() if line.acknowledged and line.outcome is None]

    def settle(self, username: str, status: Status, reason: str = "", message: str = "") -> None:
        """Give the account its outcome. `message` is scrubbed here."""
        line = self._lines[username]
        if status is Status.UNCERTAIN:
            message = f"{message} {KEPT}"
        line.outcome = Outcome(
            asset_id=self._job.target.asset_id,
            username=username,
            status=status,
            decision=line.decision,
            reason=reason,
            message=self._scrubber.scrub(message) if message else "",
            actor=self.actor,
            settled=line.staged if status in IN_FORCE else None,
        )

    def settle_unanswered(self, reason: str, message: str) -> None:
        """Settle what the target was told and did not answer."""
        for username, line in self._lines.items():
            if line.sent and not line.acknowledged and line.outcome is None:
                self.settle(username, Status.UNCERTAIN, reason, message)

    def settle_rest(self, status: Status, reason: str, message: str) -> None:
        """Settle all that is open: with `status` what the target was not told, else by how far it got."""
        self.settle_unanswered(reason, message)
        for username, line in self._lines.items():
            if line.outcome is None:
                self.settle(username, Status.UNVERIFIED if line.acknowledged else status, reason, message)

    def list_outcomes(self) -> tuple[Outcome, ...]:
        """Return the outcomes, each with the seconds spent on the asset so far."""
        seconds = time.monotonic() - self._began
        outcomes = [line.outcome for line in self._lines.values() if line.outcome is not None]
        return tuple(replace(outcome, seconds=seconds) for outcome in outcomes)
