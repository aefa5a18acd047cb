"""A discovery: tell what accounts there are on a target."""

from provost.core.model import Status
from provost.engine.job import Work


async def discover(work: Work) -> None:
    """Settle the job's one account, which has no name, with all that was found."""
    found = await work.reach(lambda session: session.discover())
    message = f"{len(found)} {'account' if len(found) == 1 else 'accounts'} found."
    for wanted in work.job.wanted:
        work.ledger.settle(wanted, Status.SUCCEEDED, message=message, found=found)
