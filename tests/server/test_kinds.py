"""A kind that another package brings in one file is in the command line, the API and the console."""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import PROVOST
from tests.server.conftest import World
from tests.server.test_console import open_administrator

from provost.core.rights import make_local

pytestmark = pytest.mark.once

KIND = """
from dataclasses import replace
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from provost.connectors.memory import MemoryConnector
from provost.core.model import Become
from provost.core.passwords import PasswordLimits


class Options(BaseModel):
    model_config = ConfigDict(extra="forbid")

    colour: Literal["red", "blue"] = Field("red", description="the colour of the orchard")
    present: str = ""


class Parameters(BaseModel):
    model_config = ConfigDict(extra="forbid")

    trees: int = Field(1, ge=1, description="how many trees the account tends")


class Orchard(MemoryConnector):
    kind = "orchard"
    default_port = 4711
    becomes = frozenset({Become.NONE})
    passwords = PasswordLimits(longest=20, forbidden="#")
    options = Options
    parameters = Parameters

    async def open(self, target, login, timeouts, witness):
        return await super().open(replace(target, options={}), login, timeouts, witness)
"""


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an installed package of one module."""
    folder = tmp_path_factory.mktemp("orchard")
    (folder / "orchard.py").write_text(KIND)
    about = folder / "orchard-1.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: orchard\nVersion: 1\n")
    (about / "entry_points.txt").write_text("[provost.connectors]\norchard = orchard:Orchard\n")
    return folder


@pytest.fixture
def _installed(package: Path, monkeypatch: pytest.MonkeyPatch, database: Any) -> Iterator[None]:
    """The package is installed in this very process."""
    del database
    from provost.server.services import checks

    def forget() -> None:
        checks._list_kinds.cache_clear()
        checks.load_connector.cache_clear()

    monkeypatch.syspath_prepend(package)
    forget()
    yield
    monkeypatch.undo()
    forget()


@pytest.mark.usefixtures("_installed")
def test_in_the_api() -> None:
    """Its port, its limits and the schemas of what it takes are told with those of the shipped kinds."""
    from provost.server.api import kinds

    found = [one.model_dump(mode="json") for one in kinds.list_kinds(make_local("tester"))]
    [told] = [one for one in found if one["kind"] == "orchard"]
    assert (told["default_port"], told["becomes"], told["longest_password"]) == (4711, ["none"], 20)
    assert told["options"]["properties"]["colour"]["enum"] == ["red", "blue"]
    assert told["parameters"]["properties"]["trees"]["minimum"] == 1


@pytest.mark.usefixtures("_installed")
def test_in_the_console(world: World) -> None:
    """Its fields are in the form of a new asset, and its parameters in that of a push to one."""
    from provost.core.requests import AssetBody
    from provost.server.api import assets

    browser = open_administrator()
    form = browser.get("/new-asset/kind?kind=orchard").content.decode()
    assert "the colour of the orchard" in form
    assert "4711" in form
    assert "How it gets its rights" not in form, "there is one way"
    assets.add_asset(world.local, AssetBody(name="hill", kind="orchard", address="10.0.0.1"))
    page = browser.post("/push/targets", {"spec.assets": "hill"}).content.decode()
    assert "how many trees the account tends" in page


def test_in_the_command_line(package: Path, tmp_path: Path) -> None:
    """An asset of it is added, pushed to, and what it does not take is refused by name."""
    environment = {**os.environ, "PROVOST_HOME": str(tmp_path), "PYTHONPATH": str(package)}

    def provost(*words: str, stdin: str = "", status: int = 0) -> str:
        done = subprocess.run(
            [PROVOST, *words], env=environment, input=stdin, capture_output=True, text=True, check=False
        )
        assert done.returncode == status, (words, done.stdout, done.stderr)
        return done.stdout + done.stderr

    provost("init")
    assert "orchard" in {one["kind"] for one in json.loads(provost("kind", "list", "--json"))["kinds"]}
    adding = ["asset", "add", "hill", "--kind", "orchard", "--address", "10.0.0.1", "--option"]
    assert "Input should be 'red' or 'blue'" in provost(*adding, "colour=green", status=2)
    provost(*adding, "colour=blue")
    owner = ["account", "add", "gardener", "--asset", "hill", "--privileged", "--password-stdin"]
    provost(*owner, "--become", "sudo", stdin="secret", status=2)
    provost(*owner, stdin="secret")
    push = ["push", "--account", "app", "--asset", "hill", "--secret-type", "password", "--json"]
    assert "trees" in provost(*push, "--length", "16", "--no-symbols", "--param", "trees=0", status=2)
    assert "at most 20 characters" in provost(*push, status=2)
    assert "none of these characters: #" in provost(*push, "--length", "16", status=2)
    told = json.loads(provost(*push, "--length", "16", "--no-symbols", "--param", "trees=3"))
    assert [record["status"] for record in told["records"]] == ["succeeded"]
