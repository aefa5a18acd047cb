"""The kind `redis` passes the suite, and what else is particular about it."""

import asyncio
import re
import shutil
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest
from pydantic import ValidationError
from tests.conftest import do_without
from tests.kinds.linux import aim_at_gateway
from tests.kinds.redis import RedisBench, RedisServer, has_redis, run_redis

from provost.conformance import Conformance, Trial
from provost.conformance.reaching import Witnessed, open_session, stage
from provost.connectors.redis import RedisConnector
from provost.connectors.redis.parameters import RedisOptions, RedisParameters
from provost.connectors.redis.session import RedisSession
from provost.connectors.redis.wire import Wire
from provost.core.connector import Change, Session, Timeouts
from provost.core.errors import (
    ChangeRefused,
    ChangeUnknown,
    LoginRefused,
    LoginUnanswered,
    Refused,
    TargetError,
    Unreachable,
)
from provost.core.job import Target
from provost.core.model import Action, Decision, Presence, Status, Verdict
from provost.lab import Lab


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    if not has_redis():
        do_without("Redis is not installed (Debian: apt-get install redis-server)")
    with run_redis(tmp_path_factory.mktemp("redis")) as server:
        yield server


class TestRedis(Conformance):
    @pytest.fixture(scope="class")
    @classmethod
    def bench(cls, server: RedisServer, lab: Lab) -> Iterator[RedisBench]:
        [gateway] = lab.up(1)
        yield RedisBench(server, aim_at_gateway(gateway))
        lab.down([gateway])


@pytest.fixture
def bench(server: RedisServer) -> RedisBench:
    return RedisBench(server)


@pytest.fixture
def trial(bench: RedisBench) -> Trial:
    return Trial(bench)


def parameters(rules: str) -> RedisParameters:
    return RedisParameters.model_validate({"rules": rules})


# Rules.


async def test_a_created_account_gets_the_rules(server: RedisServer, trial: Trial):
    """The parameter `rules` is what the account may do, and all that it may do."""
    name = trial.name()
    outcome, held = await trial.push(name, parameters=parameters("~app:* &news +@read -keys (+set ~own:*)"))
    assert outcome.status is Status.SUCCEEDED
    assert held
    [line] = [one for one in server.run("ACL", "LIST").splitlines() if one.startswith(f"user {name} ")]
    assert line.endswith(" ~app:* resetchannels &news -@all +@read -keys (~own:* resetchannels -@all +set)")


async def test_without_rules_an_account_may_log_in_and_no_more(server: RedisServer, trial: Trial):
    """The default is nothing: no command, key or channel, and the login is proven all the same."""
    name = trial.name()
    outcome, _ = await trial.push(name)
    assert (outcome.status, outcome.verdict) == (Status.SUCCEEDED, Verdict.ACCEPTED)
    assert f"user {name} on" in server.run("ACL", "LIST")
    assert "has no permissions" in server.run("ACL", "DRYRUN", name, "PING")


async def test_a_rule_that_the_server_refuses(trial: Trial):
    """An unknown command fails the record with the server's words, and there is no account."""
    name = trial.name()
    outcome, held = await trial.push(name, parameters=parameters("+nosuchcommand"))
    assert (outcome.status, outcome.reason, held) == (Status.FAILED, "create_refused", None)
    assert "Unknown command" in outcome.message
    assert not await trial.has(name)


@pytest.mark.parametrize(
    "rules",
    ["on", "OFF", "nopass", "NoPass", "resetpass", "reset", ">secret", "<secret", "#" + "0" * 64,
     "!" + "0" * 64, "(>secret", "+get\nuser", "~a'b", '~a"b', "~a\x00", "get", "%Z~a", "+"],
)  # fmt: skip
def test_rules_that_are_none(rules: str):
    """What is about passwords or the login itself, or could not be kept, is refused before contact."""
    with pytest.raises(ValidationError):
        RedisParameters.model_validate({"rules": [rules]})


# What a push keeps.


async def test_an_adopted_account_keeps_its_rules(server: RedisServer, trial: Trial):
    """All that a push changes is the password: any that was there before, and `nopass`, are gone."""
    name = trial.name()
    server.run("ACL", "SETUSER", name, "on", "nopass", "~app:*", "&news", "+@read", "-keys")
    outcome, held = await trial.push(name, parameters=parameters("+@all ~*"))
    assert (outcome.decision, outcome.status) == (Decision.ADOPT, Status.SUCCEEDED)
    assert held
    [line] = [one for one in server.run("ACL", "LIST").splitlines() if one.startswith(f"user {name} ")]
    assert "nopass" not in line
    assert line.endswith(" ~app:* resetchannels &news -@all +@read -keys")
    assert not await trial.log_in(name, trial.make_secret())


