"""A rotation: set the staged secret, prove it, and only then take the old one away."""

import asyncio
import logging
from collections.abc import Iterable, Mapping

from provost.core.connector import Change, Verification, Withdrawal
from provost.core.job import Staged, Wanted
from provost.core.model import Decision, Presence, Status, Verdict
from provost.core.secrets import SshKey
from provost.engine.job import Work
from provost.engine.ways import hangs_on

logger = logging.getLogger(__name__)


async def rotate(work: Work) -> None:
    """Give every account of the job its staged secret. Privileged accounts come last, one after the other."""
    presence = await work.observe()
    ready = {wanted: wanted.pending[0] for wanted in work.job.wanted if _is_ready(work, wanted, presence)}
    if not ready:
        return
    work.stop_if_cancelled()
    ordinary = [wanted for wanted in ready if wanted.login is None]
    if ordinary:
        await _rotate_together(work, ordinary, ready)
    for wanted in ready:
        if wanted.login is not None:
            work.stop_if_cancelled()
            if not await _rotate_together(work, [wanted], ready):
                break
    for wanted in ready:  # two secrets in doubt could be more than the guard lets be tried
        if not work.ledger.is_settled(wanted):
            work.ledger.settle(
                wanted,
                Status.FAILED,
                "other_unproven",
                f"Another secret that Provost works on {work.asset} with was set and not proven, so this one "
                "was left as it is. First: provost verify",
            )


def _is_ready(work: Work, wanted: Wanted, presence: Mapping[str, Presence]) -> bool:
    """Tell whether an account can be rotated, and settle it if not."""
    if work.ledger.is_settled(wanted):
        return False
    if presence[wanted.username] is not Presence.PRESENT:
        work.ledger.settle(
            wanted,
            Status.FAILED,
            "account_absent",
            f"{wanted.username} is not on {work.asset} any more. A push creates it again.",
        )
    elif work.job.dry_run:
        work.ledger.settle(wanted, Status.UNCHANGED, "dry_run")
    elif wanted.current is None:
        work.ledger.settle(
            wanted,
            Status.SKIPPED,
            "no_secret",
            f"Provost holds no {wanted.secret_type} of {wanted.username} on {work.asset}: push one first.",
        )
    elif not wanted.pending:
        logger.error("No secret was staged for %s on %s.", wanted.username, work.asset)
        work.ledger.settle(
            wanted, Status.FAILED, "internal_error", f"No secret was staged for {wanted.username}; report this."
        )
    else:
        return True
    return False


async def _rotate_together(work: Work, accounts: list[Wanted], ready: Mapping[Wanted, Staged]) -> bool:
    """Set, prove and tidy up; tell whether every new secret was proven."""
    changes = []
    for wanted in accounts:
        work.ledger.note(wanted, None, ready[wanted].id)
        secret = ready[wanted].secret
        old = wanted.current if isinstance(wanted.current, SshKey) else None
        changes.append(
            Change(
                wanted.username,
                Decision.ADOPT,
                secret,
                work.job.parameters,
                overlap=isinstance(secret, SshKey),
                replaces=old,
            )
        )
    await work.tell(accounts, lambda session: session.apply(changes))
    told = [wanted for wanted in work.ledger.list_acknowledged() if wanted in accounts]
    async with asyncio.TaskGroup() as group:
        proofs = [(wanted, group.create_task(work.prove(wanted, ready[wanted].secret))) for wanted in told]
    proven = {wanted for wanted, proof in proofs if proof.result().verdict is Verdict.ACCEPTED}
    left = await _withdraw(work, [wanted for wanted in told if wanted in proven], ready)
    for wanted, proof in proofs:
        _settle(work, wanted, proof.result(), left.get(wanted.username) or left.get("", ""))
    return len(proven) == len(accounts)


async def _withdraw(work: Work, accounts: Iterable[Wanted], ready: Mapping[Wanted, Staged]) -> dict[str, str]:
    """Take the old keys of accounts away whose new ones are proven; return what went wrong, by username."""
    withdrawals = []
    for wanted in accounts:
        new = ready[wanted].secret
        old = [wanted.current, *(staged.secret for staged in wanted.pending)]
        if isinstance(new, SshKey):
            gone = tuple(key for key in old if isinstance(key, SshKey) and key.public != new.public)
            withdrawals.append(Withdrawal(wanted.username, new, gone))
    return await work.tell_after(lambda session: session.withdraw(withdrawals)) if withdrawals else {}


def _settle(work: Work, wanted: Wanted, verification: Verification, left: str) -> None:
    match verification.verdict:
        case Verdict.ACCEPTED if left:
            work.ledger.settle(
                wanted,
                Status.SUCCEEDED,
                "old_key_left",
                f"The new key is in force; the old one could not be taken off {work.asset}: {left}",
                verdict=Verdict.ACCEPTED,
            )
        case Verdict.ACCEPTED:
            work.ledger.settle(wanted, Status.SUCCEEDED, verdict=Verdict.ACCEPTED)
        case Verdict.REJECTED:
            work.ledger.settle(
                wanted,
                Status.UNCERTAIN,
                "login_rejected",
                f"{work.asset} acknowledged the change, then refused the login. {verification.message}",
            )
        case Verdict.UNKNOWN:
            # Without a proof no secret is given up that may be the only way in.
            unsafe = hangs_on(wanted, wanted.current) and wanted not in work.entered
            work.ledger.settle(
                wanted,
                Status.UNCERTAIN if unsafe else Status.UNVERIFIED,
                verification.reason,
                verification.message,
                verdict=Verdict.UNKNOWN,
            )
