"""The kind `mysql` passes the suite, on MariaDB, and on MySQL where there is one."""

from collections.abc import Iterator

import pytest
from tests.conftest import do_without
from tests.kinds.linux import aim_at_gateway
from tests.kinds.mysql import MariaDb, MySql, MysqlBench

from provost.conformance import Conformance
from provost.lab import Lab

SERVERS = [MariaDb, *([MySql] if MySql.is_installed() else [])]


@pytest.fixture(scope="module", params=SERVERS, ids=lambda kind: kind.name)
def bench(request: pytest.FixtureRequest) -> Iterator[MysqlBench]:
    """A server that ends with this module."""
    if not request.param.is_installed():
        do_without("MariaDB's server is not installed (Debian: apt-get install mariadb-server)")
    with request.param() as server:
        yield MysqlBench(server)


class TestMysql(Conformance):
    """The suite, also through a gateway where there is a lab."""

    @pytest.fixture(scope="class", autouse=True)
    @classmethod
    def gateway(cls, bench: MysqlBench, lab: Lab) -> Iterator[None]:
        hosts = lab.up(1)
        bench.gateway = aim_at_gateway(hosts[0])
        yield
        bench.gateway = None
        lab.down(hosts)
