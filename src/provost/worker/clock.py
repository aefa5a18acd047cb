"""The clock: starts what is due, and deletes what is old. Any number of servers may each have one."""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final

from django.utils import timezone

from provost.server.services.clerk import open_clerk
from provost.server.services.expiry import claim_expired, find_next, tell_expiring
from provost.server.services.metrics import SCHEDULER_TICK
from provost.server.services.retention import delete_old
from provost.server.services.tasks import claim_due, put_right
from provost.server.services.templates import claim_arrivals

logger = logging.getLogger(__name__)

_TICK: Final = 3.0
_SHORTEST: Final = 0.2
_HOUR: Final = 3600.0
_SETTLED: Final = 600.0
"""Seconds after which a clock wrong at the start should be right: before, nothing is deleted or ended."""

_LEAP: Final = 60.0
_AT_ONCE: Final = 50


async def keep_time(*, wake: Callable[[], None], retention_days: int) -> None:
    """Tick until cancelled; `wake` is called when there are new runs."""
    settled_at = tidy_at = time.monotonic() + _SETTLED
    since: float | None = None
    async with open_clerk() as clerk:
        while True:
            pause = _TICK
            try:
                if since is None or abs(_read_offset() - since) > _LEAP:  # at the start, or the clock was set
                    settled_at = tidy_at = time.monotonic() + _SETTLED
                    if count := await clerk.do(put_right, now=timezone.now()):
                        logger.warning("%s tasks were due too late by a wrong clock: put right.", count)
                    since = _read_offset()
                if await clerk.do(tick, now=timezone.now(), settled=time.monotonic() >= settled_at):
                    wake()
                pause = await clerk.do(find_pause, now=timezone.now())
                SCHEDULER_TICK.set_to_current_time()
                if time.monotonic() >= tidy_at:
                    tidy_at += _HOUR
                    if await clerk.do(delete_old, now=timezone.now(), days=retention_days):
                        tidy_at = time.monotonic()  # there may be more: the rest at the next tick
            except Exception as error:  # whatever happens, the clock goes on
                logger.error("The clock failed, and goes on.", exc_info=error)  # noqa: TRY400  # the log leaves its text out
            await asyncio.sleep(pause)


def _read_offset() -> float:
    """Return by how much the clock on the wall is ahead of the one that nobody sets."""
    return time.time() - time.monotonic()


def tick(*, now: datetime, settled: bool) -> int:
    """Do what is due at an instant, and return how much that was. What fails keeps nothing else from it.

    Unless the clock is `settled`, no life ends: it may be wrong, and what is removed does not come back.

    Raises:
        Exception: the first that something failed with.
    """
    done = 0
    failed: Exception | None = None
    for do in (*_DUE, *(_ENDING if settled else ())):
        try:
            while count := do(now):
                done += count
        except Exception as error:  # noqa: BLE001  # it is raised when the others had their turn
            failed = failed or error
    if failed:
        raise failed
    return done


_DUE: Final[Sequence[Callable[[datetime], int]]] = (
    lambda now: len(claim_due(now=now, limit=_AT_ONCE)),
    lambda now: len(claim_arrivals(now=now)),
)
_ENDING: Final[Sequence[Callable[[datetime], int]]] = (
    lambda now: len(claim_expired(now=now)),
    lambda now: tell_expiring(now=now),
)


def find_pause(*, now: datetime) -> float:
    """Return how many seconds to wait for the next tick: less than usual where a life ends before it."""
    ends = find_next(now=now)
    return _TICK if ends is None else max(_SHORTEST, min(_TICK, (ends - now).total_seconds()))
