"""The end of an account, for a time or for good: it is disabled, enabled again, or removed."""

import asyncio
from collections.abc import Sequence
from typing import Final, Literal, NamedTuple

import psycopg
from psycopg import sql

from provost.connectors.postgresql.libpq import Refusal
from provost.connectors.postgresql.login import Door
from provost.connectors.postgresql.parameters import PostgresqlRemoval
from provost.connectors.postgresql.wire import Row, Wire, tell
from provost.core.connector import Removal, check_expendable, expect
from provost.core.errors import ChangeRefused, ChangeUnknown, TargetError
from provost.core.job import Login

PROTECTED: Final = frozenset(
    {
        "postgres", "rdsadmin", "rds_superuser", "cloudsqladmin", "cloudsqlsuperuser", "alloydbadmin",
        "alloydbsuperuser", "azuresu", "azure_pg_admin", "azure_superuser",
    }
)  # fmt: skip
"""Roles that servers come with, and those that clouds run them by."""

_MARK: Final = "[disabled by Provost]"
"""Stands at the end of the comment of a role that may not log in because Provost said so."""

_LOOKS: Final = 100
_PAUSE: Final = 0.1
"""How often it is looked whether sessions have ended, and the seconds in between."""


_LEFT: Final = sql.SQL(
    "SELECT pg_describe_object(classid, objid, objsubid) FROM pg_shdepend "
    "WHERE refclassid = 'pg_authid'::regclass AND refobjid = {} "
    "AND dbid IN (0, (SELECT oid FROM pg_database WHERE datname = current_database())) ORDER BY 1 LIMIT 5"
)


class _Role(NamedTuple):
    oid: int
    is_superuser: bool
    may_log_in: bool
    comment: str
    is_ours: bool
    """Whether the account that acts has its rights."""


class _Stuck(Exception):
    """A step that certainly was not made, though no statement of this session failed. Its text says why."""


class _Bequest(NamedTuple):
    """Statements that pass on what an account has in one database, ask what it has still, and tidy up."""

    give: tuple[sql.Composable, ...]
    ask: sql.Composed
    tidy: tuple[sql.Composable, ...]

    async def pass_on(self, wire: Wire, *after: sql.Composable) -> None:
        """Do it in one transaction, with what comes after it.

        Raises:
            _Stuck: the account has rights that are not the acting account's to take away.
            psycopg.Error: likewise, as the server says it.
        """
        try:
            _check_left(await wire.ask(_join(sql.SQL("BEGIN"), *self.give, self.ask)))
            await wire.ask(_join(*self.tidy, *after, sql.SQL("COMMIT")))
        except (psycopg.Error, _Stuck):
            await wire.ask("ROLLBACK")
            raise


