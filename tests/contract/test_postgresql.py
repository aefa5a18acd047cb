"""The kind `postgresql` passes the suite, on a real server; and what is PostgreSQL's own."""

import asyncio
import os
import signal
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest
from tests.conftest import do_without
from tests.kinds.linux import aim_at_gateway
from tests.kinds.postgresql import NAME, PostgresqlBench, PostgresqlServer, find_programs

from provost import engine
from provost.conformance import Conformance, Trial
from provost.conformance.reaching import Witnessed, open_session
from provost.connectors.postgresql import PostgresqlConnector
from provost.connectors.postgresql.parameters import (
    PostgresqlOptions,
    PostgresqlParameters,
    PostgresqlRemoval,
)
from provost.connectors.postgresql.session import PostgresqlSession
from provost.core.connector import Change, Timeouts
from provost.core.errors import (
    ChangeRefused,
    HostKeyRefused,
    LoginRefused,
    Refused,
    TargetError,
    Unreachable,
)
from provost.core.job import Login, Target
from provost.core.model import Action, Decision, Presence, Status, Verdict
from provost.core.secrets import Password
from provost.lab import Host


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresqlServer]:
    programs = find_programs()
    if programs is None:
        do_without("PostgreSQL's server is not installed (Debian: apt-get install postgresql)")
    with PostgresqlServer(programs) as server:
        yield server


@pytest.fixture
def bench(server: PostgresqlServer) -> Iterator[PostgresqlBench]:
    yield PostgresqlBench(server)
    server.admit()


@pytest.fixture
def trial(bench: PostgresqlBench) -> Trial:
    return Trial(bench)


@pytest.fixture
async def session(bench: PostgresqlBench) -> AsyncIterator[PostgresqlSession]:
    async with open_session(PostgresqlConnector(), bench.target) as session:
        yield session


class TestPostgresql(Conformance):
    @pytest.fixture
    def bench(self, bench: PostgresqlBench) -> PostgresqlBench:
        return bench


async def test_through_a_gateway(bench: PostgresqlBench, host: Host) -> None:
    """By SSH through a host, with the certificate still that of the server's own name."""
    bench.gateway = aim_at_gateway(host)
    await Conformance().test_through_a_gateway(bench, Trial(bench))


# What a push may carry.


def read_role(server: PostgresqlServer, username: str, *columns: str) -> list[str]:
    """Return columns of pg_roles."""
    names = ", ".join(columns)
    return server.run(f"SELECT {names} FROM pg_roles r WHERE rolname = '{username}'").split("|")  # noqa: S608  # the test's own


async def test_parameters_make_the_role(bench: PostgresqlBench, trial: Trial) -> None:
    """Each parameter is what its name says, on the role that is created."""
    bench.server.run('DROP ROLE IF EXISTS "the group"; CREATE ROLE "the group"')
    parameters = PostgresqlParameters.model_validate(
        {
            "groups": "the group",
            "connection_limit": "7",
            "valid_until": "2999-12-31",
            "inherit": "no",
            "createdb": "yes",
            "createrole": "yes",
        }
    )
    if bench.server.major >= 16:
        bench.server.run('ALTER ROLE provost CREATEDB; GRANT "the group" TO provost WITH ADMIN OPTION')
    username = trial.name()
    outcome, held = await trial.push(username, parameters=parameters)
    assert outcome.status is Status.SUCCEEDED, outcome
    assert held
    assert await trial.log_in(username, held)
    assert read_role(
        bench.server, username, "rolconnlimit", "rolvaliduntil AT TIME ZONE 'UTC'", "rolinherit", "rolcreatedb",
        "rolcreaterole", "rolsuper", "pg_has_role(oid, 'the group', 'MEMBER')",
    ) == ["7", "2999-12-31 00:00:00", "f", "t", "t", "f", "t"]  # fmt: skip


