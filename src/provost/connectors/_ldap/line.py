"""A directory with a thread of its own, for asyncio."""

import asyncio
import contextlib
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

from provost.connectors._ldap.answers import Answer
from provost.connectors._ldap.directory import Control, Directory
from provost.connectors._ldap.options import DirectoryOptions
from provost.connectors._logins import explain_silence
from provost.connectors._network import explain_failure
from provost.connectors._ssh import Routes
from provost.core.connector import Timeouts, Witness
from provost.core.errors import Unreachable
from provost.core.job import Target
from provost.core.secrets import Password

T = TypeVar("T")


class Line:
    """A directory with a thread of its own, for asyncio."""

    def __init__(self, target: Target, options: DirectoryOptions) -> None:
        self._target = target
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="ldap")
        self._running: set[Future[Any]] = set()
        self.directory = Directory(target, options)

    async def run(self, act: Callable[..., T], *words: object) -> T:
        """Have the thread do something."""
        try:
            future = self._thread.submit(act, *words)
        except RuntimeError:
            raise Unreachable(
                f"There is no connection to {self._target.asset} any more.", code="connection_lost"
            ) from None
        self._running.add(future)
        future.add_done_callback(self._running.discard)
        return await asyncio.wrap_future(future)

    async def log_in(
        self,
        name: str,
        password: Password,
        routes: Routes,
        timeouts: Timeouts,
        *controls: Control,
        witness: Witness | None = None,
    ) -> Answer:
        """Connect, and bind.

        Raises:
            LoginUnanswered: the password was given, and the connection ended or no answer came in time.
            TargetError: no connection, or none that is safe.
        """
        place = await routes.reach(self._target, timeouts, witness)
        given = False
        try:
            async with asyncio.timeout(timeouts.connect):
                await self.run(self.directory.connect, place, timeouts)
                given = True
                return await self.run(self.directory.bind, name, password, *controls)
        except (TimeoutError, Unreachable) as error:
            if given:
                raise explain_silence(self._target, name) from error
            if isinstance(error, Unreachable):
                raise
            raise explain_failure(error, self._target) from error

    def close(self) -> None:
        """End the connection, at once if something waits on it."""
        if self._running:
            self.directory.cut()
        with contextlib.suppress(RuntimeError):
            self._thread.submit(self.directory.end)
        self._thread.shutdown(wait=False)
