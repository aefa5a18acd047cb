"""How accounts of PostgreSQL end: what they own, what they run, and who stays."""

from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from typing import Any

import psycopg
import pytest
from tests.conftest import do_without
from tests.kinds.postgresql import PostgresqlBench, PostgresqlServer, find_programs

from provost.conformance import Trial
from provost.conformance.cutter import Cutter
from provost.conformance.reaching import lead_through, open_session
from provost.connectors.postgresql import PostgresqlConnector
from provost.connectors.postgresql.parameters import PostgresqlRemoval
from provost.connectors.postgresql.session import PostgresqlSession
from provost.core.connector import Removal
from provost.core.errors import ChangeRefused, ChangeUnknown, TargetError
from provost.core.job import Login
from provost.core.model import Action, Status
from provost.core.secrets import Password


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresqlServer]:
    programs = find_programs()
    if programs is None:
        do_without("PostgreSQL's server is not installed (Debian: apt-get install postgresql)")
    with PostgresqlServer(programs) as server:
        server.run("CREATE ROLE owner; GRANT owner TO provost; ALTER DATABASE postgres OWNER TO owner")
        server.run("CREATE DATABASE market")
        server.run("CREATE DATABASE shop OWNER owner")
        server.run("CREATE DATABASE zoo OWNER owner")
        for database in ("postgres", "shop", "zoo"):
            server.run(
                "GRANT CREATE ON SCHEMA public TO public; SET ROLE owner; CREATE TABLE other (n int)", database
            )
        yield server


@pytest.fixture
def bench(server: PostgresqlServer) -> PostgresqlBench:
    return PostgresqlBench(server)


@pytest.fixture
def account(bench: PostgresqlBench) -> tuple[str, Password]:
    """An account that is there."""
    username, secret = Trial.name(), Password("their own")
    bench.make(username, secret)
    return username, secret


@pytest.fixture
async def session(bench: PostgresqlBench) -> AsyncIterator[PostgresqlSession]:
    async with open_session(PostgresqlConnector(), bench.target) as session:
        yield session


async def remove(session: PostgresqlSession, username: str, **parameters: Any) -> TargetError | str:
    """Remove an account, and return what went wrong, or else what it said."""
    [applied] = [one async for one in session.remove([Removal(username, PostgresqlRemoval(**parameters))])]
    return applied.error or applied.message


async def disable(session: PostgresqlSession, username: str) -> TargetError | None:
    """Disable an account, and return what went wrong."""
    [applied] = [one async for one in session.disable([username])]
    return applied.error


async def enable(session: PostgresqlSession, username: str) -> TargetError | None:
    """Enable an account, and return what went wrong."""
    [applied] = [one async for one in session.enable([username])]
    return applied.error


def connect(server: PostgresqlServer, username: str, secret: Password) -> psycopg.Connection:
    """Log in as an account."""
    return psycopg.connect(
        host="127.0.0.1",
        port=server.port,
        user=username,
        password=secret.text,
        dbname="postgres",
        autocommit=True,
    )


def furnish(server: PostgresqlServer, username: str, *databases: str) -> None:
    """Have an account own things of many sorts in some databases, and be granted some by `owner`."""
    for database in databases:
        server.run(
            f"SET ROLE owner; GRANT CREATE ON DATABASE {database} TO {username}; "
            f"GRANT SELECT ON other TO {username}; SET ROLE {username}; "
            f"CREATE TABLE things_{username} (n serial PRIMARY KEY); "
            f"INSERT INTO things_{username} DEFAULT VALUES; CREATE VIEW v_{username} AS SELECT 1; "
            f"CREATE FUNCTION f_{username}() RETURNS int LANGUAGE sql AS 'SELECT 1'; "
            f"CREATE TYPE t_{username} AS ENUM ('a'); "
            f"ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO public; CREATE SCHEMA s_{username}",
            database,
        )


def list_owners(server: PostgresqlServer, username: str, database: str) -> set[str]:
    """Return who owns what `furnish` made, and look that it is there."""
    rows = server.run(
        f"SELECT count(*) FROM things_{username}; "  # noqa: S608  # the test's own
        f"SELECT relowner::regrole FROM pg_class WHERE relname ~ '{username}' UNION ALL "
        f"SELECT proowner::regrole FROM pg_proc WHERE proname ~ '{username}' UNION ALL "
        f"SELECT typowner::regrole FROM pg_type WHERE typname ~ '{username}' UNION ALL "
        f"SELECT nspowner::regrole FROM pg_namespace WHERE nspname ~ '{username}'",
        database,
    ).splitlines()
    assert rows[0] == "1"
    assert len(rows) > 7
    return set(rows[1:])


