"""The cases of tests/cases/lifecycle_cuts.yaml: a rotation of Provost's own accounts is cut off anywhere."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.server.lifecycle import Scene, misbehave, run

from provost.connectors import memory
from provost.core.model import SecretType

pytestmark = [pytest.mark.usefixtures("database"), pytest.mark.once]

DOCUMENT = yaml.safe_load(
    (Path(__file__).parents[1] / "cases" / "lifecycle_cuts.yaml").read_text(encoding="utf-8")
)
MOST = 24
"""Steps that no rotation here has: the last one is never reached."""


@pytest.fixture(autouse=True)
def _hosts() -> Any:
    memory.HOSTS.clear()
    yield
    memory.HOSTS.clear()


class Cut:
    """A host's script that does one thing at one of its steps."""

    def __init__(self, at: int, fault: str, control: Any) -> None:
        self.left = at
        self.fault = fault
        self.control = control
        self.done = ""

    async def play(self, step: memory.Step, username: str) -> None:
        """Be the script."""
        self.left -= 1
        if self.left >= 0 or self.done:
            return
        self.done = f"{step} {username}"
        if self.fault == "cancel":
            self.control.cancel.set()
        elif self.fault == "halt":
            self.control.halt.set()
            await asyncio.sleep(3600)
        else:
            await misbehave(self.fault)


def make_scene(case: dict[str, Any], number: int) -> Scene:
    secret_type = SecretType(case["type"])
    scene = Scene("sudo" if case["who"] == "both" else case["who"], secret_type, asset=f"db{number}")
    scene.add_subject("listed")
    if case["who"] == "both":
        scene.add_secret(scene.username, SecretType.SSH_KEY)
    scene.add("bob")
    return scene


@pytest.mark.parametrize(
    "fault",
    [
        *DOCUMENT["faults"],
        *(pytest.param(fault, marks=pytest.mark.thorough) for fault in DOCUMENT["more_faults"]),
    ],
)
@pytest.mark.parametrize("case", DOCUMENT["cuts"], ids=lambda case: " ".join(map(str, case.values())))
def test_cut(case: dict[str, Any], fault: str) -> None:
    """No secret is lost, the next run gets in and settles what it got in with, and the rotation can be done."""
    from provost.server.models import Rejection
    from provost.server.services.execution import Control

    wanted = {"usernames": case["rotated"], "secret_type": case["type"]}
    scenes = [make_scene(case, number) for number in range(MOST)]
    together = fault not in {"halt", "cancel"}  # which end a whole run
    cuts = []
    for number, scene in enumerate(scenes):
        cuts.append(Cut(number, fault, Control()))
        scene.host.script = cuts[-1].play
        if not together:
            run("rotate", control=cuts[-1].control, assets=[scene.asset], **wanted)
        if number and not cuts[-1].done and not together:
            break
    if together:
        run("rotate", **wanted)
    reached = [scene for scene, cut in zip(scenes, cuts, strict=False) if cut.done]
    assert 3 < len(reached) < MOST
    told = {scene.asset: cut.done for scene, cut in zip(scenes, cuts, strict=False)}

    assets = [scene.asset for scene in reached]
    for scene in reached:
        scene.host.script = memory.behave
        for username in case["rotated"]:
            assert scene.is_manageable(username), (told[scene.asset], username)

    Rejection.objects.all().delete()
    made = run("verify", usernames=["bob"], assets=assets)
    for record in made.records.all():
        assert record.status == "succeeded", (told[record.asset_name], record.message)
        scene = next(one for one in scenes if one.asset == record.asset_name)
        if record.actor in case["rotated"]:
            assert scene.is_current_in_force(record.actor, scene.secret_type), told[scene.asset]

    Rejection.objects.all().delete()  # an hour later
    made = run("rotate", assets=assets, **wanted)
    for record in made.records.all():
        assert record.status == "succeeded", (told[record.asset_name], record.reason, record.message)
        scene = next(one for one in scenes if one.asset == record.asset_name)
        assert scene.is_current_in_force(record.username, scene.secret_type), told[scene.asset]
        assert "pending" not in scene.count_states(record.username, scene.secret_type), told[scene.asset]
