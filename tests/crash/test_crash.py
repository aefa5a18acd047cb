"""kill -9 of a push on real hosts: whatever the moment, no secret is lost, and the next push gets all right."""

import random
import signal
import time
from pathlib import Path

import pytest
from tests import forks
from tests.conftest import PROVOST
from tests.crash.conftest import Scene, check_all_right, check_none_lost

pytestmark = [pytest.mark.lab, pytest.mark.crash]

HERE = Path(__file__).parent
BOUNDARIES = (
    "before-stage", "after-stage", "connected", "observed", "half-a-secret-sent", "all-sent", "answered",
    "verified", "before-record", "inside-record", "after-record", "before-finish",
)  # fmt: skip


@pytest.mark.parametrize(
    ("boundary", "secret_type"),
    [
        *((boundary, "password") for boundary in BOUNDARIES),
        *(
            (boundary, "ssh_key")
            for boundary in ("half-a-secret-sent", "all-sent", "answered", "before-record")
        ),
    ],
)
async def test_killed_at_a_boundary(scene: Scene, boundary: str, secret_type: str) -> None:
    """Killed between two stages, every account keeps a stored secret that logs in; the next push settles it."""
    names = scene.set_out(secret_type)
    words = scene.word_push(names, secret_type)
    done = forks.run(HERE / "victim.py", boundary, *words, env=scene.environment)
    assert done.returncode == -signal.SIGKILL, done.stderr
    scene.settle_host()
    await check_none_lost(scene, names, secret_type)
    await check_all_right(scene, names, secret_type)


def test_the_boundaries_are_all_there() -> None:
    """The victim and this file name the same boundaries."""
    import runpy

    assert runpy.run_path(str(HERE / "victim.py"), run_name="victim")["BOUNDARIES"] == BOUNDARIES


async def test_killed_at_a_random_moment(scene: Scene, moment: int) -> None:
    """Killed at any moment, every account keeps a stored secret that logs in; a push right after settles it."""
    secret_type = "ssh_key" if moment % 4 == 3 else "password"
    names = scene.set_out(secret_type)
    process = forks.start(PROVOST, *scene.word_push(names, secret_type), env=scene.environment)
    # From before the first contact to about the end of such a push.
    time.sleep(random.Random(f"{moment}{time.time_ns()}").uniform(0.1, 1.2))  # noqa: S311  # any moment will do
    process.close()
    if moment % 2:
        scene.settle_host()
        await check_none_lost(scene, names, secret_type)
    await check_all_right(scene, names, secret_type)
