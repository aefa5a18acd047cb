"""Logins: by libpq, and by nothing of this machine's but what is said here."""

import asyncio
import contextlib
import ctypes
import os
import re
import socket
import ssl
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from psycopg import AsyncConnection, pq
from psycopg.conninfo import make_conninfo
from psycopg.pq.abc import PGconn

from provost.connectors._network import explain_failure
from provost.connectors._ssh import Routes
from provost.connectors._tls import Tls, refuse_certificate
from provost.connectors.postgresql.parameters import PostgresqlOptions
from provost.core.connector import Timeouts, Witness
from provost.core.errors import LoginRefused, TargetError, Unreachable
from provost.core.job import Target
from provost.core.secrets import Password

_NOWHERE: Final = "/dev/null/nothing"
"""A path that cannot be there: libpq then looks for no file in the home folder."""

_ALONE: Final = {
    "application_name": "provost",
    "client_encoding": "UTF8",
    "options": "",
    "passfile": _NOWHERE,
    "gssencmode": "disable",
    "channel_binding": "prefer",
    "requirepeer": "",
    "target_session_attrs": "any",
    "load_balance_hosts": "disable",
    "sslnegotiation": "postgres",
    "sslcertmode": "disable",
    "sslcrl": _NOWHERE,
    "sslcrldir": "",
    "sslsni": "1",
    "ssl_min_protocol_version": "TLSv1.2",
    "ssl_max_protocol_version": "",
}
"""What the environment and the home folder of whoever runs Provost would say otherwise."""

_METHODS: Final = {True: "scram-sha-256,md5,password", False: "scram-sha-256,md5"}
"""Ways to prove a password, by whether the server has proven who it is: in clear it goes to no other.

None of these is "let in without a password": a login that is not asked for one proves nothing.
"""

_VERBOSE: Final = 2  # PQERRORS_VERBOSE: with it, libpq's text holds the SQLSTATE, in whatever language it is
_LIBPQ: Final = ctypes.CDLL(sys.modules[pq.PGconn.__module__].__file__)

_ANSWER: Final = re.compile(r" failed: [^:]+:  ([0-9A-Z]{5}): (.*?)(?:\nLOCATION:|$)", re.DOTALL)

INVALID_PASSWORD: Final = "28P01"  # noqa: S105  # a SQLSTATE
_NOT_AUTHORIZED: Final = "28000"
_NO_DATABASE: Final = "3D000"
_NO_PRIVILEGE: Final = "42501"
_TOO_MANY: Final = "53300"
_AFTER_PROOF: Final = frozenset({_NO_DATABASE, _NO_PRIVILEGE, _TOO_MANY})
"""What the server minds once it has found the password right; the last also before it asks for one."""


class Refusal(Exception):
    """The server's own no: its SQLSTATE and words, and whether it had asked for the password."""

    def __init__(self, sqlstate: str, words: str, *, asked: bool) -> None:
        super().__init__(words)
        self.sqlstate = sqlstate
        self.words = words
        self.asked = asked

    @property
    def hears_wrong_password(self) -> bool:
        """Whether it means the password; what forbids this login whatever the password is may look the same."""
        return self.sqlstate == INVALID_PASSWORD or (self.sqlstate == _NOT_AUTHORIZED and self.asked)

    @property
    def proves_password(self) -> bool:
        """Whether it came after the password was found right."""
        return self.asked and self.sqlstate in _AFTER_PROOF

    @property
    def forbids_way(self) -> bool:
        """Whether no rule of pg_hba.conf lets this account in from here by a password."""
        return self.sqlstate == _NOT_AUTHORIZED and not self.asked

    def explain(self, target: Target, username: str) -> TargetError:
        """Return the error for a privileged account that was not let in."""
        said = f"{target.asset} said: {self.words}"
        if self.hears_wrong_password:
            return LoginRefused(f"{target.asset} refused the login of {username}. {said}")
        if self.forbids_way:
            return LoginRefused(
                f"No rule in pg_hba.conf lets {username} in from here. {said}", code="login_method_unavailable"
            )
        if self.sqlstate in {_NO_DATABASE, _NO_PRIVILEGE}:
            return LoginRefused(
                f"{username} cannot use the database that the asset's option names. {said}",
                code="rights_missing",
            )
        return Unreachable(f"{target.asset} takes no connection now. {said}")


