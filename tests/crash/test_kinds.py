"""kill -9 of pushes and rotations over systems of every kind: no secret is lost, and the next run ends well."""

import json
import os
import random
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex

import pytest
from tests import forks
from tests.conftest import PROVOST, copy_empty_home
from tests.crash.conftest import HERE
from tests.crash.kinds_victim import BOUNDARIES
from tests.kinds.benches import BENCHES, open_benches, write_inventory

from provost.conformance import Bench
from provost.core.secrets import Password

pytestmark = [pytest.mark.lab, pytest.mark.crash]

ROOT = Path(__file__).parents[2]
BY_HAND = Password("made-by-Hand-1")


@dataclass(frozen=True)
class Mixture:
    """A target of each kind, and a vault that has them in /mixed, each under the name of its kind."""

    home: Path
    benches: dict[str, Bench]

    @property
    def environment(self) -> dict[str, str]:
        return {**os.environ, "PROVOST_HOME": str(self.home), "PYTHONPATH": str(ROOT)}

    def provost(self, *words: str) -> str:
        done = forks.run(PROVOST, *words, env=self.environment)
        assert not done.returncode, f"{words}: {done.stdout}{done.stderr}"
        return done.stdout

    def list_stored(self) -> dict[tuple[str, str], list[Password]]:
        """Return every secret that is pending or current, by asset and username."""
        done = forks.run(HERE / "secrets_dump.py", env=self.environment)
        assert not done.returncode, done.stderr
        stored: dict[tuple[str, str], list[Password]] = {}
        for asset, username, _, _, text in json.loads(done.stdout):
            stored.setdefault((asset, username), []).append(Password(text))
        return stored

    def check_none_lost(self, username: str, *before: Password) -> None:
        """A secret that Provost holds, or that was there before, lets in everywhere."""
        stored = self.list_stored()
        for name, bench in self.benches.items():
            held = [*stored.get((name, username), []), *before]
            assert any(bench.log_in(username, secret) for secret in held), name

    def check_all_right(self, username: str) -> None:
        """The list alone lets in, everywhere."""
        stored = self.list_stored()
        for name, bench in self.benches.items():
            [secret] = stored[name, username]
            assert bench.log_in(username, secret), name


@pytest.fixture(scope="module")
def mixture(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mixture]:
    folder = tmp_path_factory.mktemp("kinds")
    with open_benches(folder) as benches:
        made = Mixture(folder / "home", benches)
        copy_empty_home(made.home)
        write_inventory(benches, "/mixed", folder / "inventory.yaml")
        made.provost("import", str(folder / "inventory.yaml"))
        yield made


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Each kind at each boundary under `make crash`; all kinds at once at a few under `make test`."""
    if "boundary" in metafunc.fixturenames:
        many = metafunc.config.getoption("moments") >= 50
        kinds = [[kind] for kind in BENCHES] if many else [list(BENCHES)]
        boundaries = BOUNDARIES if many else ("answered",)
        cases = [(boundary, chosen) for boundary in boundaries for chosen in kinds]
        metafunc.parametrize(("boundary", "kinds"), cases, ids=[f"{one}-{'+'.join(of)}" for one, of in cases])


def word(kinds: list[str]) -> list[str]:
    return [part for kind in kinds for part in ("--asset", kind)]


@pytest.mark.parametrize("is_there", [False, True], ids=["create", "adopt"])
def test_a_push_killed_at_a_boundary(mixture: Mixture, boundary: str, kinds: list[str], is_there: bool) -> None:
    """Created or adopted: what was in force or is, is stored; the next push ends well and the list lets in."""
    username = f"cf{token_hex(4)}"
    if is_there:
        for bench in mixture.benches.values():
            bench.make(username, BY_HAND)
    push = ["push", "--account", username, "--secret-type", "password"]
    kill_at(mixture, boundary, [*push, *word(kinds)])
    if is_there:
        mixture.check_none_lost(username, BY_HAND)
    mixture.provost(*push, "--node", "/mixed")
    mixture.check_all_right(username)


def test_a_rotation_killed_at_a_boundary(mixture: Mixture, boundary: str, kinds: list[str]) -> None:
    """A secret that Provost holds lets in at any time; the next rotation ends well."""
    username = f"cf{token_hex(4)}"
    mixture.provost("push", "--account", username, "--secret-type", "password", "--node", "/mixed")
    rotate = ["rotate", "--account", username]
    kill_at(mixture, boundary, [*rotate, *word(kinds)])
    mixture.check_none_lost(username)
    mixture.provost(*rotate, "--node", "/mixed")
    mixture.check_all_right(username)


def kill_at(mixture: Mixture, boundary: str, words: list[str]) -> None:
    done = forks.run(HERE / "kinds_victim.py", boundary, *words, env=mixture.environment)
    assert done.returncode == -signal.SIGKILL, done.stdout + done.stderr


def test_killed_at_a_random_moment(mixture: Mixture, moment: int) -> None:
    """A push or a rotation over all kinds at once, killed at any moment."""
    username = f"cf{token_hex(4)}"
    push = ["push", "--account", username, "--secret-type", "password", "--node", "/mixed"]
    rotate = ["rotate", "--account", username, "--node", "/mixed"]
    words = push
    if moment % 2:
        mixture.provost(*push)
        words = rotate
    process = forks.start(PROVOST, *words, env=mixture.environment)
    time.sleep(random.Random(f"{moment}{time.time_ns()}").uniform(0, 2.5))  # noqa: S311  # any moment will do
    process.close()
    mixture.provost(*words)
    mixture.check_all_right(username)
