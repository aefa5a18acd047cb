"""The program `provost` as an operator runs it, in a throw-away data folder, against lab hosts."""

import asyncio
import json
import sqlite3
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncssh
import pytest
from tests import forks
from tests.conftest import PROVOST, copy_empty_home, keep_environment

from provost.core.secrets import Password, Secret
from provost.lab import Host, Lab
from provost.vault import keys

Records = dict[tuple[str, str], dict[str, Any]]
"""A run's records by (asset, username)."""


@dataclass(frozen=True)
class Vault:
    """A data folder, and the command line on it. `settings` are further variables of its environment."""

    home: Path
    settings: Mapping[str, str] = field(default_factory=dict)
    program: Sequence[str | Path] = (PROVOST,)

    @property
    def environment(self) -> dict[str, str]:
        """What the program has in its environment: nothing of the caller's own Provost."""
        return {**keep_environment(), "PROVOST_HOME": str(self.home), **self.settings}

    def run(
        self, *words: str, stdin: str | bytes = "", status: int | None = 0
    ) -> subprocess.CompletedProcess[str]:
        """Run a command; `status` is what it must end with (None: anything)."""
        if self.program == (PROVOST,):
            told = forks.run(PROVOST, *words, env=self.environment, stdin=stdin)
        else:
            told = subprocess.run(
                [*self.program, *words],
                env=self.environment,
                input=stdin if isinstance(stdin, str) else stdin.decode(),
                capture_output=True,
                encoding="utf-8",
                check=False,
            )
        assert status in {None, told.returncode}, (
            f"{words} ended with {told.returncode}: {told.stdout}{told.stderr}"
        )
        return told

    def read(self, *words: str) -> dict[str, Any]:
        """Run a command with --json, and return its document."""
        document: dict[str, Any] = json.loads(self.run(*words, "--json").stdout)
        return document

    def start(self, *words: str, stdin: str = "") -> subprocess.Popen[str]:
        """Start a command and return at once; its output is in pipes."""
        process = subprocess.Popen(
            [*self.program, *words],
            env=self.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert process.stdin
        process.stdin.write(stdin)
        process.stdin.close()
        process.stdin = None
        return process

    def add(self, *hosts: Host, node: str = "/lab", privileged: bool = True, via: str = "") -> None:
        """Bring lab hosts in, with root as their privileged account."""
        assets = [
            {
                "name": one.name,
                "kind": "linux",
                "address": one.address,
                "port": one.port,
                "nodes": [node],
                **({"via": via} if via else {}),
            }
            for one in hosts
        ]
        accounts = [
            {"username": "root", "asset": one.name, "privileged": True, "password": one.root_password}
            for one in hosts
        ]
        self.bring_in({"assets": assets, "accounts": accounts if privileged else []})

    def bring_in(self, inventory: Mapping[str, Any]) -> None:
        """Import an inventory."""
        file = self.home / "import.yaml"
        file.write_text(json.dumps(inventory))
        self.run("import", str(file))
        file.unlink()

    def push(
        self,
        *usernames: str,
        to: Sequence[str],
        secret_type: str = "password",
        options: Sequence[str] = (),
        stdin: str | bytes = "",
        status: int | None = 0,
    ) -> Records:
        """Push, and return the records. Places that begin with / are nodes."""
        words = list_push_words(*usernames, to=to, secret_type=secret_type, options=options)
        return read_records(self.run(*words, stdin=stdin, status=status).stdout)

    def reveal(self, username: str, asset: str, secret_type: str = "password") -> Secret:
        """Return the secret that the list holds."""
        text = self.run("account", "reveal", f"{username}@{asset}", "--secret-type", secret_type).stdout
        if secret_type == "password":
            return Password(text.removesuffix("\n"))
        return keys.read_private_key(text, None)

    def read_passwords(self) -> dict[tuple[str, str], Password]:
        """Return what `reveal` would tell of every account that has a password, by (asset, username)."""
        done = forks.run(Path(__file__).with_name("passwords_dump.py"), env=self.environment)
        assert done.returncode == 0, done.stderr
        return {(asset, username): Password(text) for asset, username, text in json.loads(done.stdout)}

    def list_accounts(self, *options: str) -> set[tuple[str, str]]:
        """Return (asset, username) of the accounts that `account list` names."""
        accounts = self.read("account", "list", *options)["accounts"]
        return {(account["asset"], account["username"]) for account in accounts}

    def dump(self) -> dict[str, list[tuple[Any, ...]]]:
        """Return every row of every table of the database."""
        with closing(sqlite3.connect(self.home / "provost.sqlite3")) as database:
            names = [
                name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
            ]
            return {name: sorted(database.execute(f'SELECT * FROM "{name}"'), key=repr) for name in names}  # noqa: S608


def list_push_words(
    *usernames: str, to: Sequence[str], secret_type: str = "password", options: Sequence[str] = ()
) -> list[str]:
    """Return the command line of a push."""
    places = [word for place in to for word in ("--node" if place.startswith("/") else "--asset", place)]
    accounts = [word for name in usernames for word in ("--account", name)]
    return ["push", *accounts, *places, "--secret-type", secret_type, *options, "--json"]


def read_records(document: str) -> Records:
    """Return the records of a run that was printed with --json."""
    return {(one["asset"], one["username"]): one for one in json.loads(document)["records"]}


def count_connections(host: Host) -> int:
    """Return how often anybody has connected to a host's sshd, whatever came of it."""
    return host.log.read_text().count("Connection from ")


def wait_for_silence(host: Host) -> None:
    """Return when no shell of Provost's is left on a host: it tidies up as it ends, a little after its run."""
    host.run("for i in $(seq 500); do [ -L /run/provost.pid ] || exit 0; sleep 0.02; done; exit 1")


async def log_in(host: Host, username: str, secret: Secret) -> bool:
    """Tell whether a username and a secret get into a host, without any code of Provost's."""
    ways: dict[str, Any]
    if isinstance(secret, Password):
        ways = {"password": secret.text, "client_keys": None}
    else:
        assert secret.private
        ways = {"client_keys": [asyncssh.import_private_key(secret.private)]}
    try:
        connection = await asyncssh.connect(
            host.address,
            host.port,
            username=username,
            known_hosts=None,
            config=None,
            agent_path=None,
            **ways,
        )
    except asyncssh.PermissionDenied:
        return False
    connection.close()
    await connection.wait_closed()
    return True


async def check_logins(vault: Vault, hosts: list[Host], usernames: Sequence[str]) -> None:
    """Check that every account is in the list, and that its stored secret logs in."""
    secrets = vault.read_passwords()
    for username in usernames:
        admitted = await asyncio.gather(
            *(log_in(host, username, secrets[host.name, username]) for host in hosts)
        )
        assert [host.name for host, let_in in zip(hosts, admitted, strict=True) if not let_in] == []


@pytest.fixture(scope="session")
def make_vault(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Vault]:
    """A function that makes an initialised, empty data folder, for fixtures that many tests share."""

    def make() -> Vault:
        home = tmp_path_factory.mktemp("vault") / "home"
        copy_empty_home(home)
        return Vault(home)

    return make


@pytest.fixture
def vault(make_vault: Callable[[], Vault]) -> Vault:
    """An initialised, empty data folder."""
    return make_vault()


@pytest.fixture(scope="module")
def farm(lab: Lab) -> Iterator[list[Host]]:
    """Thirty hosts."""
    hosts = lab.up(30, prefix="farm")
    yield hosts
    lab.down(hosts)