async def test_several_passwords_become_one(server: RedisServer, trial: Trial):
    """A rotation leaves one password, however many there were."""
    name, old, other, new = trial.name(), *(trial.make_secret() for _ in range(3))
    await trial.make(name, old)
    await trial.make(name, other)
    assert (await trial.rotate(name, old, new)).status is Status.SUCCEEDED
    assert [await trial.log_in(name, one) for one in (old, other, new)] == [False, False, True]
    assert server.run("ACL", "LIST").count(f"user {name} ") == 1


async def test_a_disabled_account_stays_disabled(server: RedisServer, trial: Trial):
    """An account that is off gets its secret and stays off; that is not called a wrong password."""
    name, secret = trial.name(), trial.make_secret()
    await trial.make(name, trial.make_secret())
    server.run("ACL", "SETUSER", name, "off")
    outcome, held = await trial.push(name, secret)
    assert (outcome.status, outcome.reason) == (Status.UNVERIFIED, "policy_forbids_login")
    assert held is secret
    server.run("ACL", "SETUSER", name, "on")
    assert await trial.log_in(name, secret)


async def test_who_came_in_between_stays(bench: RedisBench, server: RedisServer, trial: Trial):
    """An account that somebody else created after the look is not touched."""
    name, secret = trial.name(), trial.make_secret()
    async with open_session(bench.open_connector(), bench.target) as session:
        assert await session.observe([name]) == {name: Presence.ABSENT}
        await trial.make(name, secret)
        before = server.run("ACL", "LIST")
        change = Change(name, Decision.CREATE, trial.make_secret(), parameters("+@all"))
        [applied] = [one async for one in session.apply([change])]
    assert isinstance(applied.error, ChangeRefused)
    assert applied.error.code == "appeared"
    assert server.run("ACL", "LIST") == before


async def test_who_went_in_between_stays_away(bench: RedisBench, trial: Trial):
    """An account that is gone is not created by an adoption."""
    name = trial.name()
    async with open_session(bench.open_connector(), bench.target) as session:
        change = Change(name, Decision.ADOPT, trial.make_secret(), parameters(""))
        [applied] = [one async for one in session.apply([change])]
    assert isinstance(applied.error, ChangeRefused)
    assert applied.error.code == "account_absent"
    assert not await trial.has(name)


async def test_parameters_of_another_kind(bench: RedisBench, server: RedisServer, trial: Trial):
    """They are not taken for the defaults of this one."""
    before = server.run("ACL", "LIST")
    async with open_session(bench.open_connector(), bench.target) as session:
        with pytest.raises(TypeError, match="RedisParameters"):
            [
                one
                async for one in session.apply(
                    [Change(trial.name(), Decision.CREATE, trial.make_secret(), RedisOptions())]
                )
            ]
    assert server.run("ACL", "LIST") == before


# Persistence.


@pytest.mark.parametrize("acl_file", [True, False], ids=["aclfile", "redis.conf"])
async def test_what_was_acknowledged_outlives_the_server(tmp_path: Path, *, acl_file: bool):
    """Killed after each answer and started again, the server has what it acknowledged, whatever the names."""
    with run_redis(tmp_path, acl_file=acl_file) as server:
        bench = RedisBench(server)
        trial = Trial(bench)
        if not acl_file:
            server.run("CONFIG", "REWRITE")
        held = {}
        for name in bench.hostile:
            outcome, held[name] = await trial.push(name, parameters=parameters("~a:* +@read (+set ~b:*)"))
            assert outcome.status is Status.SUCCEEDED, outcome
        server.stop()
        server.start()
        for name, secret in held.items():
            assert secret is not None
            assert await trial.log_in(name, secret), name
        first, second, *_ = held
        [outcome] = await trial.act(Action.DISABLE, first)
        assert outcome.status is Status.SUCCEEDED
        [outcome] = await trial.act(Action.REMOVE, second)
        assert outcome.status is Status.SUCCEEDED
        server.stop()
        server.start()
        assert not await trial.log_in(first, held[first])  # type: ignore[arg-type]
        assert not await trial.has(second)


