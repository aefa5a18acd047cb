"""A real database for every test here: SQLite, or with `--database postgresql` a PostgreSQL started for it."""

import shutil
import sqlite3
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import httpx
import pytest
from tests import forks
from tests.conftest import PROVOST, Serve, Server, copy_empty_home, keep_environment, make_database, run_servers

from provost.core.facts import Facts
from provost.core.model import SecretType
from provost.core.notices import ChannelKind, Event
from provost.core.onboarding import Onboarding
from provost.core.push import PushSpec
from provost.core.rights import Face, Granted, Principal, Right, Role, make_local
from provost.core.secrets import Password


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
    from django.conf import settings
    from django.core.management import call_command
    from django.db import connections

    # Django's own hashes are slow on purpose; servers that are processes have them.
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    if settings.DATABASE_FILE:
        settings.DATABASE_FILE.touch()
    call_command("migrate", verbosity=0)
    yield home
    connections.close_all()


@pytest.fixture(scope="session")
def _empty(_server: Path) -> Callable[[], None]:
    """A function that empties the database in a few milliseconds, whatever its triggers refuse."""
    from django.db import connection

    connection.ensure_connection()
    if connection.vendor == "sqlite":
        pristine = sqlite3.connect(":memory:")
        connection.connection.backup(pristine)

        def restore() -> None:
            connection.ensure_connection()
            pristine.backup(connection.connection)

        return restore
    tables = connection.introspection.django_table_names(only_existing=True, include_views=False)
    deletions = [f'DELETE FROM "{table}"' for table in tables]  # noqa: S608

    def delete() -> None:
        with connection.cursor() as cursor:  # a replica minds neither triggers nor references
            as_replica = [
                "SET session_replication_role = replica",
                *deletions,
                "RESET session_replication_role",
            ]
            cursor.execute("; ".join(as_replica))

    return delete


@pytest.fixture
def database(_server: Path, _empty: Callable[[], None]) -> Iterator[Path]:
    """An empty database with a keyset, and its data folder, which holds `master.key`."""
    from provost.server.services import keyring

    (_server / "master.key").unlink(missing_ok=True)
    keyring.create_keyset()
    yield _server
    _empty()


class World:
    """An inventory with one of everything in /prod, in /outside, and in /unseen, which nobody asks for."""

    PLACES: ClassVar = {"inside": "/prod", "outside": "/outside", "unseen": "/unseen"}

    def __init__(self) -> None:
        from allauth.usersessions.models import UserSession

        from provost.server.services import (
            accounts,
            assets,
            channels,
            discoveries,
            nodes,
            pairs,
            rules,
            runs,
            tasks,
            tokens,
            users,
        )
        from provost.server.services.checks import AccountFields, AssetFields

        self.local = make_local("tester")
        self.runs: dict[str, str] = {}
        self.over: dict[str, str] = {}
        by = self.local
        for place, top in self.PLACES.items():
            nodes.ensure_nodes(by=by, paths=[f"{top}/web", f"{top}/empty"])
            asset = AssetFields(f"{place}1", "memory", f"{place}1", nodes=(f"{top}/web",))
            made = assets.add_asset(by=by, fields=asset)
            for username in ("root", *(f"{place}-{name}" for name in ("alice", "app-a", "app-b", "app-c"))):
                account = AccountFields(username, asset.name, privileged=username == "root")
                accounts.add_account(by=by, fields=account, secret=Password(f"hush {place} of {username}"))
            pair = pairs.PairFields(f"{place}-pair", asset.name, f"{place}-app-a", f"{place}-app-b")
            pairs.add_pair(by=by, fields=pair)
            spec = PushSpec(assets=(asset.name,), usernames=("bob",), secret_type=SecretType.PASSWORD)
            tasks.create_task(by=by, fields=tasks.TaskFields(f"{place}-task", spec), specified=None)
            over, waiting = (runs.create_run(by=by, spec=spec, attended=False) for _ in range(2))
            names = (f"{place}-found", f"{place}-gone")
            discoveries.record_found(asset_id=made.id, found=[Facts(username=name) for name in names])
            discoveries.record_found(asset_id=made.id, found=[Facts(username=names[0])])
            rule = rules.RuleFields(f"{place}-rule", f"{place}-*", Onboarding.IGNORE, node=top)
            rules.add_rule(by=by, fields=rule)
            over.records.update(status="failed")
            type(over).objects.filter(id=over.id).update(state="finished")
            self.over[place], self.runs[place] = str(over.id), str(waiting.id)
        someone = users.add_user(
            by=by, username="someone", fields=users.UserFields(grants=(Granted(Role.OPERATOR),))
        )
        session = UserSession.objects.create(user=someone, ip="192.0.2.1", session_key="somebody's")
        self.session = str(session.id)
        tokens.create_token(by=by, user="someone", name="ci", rights=None, days=1)
        pager = channels.ChannelFields(
            "pager", ChannelKind.WEBHOOK, "https://hooks.example.org/hush-place", (Event.RUN_FAILED,)
        )
        self.signing_secret = channels.add_channel(by=by, fields=pager).secret
        self.delivery = str(channels.test_channel(by=by, name="pager").id)

    def enter(self, username: str, *grants: Granted, limit: frozenset[Right] | None = None) -> Principal:
        """Return a new user as one who calls; with `limit`, by a token of theirs."""
        from provost.server.services import tokens, users

        user = users.add_user(by=self.local, username=username, fields=users.UserFields(grants=grants))
        if limit is None:
            return users.make_principal(user=user, face=Face.API, source="192.0.2.1")
        made = tokens.create_token(by=self.local, user=username, name="limited", rights=limit, days=1)
        by = tokens.authenticate(text=made.text, source="192.0.2.1", request_id="")
        assert by is not None
        return by


