"""The kind `linux` passes the suite."""

from collections.abc import Iterator

import pytest
from tests.kinds.linux import LinuxBench

from provost.conformance import Conformance
from provost.lab import Lab


class TestLinux(Conformance):
    @pytest.fixture(scope="class")
    @classmethod
    def bench(cls, lab: Lab) -> Iterator[LinuxBench]:
        hosts = lab.up(2)
        yield LinuxBench(*hosts)
        lab.down(hosts)
