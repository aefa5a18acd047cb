"""The kind `mysql`: MySQL 8 and MariaDB, whose accounts are a username and a host pattern."""

import re
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final

from pydantic import BaseModel

from provost.connectors._logins import take_password
from provost.connectors._ssh import Routes
from provost.connectors.mysql.dialects import Account, Dialect, MariaDb, MySql
from provost.connectors.mysql.hosts import Client
from provost.connectors.mysql.parameters import MysqlOptions, MysqlParameters, MysqlRemoval, find_fault
from provost.connectors.mysql.server import PROTECTED, Server, write_account
from provost.connectors.mysql.session import MysqlSession
from provost.connectors.mysql.wire import Answer, Wire
from provost.core.connector import Connector, Timeouts, Witness
from provost.core.errors import LoginRefused, Refused, TargetError
from provost.core.job import Login, Target
from provost.core.model import Become, Capability, SecretType
from provost.core.passwords import PasswordLimits

_MYSQL: Final = (8, 0)
_MARIADB: Final = (10, 4)
_UNKNOWN_VARIABLE: Final = 1193


class MysqlConnector:
    """The kind `mysql`."""

    kind = "mysql"
    default_port = 3306
    secret_types = frozenset({SecretType.PASSWORD})
    capabilities = frozenset(Capability)
    protected = PROTECTED
    passwords = PasswordLimits(longest=255)
    becomes = frozenset({Become.NONE})
    options: type[BaseModel] = MysqlOptions
    parameters: type[BaseModel] = MysqlParameters
    removal: type[BaseModel] = MysqlRemoval

    def __init__(self) -> None:
        self._routes = Routes()

    def check_username(self, username: str) -> None:
        """Refuse what one of the servers could not set exactly, and `user@host`."""
        if fault := find_fault(username):
            raise Refused(f"A username on {self.kind} {fault}.", code="username_refused")
        if "@" in username:
            raise Refused(
                f"A username on {self.kind} holds no @: the host pattern is the asset's option account_host.",
                code="username_refused",
            )

    async def open(self, target: Target, login: Login, timeouts: Timeouts, witness: Witness) -> MysqlSession:
        """Log in by TLS, and look whom for, to what server, and with what rights.

        Raises:
            Unreachable: no connection.
            LoginUnanswered: the secret was given, and not answered.
            LoginRefused: the secret was refused, or the account may not do what sessions do.
            HostKeyRefused: the certificate is not believed.
        """
        options = MysqlOptions.model_validate(dict(target.options))
        context = options.make_context(target)

        async def connect(witness: Witness | None) -> Wire:
            place = await self._routes.reach(target, timeouts, witness)
            return Wire(target, options, place, context, timeouts)

        password = take_password(target, login)
        wire = await connect(witness)
        try:
            await wire.log_in(login.username, password)
            return await _begin(wire, target, options, partial(connect, None))
        except Answer as answer:
            await wire.end()
            raise LoginRefused(
                f"{target.asset} lets {login.username} do nothing: {answer}.", code="policy_forbids_login"
            ) from answer
        except BaseException:
            await wire.end()
            raise

    async def close(self) -> None:
        """Close the gateways."""
        await self._routes.close()


async def _begin(
    wire: Wire, target: Target, options: MysqlOptions, connect: Callable[[], Awaitable[Wire]]
) -> MysqlSession:
    [(version, taken, seen)] = await wire.ask("SELECT VERSION(), CURRENT_USER(), USER()")
    username, _, host = taken.rpartition("@")
    acting = username, host
    dialect = await _choose_dialect(wire, target, version)
    # Whatever the server was set to: literals are read as the driver writes them.
    await wire.ask(f"SET NAMES utf8mb4, SESSION sql_mode = '{dialect.sql_mode}'")
    statement = "SELECT PRIVILEGE_TYPE FROM information_schema.USER_PRIVILEGES WHERE GRANTEE = %s"
    rights = frozenset(right.replace("_", " ") for (right,) in await wire.ask(statement, write_account(acting)))
    try:
        await wire.ask(f"{dialect.rows}User = ''", dialect.unfinished)
    except Answer as answer:
        raise _miss_rights(target, acting, f"it answered {answer}") from answer
    if "CREATE USER" not in rights:
        raise _miss_rights(target, acting, "CREATE USER is not granted")
    client = Client.read(seen.rpartition("@")[2], None if target.via else wire.address)
    server = Server(wire, dialect, target.asset, acting, client, rights)
    return MysqlSession(server, options.account_host, connect)


def _miss_rights(target: Target, acting: Account, why: str) -> LoginRefused:
    return LoginRefused(
        f"{write_account(acting)} may not do on {target.asset} what Provost needs: {why}. Grant to itself, "
        "and not to a role: CREATE USER, PROCESS, CONNECTION ADMIN ON *.* and SELECT ON mysql.*",
        code="rights_missing",
    )


async def _choose_dialect(wire: Wire, target: Target, version: str) -> Dialect:
    is_mariadb = "mariadb" in version.lower()
    major, minor = map(int, re.findall(r"\d+", version)[:2])
    if (major, minor) < (_MARIADB if is_mariadb else _MYSQL):
        raise TargetError(
            f"{target.asset} is of version {version}; Provost works with MySQL 8.0 or MariaDB 10.4."
        )
    if is_mariadb:
        return MariaDb()
    try:
        [(partial_revokes,)] = await wire.ask("SELECT @@partial_revokes")
    except Answer as answer:
        if answer.number != _UNKNOWN_VARIABLE:
            raise
        partial_revokes = 0  # older than 8.0.16
    return MySql(partial_revokes=bool(partial_revokes))


connector: type[Connector] = MysqlConnector
