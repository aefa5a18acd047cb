"""kill -9 of a server at work: its run goes on by itself, here at once, elsewhere when the lease has ended."""

import json
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests import forks
from tests.conftest import make_database
from tests.crash.conftest import Scene, check_list, check_none_lost, make_scene
from tests.crash.test_crash import BOUNDARIES

pytestmark = [pytest.mark.lab, pytest.mark.crash]

SHORT = ("after-stage", "half-a-secret-sent", "inside-record")
"""Boundaries that are tried without `--thorough`, too."""

HERE = Path(__file__).parent
WORKER = HERE.parent / "lone_worker.py"
ELSEWHERE = ("unshare", "--pid", "--fork", "--kill-child", "--mount-proc")
"""What hides the other processes of this machine, as another machine would."""
PATIENCE = 120.0

Process = forks.Process | subprocess.Popen[str]
Start = Callable[..., Process]


@pytest.fixture
def start_worker() -> Iterator[Start]:
    """A function that starts a server in a scene and waits until it works; it is killed at the end.

    It is a worker, or a victim that dies at `boundary`; `elsewhere`: as if on another machine.
    """
    started: list[Process] = []

    def start(scene: Scene, boundary: str = "", *, elsewhere: bool = False) -> Process:
        process: Process
        if elsewhere:
            process = subprocess.Popen(
                [*ELSEWHERE, sys.executable, WORKER],
                env=scene.environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
            )  # fmt: skip
        elif boundary:
            process = forks.start(HERE / "victim.py", boundary, "worker", env=scene.environment)
        else:
            process = forks.start(WORKER, env=scene.environment)
        started.append(process)
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()
        assert process.stdout
        process.stdout.close()


def queue_push(scene: Scene, names: dict[str, str], secret_type: str) -> str:
    """Write down a push that nobody attends to, and return its id."""
    spec = {"usernames": list(names.values()), "nodes": ["/crash"], "secret_type": secret_type}
    done = forks.run(HERE.parent / "queue_push.py", json.dumps(spec), env=scene.environment)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def show(scene: Scene, run: str) -> dict[str, Any]:
    """Return a run as `provost run show` tells it."""
    document: dict[str, Any] = json.loads(scene.provost("run", "show", run, "--json"))
    return document


def wait_until_over(scene: Scene, run: str) -> dict[str, Any]:
    """Wait until a run is over, and return it."""
    ends = time.monotonic() + PATIENCE
    while (document := show(scene, run))["run"]["state"] in {"queued", "running"}:
        assert time.monotonic() < ends, document
        time.sleep(0.3)
    return document


async def check_gone_on(scene: Scene, run: str, names: dict[str, str], secret_type: str) -> None:
    """Check that the run ends well by itself, with no push after it."""
    document = wait_until_over(scene, run)
    assert document["run"]["state"] == "finished", document
    assert {record["status"] for record in document["records"]} <= {"succeeded", "unchanged"}, document
    await check_list(scene, names, secret_type)


@pytest.mark.parametrize(
    ("boundary", "secret_type"),
    [
        *(
            pytest.param(boundary, "password", marks=() if boundary in SHORT else pytest.mark.thorough)
            for boundary in BOUNDARIES
        ),
        pytest.param("half-a-secret-sent", "ssh_key", marks=pytest.mark.thorough),
        ("answered", "ssh_key"),
    ],
)
async def test_killed_at_a_boundary(scene: Scene, start_worker: Start, boundary: str, secret_type: str) -> None:
    """Killed between two stages, the run is gone on with at the next start, and every account gets right."""
    names = scene.set_out(secret_type)
    victim = start_worker(scene, boundary)
    run = queue_push(scene, names, secret_type)
    assert victim.wait(PATIENCE) == -signal.SIGKILL
    assert show(scene, run)["run"]["state"] == "running", "nobody calls it interrupted"
    scene.settle_host()
    await check_none_lost(scene, names, secret_type)
    start_worker(scene)
    await check_gone_on(scene, run, names, secret_type)


async def test_killed_at_a_random_moment(scene: Scene, start_worker: Start, moment: int) -> None:
    """Killed at any moment, and once more while it goes on, the run still ends well by itself."""
    secret_type = "ssh_key" if moment % 4 == 3 else "password"
    names = scene.set_out(secret_type)
    chance = random.Random(f"{moment}{time.time_ns()}")  # noqa: S311  # any moment will do
    run = ""
    for _ in range(2):
        worker = start_worker(scene)
        run = run or queue_push(scene, names, secret_type)
        time.sleep(chance.uniform(0, 1.2))
        worker.kill()
        worker.wait()
    if moment % 2:
        scene.settle_host()
        await check_none_lost(scene, names, secret_type)
    start_worker(scene)
    await check_gone_on(scene, run, names, secret_type)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory, postgresql: str) -> Iterator[Scene]:
    """A scene on a PostgreSQL that several servers work with."""
    settings = {"PROVOST_DATABASE_URL": make_database(postgresql)}
    with make_scene(tmp_path_factory.mktemp("shared"), settings) as made:
        yield made


async def test_another_server_takes_over(shared: Scene, start_worker: Start) -> None:
    """A server that cannot tell that the first is gone goes on with its run when the lease has ended."""
    names = shared.set_out("password")
    victim = start_worker(shared, "half-a-secret-sent")
    run = queue_push(shared, names, "password")
    assert victim.wait(PATIENCE) == -signal.SIGKILL
    killed = time.monotonic()
    await check_none_lost(shared, names, "password")
    start_worker(shared, elsewhere=True)
    assert show(shared, run)["run"]["state"] == "running", "what is known of the first is its lease"
    await check_gone_on(shared, run, names, "password")
    print(f"taken over and ended {time.monotonic() - killed:.0f} s after the kill")  # noqa: T201  # told, not asserted


def is_stopped(process: Process) -> bool:
    """Tell whether a process was stopped by a signal (field 3 of stat, proc(5))."""
    return Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"


@pytest.mark.parametrize(
    "boundary", ["stopped-before-change", pytest.param("stopped-before-record", marks=pytest.mark.thorough)]
)
async def test_who_wakes_up_beside_a_new_holder_does_nothing(
    shared: Scene, start_worker: Start, boundary: str
) -> None:
    """A server that was stopped for longer than its lease finds its run another's, and leaves it alone.

    Shells that it has on hosts keep the new holder from nothing, and do not do what it sends when it wakes up.
    """
    names = shared.set_out("password")
    sleeper = start_worker(shared, boundary)
    run = queue_push(shared, names, "password")
    ends = time.monotonic() + PATIENCE
    while not is_stopped(sleeper):
        assert time.monotonic() < ends
        time.sleep(0.05)
    other = start_worker(shared, elsewhere=True)
    await check_gone_on(shared, run, names, "password")
    before, stored = show(shared, run), shared.read_stored()
    other.kill()
    other.wait()
    sleeper.send_signal(signal.SIGCONT)
    sleeper.send_signal(signal.SIGTERM)
    assert sleeper.wait(PATIENCE) == 0
    assert (show(shared, run), shared.read_stored()) == (before, stored)
    await check_list(shared, names, "password")
