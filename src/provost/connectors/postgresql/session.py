"""A privileged session on one PostgreSQL server."""

from collections.abc import AsyncIterator, Awaitable, Mapping, Sequence
from typing import Final

import psycopg
from psycopg import sql

from provost.connectors.postgresql.leaving import Leaving
from provost.connectors.postgresql.libpq import Refusal
from provost.connectors.postgresql.login import Door
from provost.connectors.postgresql.parameters import PostgresqlParameters
from provost.connectors.postgresql.wire import Row, Wire, tell
from provost.core.connector import (
    Applied,
    Change,
    PlainSession,
    Removal,
    Verification,
    answer_each,
    expect,
)
from provost.core.errors import ChangeRefused, LookupFailed, TargetError
from provost.core.facts import Facts
from provost.core.job import Login
from provost.core.model import Decision, Presence, Verdict
from provost.core.secrets import Password, Secret

_DUPLICATE: Final = "42710"

_ATTRIBUTES: Final = {
    "createdb": sql.SQL("CREATEDB"),
    "createrole": sql.SQL("CREATEROLE"),
    "replication": sql.SQL("REPLICATION"),
    "bypassrls": sql.SQL("BYPASSRLS"),
    "superuser": sql.SQL("SUPERUSER"),
}

_DISCOVER: Final = """
    SELECT r.rolname::text, r.oid::bigint, r.rolcanlogin, r.rolsuper,
        array_remove(ARRAY[
            CASE WHEN r.rolcreaterole THEN 'CREATEROLE' END, CASE WHEN r.rolcreatedb THEN 'CREATEDB' END,
            CASE WHEN r.rolreplication THEN 'REPLICATION' END, CASE WHEN r.rolbypassrls THEN 'BYPASSRLS' END
        ], NULL),
        ARRAY(
            SELECT DISTINCT g.rolname::text FROM pg_auth_members m JOIN pg_roles g ON g.oid = m.roleid
            WHERE m.member = r.oid ORDER BY 1
        ),
        CASE WHEN r.rolvaliduntil >= '0001-01-01 UTC' AND r.rolvaliduntil < '9999-01-01 UTC'
            THEN (r.rolvaliduntil AT TIME ZONE 'UTC')::date END,
        r.rolconnlimit <> 0 AND coalesce(r.rolvaliduntil > now(), true),
        shobj_description(r.oid, 'pg_authid')
    FROM pg_roles r WHERE r.rolname !~ '^pg_' ORDER BY 1
"""

_FIRST: Final = 10
"""The oid of the role that initdb made."""


