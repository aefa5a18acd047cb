"""The kind `ldap`, on a real slapd."""

from collections.abc import Iterator

import pytest
from tests.conftest import do_without
from tests.kinds.ldap import LdapBench, OpenLdap

from provost.conformance import Conformance


@pytest.fixture(scope="module")
def server() -> Iterator[OpenLdap]:
    if not OpenLdap.is_installed():
        do_without("slapd is not installed (Debian: apt-get install slapd ldap-utils)")
    with OpenLdap() as server:
        yield server


@pytest.fixture
def bench(server: OpenLdap) -> LdapBench:
    return LdapBench(server)


class TestLdap(Conformance):
    """The suite of every kind."""
