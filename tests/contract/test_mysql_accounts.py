"""What the kind `mysql` does beyond the suite, on MariaDB, and on MySQL where there is one."""

import asyncio
import contextlib
import subprocess
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
import pytest_asyncio
from tests.conftest import do_without
from tests.kinds.mysql import MariaDb, MySql, MysqlBench, quote

from provost.conformance.cutter import Cutter
from provost.conformance.reaching import lead_through, open_session
from provost.conformance.trial import Trial
from provost.connectors.mysql import MysqlConnector, _choose_dialect
from provost.connectors.mysql.dialects import MySql as MySqlDialect
from provost.connectors.mysql.parameters import MysqlOptions, MysqlParameters, MysqlRemoval
from provost.connectors.mysql.server import PROTECTED
from provost.connectors.mysql.session import MysqlSession
from provost.connectors.mysql.verifiers import UNFINISHED, Plugin
from provost.connectors.mysql.wire import Answer, Wire
from provost.core.connector import Applied, Change, Removal, Timeouts, Verification
from provost.core.errors import ChangeRefused, ChangeUnknown, LoginRefused, TargetError
from provost.core.facts import Facts
from provost.core.job import Login, Target
from provost.core.model import Action, Decision, Presence, Status, Verdict
from provost.core.secrets import Password

SERVERS = [MariaDb, *([MySql] if MySql.is_installed() else [])]


def start(kind: type[MariaDb], *options: str) -> MariaDb:
    if not kind.is_installed():
        do_without("MariaDB's server is not installed (Debian: apt-get install mariadb-server)")
    return kind(*options)


@pytest.fixture(scope="module", params=SERVERS, ids=lambda kind: kind.name)
def bench(request: pytest.FixtureRequest) -> Iterator[MysqlBench]:
    """A server that ends with this module, with a role and a database to grant."""
    with start(request.param) as server:
        bench = MysqlBench(server)
        server.run(
            "CREATE DATABASE app_1", "CREATE DATABASE appx1", "CREATE TABLE app_1.orders (a INT)",
            "GRANT cfrole TO provost@'%' WITH ADMIN OPTION",
            r"GRANT SELECT, INSERT ON `app\_1`.* TO provost@'%' WITH GRANT OPTION",
        )  # fmt: skip
        yield bench


@pytest.fixture
def mariadb(bench: MysqlBench) -> MysqlBench:
    if isinstance(bench.server, MySql):
        pytest.skip("of MariaDB alone")
    return bench


@pytest.fixture
def mysql(bench: MysqlBench) -> MysqlBench:
    if not isinstance(bench.server, MySql):
        pytest.skip("of MySQL alone")
    return bench


@pytest.fixture
def trial(bench: MysqlBench) -> Trial:
    return Trial(bench)


@pytest_asyncio.fixture
async def session(bench: MysqlBench) -> AsyncIterator[MysqlSession]:
    async with bench.open() as session:
        yield session


def run(bench: MysqlBench, *statements: str) -> list[str]:
    return bench.server.run(*statements)


def show(bench: MysqlBench, username: str) -> str:
    """What the server says of an account, in one text."""
    name = f"{quote(username)}@'%'"
    return " ".join(run(bench, f"SHOW CREATE USER {name}", f"SHOW GRANTS FOR {name}"))


async def change(session: Any, username: str, decision: Decision, secret: Any, **parameters: object) -> Applied:
    made = MysqlParameters.model_validate(parameters)
    [applied] = [one async for one in session.apply([Change(username, decision, secret, made)])]
    return applied


async def remove(session: Any, username: str, **parameters: object) -> Applied:
    made = MysqlRemoval.model_validate(parameters)
    [applied] = [one async for one in session.remove([Removal(username, made)])]
    return applied


def refusal(applied: Applied) -> str:
    """The code of a change that was certainly not made."""
    assert isinstance(applied.error, ChangeRefused), applied.error
    return applied.error.code


# Parameters


async def test_limits_and_tls(bench: MysqlBench, session: MysqlSession, trial: Trial) -> None:
    """An account that is created gets its limits, and is let in by TLS alone."""
    username, secret = trial.name(), trial.make_secret()
    applied = await change(
        session, username, Decision.CREATE, secret, require_tls=True, max_user_connections=3,
        max_queries_per_hour=100, max_updates_per_hour=50, max_connections_per_hour=20,
    )  # fmt: skip
    assert applied.error is None
    told = show(bench, username)
    for words in ("REQUIRE SSL", "MAX_QUERIES_PER_HOUR 100", "MAX_UPDATES_PER_HOUR 50",
                  "MAX_CONNECTIONS_PER_HOUR 20", "MAX_USER_CONNECTIONS 3"):  # fmt: skip
        assert words in told
    assert await trial.log_in(username, secret)


