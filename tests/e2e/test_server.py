"""The server, real, against lab hosts."""

import asyncio
import re
import subprocess
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from tests.conftest import LabHosts, Serve, Server, run_servers
from tests.e2e.conftest import Vault, log_in

from provost.core.secrets import Password
from provost.lab import Host

PAGE = Path(__file__).parents[2] / "docs" / "api.md"


@pytest.fixture
def empty(tmp_path: Path) -> Vault:
    """A data folder that is not there yet."""
    return Vault(tmp_path / "home")


@pytest.fixture
def serve(empty: Vault, tmp_path: Path) -> Iterator[Serve]:
    """A function that starts a server on it."""
    with run_servers(empty.environment, tmp_path) as start:
        yield start


def connect(server: Server) -> httpx.Client:
    """Make the first administrator, and return their client."""
    return server.connect(server.set_up())


def bring_in(client: httpx.Client, *hosts: Host, node: str) -> None:
    """Bring lab hosts in, in one call."""
    assets = [
        {"name": one.name, "kind": "linux", "address": one.address, "port": one.port, "nodes": [node]}
        for one in hosts
    ]
    accounts = [
        {"username": "root", "asset": one.name, "privileged": True, "password": one.root_password}
        for one in hosts
    ]
    client.post("import", json={"assets": assets, "accounts": accounts}).raise_for_status()


def wait_until(met: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not met():
        assert time.monotonic() < deadline
        time.sleep(0.2)


async def test_the_page_leads_from_nothing_to_a_finished_push(
    serve: Serve, lab_hosts: LabHosts, tmp_path: Path
) -> None:
    """What docs/api.md says, done as it stands with curl alone: at its end stands a password that logs in."""
    host = lab_hosts(1)[0]
    server = serve()
    steps = re.findall(r"```sh\n(.*?)```", PAGE.read_text(), re.DOTALL)
    said = {
        "URL": server.url,
        "SETUP_TOKEN": server.setup_token,
        "HOST_ADDRESS": host.address,
        "HOST_PORT": str(host.port),
        "ROOT_PASSWORD": host.root_password,
    }
    settings = "".join(f"{name}='{value}'\n" for name, value in said.items())
    done = subprocess.run(
        ["bash", "-eu", "-o", "pipefail"],
        input=settings + "".join(steps),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "event: end" in done.stdout
    password = re.findall(r'"secret":"(.*?)"}', done.stdout)[-1]
    assert await log_in(host, "alice", Password(password))
    assert (tmp_path / "api-token").stat().st_mode & 0o077 == 0
    for secret in (password, host.root_password, said["SETUP_TOKEN"]):
        assert secret not in server.log


async def test_an_asset_that_came_later_is_pushed_to_by_the_clock(serve: Serve, lab_hosts: LabHosts) -> None:
    """A periodic task whose folder was empty when it was saved: the new host gets the account by itself."""
    host = lab_hosts(1)[0]
    with connect(serve()) as client:
        client.post("nodes", json={"path": "/lab"}).raise_for_status()
        soon = datetime.now(UTC) - timedelta(seconds=55)
        task = {
            "name": "minutely",
            "spec": {"nodes": ["/lab"], "usernames": ["deploy"], "secret_type": "password"},
            "schedule": {"every": "1m", "since": soon.isoformat()},
        }
        client.post("tasks", json=task).raise_for_status()
        bring_in(client, host, node="/lab")
        wait_until(lambda: any(run["state"] == "finished" for run in client.get("runs").json()["items"]))
        run = client.get("runs", params={"task": "minutely"}).json()["items"][-1]
        assert (run["requested_by"], run["counts"]) == ("task minutely", {"succeeded": 1})
        revealed = client.post(f"accounts/deploy@{host.name}/reveal", json={}).raise_for_status().json()
    assert await log_in(host, "deploy", Password(revealed["secret"]))


async def test_a_server_that_is_stopped_or_killed_goes_on_when_it_starts_again(
    serve: Serve, lab_hosts: LabHosts
) -> None:
    """SIGTERM, then kill -9, in the middle of a run: each next start goes on, and every secret logs in."""
    hosts = lab_hosts(12)
    server = serve()
    client = connect(server)
    bring_in(client, *hosts, node="/lab")
    spec = {"nodes": ["/lab"], "usernames": ["deploy"], "secret_type": "password", "concurrency": 1}
    run = client.post("runs", json={"spec": spec}).raise_for_status().json()["id"]

    def count_settled() -> int:
        counts = client.get(f"runs/{run}").json()["counts"]
        return sum(counts.values()) - counts.get("open", 0)

    wait_until(lambda: count_settled() >= 2)
    assert server.stop() == 0
    server = serve()
    client.base_url = f"{server.url}/api/v1/"
    wait_until(lambda: count_settled() >= 6)
    server.process.kill()
    server.process.wait()
    client.base_url = f"{serve().url}/api/v1/"
    wait_until(lambda: client.get(f"runs/{run}").json()["state"] == "finished")
    counts = client.get(f"runs/{run}").json()["counts"]
    assert sum(counts.values()) == len(hosts)
    assert counts.keys() <= {"succeeded", "unchanged", "uncertain"}
    proof = client.get("audit/proof").json()
    assert proof["whole"], proof
    secrets = {
        host: client.post(f"accounts/deploy@{host.name}/reveal", json={}).raise_for_status().json()["secret"]
        for host in hosts
    }
    client.close()
    admitted = await asyncio.gather(*(log_in(host, "deploy", Password(text)) for host, text in secrets.items()))
    assert all(admitted)
