"""The clock: starts tasks that are due, and deletes what is old. Any number of servers may each have one."""

import asyncio
import logging
import time
from collections.abc import Callable
from datetime import datetime
from typing import Final

from django.utils import timezone

from provost.server.services.clerk import open_clerk
from provost.server.services.metrics import SCHEDULER_TICK
from provost.server.services.retention import delete_old
from provost.server.services.tasks import claim_due
from provost.worker.faults import describe_fault

logger = logging.getLogger(__name__)

_TICK: Final = 3.0
_HOUR: Final = 3600.0
_AT_ONCE: Final = 50


async def keep_time(*, wake: Callable[[], None], retention_days: int) -> None:
    """Tick until cancelled; `wake` is called when there are new runs."""
    tidy_at = time.monotonic()
    async with open_clerk() as clerk:
        while True:
            try:
                if await clerk.do(tick, now=timezone.now()):
                    wake()
                SCHEDULER_TICK.set_to_current_time()
                if time.monotonic() >= tidy_at:
                    tidy_at += _HOUR
                    if await clerk.do(delete_old, now=timezone.now(), days=retention_days):
                        tidy_at = time.monotonic()  # there may be more: the rest at the next tick
            except Exception as error:  # noqa: BLE001  # whatever happens, the clock goes on
                logger.error("The clock failed, and goes on: %s", describe_fault(error))  # noqa: TRY400  # its text could hold a secret
            await asyncio.sleep(_TICK)


def tick(*, now: datetime) -> int:
    """Start what is due at an instant, and return how many runs that made."""
    started = 0
    while runs := claim_due(now=now, limit=_AT_ONCE):
        started += len(runs)
    return started