class Leaving:
    """Ends accounts, by the session of one that acts."""

    def __init__(self, wire: Wire, door: Door, login: Login, role: str) -> None:
        self._wire = wire
        self._door = door
        self._login = login
        self._acting = {login.username, role}
        self._asset = door.target.asset

    async def disable(self, username: str) -> str:
        """Let an account log in no more, and end its sessions."""
        role = await self._find(username)
        if role is None:
            return ""
        try:
            await self._lock(username, role)
        except psycopg.Error as error:
            raise ChangeRefused(
                f"{self._asset} did not disable {username}: {tell(error)}", code="disable_refused"
            ) from None
        try:
            await self._end_sessions(username, role)
        except (psycopg.Error, _Stuck) as error:
            raise ChangeUnknown(
                f"{username} may log in no more on {self._asset}, and its sessions go on: {_tell(error)}",
                code="processes_left",
            ) from None
        return ""

    async def enable(self, username: str) -> str:
        """Let an account log in again that was disabled by Provost."""
        role = await self._find(username)
        if role is None:
            raise ChangeRefused(f"There is no account {username} on {self._asset}.", code="enable_refused")
        marked = role.comment.endswith(_MARK)
        if role.may_log_in and not marked:
            return ""
        if not marked:
            raise ChangeRefused(
                f"{username} may not log in on {self._asset}, and that is not Provost's doing: it is a group, "
                "or somebody else disabled it. If it is to log in: ALTER ROLE ... LOGIN",
                code="enable_refused",
            )
        try:
            await self._unlock(username, role)
        except psycopg.Error as error:
            raise ChangeRefused(
                f"{self._asset} did not enable {username}: {tell(error)}", code="enable_refused"
            ) from None
        return ""

    async def remove(self, removal: Removal) -> str:
        """Give what an account owns in any database to an heir, take its rights away, and drop it."""
        username, parameters = removal.username, expect(removal.parameters, PostgresqlRemoval)
        role = await self._find(username)
        if role is None:
            return ""
        heir = parameters.reassign_to
        bequest = await self._write_bequest(username, role, heir)
        found = await self._list_dependencies(role)
        drop = sql.SQL("DROP ROLE {}").format(sql.Identifier(username))
        done: list[str] = []
        try:
            await self._lock(username, role)
            await self._end_sessions(username, role)
            for database in (name for name, is_elsewhere, _ in found if is_elsewhere):
                await self._pass_on_elsewhere(username, database, bequest)
                done.append(database)
            if found:
                await bequest.pass_on(self._wire, drop)
            else:
                await self._wire.ask(drop)
        except (psycopg.Error, _Stuck) as error:
            await self._take_back(username, role, done, _tell(error))
        return (
            f"What it owned is {heir or self._login.username}'s now." if any(owns for *_, owns in found) else ""
        )

    async def _take_back(self, username: str, role: _Role, done: list[str], words: str) -> None:
        """Undo what can be undone of a removal that got stuck, and tell how it stands."""
        if done:
            raise ChangeUnknown(
                f"{username} on {self._asset} may log in no more, and owns nothing any more in "
                f"{', '.join(done)}. Then: {words}",
                code="remove_unfinished",
            ) from None
        if role.may_log_in:
            try:
                await self._unlock(username, role)
            except psycopg.Error as error:
                raise ChangeUnknown(
                    f"{username} on {self._asset} may log in no more, and has all that it had. "
                    f"{words} {tell(error)}",
                    code="remove_unfinished",
                ) from None
        raise ChangeRefused(
            f"{username} was not removed from {self._asset}: it has all that it had but for running "
            f"sessions. {words}"
        ) from None

    async def _pass_on_elsewhere(self, username: str, database: str, bequest: _Bequest) -> None:
        assert self._login.password is not None  # noqa: S101  # it is what this session was opened with
        try:
            connection = await self._door.log_in(self._login.username, self._login.password, database)
        except (Refusal, TargetError) as error:
            words = error.words if isinstance(error, Refusal) else error.message
            raise _Stuck(f"{self._login.username} cannot connect to the database {database}: {words}") from None
        wire = Wire(connection, self._asset, self._door.timeouts.command)
        try:
            await wire.prepare()
            await bequest.pass_on(wire)
        except (psycopg.Error, _Stuck) as error:
            raise _Stuck(f"In the database {database}: {_tell(error)}") from None
        except TargetError as error:
            raise ChangeUnknown(
                f"{username} on {self._asset} may log in no more, and may own nothing in {database} any more. "
                f"Then: {error.message}",
                code="remove_unfinished",
            ) from None
        finally:
            await wire.close()

    async def _write_bequest(self, username: str, role: _Role, heir: str | None) -> _Bequest:
        """Write down how what an account owns in a database is passed on.

        Who acts needs the rights of both for that; without them, it is a member of them in between.
        """
        name: sql.Composable = sql.Identifier(username)
        receiver: sql.Composable = sql.SQL("CURRENT_USER")
        borrowed: list[sql.Composable] = [] if role.is_ours else [name]
        if heir is not None:
            found = await self._wire.ask(
                "SELECT pg_has_role(oid, 'USAGE') FROM pg_roles WHERE rolname = %s::text", heir
            )
            if not found or heir == username:
                raise ChangeRefused(
                    f"{self._asset} has no other account {heir} that could get what {username} owns."
                )
            receiver = sql.Identifier(heir)
            borrowed += [] if found[0][0] else [receiver]
        return _Bequest(
            (
                *(sql.SQL("GRANT {} TO CURRENT_USER").format(one) for one in borrowed),
                sql.SQL("REASSIGN OWNED BY {} TO {}").format(name, receiver),
                sql.SQL("DROP OWNED BY {}").format(name),
            ),
            _LEFT.format(sql.Literal(role.oid)),
            tuple(sql.SQL("REVOKE {} FROM CURRENT_USER").format(one) for one in borrowed),
        )

    async def _list_dependencies(self, role: _Role) -> Sequence[Row]:
        """Return where a role has anything: the database (None: beside all), if elsewhere, if as owner."""
        return await self._wire.ask(
            "SELECT d.datname::text, d.datname <> current_database(), bool_or(s.deptype = 'o') "
            "FROM pg_shdepend s LEFT JOIN pg_database d ON d.oid = s.dbid "
            "WHERE s.refclassid = 'pg_authid'::regclass AND s.refobjid = %s::oid GROUP BY 1, 2 ORDER BY 1",
            role.oid,
        )

    async def _end_sessions(self, username: str, role: _Role) -> None:
        """End what an account has running, as a member of it if that is what it takes."""
        if not await self._count_sessions(role):
            return
        ending = sql.SQL("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usesysid = {}")
        steps = [ending.format(sql.Literal(role.oid))]
        if not role.is_ours:
            name = sql.Identifier(username)
            steps.insert(0, sql.SQL("GRANT {} TO CURRENT_USER").format(name))
            steps.append(sql.SQL("REVOKE {} FROM CURRENT_USER").format(name))
        await self._wire.ask(_join(*steps))
        for _ in range(_LOOKS):
            if not (left := await self._count_sessions(role)):
                return
            await asyncio.sleep(_PAUSE)
        raise _Stuck(f"{left} of them do not end.")

    async def _count_sessions(self, role: _Role) -> int:
        rows = await self._wire.ask("SELECT count(*) FROM pg_stat_activity WHERE usesysid = %s::oid", role.oid)
        return int(rows[0][0])

    async def _find(self, username: str) -> _Role | None:
        """Look a role up that is to leave, and refuse who cannot."""
        rows = await self._wire.ask(
            "SELECT oid::bigint, rolsuper, rolcanlogin, coalesce(shobj_description(oid, 'pg_authid'), ''), "
            "pg_has_role(oid, 'USAGE') FROM pg_roles WHERE rolname = %s::text",
            username,
        )
        role = _Role(*rows[0]) if rows else None
        needed = username in PROTECTED or (role is not None and role.is_superuser)
        check_expendable(username, self._asset, acts=username in self._acting, needed=needed)
        return role

    async def _lock(self, username: str, role: _Role) -> None:
        """Take the right to log in from an account that has it, and note that."""
        if role.may_log_in:
            await self._wire.ask(
                _alter(username, "NOLOGIN", f"{role.comment.removesuffix(_MARK).rstrip()} {_MARK}".strip())
            )

    async def _unlock(self, username: str, role: _Role) -> None:
        await self._wire.ask(_alter(username, "LOGIN", role.comment.removesuffix(_MARK).rstrip()))


def _alter(username: str, attribute: Literal["LOGIN", "NOLOGIN"], comment: str) -> sql.Composed:
    name = sql.Identifier(username)
    return _join(
        sql.SQL("ALTER ROLE {} {}").format(name, sql.SQL(attribute)),
        sql.SQL("COMMENT ON ROLE {} IS {}").format(name, sql.Literal(comment or None)),
    )


def _join(*statements: sql.Composable) -> sql.Composed:
    """Return one transaction of several statements."""
    return sql.SQL("; ").join(statements)


def _check_left(rows: Sequence[Row]) -> None:
    if rows:
        raise _Stuck(
            f"Others granted it rights on {', '.join(row[0] for row in rows)}, which only they, a member of "
            "theirs or a superuser can take away."
        )


def _tell(error: psycopg.Error | _Stuck) -> str:
    return tell(error) if isinstance(error, psycopg.Error) else str(error)
