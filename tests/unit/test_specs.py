"""The cases of tests/cases/specs.yaml."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from provost.core.model import Action
from provost.core.specs import SPECS

CASES: list[dict[str, Any]] = yaml.safe_load(
    (Path(__file__).parents[1] / "cases" / "specs.yaml").read_text(encoding="utf-8")
)["cases"]


@pytest.mark.parametrize("case", CASES, ids=lambda case: str(case["spec"]))
def test_case(case: dict[str, Any]) -> None:
    """One case: what it is read as, or what of it cannot be read; written down again, it is the same."""
    if "refused" in case:
        with pytest.raises(ValidationError) as caught:
            SPECS.validate_python(case["spec"])
        error = caught.value.errors()[0]
        assert (str(error["loc"][-1]) if error["loc"] else "") == case["refused"]
        return
    spec = SPECS.validate_python(case["spec"])
    assert type(spec).__name__ == case["reads"]
    written = spec.model_dump(mode="json")
    assert {name: written[name] for name in case.get("holds", {})} == case.get("holds", {})
    assert written["action"] == case["spec"].get("action", "push")
    assert SPECS.validate_python(written) == spec == SPECS.validate_python(spec)


def test_every_action_has_a_spec() -> None:
    """What a run may do can be asked for."""
    read = {SPECS.validate_python(case["spec"]).action for case in CASES if "reads" in case}
    assert read == set(Action)
