"""The lab's fixtures, for tests of every kind."""

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from provost.core.errors import UsageError
from provost.lab import Host, Lab, check_machine

LabHosts = Callable[..., list[Host]]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test that uses the lab, so that `-m 'not lab'` runs without root."""
    for item in items:
        if isinstance(item, pytest.Function) and "lab" in item.fixturenames:
            item.add_marker(pytest.mark.lab)


def do_without(reason: str) -> None:
    """End a test that needs what is not here: a pity on a laptop, a failure where everything is to be tried."""
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(name="do_without")
def give_do_without() -> Callable[[str], None]:
    """`do_without`, for tests."""
    return do_without


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A lab that ends with the session."""
    try:
        check_machine()
    except UsageError as error:
        do_without(error.message)
    with Lab(tmp_path_factory.mktemp("session") / "lab") as lab:
        yield lab


@pytest.fixture
def lab_hosts(lab: Lab) -> Iterator[LabHosts]:
    """A function that starts hosts, with the options of `Lab.up`; they end with the test."""
    started: list[Host] = []

    def start(count: int, **options: Any) -> list[Host]:
        hosts = lab.up(count, **options)
        started.extend(hosts)
        return hosts

    yield start
    lab.down(started)


@pytest.fixture
def host(lab_hosts: LabHosts) -> Host:
    """A new Debian host."""
    return lab_hosts(1)[0]


@pytest.fixture(scope="session")
def busybox() -> Path:
    """A static BusyBox as on Alpine, built at the first need."""
    script = Path(__file__).parents[1] / "scripts" / "busybox"
    built = subprocess.run([script], capture_output=True, text=True, check=False)
    if built.returncode:
        do_without(f"scripts/busybox: {built.stderr}")
    return Path(built.stdout.strip())


@pytest.fixture
def busybox_host(lab_hosts: LabHosts, busybox: Path) -> Host:
    """A new host with BusyBox's tools alone."""
    return lab_hosts(1, busybox=busybox)[0]
