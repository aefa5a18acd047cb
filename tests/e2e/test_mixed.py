"""One push over a folder of systems of every kind, and what their own stock clients say to it."""

import asyncio
import json
import os
import subprocess
from collections.abc import Iterator

import pytest
from tests.conftest import copy_empty_home
from tests.e2e.conftest import Vault
from tests.kinds.benches import open_benches, write_inventory

from provost.conformance import Bench, Trial
from provost.core.secrets import Password

KINDS = ("linux", "postgresql", "mysql", "redis", "ldap", "active_directory")
"""A network device is not disabled; tests/crash/test_kinds.py has it in its mixture."""


@pytest.fixture(scope="module")
def benches(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Bench]]:
    """A target of each kind."""
    with open_benches(tmp_path_factory.mktemp("mixed"), KINDS) as benches:
        yield benches


@pytest.fixture(scope="module")
def mixed(benches: dict[str, Bench], tmp_path_factory: pytest.TempPathFactory) -> Vault:
    """A vault that has them all in /mixed."""
    home = tmp_path_factory.mktemp("vault")
    vault = Vault(home / "home")
    copy_empty_home(vault.home)
    write_inventory(benches, "/mixed", home / "inventory.yaml")
    vault.run("import", str(home / "inventory.yaml"))
    return vault


def reveal(vault: Vault, username: str, asset: str) -> Password:
    """Return what the list holds."""
    told = vault.run("account", "reveal", f"{username}@{asset}", "--secret-type", "password")
    return Password(told.stdout.rstrip("\n"))


def test_one_username_everywhere(benches: dict[str, Bench], mixed: Vault) -> None:
    """Created on all by one push, logged in to by psql, mariadb, redis-cli and their like; rotated; removed."""
    username = "svc_report"
    push = ["push", "--account", username, "--node", "/mixed", "--secret-type", "password"]
    told = mixed.read(*push, "--dry-run")
    assert {record["decision"] for record in told["records"]} == {"create"}, told
    assert not any(bench.has(username) for bench in benches.values())

    told = mixed.read(*push)
    assert {record["asset"]: record["status"] for record in told["records"]} == dict.fromkeys(
        benches, "succeeded"
    ), json.dumps(told, indent=1)
    first = {name: reveal(mixed, username, name) for name in benches}
    assert len({secret.text for secret in first.values()}) == len(benches), "each has its own"
    for name, bench in benches.items():
        assert bench.log_in(username, first[name]), name

    told = mixed.read("rotate", "--account", username, "--node", "/mixed")
    assert {record["status"] for record in told["records"]} == {"succeeded"}, json.dumps(told, indent=1)
    for name, bench in benches.items():
        assert bench.log_in(username, reveal(mixed, username, name)), name
        assert not bench.log_in(username, first[name]), name

    told = mixed.read("remove", "--account", username, "--node", "/mixed")
    assert {record["status"] for record in told["records"]} == {"succeeded"}, json.dumps(told, indent=1)
    assert not any(bench.has(username) for bench in benches.values())


def test_every_way_of_the_life(benches: dict[str, Bench], mixed: Vault) -> None:
    """Adopted, verified, found out of sync and reconciled, disabled, enabled and discovered, on all at once."""
    username = "made_by_hand"
    at_first, behind = Password("as-Made-by-Hand-1"), Password("changed-Behind-its-Back-2")
    for bench in benches.values():
        bench.make(username, at_first)
    scope = ["--account", username, "--node", "/mixed"]

    def do(action: str, *words: str) -> dict[str, str]:
        told = json.loads(mixed.run(action, *scope, *words, "--json", status=None).stdout)
        return {record["asset"]: f"{record['decision']} {record['status']}" for record in told["records"]}

    everywhere = dict.fromkeys(benches)
    assert do("push", "--secret-type", "password") == dict.fromkeys(everywhere, "adopt succeeded")
    assert do("verify") == dict.fromkeys(everywhere, "None succeeded")
    for name, bench in benches.items():
        asyncio.run(Trial(bench).push(username, behind))  # as another tool would
        assert bench.log_in(username, behind), name
    assert do("verify") == dict.fromkeys(everywhere, "None failed")
    assert do("reconcile") == dict.fromkeys(everywhere, "None succeeded")
    secrets = {name: reveal(mixed, username, name) for name in benches}
    assert all(bench.log_in(username, secrets[name]) for name, bench in benches.items())
    assert do("disable", "--force") == dict.fromkeys(everywhere, "None succeeded")
    assert not any(bench.log_in(username, secrets[name]) for name, bench in benches.items())
    assert do("enable") == dict.fromkeys(everywhere, "None succeeded")
    assert all(bench.log_in(username, secrets[name]) for name, bench in benches.items())
    told = mixed.read("discover", "--node", "/mixed")
    assert {record["status"] for record in told["records"]} == {"succeeded"}, told


def test_no_plaintext_in_the_logs(benches: dict[str, Bench], mixed: Vault) -> None:
    """What these servers have logged, at their most verbose, and what Provost wrote, hold no password."""
    username = "svc_quiet"
    mixed.read("push", "--account", username, "--node", "/mixed", "--secret-type", "password")
    texts = {name: reveal(mixed, username, name).text for name in benches}
    for name, bench in benches.items():
        log = bench.read_log()
        assert log, f"{name} has logged nothing"
        assert not [text for text in texts.values() if text in log], name
    found = subprocess.run(
        ["grep", "-rlF", *(word for text in texts.values() for word in ("-e", text)), str(mixed.home)],
        env=os.environ, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert found.stdout == ""
