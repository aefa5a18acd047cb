"""The kind `memory` passes the suite."""

import pytest
from tests.kinds.memory import MemoryBench

from provost.conformance import Conformance


class TestMemory(Conformance):
    @pytest.fixture
    def bench(self) -> MemoryBench:
        return MemoryBench()
