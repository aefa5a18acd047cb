"""The cases of tests/cases/facts.yaml."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from provost.core.facts import Facts, list_changes

CASES: list[dict[str, Any]] = yaml.safe_load(
    (Path(__file__).parents[1] / "cases" / "facts.yaml").read_text(encoding="utf-8")
)["cases"]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_case(case: dict[str, Any]) -> None:
    """One case: what counts as changed."""
    before, after = (Facts.model_validate({"username": "app", **case[name]}) for name in ("before", "after"))
    assert list_changes(before, after, own=case.get("own", ())) == case["changed"]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_what_is_written_down_is_no_change(case: dict[str, Any]) -> None:
    """Facts are kept as JSON: read back, they are the same."""
    facts = Facts.model_validate({"username": "app", **case["after"]})
    assert Facts.model_validate(facts.model_dump(mode="json")) == facts