async def test_a_server_that_cannot_save(tmp_path: Path):
    """Nothing is changed on a server without any file, unless the asset's option says that it may be lost."""
    with run_redis(tmp_path, acl_file=False, config_file=False) as server:
        bench = RedisBench(server)
        trial = Trial(bench)
        name, before = trial.name(), server.run("ACL", "LIST")
        outcome, held = await trial.push(name)
        assert (outcome.status, outcome.reason, held) == (Status.FAILED, "not_persistent", None)
        assert "without a config file" in outcome.message
        for action in (Action.DISABLE, Action.REMOVE):
            [outcome] = await trial.act(action, "provost2")
            assert outcome.reason in {"not_persistent", "account_absent"}
        assert server.run("ACL", "LIST") == before

        outcome, held = await trial.push(name, target=bench.aim(persist="never"))
        assert outcome.status is Status.SUCCEEDED
        assert held
        assert await trial.log_in(name, held)


async def test_a_disk_that_cannot_be_written(tmp_path: Path):
    """A save that fails is noticed before anything is changed."""
    lists = tmp_path / "lists"
    lists.mkdir()
    (lists / "users.acl").touch()
    with run_redis(tmp_path, f"aclfile {lists / 'users.acl'}", acl_file=False) as server:
        trial = Trial(RedisBench(server))
        shutil.rmtree(lists)
        name = trial.name()
        outcome, held = await trial.push(name)
        assert (outcome.status, outcome.reason, held) == (Status.FAILED, "not_persistent", None)
        assert not await trial.has(name)


async def test_a_save_that_fails_after_the_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """What was set and could not be saved is uncertain, and the secret is kept: it lets in."""
    lists = tmp_path / "lists"
    lists.mkdir()
    (lists / "users.acl").touch()
    look_up = RedisSession._look_up

    async def look_and_break(self: RedisSession, names: Iterable[str]) -> object:
        shutil.rmtree(lists)
        return await look_up(self, names)

    with run_redis(tmp_path, f"aclfile {lists / 'users.acl'}", acl_file=False) as server:
        trial = Trial(RedisBench(server))
        name, secret = trial.name(), trial.make_secret()
        bench = trial.bench
        async with open_session(bench.open_connector(), bench.target) as session:
            monkeypatch.setattr(RedisSession, "_look_up", look_and_break)
            change = Change(name, Decision.CREATE, secret, parameters(""))
            [applied] = [one async for one in session.apply([change])]
        assert isinstance(applied.error, ChangeUnknown)
        assert applied.error.code == "not_saved"
        assert await trial.log_in(name, secret)


# The privileged account.


@pytest.mark.parametrize("right", ["+acl|getuser", "+acl|setuser", "+acl|deluser", "+client|kill"])
async def test_a_right_that_is_missing(bench: RedisBench, server: RedisServer, right: str):
    """Without one of its rights the privileged account is not let begin, and the message names the right."""
    server.run("ACL", "SETUSER", "provost", f"-{right[1:]}")
    try:
        with pytest.raises(LoginRefused) as caught:
            async with open_session(bench.open_connector(), bench.target):
                pass
    finally:
        server.run("ACL", "SETUSER", "provost", right)
    assert caught.value.code == "rights_missing"
    assert right in caught.value.message


async def test_rights_that_are_missing_later(server: RedisServer, trial: Trial):
    """Who may not save changes nothing; who may not list discovers nothing."""
    name = trial.name()
    server.run("ACL", "SETUSER", "provost", "-acl|save", "-acl|list")
    try:
        outcome, _ = await trial.push(name)
        assert (outcome.status, outcome.reason) == (Status.FAILED, "rights_missing")
        assert "+acl|save" in outcome.message
        assert not await trial.has(name)
        [outcome] = await trial.act(Action.DISCOVER, "")
        assert (outcome.status, outcome.reason) == (Status.FAILED, "rights_missing")
    finally:
        server.run("ACL", "SETUSER", "provost", "+acl|save", "+acl|list")


async def test_one_connection_for_all(server: RedisServer, trial: Trial):
    """Twenty accounts are set over one connection, each proven over one of its own."""

    def count() -> int:
        return int(re.search(r"total_connections_received:(\d+)", server.run("INFO", "stats"))[1])  # type: ignore[index]

    wanted = [stage(trial.name(str(index)), trial.make_secret()) for index in range(20)]
    before = count()
    outcomes = await trial.run(Action.PUSH, wanted)
    assert {outcome.status for outcome in outcomes} == {Status.SUCCEEDED}
    assert count() - before == 1 + 20 + 1  # and the one that counts


