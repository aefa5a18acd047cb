"""What crash tests share: real hosts, accounts for every row of the table, what must hold after a kill."""

import asyncio
import json
import os
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import asyncssh
import pytest
from tests import forks
from tests.conftest import PROVOST

from provost.lab import Host, Lab

HERE = Path(__file__).parent
BY_HAND = "made-by-hand-1"
IN_LIST = "what-the-list-says-2"
BATCH = 20
ROWS = ("create", "adopt", "restore", "leave")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "moment" in metafunc.fixturenames:
        metafunc.parametrize("moment", range(metafunc.config.getoption("moments")))


@dataclass
class Scene:
    """Two hosts, one vault, and for each test four accounts of its own: one for each row of the table."""

    home: Path
    hosts: list[Host]
    used: int = 0
    made: int = 0
    settings: dict[str, str] = field(default_factory=dict)

    @property
    def environment(self) -> dict[str, str]:
        return {**os.environ, "PROVOST_HOME": str(self.home), **self.settings}

    def provost(self, *words: str, stdin: str = "", status: int = 0) -> str:
        done = forks.run(PROVOST, *words, env=self.environment, stdin=stdin)
        assert done.returncode == status, f"{words}: {done.returncode} {done.stdout}{done.stderr}"
        return done.stdout

    def set_out(self, secret_type: str) -> dict[str, str]:
        """Return usernames by row that no test has used yet, with what their row needs in place."""
        if self.used == self.made:
            self._make_accounts(BATCH)
        self.used += 1
        return {row: f"{row}-{secret_type[:3]}{self.used}" for row in ROWS}

    def _make_accounts(self, count: int) -> None:
        """Make accounts for `count` tests, of both types: a program run for each would take too long."""
        kinds = {"password": {"password": IN_LIST}, "ssh_key": {"key_file": str(self.home / "key")}}
        key = asyncssh.generate_private_key("ssh-ed25519").export_private_key().decode()
        (self.home / "key").write_text(key)
        numbers = range(self.made + 1, self.made + count + 1)
        there = [
            f"{row}-{kind[:3]}{number}" for number in numbers for row in ("adopt", "leave") for kind in kinds
        ]
        accounts = [
            {"username": f"{row}-{kind[:3]}{number}", "asset": host.name, **secret}
            for host in self.hosts
            for number in numbers
            for row in ("restore", "leave")
            for kind, secret in kinds.items()
        ]
        for host in self.hosts:
            host.run("while read -r name; do useradd -m $name; done", stdin="\n".join(there) + "\n")
            host.run("chpasswd -c SHA512", stdin="".join(f"{name}:{BY_HAND}\n" for name in there))
        file = self.home / "accounts.yaml"
        file.write_text(json.dumps({"accounts": accounts}))
        self.provost("import", str(file))
        self.made += count

    def word_push(self, names: dict[str, str], secret_type: str) -> list[str]:
        accounts = [word for name in names.values() for word in ("--account", name)]
        return ["push", *accounts, "--node", "/crash", "--secret-type", secret_type, "--json"]

    def read_stored(self) -> dict[tuple[str, str, str], list[tuple[str, str]]]:
        """Return every secret (state, text) that is pending or current, by (asset, username, type)."""
        told = forks.run(HERE / "secrets_dump.py", env=self.environment)
        assert told.returncode == 0, told.stderr
        stored = defaultdict(list)
        for asset, username, secret_type, state, text in json.loads(told.stdout):
            stored[asset, username, secret_type].append((state, text))
        return stored

    def settle_host(self) -> None:
        """Wait until no shell of the killed process is at work on a host any more."""
        for host in self.hosts:
            host.run("while kill -0 $(readlink /run/provost.pid) 2>/dev/null; do sleep 0.05; done")

    def is_usable(self, host: Host, username: str, secret_type: str) -> bool:
        """Tell whether the account can be logged in to with some secret of this type."""
        keys = f"~{username}/.ssh/authorized_keys"
        told = host.run(
            f"getent shadow {username} | cut -d: -f2 | cut -c1; test -s {keys} && echo key || true"
        ).stdout.split()
        return "$" in told if secret_type == "password" else "key" in told


@contextmanager
def make_scene(folder: Path, settings: dict[str, str]) -> Iterator[Scene]:
    """Make a scene; its hosts end with it."""
    with Lab(folder / "lab") as lab:
        made = Scene(folder / "home", lab.up(2, prefix="crash"), settings=settings)
        for host in made.hosts:
            # A refused password costs seconds otherwise (pam_unix(8)), and most logins here are to be refused.
            host.run("sed -i 's/pam_unix.so nullok/& nodelay/' /etc/pam.d/common-auth")
        made.provost("init")
        assets = [
            {"name": host.name, "kind": "linux", "address": host.address, "nodes": ["/crash"]}
            for host in made.hosts
        ]
        accounts = [
            {"username": "root", "asset": host.name, "privileged": True, "password": host.root_password}
            for host in made.hosts
        ]
        (made.home / "import.yaml").write_text(json.dumps({"assets": assets, "accounts": accounts}))
        made.provost("import", str(made.home / "import.yaml"))
        yield made


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """A scene on SQLite."""
    with make_scene(tmp_path_factory.mktemp("crash"), {}) as made:
        yield made


async def log_in(host: Host, username: str, secret_type: str, text: str) -> bool:
    """Tell whether a secret gets in, without any code of Provost's."""
    ways = {"password": text, "client_keys": None}
    if secret_type == "ssh_key":
        ways = {"client_keys": [asyncssh.import_private_key(text)]}
    try:
        async with asyncssh.connect(
            host.address, host.port, username=username, known_hosts=None, config=None, agent_path=None, **ways
        ):
            return True
    except asyncssh.PermissionDenied:
        return False


async def check_none_lost(scene: Scene, names: dict[str, str], secret_type: str) -> None:
    """Right after the kill: an account that can be used at all opens to a stored secret, or to its old one."""
    stored = scene.read_stored()
    for host in scene.hosts:
        for row, name in names.items():
            if not scene.is_usable(host, name, secret_type):
                continue
            texts = [text for _, text in stored[host.name, name, secret_type]]
            if row in {"adopt", "leave"} and secret_type == "password":
                texts.append(BY_HAND)
            opened = [await log_in(host, name, secret_type, text) for text in texts]
            assert any(opened), f"{name} on {host.name}: none of {len(texts)} stored secrets logs in"


async def check_all_right(scene: Scene, names: dict[str, str], secret_type: str) -> None:
    """After the next push: every record is fine, and so is the list."""
    document = json.loads(scene.provost(*scene.word_push(names, secret_type)))
    assert {record["status"] for record in document["records"]} <= {"succeeded", "unchanged"}, document
    await check_list(scene, names, secret_type)


async def check_list(scene: Scene, names: dict[str, str], secret_type: str) -> None:
    """Check that the list's secret logs in, that what was to be left was left, and nothing else on the host."""
    stored = scene.read_stored()

    async def check(host: Host, row: str, name: str) -> None:
        ((state, text),) = stored[host.name, name, secret_type]
        assert state == "current"
        if row == "leave":
            assert not await log_in(host, name, secret_type, text)
            assert await log_in(host, name, "password", BY_HAND), "the untouched old password"
        else:
            assert await log_in(host, name, secret_type, text), f"{name} on {host.name}"

    await asyncio.gather(*(check(host, row, name) for host in scene.hosts for row, name in names.items()))
    left = scene.hosts[0].run("ls -d /var/lib/provost /run/provost.pid 2>/dev/null || true").stdout
    assert not left, "nothing is left on the host"
