"""A push: observe, probe what is unsettled, decide by the table, apply, verify."""

import asyncio
import logging
from collections.abc import Mapping

from provost.core.connector import Change
from provost.core.job import Staged, Wanted
from provost.core.model import Decision, Presence, Status, Verdict
from provost.core.secrets import Secret
from provost.core.table import decide
from provost.engine.job import Work

logger = logging.getLogger(__name__)


async def push(work: Work) -> None:
    """Do what the table says for every account of the job."""
    presence = await work.observe()
    if not work.job.dry_run:
        await _probe(work, presence)
    changes = _decide(work, presence)
    if not changes:
        return
    work.stop_if_cancelled()
    await work.tell(changes, lambda session: session.apply(list(changes.values())))
    await _verify(work, changes)


async def _probe(work: Work, presence: Mapping[str, Presence]) -> None:
    """Find out by logging in whether a secret that an earlier run left pending is in force."""
    async with asyncio.TaskGroup() as group:
        for wanted in work.job.wanted:
            if unsettled := _list_unsettled(wanted, presence.get(wanted.username)):
                group.create_task(_probe_account(work, wanted, unsettled))


async def _probe_account(work: Work, wanted: Wanted, unsettled: list[Staged]) -> None:
    for staged in unsettled:
        if work.is_cancelled():
            return
        verification = await work.log_in(wanted, staged.secret, spare=1)
        if verification.verdict is Verdict.ACCEPTED:
            work.ledger.note(wanted, Decision.LEAVE, staged.id)
            work.ledger.settle(
                wanted,
                Status.UNCHANGED,
                "settled",
                f"This secret had been set on {work.asset} before Provost was cut off; a login proved it, "
                "and the account is now in the list.",
                verdict=Verdict.ACCEPTED,
            )
            return


def _decide(work: Work, presence: Mapping[str, Presence]) -> dict[Wanted, Change]:
    """Settle what is to be left as it is, and return the changes to make."""
    changes = {}
    for wanted in work.job.wanted:
        if work.ledger.is_settled(wanted):
            continue
        decision = decide(presence[wanted.username], in_list=wanted.current is not None)
        work.ledger.note(wanted, decision)
        if work.job.dry_run:
            _settle_dry(work, wanted, presence[wanted.username])
        elif decision is Decision.LEAVE:
            work.ledger.settle(wanted, Status.UNCHANGED, "", f"On {work.asset} and in the list: left as it is.")
        elif wanted.current is not None:
            changes[wanted] = _make_change(work, wanted, decision, wanted.current)
        elif wanted.pending:
            staged = wanted.pending[0]
            work.ledger.note(wanted, decision, staged.id)
            changes[wanted] = _make_change(work, wanted, decision, staged.secret)
        else:
            logger.error("No secret was staged for %s on %s.", wanted.username, work.asset)
            work.ledger.settle(
                wanted,
                Status.FAILED,
                "internal_error",
                f"No secret was staged for {wanted.username}; report this.",
            )
    return changes


def _make_change(work: Work, wanted: Wanted, decision: Decision, secret: Secret) -> Change:
    others = () if decision is Decision.ADOPT else wanted.others
    return Change(wanted.username, decision, secret, work.job.parameters, others)


def _settle_dry(work: Work, wanted: Wanted, presence: Presence) -> None:
    if _list_unsettled(wanted, presence):
        reason, message = (
            "unsettled",
            "An earlier run left this account open; a push first finds out by a login.",
        )
    else:
        reason, message = "dry_run", ""
    work.ledger.settle(wanted, Status.UNCHANGED, reason, message)


async def _verify(work: Work, changes: Mapping[Wanted, Change]) -> None:
    """Log in to each acknowledged account, a few at once."""
    async with asyncio.TaskGroup() as group:
        for wanted in work.ledger.list_acknowledged():
            if work.job.verify:
                group.create_task(_verify_account(work, wanted, changes[wanted].secret))
            else:
                work.ledger.settle(wanted, Status.SUCCEEDED, "not_verified")


async def _verify_account(work: Work, wanted: Wanted, secret: Secret) -> None:
    verification = await work.log_in(wanted, secret)
    status = {
        Verdict.ACCEPTED: Status.SUCCEEDED,
        Verdict.REJECTED: Status.UNCERTAIN,
        Verdict.UNKNOWN: Status.UNVERIFIED,
    }[verification.verdict]
    reason, message = verification.reason, verification.message
    if verification.verdict is Verdict.REJECTED:
        reason = "login_rejected"
        message = f"{work.asset} acknowledged the change, then refused the login. {message}"
    work.ledger.settle(wanted, status, reason, message, verdict=verification.verdict)


def _list_unsettled(wanted: Wanted, presence: Presence | None) -> list[Staged]:
    """Return the pending secrets that an earlier run may have set on an account that is not in the list."""
    if presence is not Presence.PRESENT or wanted.current is not None:
        return []
    return [staged for staged in wanted.pending if not staged.fresh]
