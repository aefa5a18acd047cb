"""A real database for every test here: SQLite, or with `--database postgresql` a PostgreSQL started for it."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--database", choices=["sqlite", "postgresql"], default="sqlite")


@pytest.fixture(scope="session")
def postgresql() -> Iterator[str]:
    """A PostgreSQL of its own, reached by a socket in its folder. Gives the URL but for the database."""
    servers = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
    if not servers:
        reason = "PostgreSQL's server is not installed (Debian: apt-get install postgresql)"
        pytest.fail(reason) if os.environ.get("CI") == "true" else pytest.skip(reason)
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


def _make_database(postgresql: str) -> str:
    import psycopg

    name = f"provost_{uuid4().hex}"
    with psycopg.connect(f"{postgresql}postgres", autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    return postgresql + name


@pytest.fixture(scope="session")
def _server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Django, set up once for a data folder of the tests' own."""
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PROVOST_HOME", str(home))
        patch.setenv("DJANGO_SETTINGS_MODULE", "provost.config.settings")
        for name in ("PROVOST_DATABASE_URL", "PROVOST_MASTER_KEY_FILE"):
            patch.delenv(name, raising=False)
        if request.config.getoption("database", default="sqlite") == "postgresql":
            patch.setenv("PROVOST_DATABASE_URL", _make_database(request.getfixturevalue("postgresql")))
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

    from provost.server.services import keyring

    (_server / "master.key").unlink(missing_ok=True)
    keyring.create_keyset()
    yield _server
    call_command("flush", verbosity=0, interactive=False)


class Program:
    """The real `provost`, with a data folder of its own."""

    def __init__(self, environment: dict[str, str], home: Path) -> None:
        self.environment = environment
        self.home = home

    def __call__(self, *words: str, stdin: str = "", status: int = 0) -> subprocess.CompletedProcess[str]:
        """Run it; any other exit status than `status` fails the test."""
        done = subprocess.run(
            [str(Path(sys.executable).with_name("provost")), *words],
            input=stdin,
            capture_output=True,
            text=True,
            env=self.environment,
            check=False,
        )
        assert done.returncode == status, f"exit status {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done


@pytest.fixture
def provost(request: pytest.FixtureRequest, tmp_path: Path) -> Program:
    """The program, before `provost init`."""
    home = tmp_path / "home"
    environment = {
        name: text for name, text in os.environ.items() if not name.startswith(("PROVOST_", "DJANGO_"))
    }
    environment["PROVOST_HOME"] = str(home)
    if request.config.getoption("database", default="sqlite") == "postgresql":
        environment["PROVOST_DATABASE_URL"] = _make_database(request.getfixturevalue("postgresql"))
    return Program(environment, home)