class PostgresqlSession(PlainSession):
    """One connection, as a role that may create others."""

    def __init__(self, wire: Wire, door: Door, login: Login, role: str) -> None:
        self.actor = login.username
        self._wire = wire
        self._door = door
        self._asset = door.target.asset
        self._leaving = Leaving(wire, door, login, role)

    async def observe(self, usernames: Sequence[str]) -> Mapping[str, Presence | TargetError]:
        """Look all roles up at once."""
        try:
            rows = await self._wire.ask(
                "SELECT rolname::text FROM pg_roles WHERE rolname = ANY(%s::text[])", list(usernames)
            )
        except psycopg.Error as error:
            failed = LookupFailed(f"Looking accounts up on {self._asset} failed: {tell(error)}")
            return dict.fromkeys(usernames, failed)
        there = {row[0] for row in rows}
        return {name: Presence.PRESENT if name in there else Presence.ABSENT for name in usernames}

    async def discover(self) -> Sequence[Facts]:
        """Read what the catalogue tells of all roles, but for those that PostgreSQL brings to be granted."""
        try:
            rows = await self._wire.ask(_DISCOVER)
        except (psycopg.Error, UnicodeError) as error:
            words = tell(error) if isinstance(error, psycopg.Error) else str(error)
            raise LookupFailed(f"The accounts of {self._asset} cannot be listed: {words}") from None
        return [_describe(row) for row in rows]

    def apply(self, changes: Sequence[Change]) -> AsyncIterator[Applied]:
        """Make each change by one statement: it is made, or it is not."""
        return answer_each(changes, self._set)

    def disable(self, usernames: Sequence[str]) -> AsyncIterator[Applied]:
        """Take the right to log in away, and end sessions."""
        return answer_each(usernames, lambda username: self._end(self._leaving.disable(username)))

    def enable(self, usernames: Sequence[str]) -> AsyncIterator[Applied]:
        """Give back the right to log in, where Provost took it away."""
        return answer_each(usernames, lambda username: self._end(self._leaving.enable(username)))

    def remove(self, removals: Sequence[Removal]) -> AsyncIterator[Applied]:
        """Pass on what accounts own, and drop them."""
        return answer_each(removals, lambda removal: self._end(self._leaving.remove(removal)))

    async def _end(self, ending: Awaitable[str]) -> str:
        try:
            return await ending
        except psycopg.Error as error:
            raise ChangeRefused(f"{self._asset} refused: {tell(error)}") from None

    async def verify(self, username: str, secret: Secret) -> Verification:
        """Log in afresh; a failure that the account's own settings explain says nothing about the secret."""
        password = expect(secret, Password)
        try:
            await (await self._door.log_in(username, password)).close()
        except TargetError as error:
            return Verification.from_error(error)
        except Refusal as refusal:
            return await self._judge(username, refusal)
        return Verification(Verdict.ACCEPTED)

    async def _judge(self, username: str, refusal: Refusal) -> Verification:
        said = f"{self._asset} said: {refusal.words}"
        if refusal.proves_password:
            return Verification(Verdict.ACCEPTED)
        if refusal.hears_wrong_password:
            try:
                bar = await self._find_bar(username)
            except (psycopg.Error, TargetError):
                return Verification(
                    Verdict.UNKNOWN,
                    "policy_unreadable",
                    f"{username} was not let in, and {self._asset} could not be asked what forbids it. {said}",
                    refused=True,
                )
            if bar:
                return Verification(Verdict.UNKNOWN, "policy_forbids_login", f"{bar} {said}", refused=True)
            return Verification(
                Verdict.REJECTED, "login_rejected", f"{username} was not let in. {said}", refused=True
            )
        if refusal.forbids_way:
            return Verification(
                Verdict.UNKNOWN,
                "policy_forbids_login",
                f"pg_hba.conf does not let {username} in from here. {said}",
            )
        return Verification(Verdict.UNKNOWN, "unreachable", said)

    async def _find_bar(self, username: str) -> str:
        """Return what forbids an account to log in whatever the password is, or an empty string."""
        rows = await self._wire.ask(
            "SELECT rolcanlogin, coalesce(rolvaliduntil <= now(), false) FROM pg_roles WHERE rolname = %s",
            username,
        )
        for may_log_in, has_expired in rows:
            if not may_log_in:
                return f"{username} may not log in on {self._asset} (NOLOGIN)."
            if has_expired:
                return f"The password of {username} on {self._asset} is not valid any more (VALID UNTIL)."
        return ""

    async def close(self) -> None:
        """End the connection."""
        await self._wire.close()

    async def _set(self, change: Change) -> str:
        password = expect(change.secret, Password)
        adopts = change.decision is Decision.ADOPT
        verifier = self._wire.encrypt(change.username, password.text)
        words = [sql.SQL("ALTER ROLE") if adopts else sql.SQL("CREATE ROLE"), sql.Identifier(change.username)]
        if not adopts:
            words += _write_attributes(expect(change.parameters, PostgresqlParameters))
        words += [sql.SQL("PASSWORD"), sql.Literal(verifier)]
        try:
            await self._wire.ask(sql.SQL(" ").join(words))
        except psycopg.Error as error:
            if error.sqlstate == _DUPLICATE and not adopts:
                raise ChangeRefused(
                    f"{change.username} appeared on {self._asset} since it was looked for; push again.",
                    code="appeared",
                ) from None
            raise ChangeRefused(
                f"{self._asset} did not {'change' if adopts else 'create'} {change.username}: {tell(error)}",
                code="password_refused" if adopts else "create_refused",
            ) from None
        return ""


def _write_attributes(parameters: PostgresqlParameters) -> list[sql.Composable]:
    """Return the words of CREATE ROLE that parameters ask for."""
    words: list[sql.Composable] = [sql.SQL("LOGIN"), sql.SQL("INHERIT" if parameters.inherit else "NOINHERIT")]
    words += [word for name, word in _ATTRIBUTES.items() if getattr(parameters, name)]
    if parameters.connection_limit is not None:
        words += [sql.SQL("CONNECTION LIMIT"), sql.Literal(parameters.connection_limit)]
    if parameters.valid_until is not None:
        words += [sql.SQL("VALID UNTIL"), sql.Literal(f"{parameters.valid_until} 00:00:00+00")]
    if parameters.groups:
        words += [sql.SQL("IN ROLE"), sql.SQL(", ").join(map(sql.Identifier, parameters.groups))]
    return words


def _describe(row: Row) -> Facts:
    name, oid, may_log_in, is_superuser, privileges, groups, expires, is_open, comment = row
    return Facts(
        username=name,
        uid=oid,
        groups=tuple(groups),
        comment=comment,
        system=oid == _FIRST,
        can_log_in=may_log_in and is_open,
        locked=None if may_log_in else True,
        superuser=is_superuser,
        privileges=tuple(privileges),
        expires=expires,
    )