async def test_a_plain_push_gives_no_rights(bench: PostgresqlBench, trial: Trial) -> None:
    """Without parameters, a role may log in, and no more."""
    username = trial.name()
    await trial.push(username)
    assert read_role(
        bench.server, username, "rolcanlogin", "rolinherit", "rolcreatedb", "rolcreaterole", "rolsuper",
        "rolreplication", "rolbypassrls", "rolconnlimit", "rolvaliduntil IS NULL",
    ) == ["t", "t", "f", "f", "f", "f", "f", "-1", "t"]  # fmt: skip


@pytest.mark.parametrize(
    "parameters",
    [{"superuser": True}, {"replication": True}, {"bypassrls": True}, {"groups": "nobody's group"}],
    ids=str,
)
async def test_what_the_server_does_not_give(
    bench: PostgresqlBench, trial: Trial, parameters: dict[str, object]
) -> None:
    """A right that the acting account cannot give, or a group that is not there: nothing is created."""
    username = trial.name()
    outcome, held = await trial.push(username, parameters=PostgresqlParameters.model_validate(parameters))
    assert (outcome.status, outcome.reason) == (Status.FAILED, "create_refused"), outcome
    assert held is None
    assert not bench.has(username)


def test_a_superuser_gives_what_it_has(bench: PostgresqlBench) -> None:
    """The other attributes are given by a superuser who acts."""
    bench.server.run("DROP ROLE IF EXISTS boss; CREATE ROLE boss SUPERUSER LOGIN PASSWORD 'boss''s'")
    bench.target = replace(bench.target, logins=(Login("boss", Password("boss's")),))
    trial = Trial(bench)
    username = trial.name()
    parameters = PostgresqlParameters(superuser=True, replication=True, bypassrls=True)
    outcome, _ = asyncio.run(trial.push(username, parameters=parameters))
    assert outcome.status is Status.SUCCEEDED, outcome
    assert read_role(bench.server, username, "rolsuper", "rolreplication", "rolbypassrls") == ["t", "t", "t"]
    bench.server.run(f"DROP ROLE {username}")


@pytest.mark.parametrize(
    "values",
    [
        {"groups": "public"}, {"groups": "a\nb"}, {"groups": "a" * 64}, {"connection_limit": -1},
        {"connection_limit": 2**31}, {"valid_until": "tomorrow"}, {"createdb": "perhaps"}, {"shell": "/bin/sh"},
    ],
    ids=str,
)  # fmt: skip
def test_parameters_that_cannot_be(values: dict[str, object]) -> None:
    """They are refused before contact."""
    with pytest.raises(ValueError, match="validation error"):
        PostgresqlParameters.model_validate(values)


@pytest.mark.parametrize("values", [{"database": ""}, {"database": "a" * 64}, {"database": "a\0"}], ids=str)
def test_options_that_cannot_be(values: dict[str, object]) -> None:
    """They are refused before contact."""
    with pytest.raises(ValueError, match="validation error"):
        PostgresqlOptions.model_validate(values)
    with pytest.raises(ValueError, match="validation error"):
        PostgresqlRemoval.model_validate({"reassign_to": "pg_monitor"})


@pytest.mark.parametrize(
    "name", ["", "é" * 32, "a" * 64, "public", "none", "pg_", "pg_monitor", "a\x7f", "\x85", "\ud800"]
)
def test_names_that_cannot_be(name: str) -> None:
    """What the server would cut short or keeps for itself is refused, and not made as something else."""
    with pytest.raises(Refused) as caught:
        PostgresqlConnector().check_username(name)
    assert caught.value.code == "username_refused"


# Passwords.


@pytest.mark.parametrize(
    "text",
    [
        "x" * 1024,
        "é" * 512,
        "ﬁ ª ① ½",
        "a\u00adb\u200b",
        "\u00ad",
        "\u0301",
        "אבג ابج",
        "\u2028",
        " ",
        "\U0010fffd",
    ],
    ids=ascii,
)
async def test_passwords_by_stock_client(trial: Trial, text: str) -> None:
    """What SASLprep maps, forbids, or lets shrink to nothing lets psql in as it is, and so does the longest."""
    PostgresqlConnector.passwords.check(text, "postgresql")
    username = trial.name()
    outcome, _ = await trial.push(username, Password(text))
    assert outcome.status is Status.SUCCEEDED, outcome
    assert await trial.log_in(username, Password(text))
    assert not await trial.log_in(username, Password(f"{text}."))


