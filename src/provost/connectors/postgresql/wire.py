"""A connection to a server that may stop answering at any instant."""

import asyncio
import contextlib
import os
import socket
from collections.abc import Coroutine, Sequence
from typing import Any, Final, LiteralString, TypeVar

import psycopg
from psycopg import AsyncConnection, sql

from provost.core.errors import Unreachable

T = TypeVar("T")
Row = tuple[Any, ...]
Statement = LiteralString | sql.SQL | sql.Composed

_FATAL: Final = frozenset({"FATAL", "PANIC"})


def tell(error: psycopg.Error) -> str:
    """Return the server's words without the statement, which it quotes elsewhere."""
    diag = error.diag
    return " ".join(filter(None, (diag.message_primary, diag.message_detail, diag.message_hint)))


class Wire:
    """One connection, each of whose statements is a transaction of its own, and ends in time or ends the wire.

    psycopg answers to being cancelled by asking the server to cancel, and waiting.  Here a cut socket ends it.
    """

    def __init__(self, connection: AsyncConnection[Any], asset: str, seconds: float) -> None:
        self._connection = connection
        self._asset = asset
        self._seconds = seconds

    async def prepare(self) -> None:
        """Make names mean what they mean in an empty database, and let the server give up before Provost does.

        Raises:
            TargetError: no answer.
        """
        await self.ask(
            sql.SQL(
                "SELECT pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', false), "
                "pg_catalog.set_config('lock_timeout', {}, false), "
                "pg_catalog.set_config('statement_timeout', {}, false)"
            ).format(*(sql.Literal(f"{int(self._seconds * share * 1000) or 1}ms") for share in (0.7, 0.8)))
        )

    async def ask(self, statement: Statement, *values: object) -> Sequence[Row]:
        """Run a statement, and return the rows of its answer; or several without values, as one transaction.

        Raises:
            psycopg.Error: the server refused it, and is as it was.
            Unreachable: the connection broke, or no answer came in time: what was asked may have been done.
        """
        return await self._run(self._ask(statement, values))

    async def _ask(self, statement: Statement, values: Sequence[object]) -> Sequence[Row]:
        cursor = await self._connection.execute(statement, values or None)
        while cursor.nextset():
            pass
        return await cursor.fetchall() if cursor.description else []

    async def _run(self, work: Coroutine[Any, Any, T]) -> T:
        task = asyncio.create_task(work)
        try:
            done, _ = await asyncio.wait({task}, timeout=self._seconds)
        finally:
            if not task.done():
                self._cut()
                await asyncio.wait({task})
                task.exception()
        if not done:
            raise Unreachable(f"{self._asset} did not answer in time.")
        try:
            return task.result()
        except psycopg.Error as error:
            if error.sqlstate is None or error.diag.severity_nonlocalized in _FATAL or self._connection.closed:
                raise Unreachable(
                    f"The connection to {self._asset} broke: {tell(error) or error}.", code="connection_lost"
                ) from None
            raise

    def _cut(self) -> None:
        with (
            contextlib.suppress(OSError, psycopg.Error),
            socket.socket(fileno=os.dup(self._connection.fileno())) as end,
        ):
            end.shutdown(socket.SHUT_RDWR)

    def encrypt(self, username: str, password: str) -> str:
        """Return the SCRAM verifier of a password, by which a server knows it, and nobody can log in."""
        made = self._connection.pgconn.encrypt_password(password.encode(), username.encode(), b"scram-sha-256")
        return made.decode()

    async def close(self) -> None:
        """End the connection. Never raises."""
        await self._connection.close()