async def test_roles_and_grants(bench: MysqlBench, session: MysqlSession, trial: Trial) -> None:
    """An account is created with roles and grants, on these databases alone, and is finished afterwards."""
    username, secret = trial.name(), trial.make_secret()
    applied = await change(
        session, username, Decision.CREATE, secret, roles="cfrole", max_user_connections=3,
        grants="SELECT, INSERT ON app_1.*; SELECT ON app_1.orders",
    )  # fmt: skip
    assert applied.error is None, applied.error
    told = show(bench, username)
    assert "cfrole" in told
    assert r"`app\_1`.*" in told
    assert "`app_1`.`orders`" in told
    assert "MAX_USER_CONNECTIONS 3" in told
    assert await session.observe([username]) == {username: Presence.PRESENT}
    assert await trial.log_in(username, secret)
    assert bench.server.log_in(username, secret.text, "SELECT * FROM app_1.orders").returncode == 0
    assert bench.server.log_in(username, secret.text, "USE appx1").returncode == 1


async def test_a_default_role(bench: MysqlBench, session: MysqlSession, trial: Trial) -> None:
    """MySQL puts it in force; MariaDB asks for rights that are above all, and without them nothing is made."""
    username, secret = trial.name(), trial.make_secret()
    applied = await change(session, username, Decision.CREATE, secret, roles="cfrole", default_role="cfrole")
    if isinstance(bench.server, MySql):
        assert applied.error is None
        done = bench.server.log_in(username, secret.text, "SELECT CURRENT_ROLE()")
        assert done.stdout.strip() == "`cfrole`@`%`"
        return
    assert refusal(applied) == "rights_missing"
    assert not await trial.has(username)
    run(bench, "GRANT UPDATE ON mysql.* TO provost@'%'")
    try:
        async with bench.open() as powerful:
            applied = await change(
                powerful, username, Decision.CREATE, secret, roles="cfrole", default_role="cfrole"
            )
    finally:
        run(bench, "REVOKE UPDATE ON mysql.* FROM provost@'%'")
    assert applied.error is None
    assert bench.server.log_in(username, secret.text, "SELECT CURRENT_ROLE()").stdout.strip() == "cfrole"


@pytest.mark.parametrize(
    ("parameters", "code"),
    [
        ({"roles": "cfnone"}, {"grant_refused", "rights_missing"}),
        ({"grants": "DROP ON app_1.*"}, {"rights_missing"}),
        ({"grants": "SELECT ON appx1.*"}, {"rights_missing"}),
        ({"roles": "cfrole", "grants": "SELECT ON app_1.none"}, {"grant_refused"}),
    ],
)
async def test_a_grant_that_is_refused(
    session: MysqlSession, trial: Trial, parameters: dict[str, str], code: set[str]
) -> None:
    """What may not be granted, or is not there, leaves no account behind."""
    username = trial.name()
    applied = await change(session, username, Decision.CREATE, trial.make_secret(), **parameters)
    assert refusal(applied) in code
    assert not await trial.has(username)


async def test_grants_of_adopted_accounts(bench: MysqlBench, session: MysqlSession, trial: Trial) -> None:
    """An adopted account gets roles and grants if it is asked for, beside what it has."""
    username = trial.name()
    await trial.make(username, trial.make_secret())
    run(bench, f"GRANT DELETE ON appx1.* TO {username}@'%'")
    parameters = {"roles": "cfrole", "grants": "SELECT ON app_1.*", "max_user_connections": 9}
    for update, has in ((False, False), (True, True), (True, True)):
        secret = trial.make_secret()
        applied = await change(
            session, username, Decision.ADOPT, secret, **parameters, update_existing_grants=update
        )
        assert applied.error is None
        told = show(bench, username)
        assert ("cfrole" in told) is has
        assert (r"`app\_1`.*" in told) is has
        assert "DELETE ON `appx1`" in told
        assert "MAX_USER_CONNECTIONS 9" not in told
        assert await trial.log_in(username, secret)


async def test_an_adoption_that_is_made_in_part(bench: MysqlBench, session: MysqlSession, trial: Trial) -> None:
    """What was granted before something was refused stays, and is told; refused first, nothing was done."""
    username, old = trial.name(), trial.make_secret()
    await trial.make(username, old)
    again = {"decision": Decision.ADOPT, "secret": trial.make_secret(), "update_existing_grants": True}
    applied = await change(session, username, **again, grants="SELECT ON app_1.none")
    assert refusal(applied) == "grant_refused"
    applied = await change(session, username, **again, roles="cfrole", grants="SELECT ON app_1.none")
    assert isinstance(applied.error, ChangeUnknown)
    assert applied.error.code == "grant_refused"
    assert "app_1.none" in applied.error.message
    assert "cfrole" in show(bench, username)
    applied = await change(
        session,
        username,
        **again,
        roles="cfrole",
        plugin="caching_sha2_password" if isinstance(bench.server, MariaDb) else "ed25519",
    )
    assert isinstance(applied.error, ChangeUnknown)
    assert applied.error.code == "password_refused"
    assert await trial.log_in(username, old)