async def test_the_log_shows_verifiers(bench: PostgresqlBench, trial: Trial) -> None:
    """The log has the statement, with a SCRAM verifier in the place of the password."""
    username, secret = trial.name(), trial.make_secret()
    await trial.push(username, secret)
    log = bench.read_log()
    assert f'CREATE ROLE "{username}" LOGIN INHERIT PASSWORD ' in log
    assert "'SCRAM-SHA-256$4096:" in log
    trial.check_clean(log)
    assert bench.server.password not in log


# What stays, and what stands in the way.


async def test_adopting_changes_the_password_alone(bench: PostgresqlBench, trial: Trial) -> None:
    """Attributes, settings, comment and memberships are as they were, whatever the parameters say."""
    username = trial.name()
    bench.make(username, trial.make_secret())
    bench.server.run(
        f"ALTER ROLE {username} CREATEDB NOINHERIT CONNECTION LIMIT 3 VALID UNTIL '2999-01-01'; "
        f"ALTER ROLE {username} SET work_mem = '1MB'; COMMENT ON ROLE {username} IS 'hers'; "
        f"GRANT pg_monitor TO {username}; GRANT {username} TO postgres"
    )
    columns = (
        "r.*", "shobj_description(oid, 'pg_authid')",
        "ARRAY(SELECT m::text FROM pg_auth_members m WHERE r.oid IN (member, roleid) ORDER BY 1)",
    )  # fmt: skip
    before = read_role(bench.server, username, *columns)
    parameters = PostgresqlParameters(createrole=True, connection_limit=9, groups=("pg_read_all_data",))
    outcome, held = await trial.push(username, parameters=parameters)
    assert (outcome.decision, outcome.status) == (Decision.ADOPT, Status.SUCCEEDED), outcome
    assert held
    assert read_role(bench.server, username, *columns) == before


@pytest.mark.parametrize(
    ("setting", "words"),
    [("NOLOGIN", "NOLOGIN"), ("VALID UNTIL '2000-01-01'", "VALID UNTIL")],
)
async def test_adopting_what_may_not_log_in(
    bench: PostgresqlBench, trial: Trial, setting: str, words: str
) -> None:
    """It stays so; that the password is right cannot be told, and it is not called wrong."""
    username = trial.name()
    bench.make(username, trial.make_secret())
    bench.server.run(f"ALTER ROLE {username} {setting}")
    outcome, held = await trial.push(username)
    assert (outcome.status, outcome.reason) == (Status.UNVERIFIED, "policy_forbids_login"), outcome
    assert words in outcome.message
    assert held
    assert not await trial.log_in(username, held)
    bench.server.run(f"ALTER ROLE {username} LOGIN VALID UNTIL 'infinity'")
    assert await trial.log_in(username, held)


async def test_somebody_else_was_quicker(
    bench: PostgresqlBench, trial: Trial, session: PostgresqlSession
) -> None:
    """An account that appeared since it was looked for keeps its password."""
    username, theirs, ours = trial.name(), trial.make_secret(), trial.make_secret()
    assert await session.observe([username]) == {username: Presence.ABSENT}
    bench.make(username, theirs)
    [applied] = [
        one async for one in session.apply([Change(username, Decision.CREATE, ours, PostgresqlParameters())])
    ]
    assert isinstance(applied.error, ChangeRefused)
    assert applied.error.code == "appeared"
    assert await trial.log_in(username, theirs)


