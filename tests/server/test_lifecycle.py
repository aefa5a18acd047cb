"""The cases of tests/cases/lifecycle_*.yaml: verification, reconciliation and rotation, on both databases."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.server.lifecycle import Scene, find_record, make_secret, run

from provost.connectors import memory
from provost.core.model import SecretType

pytestmark = pytest.mark.usefixtures("database")

CASES = Path(__file__).parents[1] / "cases"


def read_cases(name: str) -> list[Any]:
    document = yaml.safe_load((CASES / name).read_text(encoding="utf-8"))
    return [
        pytest.param(action, case, id=" ".join([action, *(str(value) for value in case.values())]))
        for action, cases in document.items()
        for case in cases
    ]


@pytest.fixture(autouse=True)
def _hosts() -> Any:
    memory.HOSTS.clear()
    yield
    memory.HOSTS.clear()


@pytest.mark.parametrize(
    ("action", "case"), [*read_cases("lifecycle_verify.yaml"), *read_cases("lifecycle_rotate.yaml")]
)
def test_case(action: str, case: dict[str, Any]) -> None:
    """One case: how its record ends, what is stored, what is known of it, what logs in, and at what cost."""
    secret_type = SecretType(case["type"])
    scene = Scene(case["who"], secret_type)
    scene.add_subject(case["on_target"], left=case.get("left", False), checked=case.get("checked", False))
    scene.known["specified"] = make_secret(secret_type)
    fields: dict[str, Any] = {"usernames": [scene.username], "secret_type": secret_type}
    if fault := case.get("fault"):
        scene.misbehave(fault)
        if "hangs" in fault:
            fields |= {"connect_timeout": 0.1, "command_timeout": 0.1}
    given = scene.known[case["given"]] if "given" in case else None

    record = find_record(run(action, given, **fields), scene.username)

    assert (record.status, record.reason) == (case["status"], case.get("reason", "")), record.message
    assert scene.list_stored() == {
        "current": [case["current"]],
        "pending": case.get("pending", []),
        "retired": case.get("retired", []),
    }
    assert scene.read_sync() == case["sync"]
    assert scene.list_working() == case["works"]
    there = scene.host.accounts.get(scene.username)
    assert (there.refused if there else 0) == case["refused"]
