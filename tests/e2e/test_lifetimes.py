"""Lifetimes and templates: what a real server does by its clock, on lab hosts."""

import asyncio
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.conftest import LabHosts
from tests.e2e.conftest import Vault, log_in

from provost.core.secrets import Password
from provost.lab import Host

KILLED = 137
WORKER = Path(__file__).parents[1] / "lone_worker.py"
SPAN = ("--lifetime", "20s", "--grace", "0s")

# The clock's tick in a process that dies: in the middle of the claim, before what it wrote is committed, or
# right after, before anybody takes the run.
CLOCK = """
import os, signal, sys
from provost.config.start import start
start()
from datetime import timedelta
from django.utils import timezone
from provost.server.services import audit
from provost.worker.clock import tick
def die(**_):
    os.kill(os.getpid(), signal.SIGKILL)
if sys.argv[1] == "before":
    audit.write = die
tick(now=timezone.now() + timedelta(hours=1), settled=True)
die()
"""


@pytest.fixture
def serve(vault: Vault) -> Iterator[Callable[[], None]]:
    """A function that starts a server, whose clock is believed from the start, on the data folder."""
    started: list[subprocess.Popen[bytes]] = []

    def start() -> None:
        program = [sys.executable, WORKER, "settled"]
        started.append(subprocess.Popen(program, env=vault.environment, stdout=subprocess.PIPE))
        assert started[-1].stdout
        assert started[-1].stdout.readline() == b"ready\n"

    yield start
    for process in started:
        process.kill()
        process.communicate()


def wait_until(met: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 120
    while not met():
        assert time.monotonic() < deadline
        time.sleep(0.2)


def tell(host: Host, question: str) -> bool:
    """Tell whether a command on a host succeeds."""
    return host.run(f"if {question}; then echo yes; else echo no; fi").stdout.strip() == "yes"


def is_there(host: Host, username: str) -> bool:
    return tell(host, f"id {username} >/dev/null 2>&1")


def list_runs(vault: Vault) -> list[tuple[str, str, str]]:
    return [(run["action"], run["requested_by"], run["state"]) for run in vault.read("run", "list")["runs"]]


def test_account_is_gone_when_its_life_is_over(serve: Callable[[], None], vault: Vault, host: Host) -> None:
    """A lifetime of seconds: the account is gone, its processes ended, its sudo rule too, its home archived."""
    serve()
    vault.add(host)
    vault.push("temp", to=[host.name], options=[*SPAN, "--param", "sudo=ALL"])
    assert tell(host, "grep -rqs temp /etc/sudoers.d")
    uid = host.run("id -u temp").stdout.strip()
    host.run(
        "echo kept > ~temp/notes; setpriv --reuid=temp --regid=temp --clear-groups sleep 600 >/dev/null 2>&1 &"
    )
    running = f"grep -lsE '^Uid:.*[[:space:]]{uid}([[:space:]]|$)' /proc/[0-9]*/status >/dev/null"
    assert tell(host, running)
    wait_until(lambda: not is_there(host, "temp"))
    wait_until(lambda: ("remove", "expiry", "finished") in list_runs(vault))
    assert not tell(host, running)
    assert not tell(host, "grep -rqs temp /etc/sudoers.d")
    assert not tell(host, "[ -e /home/temp ]")
    assert tell(host, "tar -xOf /var/lib/provost/archive/*temp* 2>/dev/null | grep -q kept")
    assert (host.name, "temp") not in vault.list_accounts()
    assert is_there(host, "root")


async def test_account_is_shut_out_before_it_is_removed(
    serve: Callable[[], None], vault: Vault, host: Host
) -> None:
    """With a grace time the account first lets nobody in, though it is there, and is removed later."""
    serve()
    vault.add(host)
    vault.push("temp", to=[host.name], options=["--lifetime", "3s", "--grace", "20s"])
    secret = vault.reveal("temp", host.name)
    await asyncio.to_thread(wait_until, lambda: ("disable", "expiry", "finished") in list_runs(vault))
    assert is_there(host, "temp")
    assert not await log_in(host, "temp", secret)
    assert vault.read("account", "show", f"temp@{host.name}")["account"]["disabled_at"] is not None
    await asyncio.to_thread(wait_until, lambda: not is_there(host, "temp"))


async def test_new_asset_gets_the_accounts_of_a_template(
    serve: Callable[[], None], vault: Vault, lab_hosts: LabHosts
) -> None:
    """Assets that are added while a server runs get a template's accounts; the one from before does not."""
    old, first, second = lab_hosts(3)
    vault.add(old, node="/prod")
    vault.run(
        *("task", "create", "usual", "--account", "deploy", "--node", "/prod", "--kind", "linux"),
        *("--secret-type", "password", "--on-new-assets"),
    )
    serve()
    vault.add(first, second, node="/prod/web")
    wait_until(lambda: ("push", "template usual", "finished") in list_runs(vault))
    for new in (first, second):
        assert await log_in(new, "deploy", vault.reveal("deploy", new.name))
    assert not is_there(old, "deploy")
    assert len(list_runs(vault)) == 1
    shown = vault.run("task", "show", "usual").stdout
    assert "when somebody runs it, and for new assets" in shown


@pytest.mark.parametrize("when", ["before", "after"])
async def test_clock_that_is_killed_loses_nothing(
    when: str, serve: Callable[[], None], vault: Vault, lab_hosts: LabHosts
) -> None:
    """Killed before a claim is committed, or before its run is taken: the next server does each thing once."""
    old, new = lab_hosts(2)
    vault.add(old)
    vault.push("temp", to=[old.name], options=["--lifetime", "8s", "--grace", "0s"])
    vault.run("node", "add", "/prod")
    vault.run(
        *("task", "create", "usual", "--account", "deploy", "--node", "/prod"),
        *("--secret-type", "password", "--on-new-assets"),
    )
    vault.add(new, node="/prod")
    done = subprocess.run([sys.executable, "-c", CLOCK, when], env=vault.environment, check=False)
    assert done.returncode % 256 in {KILLED, 256 - 9}
    serve()
    expected = {("push", "template usual", "finished"), ("remove", "expiry", "finished")}
    wait_until(lambda: expected <= set(list_runs(vault)))
    assert len(list_runs(vault)) == len(expected) + 1
    assert not is_there(old, "temp")
    secret = vault.reveal("deploy", new.name)
    assert isinstance(secret, Password)
    assert await log_in(new, "deploy", secret)