# Ending.


@pytest.mark.parametrize("action", [Action.DISABLE, Action.REMOVE])
async def test_open_connections_end(bench: RedisBench, trial: Trial, action: Action):
    """Who is disabled or removed is put out of the connections that are open."""
    name, secret = trial.name(), trial.make_secret()
    await trial.make(name, secret)
    options = RedisOptions.model_validate(dict(bench.target.options))
    wire = await Wire.open(bench.target, ("127.0.0.1", bench.target.port), options, Timeouts())
    try:
        await wire.log_in(name, secret)  # type: ignore[arg-type]
        [outcome] = await trial.act(action, name)
        assert outcome.status is Status.SUCCEEDED
        with pytest.raises(Unreachable):
            await wire.ask(("PING",))
    finally:
        await wire.close()


# Discovery.


@pytest.mark.parametrize(
    ("rules", "is_powerful"),
    [
        ("~* +@all", True),
        ("+@all -@dangerous", False),
        ("+@all -acl|setuser", False),
        ("+@all -config", True),
        ("+acl|setuser", True),
        ("+acl|whoami +@read ~*", False),
        ("+@all -acl (+acl|setuser)", True),
        ("", False),
    ],
)
async def test_who_may_set_users_is_all_powerful(
    server: RedisServer, trial: Trial, rules: str, is_powerful: bool
):
    """Whatever keys and channels it has, and whatever else is taken from it: no wildcard adopts it."""
    name = trial.name()
    place = re.findall(r"\(.*?\)|\S+", rules)
    server.run("ACL", "SETUSER", name, "on", ">made-by-Hand-1", *place)
    [outcome] = await trial.act(Action.DISCOVER, "")
    [facts] = [facts for facts in outcome.found if facts.username == name]
    assert facts.superuser is is_powerful


async def test_what_is_found(server: RedisServer, trial: Trial):
    """Rights are told in the server's words, passwords not at all, and `nopass` stands out."""
    name, secret = trial.name(), trial.make_secret()
    await trial.make(name, secret)
    server.run("ACL", "SETUSER", name, "~app:*", "+@read")
    server.run("ACL", "SETUSER", f"{name}off", "off", "nopass")
    server.run("ACL", "SETUSER", f"{name}all", "on", "nopass", "+@all", "allkeys", "allchannels")
    server.run("ACL", "SETUSER", f"{name}part", "on", "(+config|set ~*)")
    [outcome] = await trial.act(Action.DISCOVER, "")
    found = {facts.username: facts for facts in outcome.found}
    assert found[name].groups == ("~app:*", "resetchannels", "-@all", "+@read")
    assert found[name].privileges == ()
    assert (found[name].can_log_in, found[name].locked, found[name].superuser) == (True, False, False)
    off, everything = found[f"{name}off"], found[f"{name}all"]
    assert (off.can_log_in, off.locked) == (False, True)
    assert everything.superuser
    assert everything.privileges == ("nopass", "+@all")
    assert found[f"{name}part"].privileges == ("+config|set)",)
    assert found["default"].system
    assert found["provost"].superuser, "who may set users may give itself all the rest"
    assert sha256(secret.text.encode()).hexdigest() not in repr(outcome)  # type: ignore[union-attr]


# Ways in.


async def open_and_fail(bench: RedisBench, target: Target) -> TargetError:
    with pytest.raises(TargetError) as caught:
        async with open_session(bench.open_connector(), target):
            pass
    return caught.value


async def test_tls_that_is_not_there(bench: RedisBench, server: RedisServer):
    """A server without TLS says nothing to it; that is told from one that does not answer."""
    connector = bench.open_connector()
    target = replace(bench.target, port=server.plain_port)
    with pytest.raises(TargetError) as caught:
        await connector.open(target, target.logins[0], Timeouts(connect=1), Witnessed())
    await connector.close()
    assert caught.value.code == "tls_unavailable"
    assert caught.value.permanent


@asynccontextmanager
async def serve(
    act: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
) -> AsyncIterator[int]:
    """Serve on loopback by `act`, and give the port; every connection has ended with this."""
    tasks = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.append(asyncio.current_task())
        try:
            await act(reader, writer)
        finally:
            writer.transport.abort()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]
    await asyncio.gather(*filter(None, tasks), return_exceptions=True)