def list_memberships(server: PostgresqlServer) -> str:
    """Return what the acting account is a member of by its own doing."""
    return server.run(
        "SELECT roleid::regrole FROM pg_auth_members WHERE member = 'provost'::regrole "
        "AND grantor = 'provost'::regrole"
    )


# Removing.


async def test_what_it_owned_is_the_acting_accounts(
    bench: PostgresqlBench, session: PostgresqlSession, account: tuple[str, Password]
) -> None:
    """In every database; its rights are gone with it, and what others own there stays theirs."""
    username, _ = account
    furnish(bench.server, username, "postgres", "shop", "zoo")
    bench.server.run(f"CREATE DATABASE d_{username} OWNER {username}")
    assert await remove(session, username) == "What it owned is provost's now."
    assert not bench.has(username)
    for database in ("postgres", "shop", "zoo"):
        assert list_owners(bench.server, username, database) == {"provost"}
        assert bench.server.run("SELECT relowner::regrole FROM pg_class WHERE relname = 'other'", database) == (
            "owner"
        )
    owner = bench.server.run(f"SELECT datdba::regrole FROM pg_database WHERE datname = 'd_{username}'")  # noqa: S608  # the test's own
    assert owner == "provost"
    assert list_memberships(bench.server) == ""


async def test_what_it_owned_is_somebody_elses(
    bench: PostgresqlBench, session: PostgresqlSession, account: tuple[str, Password]
) -> None:
    """`reassign_to` gets it; the acting account is a member of neither afterwards."""
    username, _ = account
    heir = Trial.name("heir")
    bench.make(heir, Password("x"))
    furnish(bench.server, username, "shop")
    assert await remove(session, username, reassign_to=heir) == f"What it owned is {heir}'s now."
    assert list_owners(bench.server, username, "shop") == {heir}
    assert list_memberships(bench.server) == ""


@pytest.mark.parametrize("heir", ["nobody there", "itself", "postgres"])
async def test_heirs_that_cannot_be(
    bench: PostgresqlBench, session: PostgresqlSession, account: tuple[str, Password], heir: str
) -> None:
    """One that is not there, the account itself, one that is out of reach: all is as it was."""
    username, secret = account
    furnish(bench.server, username, "shop")
    error = await remove(session, username, reassign_to=username if heir == "itself" else heir)
    assert isinstance(error, ChangeRefused)
    assert bench.log_in(username, secret)
    assert list_owners(bench.server, username, "shop") == {username}
    assert not isinstance(await remove(session, username), TargetError)


@pytest.mark.parametrize("grant", ["ON TABLE present", "ON DATABASE market"])
async def test_rights_that_superusers_granted(
    bench: PostgresqlBench, session: PostgresqlSession, account: tuple[str, Password], grant: str
) -> None:
    """Only they can take them away: all is as it was, and the message says on what they are."""
    username, secret = account
    furnish(bench.server, username, "shop", "zoo")
    bench.server.run(f"CREATE TABLE IF NOT EXISTS present (n int); GRANT ALL {grant} TO {username}", "shop")
    error = await remove(session, username)
    assert isinstance(error, ChangeRefused)
    assert "rights on " in error.message
    assert grant.rsplit(maxsplit=1)[-1] in error.message
    assert bench.log_in(username, secret)
    for database in ("shop", "zoo"):
        assert list_owners(bench.server, username, database) == {username}
    assert list_memberships(bench.server) == ""
    bench.server.run("DROP ROLE IF EXISTS boss; CREATE ROLE boss SUPERUSER LOGIN PASSWORD 'x'")
    target = replace(bench.target, logins=(Login("boss", Password("x")),))
    async with open_session(PostgresqlConnector(), target) as mighty:
        assert await remove(mighty, username, reassign_to="provost") == "What it owned is provost's now."
    assert list_owners(bench.server, username, "zoo") == {"provost"}


async def test_a_schema_that_was_a_present(
    bench: PostgresqlBench, session: PostgresqlSession, account: tuple[str, Password]
) -> None:
    """To pass on a schema takes the right to create some: without it, the server's words say so."""
    username, secret = account
    bench.server.run("REVOKE owner FROM provost")
    bench.server.run(f"CREATE SCHEMA s_{username} AUTHORIZATION {username}", "shop")
    error = await remove(session, username)
    assert isinstance(error, ChangeRefused)
    assert "permission denied for database shop" in error.message
    assert bench.log_in(username, secret)
    bench.server.run("GRANT CREATE ON DATABASE shop TO provost")
    try:
        assert not isinstance(await remove(session, username), TargetError)
    finally:
        bench.server.run("REVOKE CREATE ON DATABASE shop FROM provost; GRANT owner TO provost")


