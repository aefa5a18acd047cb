"""The courier: sends what channels are to be told. Any number of servers may each have one."""

import asyncio
import logging
from typing import Final

from django.utils import timezone

from provost.core.notices import ChannelKind
from provost.server.services.clerk import Clerk, open_clerk
from provost.server.services.deliveries import Fate, Parcel, Receipt, claim_due, settle
from provost.worker import mail, webhook

logger = logging.getLogger(__name__)

_POLL: Final = 1.0
_AT_ONCE: Final = 8
_GOODBYE: Final = 12.0
"""Seconds that what is on its way has left when the courier is told to end."""


async def carry() -> None:
    """Send what is due until cancelled; what is on its way then is given time to end."""
    going: set[asyncio.Task[None]] = set()
    async with open_clerk() as clerk:
        try:
            while True:
                if len(going) < _AT_ONCE:
                    await _begin(clerk, going)
                await asyncio.sleep(_POLL)
        finally:
            if going:
                _, late = await asyncio.wait(going, timeout=_GOODBYE)
                for task in late:
                    task.cancel()  # another courier tries again
                await asyncio.gather(*late, return_exceptions=True)


async def carry_once() -> None:
    """Send what is due just now, and return when all of it was tried."""
    async with open_clerk() as clerk:
        going: set[asyncio.Task[None]] = set()
        await _begin(clerk, going)
        await asyncio.gather(*going)


async def _begin(clerk: Clerk, going: set[asyncio.Task[None]]) -> None:
    try:
        parcels = await clerk.do(claim_due, now=timezone.now(), limit=_AT_ONCE - len(going))
    except Exception as error:  # whatever happens, the courier goes on
        logger.error("What is to be told could not be read; trying again.", exc_info=error)  # noqa: TRY400  # the log leaves its text out
        return
    for parcel in parcels:
        task = asyncio.create_task(_deliver(clerk, parcel))
        going.add(task)
        task.add_done_callback(going.discard)


async def _deliver(clerk: Clerk, parcel: Parcel) -> None:
    """Try a delivery once, and write down how that ended. However it does, the courier goes on."""
    try:
        if parcel.kind is ChannelKind.WEBHOOK:
            receipt = await webhook.send(parcel)
        else:
            receipt = await asyncio.to_thread(mail.send, parcel)
    except Exception as error:  # as above
        logger.error("Delivery %s failed by a fault of Provost's.", parcel.id, exc_info=error)  # noqa: TRY400  # as above
        receipt = Receipt(Fate.LATER, error="Provost met a fault of its own; its log says more.")
    try:
        await clerk.do(settle, parcel=parcel, receipt=receipt, now=timezone.now())
    except Exception as error:  # as above: it is tried again
        logger.error("Delivery %s could not be settled.", parcel.id, exc_info=error)  # noqa: TRY400  # as above
        return
    if receipt.fate is not Fate.DELIVERED:
        logger.warning("Delivery %s, attempt %s: %s", parcel.id, parcel.attempt, receipt.error)
