"""The kind `postgresql` passes the suite, on a real server."""

from collections.abc import Iterator

import pytest
from tests.conftest import do_without
from tests.kinds.postgresql import PostgresqlBench, PostgresqlServer, find_programs

from provost.conformance import Conformance


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresqlServer]:
    """A server of its own."""
    programs = find_programs()
    if programs is None:
        do_without("PostgreSQL's server is not installed (Debian: apt-get install postgresql)")
    with PostgresqlServer(programs) as server:
        yield server


class TestPostgresql(Conformance):
    @pytest.fixture
    def bench(self, server: PostgresqlServer) -> PostgresqlBench:
        return PostgresqlBench(server)
