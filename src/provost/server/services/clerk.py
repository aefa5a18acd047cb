"""Threads for the database: it blocks, and a loop with hundreds of connections must not wait for it."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from contextvars import copy_context
from typing import ParamSpec, TypeVar

from django.db import close_old_connections, connections

P = ParamSpec("P")
T = TypeVar("T")


class Clerk:
    """One thread that works with the database, one thing after the other, on a connection of its own."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="clerk")

    async def do(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call a function there, and return or raise what it does."""

        def work() -> T:
            close_old_connections()  # one that broke would stay broken
            return function(*args, **kwargs)

        # The thread's lines in the log tell of the same run.
        return await asyncio.get_running_loop().run_in_executor(self._thread, copy_context().run, work)

    async def close(self) -> None:
        """Close the connection, and end the thread."""
        await self.do(connections.close_all)
        self._thread.shutdown()


@asynccontextmanager
async def open_clerk() -> AsyncGenerator[Clerk, None]:
    """Give a clerk, and close it at the end."""
    clerk = Clerk()
    try:
        yield clerk
    finally:
        await clerk.close()
