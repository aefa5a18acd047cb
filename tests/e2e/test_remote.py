"""The program on one machine, a server on another, and lab hosts that the server reaches."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from tests.conftest import LabHosts
from tests.e2e.conftest import Vault, check_logins, read_records

from provost.core.secrets import Password
from provost.lab import Host


@contextmanager
def serve(vault: Vault, folder: Path) -> Iterator[Vault]:
    """Start a server on a data folder, and give what works with it from elsewhere."""
    vault.run("user", "add", "ann", "--grant", "administrator+reveal")
    token = folder / "token"
    token.touch(0o600)
    token.write_text(vault.run("token", "create", "cli", "--user", "ann").stdout)
    with (folder / "log").open("w") as log:
        server = subprocess.Popen(
            [*vault.program, "serve", "--port", "0"],
            env=vault.environment,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
    try:
        assert server.stdout
        url = next(line.split()[-1] for line in server.stdout if line.startswith("Provost listens on "))
        settings = {"PROVOST_SERVER": url, "PROVOST_TOKEN_FILE": str(token)}
        yield replace(vault, home=folder, settings=settings)
    finally:
        server.terminate()
        server.wait(90)
        server.stdout.close()


def strip(records: dict[tuple[str, str], dict[str, object]]) -> dict[tuple[str, str], dict[str, object]]:
    """Leave out what differs from run to run."""
    return {place: {**one, "seconds": 0} for place, one in records.items()}


async def test_push_through_a_server(lab_hosts: LabHosts, vault: Vault, tmp_path: Path) -> None:
    """Create, leave and adopt on real hosts, asked for elsewhere: the records are as of a local push."""
    hosts = lab_hosts(3)
    vault.add(*hosts)
    with serve(vault, tmp_path) as remote:
        rehearsed = remote.push("alice", to=["/lab"], options=["--dry-run"])
        assert {one["reason"] for one in rehearsed.values()} == {"dry_run"}
        records = remote.push("alice", to=["/lab"])
        assert {(one["decision"], one["status"]) for one in records.values()} == {("create", "succeeded")}
        await check_logins(vault, hosts, ["alice"])
        assert strip(remote.push("alice", to=["/lab"])) == strip(vault.push("alice", to=["/lab"]))
        check_adoption(remote, hosts[0])
        create = ("task", "create", "keys", "--account", "deploy", "--node", "/lab", "--secret-type", "ssh_key")
        remote.run(*create)
        done = read_records(remote.run("task", "run", "keys", "--json").stdout)
        assert {one["status"] for one in done.values()} == {"succeeded"}
        assert remote.reveal("deploy", hosts[2].name, "ssh_key") == vault.reveal(
            "deploy", hosts[2].name, "ssh_key"
        )


def check_adoption(remote: Vault, host: Host) -> None:
    """Push the operator's own secret to an account that the host has: it crosses the network, and is set."""
    host.run("useradd -m bob")
    pushed = remote.push("bob", to=[host.name], options=["--secret-stdin"], stdin="Own-Secret-4711")
    assert pushed[host.name, "bob"]["decision"] == "adopt"
    assert remote.reveal("bob", host.name) == Password("Own-Secret-4711")