async def test_ed25519(mariadb: MysqlBench, session: MysqlSession, trial: Trial) -> None:
    """An account that logs in by ed25519 is created so, and stays so when it is rotated."""
    username, secret, new = trial.name(), trial.make_secret(), Password("pässwörd Ω of 33 or so characters")
    applied = await change(session, username, Decision.CREATE, secret, plugin="ed25519")
    assert refusal(applied) == "create_refused"
    run(mariadb, "INSTALL SONAME 'auth_ed25519'")
    applied = await change(session, username, Decision.CREATE, secret, plugin="ed25519")
    assert applied.error is None
    assert await trial.log_in(username, secret)
    assert (await trial.rotate(username, secret, new)).status is Status.SUCCEEDED
    assert "ed25519" in show(mariadb, username)
    assert await trial.log_in(username, new)


async def test_a_plugin_of_the_other_server(session: MysqlSession, bench: MysqlBench, trial: Trial) -> None:
    """What the server does not know is refused, and nothing is made."""
    username = trial.name()
    plugin = "ed25519" if isinstance(bench.server, MySql) else "caching_sha2_password"
    applied = await change(session, username, Decision.CREATE, trial.make_secret(), plugin=plugin)
    assert refusal(applied) == "create_refused"
    assert not await trial.has(username)


# Adopting


async def test_other_ways_in_stay(mariadb: MysqlBench, session: MysqlSession, trial: Trial) -> None:
    """An account that gets in by its socket gets a password beside it, once, in the place of any before."""
    username = trial.name()
    run(mariadb, f"CREATE USER {username}@'%' IDENTIFIED VIA unix_socket")
    for decision in (Decision.ADOPT, Decision.ADOPT):
        secret = trial.make_secret()
        assert (await change(session, username, decision, secret)).error is None
        assert await trial.log_in(username, secret)
        [told] = run(mariadb, f"SHOW CREATE USER {username}@'%'")
        assert told.count("unix_socket") == told.count("mysql_native_password") == 1
    run(mariadb, f"ALTER USER {username}@'%' IDENTIFIED VIA mysql_native_password OR unix_socket")
    assert (await change(session, username, Decision.ADOPT, secret)).error is None
    assert "IDENTIFIED VIA mysql_native_password USING" in show(mariadb, username)
    assert "OR unix_socket" in show(mariadb, username)


async def test_the_way_in_changes(mysql: MysqlBench, session: MysqlSession, trial: Trial) -> None:
    """On MySQL an account has one way in: a password takes the place of another one, and the answer says so."""
    username, secret = trial.name(), trial.make_secret()
    run(mysql, "INSTALL PLUGIN auth_socket SONAME 'auth_socket.so'",
        f"CREATE USER {username}@'%' IDENTIFIED WITH auth_socket")  # fmt: skip
    applied = await change(session, username, Decision.ADOPT, secret)
    assert (applied.error, "auth_socket" in applied.message) == (None, True)
    assert await trial.log_in(username, secret)


async def test_what_came_or_went_meanwhile(session: MysqlSession, trial: Trial) -> None:
    """An account that somebody made since the look is left as it is; one that has gone is not made."""
    there, gone, theirs = trial.name(), trial.name(), trial.make_secret()
    await trial.make(there, theirs)
    assert refusal(await change(session, there, Decision.CREATE, trial.make_secret())) == "appeared"
    assert await trial.log_in(there, theirs)
    assert refusal(await change(session, gone, Decision.ADOPT, trial.make_secret())) == "account_absent"
    assert not await trial.has(gone)


# Creations that are cut off


def make_unfinished(bench: MysqlBench, username: str) -> None:
    plugin = Plugin.SHA2 if isinstance(bench.server, MySql) else Plugin.NATIVE
    identified = "WITH {} AS '{}'" if isinstance(bench.server, MySql) else "VIA {} USING '{}'"
    identified = identified.format(plugin, UNFINISHED[plugin])
    run(bench, f"CREATE USER {username}@'%' IDENTIFIED {identified} ACCOUNT LOCK")


async def test_an_unfinished_account(bench: MysqlBench, session: MysqlSession, trial: Trial) -> None:
    """It counts as not there, cannot be enabled, is told of as shut, and is finished by a push or removed."""
    username, other = trial.name(), trial.name()
    for name in (username, other):
        make_unfinished(bench, name)
    assert await session.observe([username]) == {username: Presence.INCOMPLETE}
    [applied] = [one async for one in session.enable([username])]
    assert refusal(applied) == "enable_refused"
    assert find(await session.discover(), username).can_log_in is False
    outcome, held = await trial.push(username)
    assert (outcome.decision, outcome.status) == (Decision.CREATE, Status.SUCCEEDED)
    assert held is not None
    assert await trial.log_in(username, held)
    assert (await remove(session, other)).error is None
    assert not await trial.has(other)


