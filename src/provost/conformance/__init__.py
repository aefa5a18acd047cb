"""The suite that every connector passes: subclass `Conformance`, and give it a `Bench`."""

from provost.conformance.bench import Bench
from provost.conformance.cases import TABLE_CASES

__all__ = ["TABLE_CASES", "Bench"]
