"""Works off the runs that nobody attends to: in one thread, on one event loop, a few at once.

Beside them run the clock and the courier.
"""

import asyncio
import logging
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from provost.core.errors import LeaseLost
from provost.engine import Event
from provost.server.models import Run
from provost.server.services.clerk import Clerk, open_clerk
from provost.server.services.execution import Control, execute
from provost.server.services.leases import Lease, take_next
from provost.worker.clock import keep_time
from provost.worker.courier import carry

if TYPE_CHECKING:
    from uuid import UUID

logger = logging.getLogger(__name__)

_POLL: Final = 0.5
_GOODBYE: Final = 15.0


class Worker:
    """Takes runs from the database and executes them, `runs` at once; starts due tasks; tells channels.

    Runs that ended more than `retention_days` ago are deleted.  Django must have been set up.  Any thread may
    call its methods.
    """

    def __init__(self, *, runs: int = 4, retention_days: int = 400) -> None:
        self.beat = time.monotonic()
        """When it last could look for runs, by time.monotonic(): twice a second, if all is well."""
        self._runs = runs
        self._retention_days = retention_days
        self._thread = threading.Thread(target=self._serve, name="worker", daemon=True)
        self._loop = asyncio.new_event_loop()
        self._woken = asyncio.Event()
        self._controls: dict[UUID, Control] = {}
        self._stopping = False
        self._halted = False

    def start(self) -> None:
        """Start the thread, and return at once."""
        self._thread.start()

    def wake(self) -> None:
        """Look for runs now: there is a new one."""
        self._call(self._woken.set)

    def stop(self, patience: float) -> bool:
        """Take no more runs, hand over those at hand, and return whether the thread has ended.

        What has begun on a target is finished; after `patience` seconds that is interrupted too.  What is left
        of a run goes back to the queue, for another server, or for this one when it starts again.
        """
        self._call(self._hand_over)
        self._thread.join(patience)
        if self._thread.is_alive():
            self._call(self._halt)
            self._thread.join(_GOODBYE)
        return not self._thread.is_alive()

    def _call(self, function: Callable[[], None]) -> None:
        with suppress(RuntimeError):  # the loop is closed: the thread has ended
            self._loop.call_soon_threadsafe(function)

    def _hand_over(self) -> None:
        self._stopping = True
        for control in self._controls.values():
            control.hand_over()
        self._woken.set()

    def _halt(self) -> None:
        self._halted = True
        for control in self._controls.values():
            control.halt.set()

    def _serve(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._work())

    async def _work(self) -> None:
        async with open_clerk() as clerk, asyncio.TaskGroup() as group:
            clock = group.create_task(keep_time(wake=self.wake, retention_days=self._retention_days))
            courier = group.create_task(carry())
            while not self._stopping:
                self._woken.clear()
                try:
                    while len(self._controls) < self._runs and not self._stopping:
                        lease = await clerk.do(take_next, without=frozenset(self._controls))
                        if lease is None:
                            break
                        self._begin(lease, group, clerk)
                    self.beat = time.monotonic()
                except Exception as error:  # whatever happens, the worker goes on
                    logger.error("No run could be taken; trying again.", exc_info=error)  # noqa: TRY400  # the log leaves its text out
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._woken.wait(), _POLL)
            clock.cancel()
            courier.cancel()

    def _begin(self, lease: Lease, group: asyncio.TaskGroup, clerk: Clerk) -> None:
        control = Control()
        if self._stopping:
            control.hand_over()
        if self._halted:
            control.halt.set()
        self._controls[lease.run_id] = control
        group.create_task(self._execute(lease, control, clerk))

    async def _execute(self, lease: Lease, control: Control, clerk: Clerk) -> None:
        """Execute a run. However that ends, the worker goes on."""
        logger.info("Run %s: taken, as its holder number %s.", lease.run_id, lease.epoch)
        try:
            run = await clerk.do(Run.objects.get, id=lease.run_id)
            await execute(run=run, control=control, observe=_ignore, lease=lease)
        except LeaseLost as error:
            logger.warning("%s", error.message)
        except Exception as error:  # as above
            logger.error("Run %s could not go on.", lease.run_id, exc_info=error)  # noqa: TRY400  # as above
        else:
            logger.info("Run %s: %s.", run.id, run.state)
        finally:
            del self._controls[lease.run_id]
            self._woken.set()


def _ignore(_event: Event) -> None:
    """Nobody watches."""
