"""One connection to a server: how it is logged in to, and what goes wrong on it, in an operator's words."""

import asyncio
import contextlib
import ssl
from typing import Any, Final, NoReturn

from asyncmy.connection import Connection
from asyncmy.cursors import Cursor
from asyncmy.errors import MySQLError

from provost.connectors._logins import explain_silence
from provost.connectors._network import explain_failure
from provost.connectors._tls import Tls, miss_tls, refuse_certificate
from provost.connectors.mysql.parameters import MysqlOptions
from provost.core.connector import Timeouts
from provost.core.errors import LoginRefused, TargetError, Unreachable
from provost.core.job import Target
from provost.core.secrets import Password

_CLIENT_TLS: Final = 1 << 11  # CLIENT_SSL
_PROVING: Final = frozenset({"mysql_native_password", "client_ed25519"})
"""Plugins by which a password is proven without being told."""
_TELLING: Final = ("caching_sha2_password", "sha256_password", "mysql_clear_password", "dialog")
"""Plugins by which a server may ask for the password itself."""
_BROKEN: Final = "mysql_old_password"
"""What servers before 4.1 had, which gives it away as well."""

_REFUSED: Final = frozenset({1045, 1698})
EXPIRED: Final = frozenset({1820, 1862})
_LOCKED: Final = frozenset({3118, 4151})
_SHUT: Final = _LOCKED | EXPIRED | {1130, 3159, 3955, 4150}
"""The server lets the account in for no secret: locked, expired, blocked for a time, not from here, not so."""
_CROWDED: Final = frozenset({1040, 1053, 1129, 1203, 1226})
"""Too many connections, by all or by one, or a server that is closing: another time it may."""
_NO_WAY: Final = frozenset({1251, 1524, 2059, 2061})
_CLIENT_ERRORS: Final = range(2000, 3000)


class Answer(Exception):
    """The server's own error, as an answer to a statement."""

    def __init__(self, number: int, text: str) -> None:
        super().__init__(f"{text} ({number})")
        self.number = number
        self.text = text


class _Secretive:
    """Stands for the plugins that would tell the password to whoever is at the other end."""

    def __init__(self, connection: "Wire") -> None:
        self._connection = connection

    def authenticate(self, _packet: object) -> NoReturn:
        self._connection.keep_secret()


class _Quiet(Cursor):
    """A cursor that asks for no warnings: the driver would log them."""

    async def _show_warnings(self, conn: object) -> None:
        """Do nothing."""


