"""A saved task against lab hosts."""

import subprocess
import sys

from tests.conftest import LabHosts
from tests.e2e.conftest import Vault, check_logins, read_records

CREATE = ("task", "create", "nightly", "--account", "deploy", "--node", "/lab", "--secret-type", "password")

TICK = """
import asyncio
from datetime import timedelta
from provost.config.start import start
start()
from django.utils import timezone
from provost.server.services.execution import Control, execute
from provost.server.services.tasks import claim_due
for run in claim_due(now=timezone.now() + timedelta(hours=1, minutes=1), limit=10):
    asyncio.run(execute(run=run, control=Control(), observe=lambda event: None))
"""


async def test_asset_added_later_is_pushed_to_by_the_next_run(lab_hosts: LabHosts, vault: Vault) -> None:
    """A folder is looked into when a run starts, by hand or when it is due: what was added is pushed to."""
    first, second, third = lab_hosts(3)
    vault.add(first)
    vault.run(*CREATE, "--every", "1h")
    records = read_records(vault.run("task", "run", "nightly", "--json").stdout)
    assert {place: one["decision"] for place, one in records.items()} == {(first.name, "deploy"): "create"}
    vault.add(second)
    records = read_records(vault.run("task", "run", "nightly", "--json").stdout)
    assert {place: one["decision"] for place, one in records.items()} == {
        (first.name, "deploy"): "leave",
        (second.name, "deploy"): "create",
    }
    vault.add(third)
    subprocess.run([sys.executable, "-c", TICK], env=vault.environment, check=True)
    await check_logins(vault, [first, second, third], ["deploy"])
    runs = vault.read("task", "show", "nightly")["task"]["runs"]
    assert [run["counts"] for run in runs] == [
        {"succeeded": 1, "unchanged": 2},
        {"succeeded": 1, "unchanged": 1},
        {"succeeded": 1},
    ]
