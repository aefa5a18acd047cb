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
from provost.server.services.tasks import claim_due, put_right

logger = logging.getLogger(__name__)

_TICK: Final = 3.0
_HOUR: Final = 3600.0
_SETTLED: Final = 600.0
"""Seconds after which a clock that was wrong at the start should be right: before, nothing is deleted."""

_LEAP: Final = 60.0
_AT_ONCE: Final = 50


async def keep_time(*, wake: Callable[[], None], retention_days: int) -> None:
    """Tick until cancelled; `wake` is called when there are new runs."""
    tidy_at = time.monotonic() + _SETTLED
    since: float | None = None
    async with open_clerk() as clerk:
        while True:
            try:
                if since is None or abs(_read_offset() - since) > _LEAP:  # at the start, or the clock was set
                    tidy_at = time.monotonic() + _SETTLED
                    if count := await clerk.do(put_right, now=timezone.now()):
                        logger.warning("%s tasks were due too late by a wrong clock: put right.", count)
                    since = _read_offset()
                if await clerk.do(tick, now=timezone.now()):
                    wake()
                SCHEDULER_TICK.set_to_current_time()
                if time.monotonic() >= tidy_at:
                    tidy_at += _HOUR
                    if await clerk.do(delete_old, now=timezone.now(), days=retention_days):
                        tidy_at = time.monotonic()  # there may be more: the rest at the next tick
            except Exception as error:  # whatever happens, the clock goes on
                logger.error("The clock failed, and goes on.", exc_info=error)  # noqa: TRY400  # the log leaves its text out
            await asyncio.sleep(_TICK)


def _read_offset() -> float:
    """Return by how much the clock on the wall is ahead of the one that nobody sets."""
    return time.time() - time.monotonic()


def tick(*, now: datetime) -> int:
    """Start what is due at an instant, and return how many runs that made."""
    started = 0
    while runs := claim_due(now=now, limit=_AT_ONCE):
        started += len(runs)
    return started
