import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final
from uuid import UUID

from provost.core.connector import Applied
from provost.core.errors import ChangeRefused
from provost.core.facts import Facts
from provost.core.job import Job, Outcome, Wanted
from provost.core.model import Action, Decision, Status, Verdict
from provost.engine.scrub import Scrubber

IN_FORCE: Final = frozenset({Status.SUCCEEDED, Status.UNVERIFIED, Status.UNCHANGED})
"""Statuses under which the secret noted for an account is the one that it now has."""

_KEPT: Final = {
    Action.PUSH: "The secret is kept, and the next push of this account finds out which one is in force.",
    Action.ROTATE: "The old secret and the new one are kept; to find out which is in force: provost verify.",
}
"""What is said of secrets that may be in force, by the actions that stage some."""

_LOOKING: Final = frozenset({Action.VERIFY, Action.RECONCILE})
"""Actions after which every account is known to be in sync or not, or that nobody could tell."""


@dataclass(slots=True)
class _Line:
    wanted: Wanted
    decision: Decision | None = None
    staged: UUID | None = None
    sent: bool = False
    acknowledged: bool = False
    told: str = ""
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
        self._lines = {(wanted.username, wanted.secret_type): _Line(wanted) for wanted in job.wanted}

    def _find(self, wanted: Wanted) -> _Line:
        return self._lines[wanted.username, wanted.secret_type]

    def is_settled(self, wanted: Wanted) -> bool:
        """Tell whether the account has its outcome."""
        return self._find(wanted).outcome is not None

    def note(self, wanted: Wanted, decision: Decision | None, staged: UUID | None = None) -> None:
        """Note what is to be done, and the pending secret (if it is one) that is to be in force afterwards."""
        line = self._find(wanted)
        line.decision, line.staged = decision, staged

    def send(self, wanted: Wanted) -> None:
        """Note that the target is about to be told: from here on something may have been set."""
        self._find(wanted).sent = True

    def answer(self, applied: Applied) -> None:
        """Note the target's answer to one change.

        Raises:
            LookupError: nothing was asked about this account, or it was answered already.
        """
        line = next(
            (
                line
                for line in self._lines.values()
                if line.wanted.username == applied.username
                and line.sent
                and not line.acknowledged
                and line.outcome is None
            ),
            None,
        )
        if line is None:
            raise LookupError(f"An answer about {applied.username} that nobody waits for.")
        if applied.error is None:
            line.acknowledged, line.told = True, applied.message
        else:
            refused = isinstance(applied.error, ChangeRefused)
            status = Status.FAILED if refused else Status.UNCERTAIN
            self.settle(line.wanted, status, applied.error.code, applied.error.message)

    def list_acknowledged(self) -> list[Wanted]:
        """Return the accounts that the target acknowledged and that are not settled yet."""
        return [line.wanted for line in self._lines.values() if line.acknowledged and line.outcome is None]

    def settle(  # noqa: PLR0913  # what an outcome is made of
        self,
        wanted: Wanted,
        status: Status,
        reason: str = "",
        message: str = "",
        *,
        verdict: Verdict | None = None,
        found: Sequence[Facts] = (),
    ) -> None:
        """Give the account its outcome. `message` is scrubbed here; the target's own word is added."""
        line = self._find(wanted)
        message = f"{message} {line.told}".strip()
        action = self._job.action
        if status is Status.UNCERTAIN and action in _KEPT:
            message = f"{message} {_KEPT[action]}"
        if status is Status.UNCERTAIN or (action in _LOOKING and status in {Status.FAILED, Status.UNVERIFIED}):
            verdict = verdict or Verdict.UNKNOWN
        line.outcome = Outcome(
            asset_id=self._job.target.asset_id,
            username=wanted.username,
            secret_type=wanted.secret_type,
            status=status,
            decision=line.decision,
            reason=reason,
            message=self._scrubber.scrub(message) if message else "",
            actor=self.actor,
            settled=line.staged if status in IN_FORCE else None,
            verdict=verdict,
            found=tuple(found),
        )

    def settle_unanswered(self, reason: str, message: str) -> None:
        """Settle what the target was told and did not answer."""
        for line in self._lines.values():
            if line.sent and not line.acknowledged and line.outcome is None:
                self.settle(line.wanted, Status.UNCERTAIN, reason, message)

    def settle_rest(self, status: Status, reason: str, message: str) -> None:
        """Settle all that is open: with `status` what the target was not told, else by how far it got.

        What a privileged account has got, and no session has proven, is uncertain: its old secret is kept.
        """
        self.settle_unanswered(reason, message)
        for line in self._lines.values():
            if line.outcome is None:
                told = Status.UNVERIFIED if line.wanted.login is None else Status.UNCERTAIN
                self.settle(line.wanted, told if line.acknowledged else status, reason, message)

    def list_outcomes(self) -> tuple[Outcome, ...]:
        """Return the outcomes, each with the seconds spent on the asset so far."""
        seconds = time.monotonic() - self._began
        outcomes = [line.outcome for line in self._lines.values() if line.outcome is not None]
        return tuple(replace(outcome, seconds=seconds) for outcome in outcomes)