class Door:
    """Where accounts log in to a target, by whatever route it is reached."""

    def __init__(
        self, target: Target, options: PostgresqlOptions, routes: Routes, timeouts: Timeouts, witness: Witness
    ) -> None:
        self.target = target
        self._options = options
        self._routes = routes
        self.timeouts = timeouts
        self._witness = witness

    async def log_in(
        self, username: str, password: Password, database: str | None = None
    ) -> AsyncConnection[Any]:
        """Log in once, to the database of the options or another.

        Raises:
            Refusal: the server said no.
            TargetError: no connection, or none that is safe.
        """
        target, options, seconds = self.target, self._options, self.timeouts.connect
        place, port = await self._routes.reach(target, self.timeouts, self._witness)
        words = _ALONE | {
            "host": options.find_name(target),
            "port": str(port),
            "user": username,
            "password": password.text,
            "dbname": database or options.database,
            "require_auth": _METHODS[options.tls is Tls.VERIFY],
        }
        try:
            async with asyncio.timeout(seconds):
                found = await asyncio.get_running_loop().getaddrinfo(place, port, type=socket.SOCK_STREAM)
        except OSError as error:
            raise explain_failure(error, target) from None
        addresses = list(dict.fromkeys(str(one[4][0]) for one in found))
        with _protect(target, options) as protection:
            for address in addresses:
                try:
                    async with asyncio.timeout(seconds / len(addresses)):
                        return await _connect(target, words | protection | {"hostaddr": address})
                except TimeoutError as error:
                    failure: TargetError = explain_failure(error, target)
                except _Unheard as error:
                    failure = error.reason
        raise failure


class _Unheard(Exception):
    """Nobody answered at an address; another may do better."""

    def __init__(self, reason: TargetError) -> None:
        super().__init__()
        self.reason = reason


@contextlib.contextmanager
def _protect(target: Target, options: PostgresqlOptions) -> Iterator[dict[str, str]]:
    """Give what libpq is to know of TLS. It reads certificates from files; these are there just as long."""
    if options.tls is Tls.OFF:
        yield {"sslmode": "disable"}
    elif options.tls is Tls.UNVERIFIED:
        yield {"sslmode": "require", "sslrootcert": _NOWHERE}
    else:
        file = os.memfd_create("issuers")
        try:
            os.write(file, options.tls_ca.encode() if options.tls_ca else _read_issuers(target))
            yield {"sslmode": "verify-full", "sslrootcert": f"/proc/self/fd/{file}"}
        finally:
            os.close(file)


def _read_issuers(target: Target) -> bytes:
    """Return whom this machine believes. The libpq of psycopg's wheels does not know where that is written."""
    paths = ssl.get_default_verify_paths()
    if paths.cafile:
        return Path(paths.cafile).read_bytes()
    found = sorted(Path(paths.capath).glob("*.[0-9]")) if paths.capath else []
    if not found:
        raise refuse_certificate(target, "this machine knows no issuer of certificates")
    return b"\n".join(file.read_bytes() for file in found)


async def _connect(target: Target, words: dict[str, str]) -> AsyncConnection[Any]:
    pgconn = pq.PGconn.connect_start(make_conninfo(**words).encode())
    try:
        _LIBPQ.PQsetErrorVerbosity(ctypes.c_void_p(pgconn.pgconn_ptr), _VERBOSE)  # type: ignore[attr-defined]
        heard = False
        while (state := pgconn.connect_poll()) != pq.PollingStatus.OK:
            if state == pq.PollingStatus.FAILED:
                raise _explain(target, pgconn, heard=heard)
            heard = heard or pgconn.status != pq.ConnStatus.STARTED
            await _wait(pgconn.socket, writes=state == pq.PollingStatus.WRITING)
    except BaseException:
        pgconn.finish()
        raise
    pgconn.nonblocking = 1
    connection = AsyncConnection(pgconn)
    connection.prepare_threshold = None
    await connection.set_autocommit(True)
    return connection


def _explain(target: Target, pgconn: PGconn, *, heard: bool) -> Exception:
    """Return the error for a connection that failed. libpq has words alone; in C.UTF-8 and C they are English."""
    text = pgconn.error_message.decode(errors="replace").strip()
    if found := _ANSWER.search(text):
        return Refusal(found[1], " ".join(found[2].split()), asked=pgconn.used_password)
    words = " ".join(text.partition(" failed: ")[2].split()) or text
    if "does not support SSL" in words:
        return TargetError(
            f"{target.asset} does no TLS: {words}. Switch it on there (ssl = on in postgresql.conf); or set the "
            "asset's option tls=off, if the way there is safe.",
            code="tls_unavailable",
        )
    if "certificate" in words and "alert" not in words:
        return refuse_certificate(target, words)
    if words.startswith("SSL error"):
        return TargetError(
            f"{target.asset} and Provost find no TLS that both do: {words}.", code="tls_unavailable"
        )
    if words.startswith("authentication method requirement"):
        return LoginRefused(
            f"{target.asset} asks for no proof that Provost would give: {words}. It takes SCRAM or MD5; in clear, "
            "a password is sent only where tls=verify; and a login without a password (trust, peer) proves none.",
            code="login_method_unavailable",
        )
    if "Connection refused" in words:
        return _Unheard(explain_failure(ConnectionRefusedError(), target))
    failure = explain_failure(OSError(words), target)
    return failure if heard else _Unheard(failure)


async def _wait(file: int, *, writes: bool) -> None:
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    (loop.add_writer if writes else loop.add_reader)(file, ready.set)
    try:
        await ready.wait()
    finally:
        (loop.remove_writer if writes else loop.remove_reader)(file)
