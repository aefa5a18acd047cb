"""A real database for every test here: SQLite, or with `--database postgresql` a PostgreSQL started for it."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

import httpx
import pytest
from tests.conftest import make_database


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--database", choices=["sqlite", "postgresql"], default="sqlite")


@pytest.fixture(scope="session")
def _server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Django, set up once for a data folder of the tests' own."""
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PROVOST_HOME", str(home))
        patch.setenv("PROVOST_ALLOWED_HOSTS", "testserver")  # as Django's client for tests names it
        patch.setenv("DJANGO_SETTINGS_MODULE", "provost.config.settings")
        for name in ("PROVOST_DATABASE_URL", "PROVOST_MASTER_KEY_FILE"):
            patch.delenv(name, raising=False)
        if request.config.getoption("database", default="sqlite") == "postgresql":
            patch.setenv("PROVOST_DATABASE_URL", make_database(request.getfixturevalue("postgresql")))
        import django

        django.setup()
    from django.core.management import call_command
    from django.db import connections

    call_command("migrate", verbosity=0)
    yield home
    connections.close_all()


@pytest.fixture
def database(_server: Path) -> Iterator[Path]:
    """An empty database with a keyset, and its data folder, which holds `master.key`."""
    from django.core.management import call_command
    from django.db import connection

    from provost.server.services import keyring

    append_only = import_module("provost.server.migrations.0004_append_only")
    (_server / "master.key").unlink(missing_ok=True)
    keyring.create_keyset()
    yield _server
    with connection.schema_editor() as editor:  # the audit trail does not let itself be emptied
        append_only.drop_triggers(None, editor)
    call_command("flush", verbosity=0, interactive=False)
    with connection.schema_editor() as editor:
        append_only.create_triggers(None, editor)


Provost = Callable[..., subprocess.CompletedProcess[str]]


def _prepare_program(environment: dict[str, str]) -> Provost:
    def run(*words: str, stdin: str = "", status: int = 0) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [Path(sys.executable).with_name("provost"), *words],
            input=stdin,
            capture_output=True,
            text=True,
            env=environment,
            check=False,
        )
        assert done.returncode == status, f"exit status {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    return run


def _make_environment(home: Path, database_url: str | None) -> dict[str, str]:
    kept = {name: text for name, text in os.environ.items() if not name.startswith(("PROVOST_", "DJANGO_"))}
    return kept | {"PROVOST_HOME": str(home)} | ({"PROVOST_DATABASE_URL": database_url} if database_url else {})


@pytest.fixture(scope="session")
def _template(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of a Provost with one asset, to be copied: making it takes a second."""
    url = None
    if request.config.getoption("database", default="sqlite") == "postgresql":
        url = make_database(request.getfixturevalue("postgresql"))
    environment = _make_environment(tmp_path_factory.mktemp("template") / "home", url)
    provost = _prepare_program(environment)
    provost("init")
    provost("asset", "add", "web1", "--kind", "linux", "--address", "127.0.0.1", "--node", "/prod/web")
    return environment


@pytest.fixture
def environment(request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, str]:
    """What `provost` finds in its environment: a data folder of its own, before `provost init`."""
    url = None
    if request.config.getoption("database", default="sqlite") == "postgresql":
        url = make_database(request.getfixturevalue("postgresql"))
    return _make_environment(tmp_path / "home", url)


@pytest.fixture
def provost(environment: dict[str, str]) -> Provost:
    """The real program; any other exit status than the `status` that is expected fails the test."""
    return _prepare_program(environment)


@pytest.fixture
def prepare() -> Callable[[dict[str, str]], Provost]:
    """A function that makes the real program of an environment."""
    return _prepare_program


@pytest.fixture
def ready(request: pytest.FixtureRequest, _template: dict[str, str], environment: dict[str, str]) -> Provost:
    """The real program, with one asset: web1, in /prod/web."""
    shutil.copytree(_template["PROVOST_HOME"], environment["PROVOST_HOME"])
    if url := _template.get("PROVOST_DATABASE_URL"):
        environment["PROVOST_DATABASE_URL"] = make_database(
            request.getfixturevalue("postgresql"), template=url.rpartition("/")[2]
        )
    return _prepare_program(environment)


@dataclass(frozen=True)
class Server:
    """A real `provost serve`. `told` is what it wrote to standard output until it was ready."""

    process: subprocess.Popen[str]
    url: str
    told: str
    log_file: Path

    @property
    def log(self) -> str:
        """What it has written to standard error."""
        return self.log_file.read_text()

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Send it a signal, and return its exit status."""
        self.process.send_signal(number)
        return self.process.wait(60)


Serve = Callable[..., Server]


@contextmanager
def _run_servers(environment: dict[str, str], folder: Path) -> Iterator[Serve]:
    started: list[subprocess.Popen[str]] = []

    def start(*words: str, **variables: str) -> Server:
        log_file = folder / f"log{len(started)}"
        with log_file.open("w") as log:
            process = subprocess.Popen(
                [Path(sys.executable).with_name("provost"), "serve", "--port", "0", *words],
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env=environment | variables,
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
            process.kill()
            process.wait()
            if process.stdout:
                process.stdout.close()


@pytest.fixture
def serve(environment: dict[str, str], tmp_path: Path) -> Iterator[Serve]:
    """A function that starts the real server on a free port; it ends with the test."""
    with _run_servers(environment, tmp_path) as start:
        yield start


@dataclass(frozen=True)
class Api:
    """The API of a real server, and a token of its first administrator."""

    server: Server
    token: str

    def connect(self, token: str | None = None) -> httpx.Client:
        """Return a client that sends a token: the first administrator's, or the one given ("": none)."""
        token = self.token if token is None else token
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return httpx.Client(base_url=f"{self.server.url}/api/v1/", headers=headers, timeout=60)


@pytest.fixture(scope="module")
def api(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """The API of a server that all tests of a module share."""
    url = None
    if request.config.getoption("database", default="sqlite") == "postgresql":
        url = make_database(request.getfixturevalue("postgresql"))
    folder = tmp_path_factory.mktemp("api")
    with _run_servers(_make_environment(folder / "home", url), folder) as start:
        server = start()
        setup_token = server.told.splitlines()[0].split()[-1]
        answer = httpx.post(f"{server.url}/api/v1/setup", json={"setup_token": setup_token, "username": "ada"})
        yield Api(server, answer.raise_for_status().json()["token"])
