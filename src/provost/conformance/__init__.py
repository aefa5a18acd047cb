"""The suite that every connector passes: subclass `Conformance`, and give it a `Bench`.

    class TestClickhouse(Conformance):
        @pytest.fixture(scope="class")
        @classmethod
        def bench(cls):
            with start_clickhouse() as server:
                yield ClickhouseBench(server)

It needs pytest and pytest-asyncio: `provost[conformance]`.
"""

from provost.conformance.bench import Bench
from provost.conformance.cases import TABLE_CASES
from provost.conformance.suite import Conformance
from provost.conformance.trial import Trial

__all__ = ["TABLE_CASES", "Bench", "Conformance", "Trial"]