class Wire(Connection):
    """A connection of the driver's that keeps a password to itself, unless it knows whom it tells it to."""

    server_capabilities: int
    _auth_plugin_name: str
    _secure: bool
    _transport: asyncio.Transport

    def __init__(
        self,
        target: Target,
        options: MysqlOptions,
        place: tuple[str, int],
        context: ssl.SSLContext | None,
        timeouts: Timeouts,
    ) -> None:
        super().__init__(  # type: ignore[no-untyped-call]  # the driver's
            host=place[0],
            port=place[1],
            ssl=context,
            charset="utf8mb4",
            autocommit=None,
            connect_timeout=timeouts.connect,
            program_name="provost",
            auth_plugin_map=dict.fromkeys(
                (_BROKEN,) if options.tls is Tls.VERIFY else (_BROKEN, *_TELLING), _Secretive
            ),
        )
        self._target = target
        self._tls = options.tls
        self._timeouts = timeouts
        self._turn = asyncio.Lock()
        self._greeted = False

    @property
    def _is_heard(self) -> bool:
        """Whether what the server says is from the server that was meant, and after its greeting."""
        return self._greeted and (self._tls is Tls.OFF or self._secure)

    @property
    def address(self) -> str:
        """The address of this end."""
        return str(self._transport.get_extra_info("sockname")[0])

    def keep_secret(self) -> NoReturn:
        """Tell nobody the password.

        Raises:
            LoginRefused: always.
        """
        raise LoginRefused(
            f"{self._target.asset} asks for the password in a way that gives it away, and with tls={self._tls} "
            "anybody may be asking. Set tls=verify, with tls_ca if need be; no account should log in by "
            f"{_BROKEN}.",
            code="login_method_unavailable",
        )

    async def _get_server_information(self) -> None:
        await super()._get_server_information()  # type: ignore[misc]  # left out of the driver's stubs
        self._greeted = True
        if self._tls is not Tls.OFF and not self.server_capabilities & _CLIENT_TLS:
            raise miss_tls(self._target, "Switch it on there (ssl_cert, ssl_key)")
        if self._tls is not Tls.VERIFY and self._auth_plugin_name not in _PROVING:
            self._auth_plugin_name = "mysql_native_password"

    async def log_in(self, username: str, password: Password) -> None:
        """Connect, and log in.

        Raises:
            TargetError: `LoginRefused` with its own code when the server heard the password and said no;
                `LoginUnanswered` when it was given it, and did not answer.
            Answer: the password has expired, which the server tells whoever knows it.
        """
        self._user, self._password = username, password.text.encode()
        try:
            async with asyncio.timeout(self._timeouts.connect):
                await self.connect()
        except (MySQLError, OSError) as error:
            raise self._explain(error, username) from error

    def _explain(self, error: Exception, username: str) -> Exception:  # noqa: PLR0911  # one for each case
        asset = self._target.asset
        number, text = _read(error)
        if number in EXPIRED and self._is_heard:
            return Answer(number, text)
        if number in _REFUSED and self._is_heard:
            return LoginRefused(f"{asset} refused the login of {username}: {text}.")
        if number in _SHUT:
            return LoginRefused(f"{asset} lets {username} not in: {text}.", code="policy_forbids_login")
        if number in _NO_WAY:
            return LoginRefused(
                f"{asset} offers {username} no way to log in by a password that Provost knows: {text}.",
                code="login_method_unavailable",
            )
        if self._is_heard and (number == 0 or number in _CLIENT_ERRORS):
            return explain_silence(self._target, username, f"{text}.")
        cause = error.__cause__ if isinstance(error.__cause__, OSError) else error
        if isinstance(cause, ssl.SSLCertVerificationError):
            return refuse_certificate(self._target, cause.verify_message)
        if isinstance(cause, ssl.SSLError) and not isinstance(cause, ssl.SSLEOFError):
            return TargetError(f"TLS with {asset} failed: {cause.reason}.", code="tls_unavailable")
        if isinstance(cause, OSError):
            return explain_failure(cause, self._target)
        if number in _CROWDED or number in _CLIENT_ERRORS or not self._is_heard:
            return Unreachable(f"{asset} cannot be logged in to: {text} ({number}).")
        return TargetError(f"{asset} cannot be logged in to: {text} ({number}).")

    async def ask(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        """Send one statement and return its rows. The driver binds the values.

        Raises:
            Answer: the server's error.
            Unreachable: there was no answer.
        """
        asset = self._target.asset
        async with self._turn:
            try:
                async with asyncio.timeout(self._timeouts.command), self.cursor(_Quiet) as cursor:
                    await cursor.execute(statement, values)
                    return list(await cursor.fetchall())
            except TimeoutError:
                raise Unreachable(f"{asset} did not answer in time.", code="connection_lost") from None
            except (MySQLError, OSError) as error:
                number, text = _read(error)
                if number == 0 or number in _CLIENT_ERRORS:
                    raise Unreachable(
                        f"The connection to {asset} ended: {text}.", code="connection_lost"
                    ) from error
                raise Answer(number, text) from error

    async def end(self) -> None:
        """Say goodbye, if the server listens, and close."""
        with contextlib.suppress(MySQLError, OSError):
            async with asyncio.timeout(1):
                await self.ensure_closed()
        self.close()


def _read(error: Exception) -> tuple[int, str]:
    """Return the number and the text of an error; 0 for one of the system's."""
    if isinstance(error, MySQLError) and len(error.args) > 1 and isinstance(error.args[0], int):
        return error.args[0], str(error.args[1]).rstrip(".")
    return 0, str(error).rstrip(".") or type(error).__name__
