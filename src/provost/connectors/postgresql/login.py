"""Where and how accounts log in."""

import asyncio
import contextlib
import os
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from psycopg import AsyncConnection

from provost.connectors._network import explain_failure
from provost.connectors._ssh import Routes
from provost.connectors._tls import Tls, refuse_certificate
from provost.connectors.postgresql.libpq import Unheard, connect
from provost.connectors.postgresql.parameters import PostgresqlOptions
from provost.core.connector import Timeouts, Witness
from provost.core.job import Target
from provost.core.secrets import Password

_METHODS: Final = {True: "scram-sha-256,md5,password", False: "scram-sha-256,md5"}
"""Ways to prove a password, by whether the server has proven who it is: in clear it goes to no other.

None of these is "let in without a password": a login that is not asked for one proves nothing.
"""


class Door:
    """Where accounts log in to a target, by whatever route it is reached."""

    def __init__(
        self, target: Target, options: PostgresqlOptions, routes: Routes, timeouts: Timeouts, witness: Witness
    ) -> None:
        self.target = target
        self.timeouts = timeouts
        self._options = options
        self._routes = routes
        self._witness = witness

    async def log_in(
        self, username: str, password: Password, database: str | None = None
    ) -> AsyncConnection[Any]:
        """Log in once, to the database of the options or another. One address alone is given the password.

        Raises:
            Refusal: the server said no.
            LoginUnanswered: the password was given, and not answered.
            TargetError: no connection, or none that is safe.
        """
        place, port = await self._routes.reach(self.target, self.timeouts, self._witness)
        words = {
            "host": self._options.find_name(self.target),
            "port": str(port),
            "user": username,
            "password": password.text,
            "dbname": database or self._options.database,
            "require_auth": _METHODS[self._options.tls is Tls.VERIFY],
        }
        addresses = await self._resolve(place, port)
        failures: list[Exception] = []
        with _protect(self.target, self._options) as protection:
            for address in addresses:
                told = words | protection | {"hostaddr": address}
                try:
                    return await connect(self.target, told, self.timeouts.connect / len(addresses))
                except Unheard as error:
                    failures.append(error.reason)
        raise failures[-1]

    async def _resolve(self, place: str, port: int) -> list[str]:
        try:
            async with asyncio.timeout(self.timeouts.connect):
                found = await asyncio.get_running_loop().getaddrinfo(place, port, type=socket.SOCK_STREAM)
        except OSError as error:
            raise explain_failure(error, self.target) from None
        return list(dict.fromkeys(str(one[4][0]) for one in found))


@contextlib.contextmanager
def _protect(target: Target, options: PostgresqlOptions) -> Iterator[dict[str, str]]:
    """Give libpq's words for TLS. It reads issuers from a file, which is in memory and ends here."""
    if options.tls is not Tls.VERIFY:
        yield {"sslmode": "disable" if options.tls is Tls.OFF else "require"}
        return
    issuers = options.tls_ca.encode() if options.tls_ca else _read_issuers(target)
    with os.fdopen(os.memfd_create("issuers"), "wb") as file:
        file.write(issuers)
        file.flush()
        yield {"sslmode": "verify-full", "sslrootcert": f"/proc/self/fd/{file.fileno()}"}


def _read_issuers(target: Target) -> bytes:
    """Return whom this machine believes. The libpq of psycopg's wheels does not know where that is written."""
    paths = ssl.get_default_verify_paths()
    if paths.cafile:
        return Path(paths.cafile).read_bytes()
    found = sorted(Path(paths.capath).glob("*.[0-9]")) if paths.capath else []
    if not found:
        raise refuse_certificate(target, "this machine knows no issuer of certificates")
    return b"\n".join(file.read_bytes() for file in found)