@pytest.fixture
def world(database: Path) -> World:
    """An inventory in three places, and ways to be somebody there."""
    del database
    return World()


def compete(*contests: Callable[[], object]) -> None:
    """Run functions at the same time, each in a thread with a database connection of its own."""
    from django.db import connection

    together = threading.Barrier(len(contests))
    failures: list[BaseException] = []

    def take_part(contest: Callable[[], object]) -> None:
        try:
            together.wait()
            contest()
        except BaseException as error:  # noqa: BLE001  # it is raised again in the test's own thread
            failures.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=take_part, args=(contest,)) for contest in contests]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures, failures


Provost = Callable[..., subprocess.CompletedProcess[str]]


def _prepare_program(environment: dict[str, str]) -> Provost:
    def run(*words: str, stdin: str = "", status: int = 0) -> subprocess.CompletedProcess[str]:
        done = forks.run(PROVOST, *words, env=environment, stdin=stdin)
        assert done.returncode == status, f"exit status {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    return run


def _make_environment(home: Path, database_url: str | None) -> dict[str, str]:
    return (
        keep_environment()
        | {"PROVOST_HOME": str(home)}
        | ({"PROVOST_DATABASE_URL": database_url} if database_url else {})
    )


@pytest.fixture(scope="session")
def _template(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of a Provost with one asset, to be copied: making it takes a second."""
    url = None
    if request.config.getoption("database", default="sqlite") == "postgresql":
        url = make_database(request.getfixturevalue("postgresql"))
    environment = _make_environment(tmp_path_factory.mktemp("template") / "home", url)
    provost = _prepare_program(environment)
    if url:
        provost("init")
    else:
        copy_empty_home(Path(environment["PROVOST_HOME"]))
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


@pytest.fixture
def serve(environment: dict[str, str], tmp_path: Path) -> Iterator[Serve]:
    """A function that starts the real server on a free port; it ends with the test."""
    home = Path(environment["PROVOST_HOME"])

    def serve(*words: str, **variables: str) -> Server:
        if not home.exists() and "PROVOST_DATABASE_URL" not in environment:
            copy_empty_home(home)
        return start(*words, **variables)

    with run_servers(environment, tmp_path) as start:
        yield serve


@dataclass(frozen=True)
class Api:
    """The API of a real server, and a token of its first administrator."""

    server: Server
    token: str

    def connect(self, token: str | None = None) -> httpx.Client:
        """Return a client that sends a token: the first administrator's, or the one given ("": none)."""
        return self.server.connect(self.token if token is None else token)


@pytest.fixture(scope="module")
def api(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """The API of a server that all tests of a module share."""
    url = None
    if request.config.getoption("database", default="sqlite") == "postgresql":
        url = make_database(request.getfixturevalue("postgresql"))
    folder = tmp_path_factory.mktemp("api")
    if not url:
        copy_empty_home(folder / "home")
    with run_servers(_make_environment(folder / "home", url), folder) as start:
        server = start()
        yield Api(server, server.set_up())


@pytest.fixture(scope="module")
def client(api) -> Iterator[httpx.Client]:
    """The first administrator's client, with two assets that nobody answers at: web1 in /prod, dev1 in /dev."""
    with api.connect() as client:
        for name, node in (("web1", "/prod"), ("dev1", "/dev")):
            body = {"name": name, "kind": "linux", "address": "127.0.0.1", "port": 1, "nodes": [node]}
            client.post("assets", json=body).raise_for_status()
            secret = {"password": f"root-of-{name}-Xy7"}
            body = {"username": "root", "asset": name, "privileged": True, "secret": secret}
            client.post("accounts", json=body).raise_for_status()
        yield client


def wait_for(client: httpx.Client, run: str) -> dict[str, Any]:
    """Wait until a run is over, and return it."""
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        found = client.get(f"runs/{run}").raise_for_status().json()
        if found["state"] not in {"queued", "running"}:
            return found
        time.sleep(0.2)
    raise AssertionError(found)