async def test_what_it_runs_ends_first(
    bench: PostgresqlBench, session: PostgresqlSession, account: tuple[str, Password]
) -> None:
    """Its sessions are ended, and none of others."""
    username, secret = account
    with connect(bench.server, username, secret) as hers:
        assert await remove(session, username) == ""
        with pytest.raises(psycopg.OperationalError):
            hers.execute("SELECT 1")
    assert list_memberships(bench.server) == ""


async def test_a_database_out_of_reach(
    bench: PostgresqlBench, session: PostgresqlSession, account: tuple[str, Password]
) -> None:
    """If nothing was passed on yet, the account is as it was, with its comment; once it is mended, it goes."""
    username, secret = account
    furnish(bench.server, username, "shop")
    bench.server.run(
        f"REVOKE CONNECT ON DATABASE shop FROM public, owner; COMMENT ON ROLE {username} IS 'hers'"
    )
    try:
        error = await remove(session, username)
        assert isinstance(error, ChangeRefused)
        assert "shop" in error.message
        assert bench.log_in(username, secret)
        assert bench.server.run(f"SELECT shobj_description('{username}'::regrole, 'pg_authid')") == "hers"
        assert list_owners(bench.server, username, "shop") == {username}
    finally:
        bench.server.run("GRANT CONNECT ON DATABASE shop TO public")
    assert not isinstance(await remove(session, username), TargetError)
    assert not bench.has(username)


async def test_a_removal_that_gets_stuck(
    bench: PostgresqlBench, session: PostgresqlSession, account: tuple[str, Password]
) -> None:
    """It tells what was passed on and what was not; nobody gets in; another goes on where it ended."""
    username, secret = account
    furnish(bench.server, username, "shop", "zoo")
    bench.server.run("REVOKE CONNECT ON DATABASE zoo FROM public, owner")
    try:
        error = await remove(session, username)
        assert isinstance(error, ChangeUnknown)
        assert error.code == "remove_unfinished"
        assert "shop" in error.message
        assert not bench.log_in(username, secret)
        assert list_owners(bench.server, username, "shop") == {"provost"}
        assert list_owners(bench.server, username, "zoo") == {username}
        assert list_memberships(bench.server) == ""
    finally:
        bench.server.run("GRANT CONNECT ON DATABASE zoo TO public")
    assert not isinstance(await remove(session, username), TargetError)
    assert list_owners(bench.server, username, "zoo") == {"provost"}


async def test_what_the_server_does_not_drop(
    bench: PostgresqlBench, session: PostgresqlSession, account: tuple[str, Password]
) -> None:
    """Whom the acting account is a member of by a circle, and what else stands in the way, is said."""
    username, secret = account
    furnish(bench.server, username, "postgres")
    if bench.server.major >= 16:
        pytest.skip("who may do it is a member of it by that")
    bench.server.run(f"GRANT provost TO {username}")
    error = await remove(session, username)
    assert isinstance(error, ChangeRefused)
    assert "member" in error.message
    assert bench.log_in(username, secret)
    bench.server.run(f"REVOKE provost FROM {username}")
    assert not isinstance(await remove(session, username), TargetError)


@pytest.mark.parametrize("acts_as", ["provost", "boss"])
async def test_superusers_stay(bench: PostgresqlBench, acts_as: str) -> None:
    """Whatever their name, and whoever asks."""
    bench.server.run(
        "DROP ROLE IF EXISTS boss, king; CREATE ROLE boss SUPERUSER LOGIN PASSWORD 'x'; "
        "CREATE ROLE king SUPERUSER"
    )
    target = bench.target
    if acts_as == "boss":
        target = replace(target, logins=(Login("boss", Password("x")),))
    async with open_session(PostgresqlConnector(), target) as session:
        for name in ("king", "postgres", acts_as):
            for error in (await remove(session, name), await disable(session, name)):
                assert isinstance(error, ChangeRefused)
                assert error.code == ("acting_account" if name == acts_as else "protected_account")
            assert bench.has(name)


async def test_who_acts_by_another_name(bench: PostgresqlBench, account: tuple[str, Password]) -> None:
    """A login that acts as another role (SET role) may remove neither."""
    username, secret = account
    bench.server.run(
        "DROP ROLE IF EXISTS makers; CREATE ROLE makers CREATEROLE; "
        f"GRANT makers TO {username}; ALTER ROLE {username} SET role = makers"
    )
    target = replace(bench.target, logins=(Login(username, secret),))
    async with open_session(PostgresqlConnector(), target) as session:
        for name in (username, "makers"):
            error = await remove(session, name)
            assert isinstance(error, ChangeRefused)
            assert error.code == "acting_account"