async def test_what_cannot_be_adopted(bench: PostgresqlBench, trial: Trial, session: PostgresqlSession) -> None:
    """One that is gone, and a superuser: certainly nothing was set, and the next change is made."""
    bench.server.run("DROP ROLE IF EXISTS boss; CREATE ROLE boss SUPERUSER LOGIN PASSWORD 'x'")
    username, secret = trial.name(), trial.make_secret()
    bench.make(username, trial.make_secret())
    changes = [
        Change(name, Decision.ADOPT, secret, PostgresqlParameters()) for name in ("gone", "boss", username)
    ]
    told = [one async for one in session.apply(changes)]
    assert [one.error and (type(one.error), one.error.code) for one in told] == [
        (ChangeRefused, "password_refused"),
        (ChangeRefused, "password_refused"),
        None,
    ]
    assert bench.server.log_in("boss", "x").returncode == 0
    assert await trial.log_in(username, secret)


async def test_names_mean_what_they_mean(bench: PostgresqlBench, trial: Trial) -> None:
    """What a database's owner puts in front of the catalogue is not asked."""
    bench.server.run(
        "CREATE SCHEMA evil; CREATE VIEW evil.pg_roles AS SELECT * FROM pg_catalog.pg_roles "
        "WHERE false; "
        "CREATE FUNCTION evil.now() RETURNS timestamptz LANGUAGE sql "
        "AS $$ SELECT 1/0; SELECT NULL::timestamptz $$; "
        "GRANT USAGE ON SCHEMA evil TO public; GRANT SELECT ON evil.pg_roles TO public; "
        "ALTER DATABASE postgres SET search_path = evil, pg_catalog"
    )
    try:
        username = trial.name()
        outcome, _ = await trial.push(username)
        assert outcome.status is Status.SUCCEEDED, outcome
        [outcome] = await trial.act(Action.REMOVE, username)
        assert outcome.status is Status.SUCCEEDED, outcome
    finally:
        bench.server.run("DROP SCHEMA evil CASCADE; ALTER DATABASE postgres RESET search_path")


async def test_a_lock_that_is_held(bench: PostgresqlBench, trial: Trial) -> None:
    """The server gives up first, so it is certain that nothing was set."""
    username, old, new = trial.name(), trial.make_secret(), trial.make_secret()
    bench.make(username, old)
    folder, port = bench.server.folder, bench.server.port
    with psycopg.connect(host=str(folder), port=port, user="postgres", dbname="postgres") as other:
        other.execute(f"ALTER ROLE {username} CONNECTION LIMIT 5")
        hasty = Trial(bench, engine.Limits(attempts=1, timeouts=Timeouts(command=2)))
        outcome, held = await hasty.push(username, new)
    assert (outcome.status, outcome.reason) == (Status.FAILED, "password_refused"), outcome
    assert held is None
    assert await trial.log_in(username, old)


async def test_a_server_that_stops_answering(bench: PostgresqlBench, trial: Trial) -> None:
    """In the middle of a change it is uncertain what was set; nothing hangs, and the session closes."""
    connector, secret = PostgresqlConnector(), trial.make_secret()
    session = await connector.open(bench.target, bench.target.logins[0], Timeouts(command=1), Witnessed())
    [backend] = bench.server.run("SELECT pid FROM pg_stat_activity WHERE usename = 'provost'").splitlines()
    os.kill(int(backend), signal.SIGSTOP)
    try:
        with pytest.raises(Unreachable):
            await session.observe(["somebody"])
        change = Change(trial.name(), Decision.CREATE, secret, PostgresqlParameters())
        with pytest.raises(Unreachable):
            await anext(session.apply([change]))
        await session.close()
        await connector.close()
    finally:
        os.kill(int(backend), signal.SIGCONT)


async def test_cancelling_does_not_wait_for_the_server(bench: PostgresqlBench) -> None:
    """A session whose server does not answer can be cancelled and closed."""
    connector = PostgresqlConnector()
    session = await connector.open(bench.target, bench.target.logins[0], Timeouts(), Witnessed())
    [backend] = bench.server.run("SELECT pid FROM pg_stat_activity WHERE usename = 'provost'").splitlines()
    os.kill(int(backend), signal.SIGSTOP)
    try:
        asking = asyncio.create_task(session.observe(["somebody"]))
        await asyncio.sleep(0.1)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        await session.close()
    finally:
        os.kill(int(backend), signal.SIGCONT)


