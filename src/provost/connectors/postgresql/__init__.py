"""The kind `postgresql`: servers of PostgreSQL, whose accounts are roles that may log in."""

from typing import Final

import psycopg

from provost.connectors._logins import take_password
from provost.connectors._ssh import Routes
from provost.connectors.postgresql.leaving import PROTECTED
from provost.connectors.postgresql.libpq import Refusal
from provost.connectors.postgresql.login import Door
from provost.connectors.postgresql.parameters import (
    PostgresqlOptions,
    PostgresqlParameters,
    PostgresqlRemoval,
    explain_name,
)
from provost.connectors.postgresql.session import PostgresqlSession
from provost.connectors.postgresql.wire import Wire, tell
from provost.core.connector import Timeouts, Witness
from provost.core.errors import LoginRefused, Refused
from provost.core.job import Login, Target
from provost.core.model import Become, Capability, SecretType
from provost.core.passwords import PasswordLimits

_RIGHTS: Final = """
    SELECT current_user::text, rolsuper OR rolcreaterole FROM pg_roles WHERE rolname = current_user
"""


class PostgresqlConnector:
    """Serves one run; gateways are shared within it."""

    kind = "postgresql"
    default_port = 5432
    secret_types = frozenset({SecretType.PASSWORD})
    capabilities = frozenset(Capability)
    protected = PROTECTED
    passwords = PasswordLimits(longest=1024)  # what clients before version 14 would take
    becomes = frozenset({Become.NONE})
    options = PostgresqlOptions
    parameters = PostgresqlParameters
    removal = PostgresqlRemoval

    def __init__(self) -> None:
        self._routes = Routes()

    def check_username(self, username: str) -> None:
        """Take every name that a role can have, but for those with control characters."""
        if why := explain_name(username):
            raise Refused(
                f"{username!r} cannot be a username on PostgreSQL: it {why}.", code="username_refused"
            )

    async def open(
        self, target: Target, login: Login, timeouts: Timeouts, witness: Witness
    ) -> PostgresqlSession:
        """Log in as a role that may create others."""
        password = take_password(target, login)
        options = PostgresqlOptions.model_validate(dict(target.options))
        door = Door(target, options, self._routes, timeouts, witness)
        try:
            connection = await door.log_in(login.username, password)
        except Refusal as refusal:
            raise refusal.explain(target, login.username) from None
        wire = Wire(connection, target.asset, timeouts.command)
        try:
            role = await _find_role(wire, target, login)
        except BaseException:
            await wire.close()
            raise
        return PostgresqlSession(wire, door, login, role)

    async def close(self) -> None:
        """End the gateways."""
        await self._routes.close()


async def _find_role(wire: Wire, target: Target, login: Login) -> str:
    """Return the role that the login acts as.

    Raises:
        LoginRefused: it may not create others.
    """
    try:
        await wire.prepare()
        role, may_create = (await wire.ask(_RIGHTS))[0]
    except psycopg.Error as error:
        raise LoginRefused(
            f"{login.username} may not look at what it may do on {target.asset}: {tell(error)}",
            code="rights_missing",
        ) from None
    if not may_create:
        raise LoginRefused(
            f"{role} may not create accounts on {target.asset}. A superuser there grants it: "
            "ALTER ROLE ... CREATEROLE",
            code="rights_missing",
        )
    return str(role)


connector = PostgresqlConnector
