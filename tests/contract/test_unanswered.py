"""Logins whose answer does not come: with every driver that does not speak SSH, they count as refused."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from typing import NamedTuple

import pytest
from tests.conftest import do_without
from tests.kinds.muffler import Muffler
from tests.kinds.mysql import MariaDb, MysqlBench
from tests.kinds.postgresql import PostgresqlBench, PostgresqlServer, find_programs
from tests.kinds.redis import RedisBench, has_redis, run_redis

from provost.conformance import Bench, Trial
from provost.conformance.reaching import open_session
from provost.core.connector import Timeouts
from provost.core.errors import LoginUnanswered
from provost.core.job import Target
from provost.core.model import Verdict

HASTE = Timeouts(connect=1.0)


class Way(NamedTuple):
    """A server that is reached in clear, and the message of a client in which it has given its password."""

    bench: Bench
    target: Target
    nth: int


@pytest.fixture(scope="module", params=["redis", "mysql", "postgresql"])
def way(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Way]:
    """Each of the servers."""
    match request.param:
        case "redis":
            if not has_redis():
                do_without("Redis is not installed (Debian: apt-get install redis-server)")
            with run_redis(tmp_path_factory.mktemp("redis")) as server:
                bench = RedisBench(server)
                yield Way(bench, replace(bench.aim(tls="off"), port=server.plain_port), 1)
        case "mysql":
            if not MariaDb.is_installed():
                do_without("MariaDB's server is not installed (Debian: apt-get install mariadb-server)")
            with MariaDb() as maria:
                mysql = MysqlBench(maria)
                yield Way(mysql, mysql.aim(tls="off", tls_ca=None), 1)
        case _:
            programs = find_programs()
            if programs is None:
                do_without("PostgreSQL's server is not installed (Debian: apt-get install postgresql)")
            with PostgresqlServer(programs) as postgres:
                postgresql = PostgresqlBench(postgres)
                yield Way(postgresql, postgresql.aim(tls="off", tls_ca=None, tls_name=None), 3)


@pytest.fixture(params=[False, True], ids=["hangs", "ends"])
async def muffler(request: pytest.FixtureRequest, way: Way) -> AsyncIterator[Muffler]:
    async with Muffler(way.target.port, way.nth, ends=request.param) as muffler:
        yield muffler


async def test_a_verification(way: Way, muffler: Muffler) -> None:
    """It counts as refused and says nothing of the password, which is given once, to one of two addresses."""
    trial = Trial(way.bench)
    username, secret = trial.name(), trial.make_secret()
    await trial.make(username, secret)
    connector = way.bench.open_connector()
    async with open_session(connector, replace(way.target, port=muffler.port), HASTE) as session:
        assert (await session.verify(username, secret)).verdict is Verdict.ACCEPTED
        muffler.on = True
        told = await session.verify(username, secret)
    assert (told.verdict, told.reason, told.refused) == (Verdict.UNKNOWN, "login_unanswered", True), told
    assert muffler.given == 1


async def test_who_acts(way: Way, muffler: Muffler, monkeypatch: pytest.MonkeyPatch) -> None:
    """A privileged account's is told as well, also where its server has several addresses: one hears of it."""

    async def resolve(*_: object, **__: object) -> list[tuple[object, ...]]:
        return [(2, 1, 6, "", (address, muffler.port)) for address in ("127.0.0.1", "127.0.0.9")]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", resolve)
    muffler.on = True
    with pytest.raises(LoginUnanswered):
        async with open_session(way.bench.open_connector(), replace(way.target, port=muffler.port), HASTE):
            pass
    assert muffler.given == 1