# Logins.


async def open_once(target: Target, connector: PostgresqlConnector | None = None) -> TargetError | None:
    """Open a session, and return what went wrong."""
    try:
        async with open_session(connector or PostgresqlConnector(), target):
            return None
    except TargetError as error:
        return error


async def test_ways_of_tls(bench: PostgresqlBench, trial: Trial) -> None:
    """Unverified, and off: a push is made; and the log says which it was."""
    for tls in ("unverified", "off"):
        username = trial.name()
        target = bench.aim(tls=tls, tls_ca=None, tls_name=None)
        outcome, _ = await trial.push(username, target=target)
        assert outcome.status is Status.SUCCEEDED, outcome
        [line] = [
            line
            for line in bench.read_log().splitlines()
            if f"connection authorized: user={username} database=postgres" in line
        ]
        assert ("SSL enabled" in line) is (tls == "unverified")


async def test_a_certificate_that_has_expired(bench: PostgresqlBench) -> None:
    """It is not believed, though it is of the right issuer and name."""
    certified = bench.server.certified
    before = {file: file.read_bytes() for file in (certified.certificate, certified.key)}
    bench.server.authority.certify(NAME, days=-1)
    try:
        bench.server.reload()
        error = await open_once(bench.target)
        assert isinstance(error, HostKeyRefused)
        assert error.code == "certificate_refused"
    finally:
        for file, content in before.items():
            file.write_bytes(content)
        bench.server.reload()
    assert await open_once(bench.target) is None