async def test_a_creation_with_grants_that_is_cut(bench: MysqlBench, trial: Trial) -> None:
    """Wherever it is cut, an account without its grants lets nobody in, and the next push gives it all."""
    parameters = MysqlParameters.model_validate({"roles": "cfrole", "grants": "SELECT ON app_1.*"})
    async with Cutter(bench.target.address, bench.target.port) as cutter:
        target = lead_through(bench, cutter)
        outcome, _ = await trial.push(trial.name(), parameters=parameters, target=target)
        assert outcome.status is Status.SUCCEEDED, outcome
    seen = set()
    for after in range(1, cutter.passed, cutter.passed // 20):
        username, first = trial.name(), trial.make_secret()
        async with Cutter(bench.target.address, bench.target.port, after=after) as cutter:
            target = lead_through(bench, cutter)
            outcome, held = await trial.push(username, first, target=target, parameters=parameters)
        seen.add(outcome.status)
        if await trial.log_in(username, first):
            assert {"cfrole", r"`app\_1`.*"} <= {
                word for word in ("cfrole", r"`app\_1`.*") if word in show(bench, username)
            }
            assert outcome.status is not Status.FAILED
        left = [first] if outcome.status is Status.UNCERTAIN else []
        again, held = await trial.push(username, current=held, left=left, parameters=parameters)
        assert again.status in {Status.SUCCEEDED, Status.UNCHANGED}, (after, outcome, again)
        assert held is not None
        assert await trial.log_in(username, held)
        assert "cfrole" in show(bench, username)
    assert {Status.FAILED, Status.UNCERTAIN} <= seen


# Host patterns


async def test_accounts_of_another_host(bench: MysqlBench, session: MysqlSession, trial: Trial) -> None:
    """An asset's accounts are those with its host pattern: others of the same name are nobody's business."""
    username, theirs, ours = trial.name(), trial.make_secret(), trial.make_secret()
    run(bench, f"CREATE USER {username}@'10.9.%' IDENTIFIED BY {quote(theirs.text)}")
    kept = run(bench, f"SHOW CREATE USER {username}@'10.9.%'")
    assert await session.observe([username]) == {username: Presence.ABSENT}
    assert username not in {facts.username for facts in await session.discover()}
    outcome, _ = await trial.push(username, ours)
    assert (outcome.decision, outcome.status) == (Decision.CREATE, Status.SUCCEEDED), outcome
    assert (await remove(session, username)).error is None
    assert not await trial.has(username)
    assert run(bench, f"SHOW CREATE USER {username}@'10.9.%'") == kept

    async with bench.open(account_host="10.9.%") as other:
        assert await other.observe([username, "provost"]) == dict.fromkeys(
            [username, "provost"], Presence.PRESENT
        )
        assert {facts.username for facts in await other.discover()} == {username, "provost"}
        told = await other.verify(username, theirs)
        assert (told.verdict, told.reason) == (Verdict.UNKNOWN, "policy_forbids_login")
        assert "10.9.%" in told.message
        assert (await other.verify("provost", bench.target.logins[0].password)).verdict is Verdict.ACCEPTED
        assert (await remove(other, username)).error is None


async def test_taken_for_another(bench: MysqlBench, session: MysqlSession, trial: Trial) -> None:
    """Where a more specific account of that name gets the login, nothing is said of this one's secret."""
    username, theirs, ours = trial.name(), trial.make_secret(), trial.make_secret()
    await trial.make(username, ours)
    assert (await session.verify(username, ours)).verdict is Verdict.ACCEPTED
    run(bench, f"CREATE USER {username}@localhost IDENTIFIED BY {quote(theirs.text)}")
    for secret in (ours, theirs):
        told = await session.verify(username, secret)
        assert (told.verdict, told.reason) == (Verdict.UNKNOWN, "policy_forbids_login"), told


async def test_nobody_in_particular(bench: MysqlBench, session: MysqlSession, trial: Trial) -> None:
    """Anonymous accounts are no account of anybody's: not told of, and not taken for one."""
    username, ours = trial.name(), trial.make_secret()
    await trial.make(username, ours)
    run(bench, "CREATE USER ''@localhost")
    try:
        told = await session.verify(username, ours)
        assert (told.verdict, told.reason) == (Verdict.UNKNOWN, "policy_forbids_login"), told
        assert "" not in {facts.username for facts in await session.discover()}
    finally:
        run(bench, "DROP USER ''@localhost")


# Verifying


async def verify(session: MysqlSession, username: str, secret: Password) -> Verification:
    told = await session.verify(username, secret)
    wrong = await session.verify(username, Password("not the secret"))
    assert wrong.verdict is not Verdict.ACCEPTED
    assert wrong.refused or wrong.verdict is Verdict.UNKNOWN
    return told


@pytest.mark.parametrize(
    ("clause", "verdict", "reason"),
    [
        ("ACCOUNT LOCK", Verdict.UNKNOWN, "policy_forbids_login"),
        ("PASSWORD EXPIRE", Verdict.ACCEPTED, ""),
        ("REQUIRE X509", Verdict.UNKNOWN, "policy_forbids_login"),
        ("REQUIRE SUBJECT '/CN=x'", Verdict.UNKNOWN, "policy_forbids_login"),
        ("REQUIRE SSL", Verdict.ACCEPTED, ""),
        ("WITH MAX_CONNECTIONS_PER_HOUR 1", Verdict.ACCEPTED, ""),
    ],
)
async def test_verdicts(
    bench: MysqlBench, session: MysqlSession, trial: Trial, clause: str, verdict: Verdict, reason: str
) -> None:
    """Whatever else keeps an account out says nothing of its secret; an expired password is the right one."""
    username, secret = trial.name(), trial.make_secret()
    await trial.make(username, secret)
    run(bench, f"ALTER USER {username}@'%' {clause}")
    told = await verify(session, username, secret)
    assert (told.verdict, told.reason) == (verdict, reason), told


@asynccontextmanager
async def enter(bench: MysqlBench, username: str, secret: Password) -> AsyncIterator[Wire]:
    """A connection of an account's own."""
    options = MysqlOptions.model_validate(dict(bench.target.options))
    place = bench.target.address, bench.target.port
    wire = Wire(bench.target, options, place, options.make_context(bench.target), Timeouts())
    await wire.log_in(username, secret)
    try:
        yield wire
    finally:
        await wire.end()


async def test_too_many_of_an_account(bench: MysqlBench, session: MysqlSession, trial: Trial) -> None:
    """An account that has all its connections in use is not refused its secret."""
    username, secret = trial.name(), trial.make_secret()
    await trial.make(username, secret)
    run(bench, f"ALTER USER {username}@'%' WITH MAX_USER_CONNECTIONS 1")
    async with enter(bench, username, secret):
        told = await session.verify(username, secret)
    assert (told.verdict, told.reason, told.refused) == (Verdict.UNKNOWN, "unreachable", False), told


async def test_too_many_of_all(bench: MysqlBench, session: MysqlSession, trial: Trial) -> None:
    """A server that is full refuses no secret."""
    username, secret = trial.name(), trial.make_secret()
    await trial.make(username, secret)
    [limit] = run(bench, "SELECT @@max_connections")
    run(bench, "SET GLOBAL max_connections = 10")
    try:
        async with AsyncExitStack() as stack:
            for _ in range(12):
                with contextlib.suppress(TargetError):
                    await stack.enter_async_context(enter(bench, username, secret))
            told = await session.verify(username, secret)
            assert (told.verdict, told.reason, told.refused) == (Verdict.UNKNOWN, "unreachable", False), told
    finally:
        run(bench, f"SET GLOBAL max_connections = {limit}")


async def test_blocked_for_a_time(bench: MysqlBench, session: MysqlSession, trial: Trial) -> None:
    """An account that was guessed at too often is blocked, and its secret is right all the same."""
    username, secret = trial.name(), trial.make_secret()
    await trial.make(username, secret)
    if isinstance(bench.server, MySql):
        run(bench, f"ALTER USER {username}@'%' FAILED_LOGIN_ATTEMPTS 2 PASSWORD_LOCK_TIME 1")
    else:
        run(bench, "SET GLOBAL max_password_errors = 2")
    try:
        for _ in range(3):
            await session.verify(username, Password("not the secret"))
        told = await session.verify(username, secret)
    finally:
        if not isinstance(bench.server, MySql):
            run(bench, "SET GLOBAL max_password_errors = DEFAULT", "FLUSH PRIVILEGES")
    assert (told.verdict, told.reason) == (Verdict.UNKNOWN, "policy_forbids_login"), told


async def test_the_one_that_acts_is_shut_out(bench: MysqlBench, trial: Trial) -> None:
    """A privileged account that is locked or expired is told apart from one with a wrong secret."""
    username, secret = trial.name(), trial.make_secret()
    await trial.make(username, secret)
    target = replace(bench.target, logins=(Login(username, secret),))
    for clause in ("PASSWORD EXPIRE", "ACCOUNT LOCK"):
        run(bench, f"ALTER USER {username}@'%' {clause}")
        with pytest.raises(LoginRefused) as caught:
            async with open_session(bench.open_connector(), target):
                pass
        assert caught.value.code == "policy_forbids_login"


# Ending


async def is_alive(wire: Wire) -> bool:
    try:
        await wire.ask("SELECT 1")
    except (TargetError, Answer):
        return False
    return True


@pytest.mark.parametrize("action", [Action.DISABLE, Action.REMOVE])
async def test_connections_end(bench: MysqlBench, session: MysqlSession, trial: Trial, action: Action) -> None:
    """What a disabled or removed account has open ends, and nobody else's."""
    username, other, secret = trial.name(), trial.name(), trial.make_secret()
    for name in (username, other):
        await trial.make(name, secret)
    run(bench, f"CREATE USER {username}@'10.9.%'")
    async with enter(bench, username, secret) as mine, enter(bench, other, secret) as theirs:
        [outcome] = await trial.act(action, username)
        assert outcome.status is Status.SUCCEEDED, outcome
        assert not await is_alive(mine)
        assert await is_alive(theirs)
    assert await session.observe([other]) == {other: Presence.PRESENT}


async def test_connections_of_a_namesake(bench: MysqlBench, trial: Trial) -> None:
    """A connection that the more specific account of that name has goes on."""
    username, secret = trial.name(), trial.make_secret()
    await trial.make(username, secret)
    run(bench, f"CREATE USER {username}@localhost IDENTIFIED BY {quote(secret.text)}")
    async with enter(bench, username, secret) as theirs:
        [outcome] = await trial.act(Action.REMOVE, username)
        assert outcome.status is Status.SUCCEEDED, outcome
        assert await is_alive(theirs)
    run(bench, f"DROP USER {username}@localhost")


async def test_connections_that_nobody_can_tell(bench: MysqlBench, trial: Trial) -> None:
    """A connection that may be another account's is left, and the record says so."""
    username, secret = trial.name(), trial.make_secret()
    await trial.make(username, secret)
    async with enter(bench, username, secret) as mine:
        run(bench, f"CREATE USER {username}@'127.0.0.1'")
        [outcome] = await trial.act(Action.DISABLE, username)
        assert (outcome.status, outcome.reason) == (Status.UNCERTAIN, "processes_left"), outcome
        assert await is_alive(mine)
    run(bench, f"DROP USER {username}@'127.0.0.1'")
    assert (await trial.act(Action.DISABLE, username))[0].status is Status.SUCCEEDED


@pytest.mark.parametrize("right", ["PROCESS", "CONNECTION ADMIN"])
async def test_rights_to_end_connections(bench: MysqlBench, trial: Trial, right: str) -> None:
    """Without them, nothing is disabled or removed by halves; a push needs none of them."""
    username, secret = trial.name(), trial.make_secret()
    await trial.make(username, secret)
    word = right.replace(" ", "_") if isinstance(bench.server, MySql) else right
    run(bench, f"REVOKE {word} ON *.* FROM provost@'%'")
    try:
        for action in (Action.DISABLE, Action.REMOVE):
            [outcome] = await trial.act(action, username)
            assert (outcome.status, outcome.reason) == (Status.FAILED, "rights_missing"), outcome
            assert right in outcome.message
        assert await trial.log_in(username, secret)
        assert (await trial.push(trial.name()))[0].status is Status.SUCCEEDED
    finally:
        run(bench, f"GRANT {word} ON *.* TO provost@'%'")


@pytest.mark.parametrize("statement", ["CREATE USER ON *.*", "SELECT ON mysql.*"])
async def test_rights_that_sessions_need(bench: MysqlBench, statement: str) -> None:
    """Without them, the privileged account is let in and told what it lacks."""
    run(bench, f"REVOKE {statement} FROM provost@'%'")
    try:
        with pytest.raises(LoginRefused) as caught:
            async with bench.open():
                pass
    finally:
        run(bench, f"GRANT {statement} TO provost@'%'")
    assert caught.value.code == "rights_missing"
    assert statement.partition(" ON")[0] in caught.value.message
    assert ("command denied" in caught.value.message) is statement.startswith("SELECT")


@pytest.mark.parametrize(
    "what",
    [
        "VIEW cf_object AS SELECT 1",
        "PROCEDURE cf_object() SELECT 1",
        "FUNCTION cf_object() RETURNS INT DETERMINISTIC RETURN 1",
        "EVENT cf_object ON SCHEDULE EVERY 1 DAY DO SELECT 1",
        "TRIGGER cf_object BEFORE INSERT ON orders FOR EACH ROW SET @a = 1",
    ],
    ids=lambda what: what.partition(" ")[0],
)
async def test_what_runs_as_an_account(bench: MysqlBench, trial: Trial, what: str) -> None:
    """An account that stored objects run as is not removed, unless that is asked for."""
    kind, is_mysql = what.partition(" ")[0], isinstance(bench.server, MySql)
    username = trial.name()
    await trial.make(username, trial.make_secret())
    run(bench, "USE app_1", f"CREATE DEFINER={username}@'%' {what}")
    extra = "ALLOW_NONEXISTENT_DEFINER" if is_mysql else "TRIGGER"
    try:
        if kind == "TRIGGER" and not is_mysql:
            run(bench, "GRANT TRIGGER ON *.* TO provost@'%'")
        async with bench.open() as session:
            assert refusal(await remove(session, username)) == "objects_depend"
        assert await trial.has(username)
        if is_mysql:
            run(bench, f"GRANT {extra} ON *.* TO provost@'%'")
        async with bench.open() as again:
            assert (await remove(again, username, definers="leave")).error is None
        assert not await trial.has(username)
    finally:
        run(bench, f"DROP {kind} app_1.cf_object")
        with contextlib.suppress(subprocess.CalledProcessError):
            run(bench, f"REVOKE {extra} ON *.* FROM provost@'%'")


async def test_whom_the_server_needs(bench: MysqlBench, trial: Trial) -> None:
    """Its own accounts are protected under every host pattern."""
    target = bench.aim(account_host="localhost")
    for name in PROTECTED:
        [outcome] = await trial.act(Action.REMOVE, name, target=target)
        assert (outcome.status, outcome.reason) == (Status.FAILED, "protected_account"), outcome
    assert run(bench, "SELECT COUNT(*) FROM mysql.user WHERE User = 'root' AND Host = 'localhost'") == ["1"]


# Discovery


def find(found: Sequence[Facts], username: str) -> Facts:
    return next(facts for facts in found if facts.username == username)


async def test_what_is_told(bench: MysqlBench, session: MysqlSession, trial: Trial) -> None:
    """Powers, roles, locks and expiry of each account; roles are no accounts."""
    mighty, locked, expired, timed = (trial.name(purpose) for purpose in ("m", "l", "e", "t"))
    for name in (mighty, locked, expired, timed):
        await trial.make(name, trial.make_secret())
    run(bench, f"GRANT ALL PRIVILEGES ON *.* TO {mighty}@'%' WITH GRANT OPTION",
        f"ALTER USER {locked}@'%' ACCOUNT LOCK", f"GRANT cfrole TO {locked}@'%'",
        f"ALTER USER {expired}@'%' PASSWORD EXPIRE", f"GRANT RELOAD ON *.* TO {expired}@'%'",
        f"ALTER USER {timed}@'%' PASSWORD EXPIRE INTERVAL 90 DAY")  # fmt: skip
    found = await session.discover()
    run(bench, f"DROP USER {mighty}@'%'")
    assert find(found, mighty).superuser
    facts = find(found, locked)
    assert (facts.locked, facts.can_log_in, facts.groups, facts.privileges) == (True, False, ("cfrole",), ())
    facts = find(found, expired)
    assert (facts.superuser, facts.privileges, facts.locked) == (False, ("RELOAD",), False)
    assert facts.password_expires is not None
    facts = find(found, timed)
    assert facts.password_changed is not None
    assert facts.password_expires == facts.password_changed + timedelta(days=90)
    assert "CREATE USER" in (find(found, "provost").privileges or ())
    assert "cfrole" not in {facts.username for facts in found}


# Servers that are set up otherwise


async def test_servers_that_see_passwords(mariadb: MysqlBench, session: MysqlSession, trial: Trial) -> None:
    """Where a plugin insists on seeing each password, nothing is set, and the message says what to do."""
    username, old = trial.name(), trial.make_secret()
    await trial.make(username, old)
    run(mariadb, "INSTALL SONAME 'simple_password_check'")
    try:
        for name, decision in ((trial.name(), Decision.CREATE), (username, Decision.ADOPT)):
            applied = await change(session, name, decision, trial.make_secret())
            assert refusal(applied) == "password_refused"
            assert "strict_password_validation" in applied.error.message
        assert await trial.log_in(username, old)
        run(mariadb, "SET GLOBAL strict_password_validation = OFF")
        assert (await trial.push(username))[0].status is Status.SUCCEEDED
    finally:
        run(mariadb, "SET GLOBAL strict_password_validation = ON", "UNINSTALL SONAME 'simple_password_check'")


@pytest.fixture(scope="module", params=SERVERS, ids=lambda kind: kind.name)
def odd(request: pytest.FixtureRequest) -> Iterator[MysqlBench]:
    """A server with settings under which a literal means something else, unless a session says otherwise."""
    options = ["--sql-mode=NO_BACKSLASH_ESCAPES,ANSI_QUOTES", "--character-set-server=latin1"]
    options += ["--skip-character-set-client-handshake"] if request.param is MariaDb else []
    with start(request.param, *options, "--skip-name-resolve") as server:
        yield MysqlBench(server)


async def test_literals_under_any_mode(odd: MysqlBench) -> None:
    """Names with quotes and backslashes are made exactly, whatever the server's mode and character set."""
    trial = Trial(odd)
    names = [*odd.hostile, "\\'; DROP USER provost; --", "名"]
    for name in names:
        outcome, _ = await trial.push(name)
        if name.isascii() or isinstance(odd.server, MySql):
            assert outcome.status is Status.SUCCEEDED, outcome
        else:  # such a server takes the name of who logs in for latin1
            assert outcome.status is Status.UNCERTAIN, outcome
    assert odd.list_names() == {"provost", *names}


@pytest.mark.skipif(not MariaDb.is_installed(), reason="no server")
async def test_a_server_without_tls() -> None:
    """It is not spoken to, unless the asset says so; then a password is proven, and not sent."""
    with start(MariaDb, "--skip-ssl") as server:
        bench = MysqlBench(server)
        for tls in ("verify", "unverified"):
            with pytest.raises(TargetError) as caught:
                async with bench.open(tls=tls):
                    pass
            assert caught.value.code == "tls_unavailable"
        async with bench.open(tls="off") as session:
            login = bench.target.logins[0]
            assert (await session.verify(login.username, login.password)).verdict is Verdict.ACCEPTED


async def test_tls_that_verifies_nobody(bench: MysqlBench) -> None:
    """A password that would have to be told is kept: MySQL asks for it, MariaDB has it proven."""
    if isinstance(bench.server, MySql):
        run(bench, "FLUSH PRIVILEGES")  # empties its cache of what lets a password be proven
        with pytest.raises(LoginRefused) as caught:
            async with bench.open(tls="unverified"):
                pass
        assert caught.value.code == "login_method_unavailable"
    else:
        async with bench.open(tls="unverified", tls_ca=None) as session:
            assert session.actor == "provost"


CAPABILITIES = (0x81FFF7FF).to_bytes(4, "little")
"""What MySQL says it can do, but for TLS."""


def greet(plugin: str) -> bytes:
    greeting = b"\x0a8.0.36\0\x01\0\0\0saltsalt\0" + CAPABILITIES[:2] + b"\xff\x02\0" + CAPABILITIES[2:]
    return greeting + b"\x15" + b"\0" * 10 + b"saltsaltsalt\0" + plugin.encode() + b"\0"


@asynccontextmanager
async def pretend(*packets: bytes, numbers: Sequence[int] = (0, 2)) -> AsyncIterator[tuple[Target, bytearray]]:
    """A server that sends packets, each after it heard something; gives how to reach it, and what it heard."""
    heard, ended = bytearray(), asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for number, packet in zip(numbers, packets, strict=False):
            writer.write(len(packet).to_bytes(3, "little") + bytes((number,)) + packet)
            heard.extend(await reader.read(4096))
        writer.transport.abort()
        ended.set()

    secret = Password("the password itself, in clear")
    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        try:
            yield Target(1, "db1", "mysql", "127.0.0.1", port, (Login("provost", secret),)), heard
        finally:
            await ended.wait()
    assert secret.text.encode() not in heard


@pytest.mark.parametrize("first", ["mysql_native_password", "caching_sha2_password", "sha256_password"])
@pytest.mark.parametrize(
    "then", ["mysql_clear_password", "dialog", "sha256_password", "caching_sha2_password", "mysql_old_password"]
)
async def test_a_server_that_asks_for_the_password(first: str, then: str) -> None:
    """Without a verified certificate no plugin gets the password, nor its cipher under a key of theirs."""
    greeting = greet(first)
    switch = b"\xfe" + then.encode() + b"\0saltsaltsaltsaltsalt\0"
    async with pretend(greeting, switch) as (target, heard):
        with pytest.raises(LoginRefused) as caught:
            async with open_session(MysqlConnector(), replace(target, options={"tls": "off"})):
                pass
    assert caught.value.code == "login_method_unavailable"
    assert b"provost" in heard
    assert not heard.endswith((b"\x03\x02", b"\x03\x01")), "it asks for a key to tell the password by"


@pytest.mark.parametrize("number", [1040, 1045, 1129, 1130, 1862])
async def test_what_is_said_before_tls(number: int) -> None:
    """Anybody may have said it: it is no refusal of a secret, and proves none."""
    async with pretend(b"\xff" + number.to_bytes(2, "little") + b"#28000Go away") as (target, _):
        with pytest.raises(TargetError) as caught:
            async with open_session(MysqlConnector(), target):
                pass
    assert caught.value.code in {"unreachable", "policy_forbids_login"}


@pytest.mark.parametrize(("number", "hides"), [(1193, True), (1227, False)])
async def test_a_server_that_does_not_tell_of_partial_revokes(*, number: int, hides: bool) -> None:
    """One that is too old knows none; what any other server says is heard."""
    ok, told = b"\0\0\0\x02\0\0\0", b"\xff" + number.to_bytes(2, "little") + b"#42000Go away"
    async with pretend(greet("mysql_native_password"), ok, told, numbers=(0, 2, 1)) as (target, _):
        options = MysqlOptions(tls="off")
        wire = Wire(target, options, (target.address, target.port), None, Timeouts())
        await wire.log_in("provost", Password("..."))
        try:
            if hides:
                assert isinstance(await _choose_dialect(wire, target, "8.0.14"), MySqlDialect)
            else:
                with pytest.raises(Answer, match="Go away"):
                    await _choose_dialect(wire, target, "8.0.36")
        finally:
            await wire.end()
