"""One connection by libpq, with nothing of this machine's but what is said here, and what its errors mean."""

import asyncio
import ctypes
import re
import sys
from typing import Any, Final

from psycopg import AsyncConnection, pq
from psycopg.conninfo import make_conninfo
from psycopg.pq.abc import PGconn

from provost.connectors._logins import explain_silence
from provost.connectors._network import explain_failure
from provost.connectors._tls import miss_tls, refuse_certificate
from provost.core.errors import LoginRefused, TargetError, Unreachable
from provost.core.job import Target

NOWHERE: Final = "/dev/null/nothing"
"""A path that cannot be there: libpq then looks for no file in the home folder."""

_ALONE: Final = {
    "application_name": "provost",
    "channel_binding": "prefer",
    "client_encoding": "UTF8",
    "gssencmode": "disable",
    "load_balance_hosts": "disable",
    "options": "",
    "passfile": NOWHERE,
    "requirepeer": "",
    "ssl_max_protocol_version": "",
    "ssl_min_protocol_version": "TLSv1.2",
    "sslcertmode": "disable",
    "sslcrl": NOWHERE,
    "sslcrldir": "",
    "sslnegotiation": "postgres",
    "sslrootcert": NOWHERE,
    "sslsni": "1",
    "target_session_attrs": "any",
}
"""What the environment and the home folder of whoever runs Provost might say otherwise."""

_LIBPQ: Final = ctypes.CDLL(sys.modules[pq.PGconn.__module__].__file__)
_VERBOSE: Final = 2  # PQERRORS_VERBOSE
_ANSWER: Final = re.compile(r" failed: [^:]+:  ([0-9A-Z]{5}): (.*?)(?:\nLOCATION:|$)", re.DOTALL)
"""What libpq makes of a server's error when it is verbose: whatever the language, the SQLSTATE is there."""

_INVALID_PASSWORD: Final = "28P01"  # noqa: S105  # a SQLSTATE
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
        self.words = words
        self._sqlstate = sqlstate
        self._asked = asked

    @property
    def hears_wrong_password(self) -> bool:
        """Whether it means the password; where the account may not log in anyway, it looks the same."""
        return self._sqlstate == _INVALID_PASSWORD or (self._sqlstate == _NOT_AUTHORIZED and self._asked)

    @property
    def proves_password(self) -> bool:
        """Whether it came after the password was found right."""
        return self._asked and self._sqlstate in _AFTER_PROOF

    @property
    def forbids_way(self) -> bool:
        """Whether no rule of pg_hba.conf lets this account in from here by a password."""
        return self._sqlstate == _NOT_AUTHORIZED and not self._asked

    def explain(self, target: Target, username: str) -> TargetError:
        """Return the error for a privileged account that was not let in."""
        said = f"{target.asset} said: {self.words}"
        if self.hears_wrong_password:
            return LoginRefused(f"{target.asset} refused the login of {username}. {said}")
        if self.forbids_way:
            return LoginRefused(
                f"No rule in pg_hba.conf lets {username} in from here. {said}", code="login_method_unavailable"
            )
        if self._sqlstate in {_NO_DATABASE, _NO_PRIVILEGE}:
            return LoginRefused(
                f"{username} cannot use the database that the asset's options name. {said}",
                code="rights_missing",
            )
        return Unreachable(f"{target.asset} takes no connection now. {said}")


class Unheard(Exception):
    """Nobody answered at an address; another may do better."""

    def __init__(self, reason: TargetError) -> None:
        super().__init__()
        self.reason = reason


async def connect(target: Target, words: dict[str, str], seconds: float) -> AsyncConnection[Any]:
    """Connect by libpq's words for connections.  What psycopg would do itself tries a password several times.

    Raises:
        Refusal: the server said no.
        Unheard: there is nobody, or nobody who asks for a password in time.
        LoginUnanswered: the password was given, and the connection ended or no answer came in time.
        TargetError: what is there is not to be trusted, or is no use.
    """
    pgconn = pq.PGconn.connect_start(make_conninfo(**_ALONE | words).encode())
    try:
        _LIBPQ.PQsetErrorVerbosity(ctypes.c_void_p(pgconn.pgconn_ptr), _VERBOSE)  # type: ignore[attr-defined]
        async with asyncio.timeout(seconds):
            await _finish(target, pgconn)
    except TimeoutError as error:
        given, user = pgconn.used_password, pgconn.user.decode()
        pgconn.finish()
        late = explain_failure(error, target)
        raise explain_silence(target, user, late.message) if given else Unheard(late) from None
    except BaseException:
        pgconn.finish()
        raise
    pgconn.nonblocking = 1
    connection = AsyncConnection(pgconn)
    connection.prepare_threshold = None
    await connection.set_autocommit(True)
    return connection


async def _finish(target: Target, pgconn: PGconn) -> None:
    heard = False
    while (state := pgconn.connect_poll()) != pq.PollingStatus.OK:
        if state == pq.PollingStatus.FAILED:
            raise _explain(target, pgconn, heard=heard)
        heard = heard or pgconn.status != pq.ConnStatus.STARTED
        await _wait(pgconn.socket, writes=state == pq.PollingStatus.WRITING)


async def _wait(file: int, *, writes: bool) -> None:
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    (loop.add_writer if writes else loop.add_reader)(file, ready.set)
    try:
        await ready.wait()
    finally:
        (loop.remove_writer if writes else loop.remove_reader)(file)


def _explain(target: Target, pgconn: PGconn, *, heard: bool) -> Exception:
    """Return the error for a connection that failed. Of what is not the server's own, libpq has words alone."""
    text = pgconn.error_message.decode(errors="replace").strip()
    if found := _ANSWER.search(text):
        return Refusal(found[1], " ".join(found[2].split()), asked=pgconn.used_password)
    words = " ".join(text.partition(" failed: ")[2].split()) or text
    if pgconn.used_password:
        return explain_silence(target, pgconn.user.decode(), f"{words}.")
    if distrust := _explain_distrust(target, words):
        return distrust
    failure = explain_failure(
        ConnectionRefusedError() if "Connection refused" in words else OSError(words), target
    )
    return failure if heard else Unheard(failure)


def _explain_distrust(target: Target, words: str) -> TargetError | None:
    if "does not support SSL" in words:
        return miss_tls(target, "Switch it on there (ssl = on in postgresql.conf)")
    if "certificate" in words and "alert" not in words:
        return refuse_certificate(target, words)
    if words.startswith("SSL error"):
        return TargetError(f"{target.asset} does no TLS that Provost does: {words}.", code="tls_unavailable")
    if words.startswith("authentication method requirement"):
        return LoginRefused(
            f"{target.asset} asks for no proof that Provost would give: {words}. That is SCRAM or MD5, with "
            "tls=verify also a password in clear. Who is let in without one (trust, peer) has proven none.",
            code="login_method_unavailable",
        )
    return None