# Disabling and enabling.


async def test_disabling_ends_sessions_and_keeps_the_comment(
    bench: PostgresqlBench, session: PostgresqlSession, account: tuple[str, Password]
) -> None:
    """The comment has a mark while it is disabled; nothing else of the account changes."""
    username, secret = account
    bench.server.run(f"COMMENT ON ROLE {username} IS 'it''s hers'; GRANT pg_monitor TO {username}")
    asked = f"SELECT r.*, shobj_description(oid, 'pg_authid') FROM pg_roles r WHERE rolname = '{username}'"  # noqa: S608  # the test's own
    before = bench.server.run(asked)
    with connect(bench.server, username, secret) as hers:
        for _ in range(2):
            assert await disable(session, username) is None
        with pytest.raises(psycopg.OperationalError):
            hers.execute("SELECT 1")
    assert "it's hers [disabled by Provost]" in bench.server.run(asked)
    assert list_memberships(bench.server) == ""
    for _ in range(2):
        assert await enable(session, username) is None
    assert bench.server.run(asked) == before
    assert bench.log_in(username, secret)


async def test_enabling_what_somebody_else_disabled(
    bench: PostgresqlBench, session: PostgresqlSession, account: tuple[str, Password]
) -> None:
    """A group, or what somebody else disabled, is let in neither after Provost disabled it nor before."""
    username, _ = account
    bench.server.run(f"ALTER ROLE {username} NOLOGIN")
    for _ in range(2):
        error = await enable(session, username)
        assert isinstance(error, ChangeRefused)
        assert error.code == "enable_refused"
        assert await disable(session, username) is None
    assert bench.server.run(f"SELECT rolcanlogin FROM pg_roles WHERE rolname = '{username}'") == "f"  # noqa: S608  # the test's own
    error = await enable(session, "nobody there")
    assert isinstance(error, ChangeRefused)


async def test_enabling_what_somebody_else_enabled(
    bench: PostgresqlBench, session: PostgresqlSession, account: tuple[str, Password]
) -> None:
    """The mark goes."""
    username, _ = account
    assert await disable(session, username) is None
    bench.server.run(f"ALTER ROLE {username} LOGIN")
    assert await enable(session, username) is None
    assert bench.server.run(f"SELECT shobj_description('{username}'::regrole, 'pg_authid')") == ""


async def test_sessions_that_cannot_be_ended(
    bench: PostgresqlBench, session: PostgresqlSession, account: tuple[str, Password]
) -> None:
    """The account is disabled, and it is said that its sessions go on."""
    username, secret = account
    if bench.server.major >= 16:
        pytest.skip("who may do it is a member of it by that")
    bench.server.run(f"GRANT provost TO {username}")  # so who acts cannot be a member of it
    with connect(bench.server, username, secret) as hers:
        error = await disable(session, username)
        assert isinstance(error, ChangeUnknown)
        assert error.code == "processes_left"
        assert hers.execute("SELECT 1").fetchone() == (1,)
        assert not bench.log_in(username, secret)
        bench.server.run(f"REVOKE provost FROM {username}")
        assert await disable(session, username) is None


# Cut at any moment.


async def test_a_removal_with_things_that_is_cut(bench: PostgresqlBench) -> None:
    """Wherever it is cut, nothing is lost of what the account owned, and another removal ends it."""
    trial = Trial(bench)

    async def remove_through(cutter: Cutter) -> str:
        username = trial.name()
        bench.make(username, Password("x"))
        furnish(bench.server, username, "postgres", "shop", "zoo")
        await trial.act(Action.REMOVE, username, target=lead_through(bench, cutter))
        return username

    async with Cutter("127.0.0.1", bench.server.port) as whole:
        assert not bench.has(await remove_through(whole))
    for after in range(1, whole.passed, whole.passed // 12):
        async with Cutter("127.0.0.1", bench.server.port, after=after) as cutter:
            username = await remove_through(cutter)
        for database in ("postgres", "shop", "zoo"):
            assert list_owners(bench.server, username, database) <= {username, "provost"}
        [outcome] = await trial.act(Action.REMOVE, username)
        assert outcome.status in {Status.SUCCEEDED, Status.UNCHANGED}, (after, outcome)
        assert not bench.has(username)
        assert list_memberships(bench.server) == ""
        for database in ("postgres", "shop", "zoo"):
            assert list_owners(bench.server, username, database) == {"provost"}
