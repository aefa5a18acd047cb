"""One connection to a Redis server, and what goes wrong on it."""

import asyncio
import contextlib
import ssl
from collections.abc import Sequence
from typing import Any, Final

from redis.asyncio import Connection
from redis.exceptions import (
    AuthenticationError,
    AuthenticationWrongNumberOfArgsError,
    NoPermissionError,
    RedisError,
    ResponseError,
)

from provost.connectors._logins import explain_silence
from provost.connectors._network import explain_failure
from provost.connectors._tls import TlsOptions, miss_tls, refuse_certificate
from provost.core.connector import Timeouts
from provost.core.errors import LoginRefused, TargetError, Unreachable
from provost.core.job import Target
from provost.core.secrets import Password

Answer = Any
"""What the server answered to one command: bytes, a number, a list of these, None, or an error of its own."""

_SWITCH_ON: Final = "Set its tls-port and use that one"
_PEEK: Final = 3.0
"""Seconds for finding out whether a server that is silent to TLS talks without."""


class _Connection(Connection):
    """A connection of redis-py with a context of ours: redis-py makes its own, which knows no name of ours."""

    def __init__(self, context: ssl.SSLContext | None, **options: Any) -> None:
        super().__init__(**options)
        self._context = context
        self._transport: asyncio.WriteTransport | None = None

    def _connection_arguments(self) -> dict[str, Any]:
        return {**super()._connection_arguments(), "ssl": self._context}

    async def _connect(self) -> None:
        await super()._connect()  # type: ignore[no-untyped-call]
        self._transport = self._writer.transport if self._writer else None

    async def end(self) -> None:
        """Disconnect at once: redis-py leaves it to the server when TLS has ended."""
        with contextlib.suppress(RedisError, OSError):
            await self.disconnect(nowait=True)
        if self._transport:
            self._transport.abort()
            await asyncio.sleep(0)


class Wire:
    """One connection. Exchanges on it wait for each other; once one failed, there are no more."""

    def __init__(self, target: Target, connection: _Connection, timeouts: Timeouts) -> None:
        self._target = target
        self._connection = connection
        self._timeouts = timeouts
        self._exchange = asyncio.Lock()

    @classmethod
    async def open(
        cls, target: Target, place: tuple[str, int], options: TlsOptions, timeouts: Timeouts
    ) -> "Wire":
        """Connect, with TLS as the options say. Nothing is sent yet.

        Raises:
            Unreachable: no connection.
            HostKeyRefused: the certificate is not believed.
            TargetError: the server does no TLS.
        """
        context = options.make_context(target)
        host, port = place
        connection = _Connection(
            context,
            host=host,
            port=port,
            protocol=2,
            driver_info=None,
            socket_timeout=None,
            socket_connect_timeout=timeouts.connect,
        )
        try:
            await connection.connect()  # type: ignore[no-untyped-call]
        except RedisError as error:
            cause = error.__cause__ or error.__context__
            if isinstance(cause, TimeoutError) and context and await _talks_plainly(host, port):
                raise miss_tls(target, _SWITCH_ON) from error
            raise _explain(cause or error, target) from error
        return cls(target, connection, timeouts)

    async def log_in(self, username: str, password: Password) -> None:
        """Log in. No error repeats what the server said: it might repeat the password.

        Raises:
            LoginRefused: username and password were heard and refused.
            LoginUnanswered: the connection ended, or no answer came in time.
            Unreachable: the server takes no more connections, or is not ready yet.
            TargetError: it cannot be logged in to.
        """
        name = self._target.asset
        try:
            [answer] = await self.ask(["AUTH", username, password.text], seconds=self._timeouts.connect)
        except Unreachable as error:
            raise explain_silence(
                self._target,
                username,
                f"{error.message} Does its port expect TLS, or certificates of its clients (tls-auth-clients), "
                "which Provost has none of?",
            ) from error
        match answer:
            case b"OK":
                return
            case AuthenticationError():
                raise LoginRefused(f"{name} refused the login of {username}.")
            case AuthenticationWrongNumberOfArgsError():
                raise TargetError(
                    f"{name} knows no ACL users: Redis has them since 6.0.", code="acl_unavailable"
                )
            case RedisError(args=[str(words), *_]) if "max number of clients" in words:
                raise Unreachable(
                    f"{name} takes no more connections (maxclients).", code="too_many_connections"
                )
            case RedisError(args=[str(words), *_]) if words.startswith("DENIED"):
                raise TargetError(
                    f"{name} is in protected mode: it takes connections from its own machine alone. "
                    "Give its default user a password, or set protected-mode no.",
                    code="policy_forbids_login",
                )
            case RedisError() if read_code(answer) in {"LOADING", "BUSY", "MASTERDOWN", "TRYAGAIN"}:
                raise Unreachable(f"{name} is not ready: it answered {read_code(answer)} to the login.")
        raise TargetError(
            f"{name} answered {read_code(answer)} to the login of {username}; is it a Redis server?"
        )

    async def ask(self, *commands: Sequence[str], seconds: float | None = None) -> list[Answer]:
        """Send commands at once, and return the answers to all of them; errors of the server are answers.

        Raises:
            Unreachable: the connection is, or got, lost.
        """
        lost = f"The connection to {self._target.asset} was lost"
        async with self._exchange:
            if not self._connection.is_connected:
                raise Unreachable(f"{lost}.", code="connection_lost")
            try:
                async with asyncio.timeout(seconds or self._timeouts.command):
                    await self._connection.send_packed_command(self._connection.pack_commands(commands))
                    return [await self._read() for _ in commands]
            except TimeoutError as error:
                await self.close()
                raise Unreachable(
                    f"{self._target.asset} did not answer in time.", code="connect_timeout"
                ) from error
            except RedisError as error:
                cause = error.__cause__ or error.__context__
                if isinstance(cause, ssl.SSLError):
                    raise _explain(cause, self._target) from error
                raise Unreachable(f"{lost}.", code="connection_lost") from error

    async def _read(self) -> Answer:
        try:
            return await self._connection.read_response()
        except RedisError as error:
            if isinstance(error, ResponseError) or error.status_code:
                return error
            raise

    async def close(self) -> None:
        """End the connection. Raises nothing."""
        await self._connection.end()


def read_code(answer: Answer) -> str:
    """Return the word that an error of the server begins with, such as NOPERM."""
    if not isinstance(answer, RedisError):
        return "something else than an error"
    return answer.status_code or str(answer).partition(" ")[0]


def is_forbidden(answer: Answer) -> bool:
    """Tell whether the account may not run a command."""
    return isinstance(answer, NoPermissionError)


async def _talks_plainly(host: str, port: int) -> bool:
    """Tell whether a server answers without TLS. To TLS such a one says nothing: it waits for a whole line."""
    writer = None
    try:
        async with asyncio.timeout(_PEEK):
            reader, writer = await asyncio.open_connection(host, port)
            writer.write(b"PING\r\n")
            return await reader.read(1) in {b"+", b"-"}
    except OSError:
        return False
    finally:
        if writer:
            writer.transport.abort()


def _explain(error: BaseException, target: Target) -> TargetError:
    if isinstance(error, ssl.SSLCertVerificationError):
        return refuse_certificate(target, error.verify_message)
    if isinstance(error, ssl.SSLError):
        if error.reason in {"WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "UNKNOWN_PROTOCOL"}:
            return miss_tls(target, _SWITCH_ON)
        return Unreachable(f"TLS with {target.asset} failed: {error.reason}.")
    if isinstance(error, OSError):
        return explain_failure(error, target)
    return Unreachable(f"The connection to {target.asset} failed: {error}.")
