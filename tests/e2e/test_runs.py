"""Runs that are repeated, stopped, cancelled, or at work at the same time."""

import asyncio
import json
import re
import signal
import time
from collections import Counter
from collections.abc import Callable
from subprocess import Popen

import pytest
from tests.conftest import LabHosts
from tests.e2e.conftest import Vault, check_logins, count_connections, list_push_words, read_records

from provost.lab import Host


def test_retry_does_what_did_not_end_well(lab_hosts: LabHosts, vault: Vault) -> None:
    """It takes the run's failed accounts alone, with the same secret, and leaves other hosts in peace."""
    fine, down = lab_hosts(2)
    vault.add(fine, down)
    down.stop_sshd()
    options = ["--secret-stdin", "--param", "shell=/bin/dash"]
    first = vault.push("ann", "ben", to=["/lab"], options=options, stdin="the operator's own", status=1)
    assert {place: record["status"] for place, record in first.items()} == {
        (fine.name, "ann"): "succeeded",
        (fine.name, "ben"): "succeeded",
        (down.name, "ann"): "failed",
        (down.name, "ben"): "failed",
    }
    down.start_sshd()
    connections = count_connections(fine)
    run = vault.read("run", "list")["runs"][0]["id"]
    again = read_records(vault.run("run", "retry", run[:8], "--json").stdout)
    assert {place: (record["decision"], record["status"]) for place, record in again.items()} == {
        (down.name, "ann"): ("create", "succeeded"),
        (down.name, "ben"): ("create", "succeeded"),
    }
    assert count_connections(fine) == connections
    assert vault.read_passwords()[down.name, "ben"].text == "the operator's own"
    assert down.run("getent passwd ann").stdout.strip().endswith(":/bin/dash")
    run = vault.read("run", "list")["runs"][0]["id"]
    assert "nothing to retry" in vault.run("run", "retry", run, status=2).stderr


def slow_down(host: Host, seconds: float) -> None:
    """Let each creation of an account take longer."""
    host.run(
        "mv /usr/sbin/useradd /usr/sbin/useradd.real; cat > /usr/sbin/useradd; chmod 755 /usr/sbin/useradd",
        stdin=f'#!/bin/sh\nsleep {seconds}\nexec /usr/sbin/useradd.real "$@"\n',
    )


async def test_two_pushes_to_one_host(host: Host, vault: Vault) -> None:
    """Both end well, root is never there twice at once, and every stored secret logs in."""
    vault.add(host)
    slow_down(host, 0.5)
    names = [("both", "ann", "ben"), ("both", "cid", "dan")]
    pushes = [vault.start(*list_push_words(*three, to=[host.name])) for three in names]
    documents = [await asyncio.to_thread(push.communicate) for push in pushes]
    assert [push.returncode for push in pushes] == [0, 0], documents
    runs = [json.loads(out)["run"] for out, _ in documents]
    assert max(run["started"] for run in runs) < min(run["finished"] for run in runs), "they did not meet"
    records = [read_records(out) for out, _ in documents]
    assert sorted(one[host.name, "both"]["decision"] for one in records) == ["create", "leave"]
    sessions = re.findall(r"(Accepted password for|Disconnected from user) root", host.log.read_text())
    assert sessions == ["Accepted password for", "Disconnected from user"] * 2
    await check_logins(vault, [host], ("both", "ann", "ben", "cid", "dan"))


def start_slowly(vault: Vault, username: str) -> Popen[str]:
    """Start a push to the whole farm, two hosts at a time."""
    words = list_push_words(username, to=["/lab"], options=["--concurrency", "2"])
    return vault.start(*words)


def wait_for_account(hosts: list[Host], username: str) -> None:
    """Return when some host has let an account in: some have then been done, others not."""
    while not any(f"Accepted password for {username}" in host.log.read_text() for host in hosts):
        time.sleep(0.01)


async def check_stopped(vault: Vault, hosts: list[Host], username: str, document: str) -> None:
    """Check a run that was stopped half-way: all is settled, nothing is lost, and a retry completes it."""
    run, records = json.loads(document)["run"], read_records(document)
    assert run["state"] == "cancelled"
    statuses = Counter(record["status"] for record in records.values())
    assert set(statuses) <= {"succeeded", "unverified", "cancelled", "uncertain"}, statuses
    assert statuses["succeeded"], statuses
    assert statuses["cancelled"], statuses
    assert statuses.total() == len(hosts)
    listed, waiting = vault.list_accounts(), vault.list_accounts("--pending")
    for host in hosts:
        record = records[host.name, username]
        assert ((host.name, username) in listed) == (record["status"] in {"succeeded", "unverified"}), record
        assert ((host.name, username) in waiting) == (record["status"] == "uncertain"), record
        if record["status"] == "cancelled":
            assert host.run(f"getent passwd {username}", check=False).returncode == 2
    vault.run("run", "retry", run["id"], "--json")
    await check_logins(vault, hosts, [username])


@pytest.fixture(scope="module")
def farm_vault(farm: list[Host], make_vault: Callable[[], Vault]) -> Vault:
    """A vault that knows the farm."""
    vault = make_vault()
    vault.add(*farm)
    return vault


async def test_ctrl_c(farm: list[Host], farm_vault: Vault) -> None:
    """The first one finishes what has begun, and settles every record; a retry does the rest."""
    push = start_slowly(farm_vault, "once")
    wait_for_account(farm, "once")
    push.send_signal(signal.SIGINT)
    out, err = push.communicate()
    assert push.returncode == 130, err
    assert "finishing what has begun" in err
    await check_stopped(farm_vault, farm, "once", out)


async def test_ctrl_c_twice(farm: list[Host], farm_vault: Vault) -> None:
    """The second one interrupts what has begun; still every record is settled and no secret lost."""
    push = start_slowly(farm_vault, "twice")
    wait_for_account(farm, "twice")
    push.send_signal(signal.SIGINT)
    time.sleep(0.05)
    push.send_signal(signal.SIGINT)
    out, err = push.communicate()
    assert push.returncode == 130, err
    assert "at once" in err
    await check_stopped(farm_vault, farm, "twice", out)


async def test_cancel_from_elsewhere(farm: list[Host], farm_vault: Vault) -> None:
    """`run cancel` in another process stops a run in good order; it is no signal, so the status is 1."""
    for host in farm:
        slow_down(host, 1)
    push = start_slowly(farm_vault, "thrice")
    wait_for_account(farm, "thrice")
    run = farm_vault.read("run", "list")["runs"][0]
    assert run["state"] == "running"
    farm_vault.run("run", "cancel", run["id"][:8])
    out, err = push.communicate()
    assert push.returncode == 1, err
    for host in farm:
        host.run("mv /usr/sbin/useradd.real /usr/sbin/useradd")
    await check_stopped(farm_vault, farm, "thrice", out)
    assert "over already" in farm_vault.run("run", "cancel", run["id"], status=2).stderr