async def test_issuers_of_this_machine(
    bench: PostgresqlBench, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Without tls_ca, whom the machine believes is believed: by a file, by a folder, or nobody."""
    target = bench.aim(tls_ca=None)
    (tmp_path / "issuers.pem").write_text(bench.server.authority.pem)
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path / "empty"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "issuers.pem"))
    assert await open_once(target) is None
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "none"))
    error = await open_once(target)
    assert isinstance(error, HostKeyRefused)
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "0a1b2c3d.0").write_text(bench.server.authority.pem)
    assert await open_once(target) is None


async def test_a_server_without_tls(bench: PostgresqlBench) -> None:
    """It is told apart from one that is down, and not tried again."""
    bench.server.run("ALTER SYSTEM SET ssl = off")
    try:
        bench.server.reload()
        error = await open_once(bench.target)
        assert error
        assert error.permanent
        assert error.code == "tls_unavailable"
        assert await open_once(bench.aim(tls="off")) is None
    finally:
        bench.server.run("ALTER SYSTEM RESET ssl")
        bench.server.reload()


async def test_nothing_of_this_machine_counts(
    bench: PostgresqlBench, trial: Trial, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Neither PG* variables nor files in the home folder change who logs in, where, and how."""
    folder = tmp_path / ".postgresql"
    folder.mkdir()
    for name in ("root.crt", "root.crl", "postgresql.crt", "postgresql.key"):
        (folder / name).write_text("no certificate")
    (tmp_path / ".pgpass").write_text("*:*:*:*:evil\n")
    (tmp_path / ".pgpass").chmod(0o600)
    monkeypatch.setenv("HOME", str(tmp_path))
    for option in psycopg.pq.Conninfo.get_defaults():
        keyword = option.keyword.decode()
        if option.envvar and keyword not in {"service", "connect_timeout"} and "protocol" not in keyword:
            monkeypatch.setenv(option.envvar.decode(), "evil")
    for tls in ("verify", "unverified", "off"):
        outcome, _ = await trial.push(trial.name(), target=bench.aim(tls=tls))
        assert outcome.status is Status.SUCCEEDED, outcome


async def test_several_addresses(bench: PostgresqlBench, trial: Trial, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nobody answers at the first, the next is tried; a password that is refused is tried once."""
    port = bench.server.port

    async def resolve(*_: object, **__: object) -> list[tuple[object, ...]]:
        return [(2, 1, 6, "", (address, port)) for address in ("127.0.0.9", "127.0.0.1")]

    username, secret = trial.name(), trial.make_secret()
    bench.make(username, secret)
    async with open_session(PostgresqlConnector(), bench.target) as session:
        monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", resolve)
        assert (await session.verify(username, secret)).verdict is Verdict.ACCEPTED
        assert (await session.verify(username, trial.make_secret())).verdict is Verdict.REJECTED
    refused = f'password authentication failed for user "{username}"'
    assert bench.read_log().count(f"FATAL:  28P01: {refused}") == 1


async def test_an_address_that_does_not_resolve(bench: PostgresqlBench) -> None:
    """It has a code of its own."""
    error = await open_once(replace(bench.target, address="nowhere.invalid"))
    assert isinstance(error, Unreachable)
    assert error.code == "address_unknown"


@pytest.mark.parametrize(
    ("rule", "open_code", "verify_code"),
    [
        ("host all {},provost 127.0.0.1/32 reject", "login_method_unavailable", "policy_forbids_login"),
        ("host all {},provost 127.0.0.1/32 trust", "login_method_unavailable", "login_method_unavailable"),
    ],
)
async def test_rules_that_ask_for_no_password(
    bench: PostgresqlBench, trial: Trial, rule: str, open_code: str, verify_code: str
) -> None:
    """Where pg_hba.conf lets nobody in, or everybody, a login tells nothing of the secret."""
    username, secret = trial.name(), trial.make_secret()
    bench.make(username, secret)
    async with open_session(PostgresqlConnector(), bench.target) as session:
        bench.server.admit(rule.format(username))
        for one in (secret, trial.make_secret()):
            told = await session.verify(username, one)
            assert (told.verdict, told.reason, told.refused) == (Verdict.UNKNOWN, verify_code, False), told
    error = await open_once(bench.target)
    assert isinstance(error, LoginRefused)
    assert error.code == open_code


async def test_a_password_in_clear(bench: PostgresqlBench, trial: Trial) -> None:
    """It goes to a server that has proven who it is, and to no other."""
    username, secret = trial.name(), trial.make_secret()
    bench.make(username, secret)
    bench.server.admit(f"host all {username} 127.0.0.1/32 password")
    async with open_session(PostgresqlConnector(), bench.target) as session:
        assert (await session.verify(username, secret)).verdict is Verdict.ACCEPTED
        assert (await session.verify(username, trial.make_secret())).verdict is Verdict.REJECTED
    for tls in ("unverified", "off"):
        async with open_session(PostgresqlConnector(), bench.aim(tls=tls)) as session:
            told = await session.verify(username, secret)
            assert (told.verdict, told.reason) == (Verdict.UNKNOWN, "login_method_unavailable"), told


async def test_passwords_of_old_servers(bench: PostgresqlBench, trial: Trial) -> None:
    """One that is stored as MD5 is proven, and replaced by a verifier of SCRAM."""
    username = trial.name()
    bench.make(username, trial.make_secret())
    bench.server.run(f"SET password_encryption = md5; ALTER ROLE {username} PASSWORD 'old'")
    bench.server.admit(f"host all {username} 127.0.0.1/32 md5")
    async with open_session(PostgresqlConnector(), bench.target) as session:
        assert (await session.verify(username, Password("old"))).verdict is Verdict.ACCEPTED
        assert (await session.verify(username, Password("new"))).verdict is Verdict.REJECTED
    outcome, _ = await trial.push(username)
    assert outcome.status is Status.SUCCEEDED, outcome
    [stored] = read_role(bench.server, username, "(SELECT rolpassword FROM pg_authid a WHERE a.oid = r.oid)")
    assert stored.startswith("SCRAM-SHA-256$")


@pytest.mark.parametrize("bar", ["no database", "no right to connect", "its connection limit", "slots"])
async def test_let_in_and_sent_away(bench: PostgresqlBench, trial: Trial, bar: str) -> None:
    """What the server minds once it has found the password right does not make it wrong."""
    username, secret = trial.name(), trial.make_secret()
    bench.make(username, secret)
    target = bench.target
    if bar == "no database":
        bench.server.run("CREATE DATABASE gone")
        target = bench.aim(database="gone")
    async with open_session(PostgresqlConnector(), target) as session:
        if bar == "no database":
            bench.server.run("DROP DATABASE gone WITH (FORCE)")
        elif bar == "its connection limit":
            bench.server.run(f"ALTER ROLE {username} CONNECTION LIMIT 0")
        elif bar == "no right to connect":
            bench.server.run(
                "REVOKE CONNECT ON DATABASE postgres FROM public; GRANT CONNECT ON DATABASE postgres TO provost"
            )
        crowd = fill(bench.server) if bar == "slots" else []
        try:
            assert not await trial.log_in(username, secret) or bar == "no database"
            told = await session.verify(username, secret)
            assert told.verdict is Verdict.ACCEPTED, told
            told = await session.verify(username, trial.make_secret())
            # Cut off, the session cannot ask what else forbids the login.
            assert told.verdict is (Verdict.UNKNOWN if bar == "no database" else Verdict.REJECTED), told
            assert told.refused
        finally:
            bench.server.run("GRANT CONNECT ON DATABASE postgres TO public")
            for one in crowd:
                one.close()


def fill(server: PostgresqlServer, *, whole: bool = False) -> list[psycopg.Connection]:
    """Take all connections but those that are kept for superusers; or these as well, but for a few."""
    crowd: list[psycopg.Connection] = []
    try:
        while True:
            crowd.append(
                psycopg.connect(
                    host=str(server.folder) if whole else "127.0.0.1",
                    port=server.port,
                    user="postgres" if whole else "provost",
                    password=server.password,
                    dbname="postgres",
                    sslmode="disable",
                )
            )
    except psycopg.OperationalError:
        return crowd


async def test_a_server_that_is_full(bench: PostgresqlBench, trial: Trial) -> None:
    """Before it asks for a password, it says nothing about one: unknown, and unreachable."""
    username, secret = trial.name(), trial.make_secret()
    bench.make(username, secret)
    async with open_session(PostgresqlConnector(), bench.target) as session:
        crowd = fill(bench.server, whole=True)
        try:
            for one in (secret, trial.make_secret()):
                told = await session.verify(username, one)
                assert (told.verdict, told.reason, told.refused) == (Verdict.UNKNOWN, "unreachable", False)
            error = await open_once(bench.target)
            assert isinstance(error, Unreachable)
        finally:
            for one in crowd:
                one.close()


async def test_an_account_without_a_password(bench: PostgresqlBench, trial: Trial) -> None:
    """Who has none is refused whatever is given, as the server says it."""
    username = trial.name()
    bench.server.run(f"CREATE ROLE {username} LOGIN")
    async with open_session(PostgresqlConnector(), bench.target) as session:
        assert (await session.verify(username, trial.make_secret())).verdict is Verdict.REJECTED
    error = await open_once(replace(bench.target, logins=(Login("provost"),)))
    assert isinstance(error, LoginRefused)
    assert error.code == "login_method_unavailable"


@pytest.mark.parametrize(
    ("sqlstate", "kind", "code"),
    [
        ("57P03", Unreachable, "unreachable"),
        ("53300", Unreachable, "unreachable"),
        ("28000", LoginRefused, "login_method_unavailable"),
        ("28P01", LoginRefused, "privileged_login_refused"),
        ("3D000", LoginRefused, "rights_missing"),
        ("42501", LoginRefused, "rights_missing"),
        ("XX000", Unreachable, "unreachable"),
    ],
)
async def test_codes_count_and_words_do_not(sqlstate: str, kind: type[TargetError], code: str) -> None:
    """Whatever the language, and the encoding, of a server's messages: its SQLSTATE tells what it means."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(8)
        fields = b"SFATAL\0VFATAL\0C" + sqlstate.encode() + b"\0M\xe4\xf6\xfc: 28P01: password\xff\0\0"
        writer.write(b"E" + (len(fields) + 4).to_bytes(4, "big") + fields)
        await writer.drain()
        writer.close()

    fake = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with fake:
        port = fake.sockets[0].getsockname()[1]
        target = Target(
            1, "db-1", "postgresql", "127.0.0.1", port, (Login("me", Password("x")),), {"tls": "off"}
        )
        error = await open_once(target)
    assert type(error) is kind
    assert error.code == code


@pytest.mark.parametrize("talks", [True, False])
async def test_a_server_of_something_else(*, talks: bool) -> None:
    """What speaks no PostgreSQL, or nothing at all, is unreachable, and is given no password."""
    heard = bytearray()
    answering = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        answering.append(asyncio.current_task())
        heard.extend(await reader.read(1000))
        if talks:
            writer.write(b"SSH-2.0-OpenSSH_9.2\r\n")
            await writer.drain()
        heard.extend(await reader.read())
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as fake:
        port = fake.sockets[0].getsockname()[1]
        for tls in ("verify", "unverified", "off"):
            login = Login("me", Password("the secret"))
            target = Target(1, "db-1", "postgresql", "127.0.0.1", port, (login,), {"tls": tls})
            with pytest.raises(TargetError):
                await PostgresqlConnector().open(target, login, Timeouts(connect=0.3), Witnessed())
        await asyncio.gather(*answering)
    assert b"the secret" not in heard


@pytest.fixture
def locales() -> Iterator[Path]:
    """A folder that every user can read."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


async def test_a_server_that_speaks_german(locales: Path, trial: Trial) -> None:
    """A wrong password is rejected, and a right one that may not log in is not, in whatever language."""
    programs = find_programs()
    words = ["localedef", "-i", "de_DE", "-f", "UTF-8", str(locales / "de_DE.UTF-8")]
    if programs is None or subprocess.run(words, capture_output=True, check=False).returncode:
        do_without("PostgreSQL or the sources of locales are missing (Debian: apt-get install locales)")
    with PostgresqlServer(programs, {"LOCPATH": str(locales)}, lc_messages="de_DE.UTF-8") as german:
        bench = PostgresqlBench(german)
        username, secret = trial.name(), trial.make_secret()
        bench.make(username, secret)
        async with open_session(PostgresqlConnector(), bench.target) as session:
            told = await session.verify(username, trial.make_secret())
            assert told.verdict is Verdict.REJECTED
            assert "Passwort" in told.message
            german.run(f"ALTER ROLE {username} NOLOGIN")
            told = await session.verify(username, secret)
            assert (told.verdict, told.reason) == (Verdict.UNKNOWN, "policy_forbids_login")


# Discovery.


async def test_what_a_discovery_tells(bench: PostgresqlBench, trial: Trial, session: PostgresqlSession) -> None:
    """Attributes, groups, expiry and comment; roles that PostgreSQL brings to be granted are left out."""
    group, username, old = trial.name("group"), trial.name("user"), trial.name("old")
    bench.server.run(
        f"CREATE ROLE {group}; CREATE ROLE {username} LOGIN CREATEDB REPLICATION "
        f"VALID UNTIL '2999-12-31 00:00+00' IN ROLE {group}, pg_monitor; COMMENT ON ROLE {username} IS 'hers'; "
        f"CREATE ROLE {old} LOGIN VALID UNTIL '2000-01-01 12:00+00'"
    )
    found = {facts.username: facts for facts in await session.discover()}
    hers = found[username]
    assert hers.groups == (group, "pg_monitor")
    assert hers.privileges == ("CREATEDB", "REPLICATION")
    assert (hers.can_log_in, hers.superuser, hers.comment, hers.system) == (True, False, "hers", False)
    assert str(hers.expires) == "2999-12-31"
    assert (found[group].can_log_in, found[group].locked) == (False, True)
    assert (found[old].can_log_in, str(found[old].expires)) == (False, "2000-01-01")
    assert (found["postgres"].superuser, found["postgres"].system) == (True, True)
    assert "CREATEROLE" in (found["provost"].privileges or ())
    assert not [name for name in found if name.startswith("pg_")]
