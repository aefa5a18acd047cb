"""The fixtures of the lab, and a PostgreSQL, for tests of every kind."""

import atexit
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import httpx
import pytest
from tests import forks

from provost.core.errors import UsageError
from provost.lab import Host, Lab, check_machine

LabHosts = Callable[..., list[Host]]

PROVOST: Final = Path(sys.executable).with_name("provost")

SLOW: Final = (
    "contract/test_network_device.py",
    "server/test_remote.py",
    "crash/test_takeover.py",
    "crash/test_crash.py",
    "e2e/test_leaks.py",
    "e2e/test_lifetimes.py",
    "crash/test_kinds.py",
    "server/test_lifecycle_cuts.py",
    "contract/test_linux.py",
    "server/test_serve.py",
    "e2e/test_runs.py",
    "e2e/test_mixed.py",
    "server/test_task_cli.py",
    "server/test_kinds.py",
    "contract/test_removal_linux.py",
    "e2e/test_hostile.py",
    "contract/test_slow_device.py",
    "e2e/test_lockout.py",
    "contract/test_active_directory.py",
    "e2e/test_hostile_life.py",
    "e2e/test_server.py",
    "crash/test_rotation.py",
    "e2e/test_scale.py",
    "server/test_document.py",
)
"""Begun first, in this order: where several processes share the files, none has one of these at the end."""

PATIENCE: Final = 60.0
"""Seconds that a server may take for anything, on a machine that does much else."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """`make crash` takes its time; `make test` leaves out more of the same."""
    parser.addoption("--moments", type=int, default=4, help="how often to kill Provost, or cut a connection")
    parser.addoption("--thorough", action="store_true", help="also the tests that are marked thorough")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark every test that uses the lab, so that `-m 'not lab'` runs without root; leave out the thorough."""
    for item in items:
        if isinstance(item, pytest.Function) and "lab" in item.fixturenames:
            item.add_marker(pytest.mark.lab)
    if not config.getoption("thorough"):
        left_out = [item for item in items if item.get_closest_marker("thorough")]
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]
    places = {name: place for place, name in enumerate(SLOW)}
    items.sort(key=lambda item: places.get("/".join(item.path.parts[-2:]), len(SLOW)))


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


@pytest.fixture(scope="session")
def postgresql() -> Iterator[str]:
    """A PostgreSQL of its own, reached by a socket in its folder. Gives the URL but for the database."""
    servers = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
    if not servers:
        do_without("PostgreSQL's server is not installed (Debian: apt-get install postgresql)")
    programs = servers[-1].parent
    folder = Path(tempfile.mkdtemp(prefix="provost-postgresql-"))
    data = folder / "data"
    as_postgres: list[str] = []
    if os.geteuid() == 0:  # PostgreSQL refuses to run as root
        shutil.chown(folder, "postgres")
        as_postgres = ["runuser", "-u", "postgres", "--"]
    options = f"-k {folder} -c listen_addresses= -c fsync=off"

    def run(*words: str) -> None:
        subprocess.run([*as_postgres, *words], check=True, stdout=subprocess.DEVNULL, cwd=folder)

    try:
        run(str(programs / "initdb"), "-D", str(data), "-U", "postgres", "-A", "trust", "-E", "UTF8", "-N")
        pg_ctl = str(programs / "pg_ctl")
        run(pg_ctl, "-D", str(data), "-w", "-l", str(folder / "log"), "-o", options, "start")
        try:
            yield f"postgresql://postgres@{str(folder).replace('/', '%2F')}/"
        finally:
            run(pg_ctl, "-D", str(data), "-w", "-m", "immediate", "stop")
    finally:
        shutil.rmtree(folder)


def make_database(postgresql: str, template: str = "template1") -> str:
    """Make a database on the PostgreSQL of `postgresql`, and return its URL."""
    import psycopg

    name = f"provost_{uuid4().hex}"
    with psycopg.connect(f"{postgresql}postgres", autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
    return postgresql + name


@dataclass(frozen=True)
class Server:
    """A real `provost serve`. `told` is what it wrote to standard output until it was ready."""

    process: forks.Process
    url: str
    told: str
    log_file: Path

    @property
    def log(self) -> str:
        """What it has written to standard error."""
        return self.log_file.read_text()

    @property
    def setup_token(self) -> str:
        """The one-time token that it printed, as there is no user yet."""
        return self.told.splitlines()[0].split()[-1]

    def ask(self, method: str, path: str, **options: Any) -> httpx.Response:
        """Send it one request, with the options of `httpx.request`."""
        return httpx.request(method, f"{self.url}{path}", timeout=PATIENCE, **options)

    def set_up(self, **password: str) -> str:
        """Make the first administrator, `ada`, and return a token of theirs."""
        body = {"setup_token": self.setup_token, "username": "ada", **password}
        token: str = self.ask("POST", "/api/v1/setup", json=body).raise_for_status().json()["token"]
        return token

    def connect(self, token: str) -> httpx.Client:
        """Return a client of the API that sends a token ("": none)."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return httpx.Client(base_url=f"{self.url}/api/v1/", headers=headers, timeout=PATIENCE)

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Send it a signal, and return its exit status."""
        self.process.send_signal(number)
        return self.process.wait(PATIENCE)


def keep_environment() -> dict[str, str]:
    """Return this process' environment without anything of Provost's or Django's."""
    return {name: text for name, text in os.environ.items() if not name.startswith(("PROVOST_", "DJANGO_"))}


@cache
def _make_home() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="provost-empty-"))
    atexit.register(shutil.rmtree, folder)
    done = forks.run(PROVOST, "init", env=keep_environment() | {"PROVOST_HOME": str(folder / "home")})
    assert not done.returncode, done.stderr
    return folder / "home"


def copy_empty_home(home: Path) -> None:
    """Make a data folder as `provost init` leaves it, which would take a second or two."""
    shutil.copytree(_make_home(), home)


Serve = Callable[..., Server]


@contextmanager
def run_servers(environment: dict[str, str], folder: Path) -> Iterator[Serve]:
    """Give a function that starts the real server on a free port; its log is in `folder`. All end with this."""
    started: list[forks.Process] = []

    def start(*words: str, **variables: str) -> Server:
        log_file = folder / f"log{len(started)}"
        with log_file.open("w") as log:
            process = forks.start(
                PROVOST, "serve", "--port", "0", *words, env=environment | variables, stderr=log
            )
        started.append(process)
        assert process.stdout
        told = ""
        for line in process.stdout:
            told += line
            if line.startswith("Provost listens on "):
                return Server(process, line.split()[-1], told, log_file)
        pytest.fail(f"exit status {process.wait()}\n{told}\n{log_file.read_text()}")

    try:
        yield start
    finally:
        for process in started:
            process.close()
