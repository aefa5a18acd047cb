"""Ways to hosts: through gateways that alone can resolve the names of what is behind them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from tests.e2e.conftest import Vault, check_logins

from provost.lab import Host, Lab


@dataclass(frozen=True)
class Chain:
    """Three hosts: only `gate` can resolve the address of `inner`, and only `inner` that of `innermost`."""

    vault: Vault
    gate: Host
    inner: Host
    innermost: Host


@pytest.fixture(scope="module")
def chain(lab: Lab, make_vault: Callable[[], Vault]) -> Iterator[Chain]:
    """A chain of gateways."""
    hosts = gate, inner, innermost = lab.up(3, prefix="chain")
    vault = make_vault()
    gate.run(f"echo {inner.address} inner.test >> /etc/hosts")
    inner.run(f"echo {innermost.address} innermost.test >> /etc/hosts")
    bring_in(
        vault,
        (gate, {"address": gate.address}),
        (inner, {"address": "inner.test", "via": gate.name}),
        (innermost, {"address": "innermost.test", "via": inner.name}),
    )
    yield Chain(vault, *hosts)
    lab.down(list(hosts))


def bring_in(vault: Vault, *places: tuple[Host, dict[str, Any]]) -> None:
    """Import hosts with what is said of them, and root as their privileged account."""
    assets = [{"name": host.name, "kind": "linux", "port": host.port, **fields} for host, fields in places]
    accounts = [
        {"username": "root", "asset": asset["name"], "privileged": True, "password": host.root_password}
        for asset, (host, _) in zip(assets, places, strict=True)
    ]
    vault.bring_in({"assets": assets, "accounts": accounts})


def count_logins(host: Host, username: str) -> int:
    """Return how often a host's sshd has let somebody in."""
    return host.log.read_text().count(f"Accepted password for {username} ")


async def test_gateways_behind_gateways(chain: Chain) -> None:
    """Work and verification go through the chain, each gateway is entered once, and all keys are pinned."""
    behind = [chain.inner, chain.innermost]
    records = chain.vault.push("ann", "ben", to=[host.name for host in behind])
    assert {(one["decision"], one["status"]) for one in records.values()} == {("create", "succeeded")}
    await check_logins(chain.vault, behind, ["ann", "ben"])
    assert count_logins(chain.gate, "root") == 1
    assert count_logins(chain.inner, "root") == 2  # as a gateway, and as a target
    for host in (chain.gate, *behind):
        shown = chain.vault.read("asset", "show", host.name)["asset"]
        assert [(key["key"], key["state"]) for key in shown["host_keys"]] == [(host.host_key, "trusted")]


def test_there_is_no_other_way(chain: Chain) -> None:
    """Without its gateway the same host is not reached, so what was reached went through it."""
    bring_in(chain.vault, (chain.inner, {"name": "astray", "address": "inner.test"}))
    record = chain.vault.push("ann", to=["astray"], status=1)["astray", "ann"]
    assert (record["status"], record["reason"]) == ("failed", "address_unknown")


def test_an_account_to_pass_through_with(chain: Chain) -> None:
    """A gateway's option names the account to pass it with, which needs no privilege there."""
    chain.gate.run("useradd -m jump; chpasswd", stdin="jump:only to pass\n")
    chain.vault.bring_in(
        {
            "assets": [{"name": chain.gate.name, "options": {"via_account": "jump"}}],
            "accounts": [{"username": "jump", "asset": chain.gate.name, "password": "only to pass"}],
        }
    )
    before = count_logins(chain.gate, "root")
    chain.vault.push("cid", to=[chain.innermost.name])
    assert (count_logins(chain.gate, "jump"), count_logins(chain.gate, "root")) == (1, before)


def test_a_gateway_that_is_down(chain: Chain) -> None:
    """What is behind it fails by its name, whatever the depth, and is not in the list."""
    chain.gate.stop_sshd()
    behind = [chain.inner.name, chain.innermost.name]
    records = chain.vault.push("dan", to=behind, status=1)
    chain.gate.start_sshd()
    for name in behind:
        record = records[name, "dan"]
        assert (record["status"], record["reason"]) == ("failed", "gateway_failed"), record
        assert chain.gate.name in record["message"]
    assert not {(name, "dan") for name in behind} & chain.vault.list_accounts()
    assert chain.vault.list_accounts("--pending") == set()
    chain.vault.push("dan", to=behind)


def test_a_gateway_that_refuses(chain: Chain, vault: Vault) -> None:
    """A gateway's wrong password is tried once, however many assets are behind it: no lock-out."""
    names = [f"behind{number}" for number in range(8)]
    fields = {"address": "inner.test", "via": chain.gate.name}
    bring_in(
        vault,
        (chain.gate, {"address": chain.gate.address}),
        *((chain.inner, {**fields, "name": name}) for name in names),
    )
    words = ("account", "add", "root", "--asset", chain.gate.name, "--password-stdin", "--replace")
    vault.run(*words, stdin="not root's")
    records = vault.push("eve", to=names, status=1)
    assert {(one["status"], one["reason"]) for one in records.values()} == {("failed", "gateway_failed")}
    assert chain.gate.log.read_text().count("Failed password for root") == 1