async def test_a_server_that_is_silent(bench: RedisBench):
    """One that takes a connection and says nothing is unreachable; given a password, it may have refused it."""

    async def keep_quiet(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with serve(keep_quiet) as port:
        for tls, error in (("verify", Unreachable), ("off", LoginUnanswered)):
            target = replace(bench.aim(tls=tls), port=port)
            connector = bench.open_connector()
            with pytest.raises(error):
                await connector.open(target, target.logins[0], Timeouts(connect=0.5), Witnessed())
            await connector.close()


async def test_ways_to_protect_a_connection(bench: RedisBench, server: RedisServer, trial: Trial):
    """Without TLS, and with TLS that is not verified, a push is as any other; a wrong way gets no answer."""
    plain = replace(bench.aim(tls="off"), port=server.plain_port)
    for target in (plain, bench.aim(tls="unverified", tls_ca=None)):
        outcome, _ = await trial.push(trial.name(), target=target)
        assert outcome.status is Status.SUCCEEDED
    assert isinstance(await open_and_fail(bench, bench.aim(tls="off")), LoginUnanswered)


async def test_a_server_that_asks_for_a_certificate(tmp_path: Path):
    """A server that wants a certificate of its clients ends the connection; the message says why it might."""
    with run_redis(tmp_path, "tls-auth-clients yes") as server:
        bench = RedisBench(server)
        error = await open_and_fail(bench, bench.target)
        assert isinstance(error, LoginUnanswered)
        assert "tls-auth-clients" in error.message


async def test_a_server_that_is_full(bench: RedisBench, server: RedisServer, trial: Trial):
    """Too many connections are no wrong password, neither of who acts nor of who is verified."""
    name, secret = trial.name(), trial.make_secret()
    await trial.make(name, secret)
    clients = len(server.run("CLIENT", "LIST").splitlines()) - 1
    async with open_session(bench.open_connector(), bench.target) as session:
        server.run("CONFIG", "SET", "maxclients", str(clients + 1))
        try:
            told = await session.verify(name, secret)
            error = await open_and_fail(bench, bench.target)
        finally:
            await restore(server, session)
    assert (told.verdict, told.refused) == (Verdict.UNKNOWN, False), told
    assert isinstance(error, Unreachable)


async def restore(server: RedisServer, session: Session) -> None:
    await session.close()
    server.run("CONFIG", "SET", "maxclients", "10000")


@pytest.mark.parametrize(
    ("said", "error", "code"),
    [
        ("-WRONGPASS invalid username-password pair or user is disabled.", LoginRefused, LoginRefused.code),
        ("-ERR wrong number of arguments for 'auth' command", TargetError, "acl_unavailable"),
        ("-ERR max number of clients reached", Unreachable, "too_many_connections"),
        ("-LOADING Redis is loading the dataset in memory", Unreachable, "unreachable"),
        ("-DENIED Redis is running in protected mode because ...", TargetError, "policy_forbids_login"),
        ("-ERR unknown command 'AUTH', with args beginning with: 'PASSWORD'", TargetError, "target_error"),
        ("+PONG", TargetError, "target_error"),
    ],
)  # fmt: skip
async def test_what_a_server_says_to_a_login(bench: RedisBench, said: str, error: type[TargetError], code: str):
    """Each answer to a login has its meaning, and none is repeated: it might repeat the password."""
    login = bench.target.logins[0]
    assert login.password is not None
    answer = said.replace("PASSWORD", login.password.text)

    async def say(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(4096)
        writer.write(f"{answer}\r\n".encode())
        await writer.drain()
        await reader.read()

    async with serve(say) as port:
        target = replace(bench.aim(tls="off"), port=port)
        caught = await open_and_fail(bench, target)
    assert (type(caught), caught.code) == (error, code)
    assert login.password.text not in repr(caught)


@pytest.mark.parametrize("name", ["a b", 'a"b', "a'b", "a\tb", "a\x7fb", "a\u2028b", "a\u00a0b", "", "a" * 256])
def test_usernames_that_a_server_could_not_keep(name: str):
    """A quote in a name would keep the server from starting again after CONFIG REWRITE."""
    with pytest.raises(Refused):
        RedisConnector().check_username(name)


async def test_without_its_driver(bench: RedisBench, monkeypatch: pytest.MonkeyPatch):
    """The kind is there without redis-py, for forms and inventories; a run says what to install."""
    monkeypatch.setitem(sys.modules, "provost.connectors.redis.session", None)
    error = await open_and_fail(bench, bench.target)
    assert (error.code, "provost[redis]" in error.message) == ("kind_not_found", True)
