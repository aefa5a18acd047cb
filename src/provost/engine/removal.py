"""What ends an account on a target, for a time or for good: it is disabled, enabled again, or removed."""

from collections.abc import AsyncIterator, Callable, Mapping

from provost.core.connector import Applied, Removal, Session
from provost.core.errors import TargetError
from provost.core.job import Wanted
from provost.core.model import Presence, Status
from provost.engine.job import Work


async def disable(work: Work) -> None:
    """Let the accounts of the job in no more."""
    told = await _list_present(work, Status.UNCHANGED, "disabled")
    await _tell(work, told, lambda session: session.disable([wanted.username for wanted in told]))


async def enable(work: Work) -> None:
    """Let the accounts of the job in again."""
    told = await _list_present(work, Status.FAILED, "enabled")
    await _tell(work, told, lambda session: session.enable([wanted.username for wanted in told]))


async def _list_present(work: Work, absent: Status, done: str) -> list[Wanted]:
    """Return the accounts to do something to; those that are not there are settled, and all in a dry run."""
    presence = await work.observe()
    told = []
    for wanted in _list_open(work):
        if presence[wanted.username] is Presence.ABSENT:
            work.ledger.settle(wanted, absent, "account_absent", f"{wanted.username} is not on {work.asset}.")
        elif work.job.dry_run:
            work.ledger.settle(wanted, Status.UNCHANGED, "dry_run", f"{wanted.username} would be {done}.")
        else:
            told.append(wanted)
    return told


async def _tell(work: Work, told: list[Wanted], ask: Callable[[Session], AsyncIterator[Applied]]) -> None:
    if not told:
        return
    work.stop_if_cancelled()
    await work.tell(told, ask)
    for wanted in work.ledger.list_acknowledged():
        work.ledger.settle(wanted, Status.SUCCEEDED)


async def remove(work: Work) -> None:
    """Remove the accounts of the job, and look whether they are gone.

    One that is not there is told to be removed, too: an earlier removal may have been cut off.
    """
    before = await work.observe()
    told = _list_open(work)
    if work.job.dry_run:
        for wanted in told:
            there = before[wanted.username] is not Presence.ABSENT
            message = f"{wanted.username} {'would be removed' if there else f'is not on {work.asset}'}."
            work.ledger.settle(wanted, Status.UNCHANGED, "dry_run", message)
    if work.job.dry_run or not told:
        return
    work.stop_if_cancelled()
    removals = [Removal(wanted.username, work.job.parameters) for wanted in told]
    await work.tell(told, lambda session: session.remove(removals))
    gone = work.ledger.list_acknowledged()
    if gone:
        after = await work.reach(lambda session: session.observe([wanted.username for wanted in gone]))
        for wanted in gone:
            _settle(work, wanted, before[wanted.username], after)


def _settle(work: Work, wanted: Wanted, before: Presence, after: Mapping[str, Presence | TargetError]) -> None:
    found = after[wanted.username]
    if isinstance(found, TargetError):
        work.ledger.settle(wanted, Status.UNCERTAIN, found.code, found.message)
    elif found is not Presence.ABSENT:
        work.ledger.settle(
            wanted,
            Status.UNCERTAIN,
            "still_there",
            f"{work.asset} acknowledged the removal of {wanted.username}, and has it still.",
        )
    elif before is Presence.ABSENT:
        work.ledger.settle(
            wanted, Status.UNCHANGED, "account_absent", f"{wanted.username} was not on {work.asset} any more."
        )
    else:
        work.ledger.settle(wanted, Status.SUCCEEDED)


def _list_open(work: Work) -> list[Wanted]:
    """Return the accounts to end. One that has become privileged since the run was asked for is left alone."""
    for wanted in work.job.wanted:
        if wanted.login is not None and not work.ledger.is_settled(wanted):
            work.ledger.settle(
                wanted,
                Status.FAILED,
                "account_privileged",
                f"{wanted.username} is the account that Provost works on {work.asset} with.",
            )
        elif wanted.username in work.protected and not work.ledger.is_settled(wanted):
            work.ledger.settle(
                wanted,
                Status.FAILED,
                "protected_account",
                f"{work.asset} cannot do without {wanted.username}.",
            )
    return [wanted for wanted in work.job.wanted if not work.ledger.is_settled(wanted)]
