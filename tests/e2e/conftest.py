"""The program `provost` as an operator runs it, in a throw-away data folder, against lab hosts."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncssh
import pytest

from provost.core.secrets import Password, Secret
from provost.lab import Host

PROVOST = Path(sys.executable).parent / "provost"


@dataclass(frozen=True)
class Vault:
    """A data folder, and the command line on it."""

    home: Path

    @property
    def environment(self) -> dict[str, str]:
        """What the program needs in its environment."""
        return {**os.environ, "PROVOST_HOME": str(self.home)}

    def run(self, *words: str, stdin: str | bytes = "", status: int | None = 0) -> subprocess.CompletedProcess[str]:
        """Run a command; `status` is what it must end with (None: anything)."""
        done = subprocess.run(
            [PROVOST, *words],
            env=self.environment,
            input=stdin.encode() if isinstance(stdin, str) else stdin,
            capture_output=True,
            check=False,
        )
        told = subprocess.CompletedProcess(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())
        assert status in {None, told.returncode}, f"{words} ended with {told.returncode}: {told.stdout}{told.stderr}"
        return told

    def add(self, *hosts: Host, node: str = "/lab", privileged: bool = True) -> None:
        """Bring lab hosts in, with root as their privileged account."""
        assets = [{"name": one.name, "kind": "linux", "address": one.address, "nodes": [node]} for one in hosts]
        accounts = [
            {"username": "root", "asset": one.name, "privileged": True, "password": one.root_password} for one in hosts
        ]
        file = self.home / "import.yaml"
        file.write_text(json.dumps({"assets": assets, "accounts": accounts if privileged else []}))
        self.run("import", str(file))
        file.unlink()

    def push(
        self, *usernames: str, to: Sequence[str], secret_type: str = "password", options: Sequence[str] = (),
        stdin: str | bytes = "", status: int | None = 0,
    ) -> dict[tuple[str, str], dict[str, Any]]:  # fmt: skip
        """Push, and return the records by (asset, username). Places that begin with / are nodes."""
        places = [word for place in to for word in ("--node" if place.startswith("/") else "--asset", place)]
        accounts = [word for name in usernames for word in ("--account", name)]
        words = ["push", *accounts, *places, "--secret-type", secret_type, *options, "--json"]
        document = json.loads(self.run(*words, stdin=stdin, status=status).stdout)
        return {(record["asset"], record["username"]): record for record in document["records"]}

    def reveal(self, username: str, asset: str, secret_type: str = "password") -> Secret:
        """Return the secret that the list holds."""
        text = self.run("account", "reveal", f"{username}@{asset}", "--secret-type", secret_type).stdout
        return Password(text.removesuffix("\n")) if secret_type == "password" else read_private_key(text)

    def list_accounts(self, *options: str) -> set[tuple[str, str]]:
        """Return (asset, username) of the accounts that `account list` names."""
        document = json.loads(self.run("account", "list", *options, "--json").stdout)
        return {(account["asset"], account["username"]) for account in document["accounts"]}


def read_private_key(text: str) -> Secret:
    """Return a private key's text as a secret."""
    from provost.vault import keys

    return keys.read_private_key(text, None)


@pytest.fixture
def vault(tmp_path: Path) -> Vault:
    """An initialised, empty data folder."""
    made = Vault(tmp_path / "home")
    made.run("init")
    return made


@pytest.fixture
def log_in():
    """A function that tells whether a username and a secret get into a host, without any code of Provost's."""

    async def try_login(host: Host, username: str, secret: Secret) -> bool:
        ways = (
            {"password": secret.text, "client_keys": None}
            if isinstance(secret, Password)
            else {"client_keys": [asyncssh.import_private_key(secret.private)]}
        )
        try:
            connection = await asyncssh.connect(
                host.address, host.port, username=username, known_hosts=None, config=None, agent_path=None, **ways
            )
        except asyncssh.PermissionDenied:
            return False
        connection.close()
        await connection.wait_closed()
        return True

    return try_login
