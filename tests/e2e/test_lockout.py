"""Accounts out of sync on hosts that lock an account at its third wrong password: none is ever locked."""

import json
import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import pytest
from tests.e2e.conftest import Records, Vault, log_in, read_records

from provost.core.secrets import Password
from provost.lab import Host, Lab

DENY = 3
# pam_faillock(8): root, too, and for good.
COMMON_AUTH = f"""\
auth requisite pam_faillock.so preauth deny={DENY} unlock_time=0 even_deny_root
auth [success=1 default=bad] pam_unix.so nullok nodelay
auth [default=die] pam_faillock.so authfail deny={DENY} unlock_time=0 even_deny_root
auth sufficient pam_faillock.so authsucc deny={DENY} unlock_time=0 even_deny_root
auth required pam_deny.so
"""
PASSWORD = ["--secret-type", "password"]
THEIRS = Password("changed-behind-Provosts-back-1")


def count_failures(host: Host, username: str) -> int:
    """Return how many wrong passwords a host holds against an account."""
    told = host.run(f"faillock --user {username}").stdout
    return len(re.findall(r"^\d{4}-.* V$", told, re.MULTILINE))


def change(host: Host, username: str) -> None:
    """Change an account's password behind Provost's back."""
    host.run("chpasswd -c SHA512", stdin=f"{username}:{THEIRS.text}\n")


@dataclass(frozen=True)
class Strict:
    """Hosts that lock accounts: one reached directly, one through which two others are."""

    vault: Vault
    plain: Host
    gate: Host
    inner: list[Host]

    def run(self, *words: str, status: int | None = 0) -> Records:
        """Run an action, and return its records."""
        return read_records(self.vault.run(*words, "--json", status=status).stdout)

    def run_together(self, *commands: list[str]) -> list[dict[str, Any]]:
        """Run actions all at once, and return all their records, whatever they end with."""
        with ThreadPoolExecutor(len(commands)) as pool:
            done = list(pool.map(lambda words: self.vault.run(*words, "--json", status=None), commands))
        assert {one.returncode for one in done} <= {0, 1}, [one.stdout for one in done if one.returncode > 1]
        return [record for one in done for record in json.loads(one.stdout)["records"]]

    def read_sync(self, host: Host, username: str) -> str:
        """Return what the list says of an account's password."""
        shown = self.vault.read("account", "show", f"{username}@{host.name}")["account"]
        (current,) = (one for one in shown["secrets"] if one["state"] == "current")
        return str(current["sync"])


@pytest.fixture(scope="module")
def strict(lab: Lab, make_vault: Callable[[], Vault]) -> Iterator[Strict]:
    """Four hosts, each with accounts that Provost has made."""
    hosts = plain, gate, *inner = lab.up(4, prefix="strict")
    for host in hosts:
        host.run("cat > /etc/pam.d/common-auth", stdin=COMMON_AUTH)
    vault = make_vault()
    vault.add(plain, gate)
    vault.add(*inner, node="/inner", via=gate.name)
    vault.push("ann", "ben", "cat", "dan", to=[host.name for host in hosts])
    yield Strict(vault, plain, gate, inner)
    lab.down(list(hosts))


async def test_three_wrong_passwords_lock(strict: Strict) -> None:
    """The hosts do what these tests are about: after three wrong passwords, the right one is refused."""
    strict.plain.run("useradd -m eve; chpasswd -c SHA512", stdin=f"eve:{THEIRS.text}\n")
    assert await log_in(strict.plain, "eve", THEIRS)
    for count in range(DENY):
        assert count_failures(strict.plain, "eve") == count
        assert not await log_in(strict.plain, "eve", Password("wrong"))
    assert not await log_in(strict.plain, "eve", THEIRS)


async def test_out_of_sync(strict: Strict) -> None:
    """Looked at again and again, by several at once, it is out of sync and never locked; reconcile mends it."""
    host, vault = strict.plain, strict.vault
    change(host, "ann")
    verify = ["verify", "--asset", host.name, "--account", "ann", "--account", "ben"]
    records = strict.run(*verify, status=1)
    assert (records[host.name, "ann"]["status"], records[host.name, "ann"]["reason"]) == (
        "failed",
        "out_of_sync",
    )
    assert records[host.name, "ben"]["status"] == "succeeded"
    for _ in range(2):
        again = strict.run_together(
            verify, verify, ["reconcile", *verify[1:], "--dry-run"], ["push", *verify[1:], *PASSWORD]
        )
        assert {one["status"] for one in again if one["username"] == "ann"} <= {
            "failed",
            "skipped",
            "unchanged",
        }
        assert count_failures(host, "ann") < DENY
        assert strict.read_sync(host, "ann") == "out_of_sync", "that nothing new is known changes nothing"
    assert strict.read_sync(host, "ben") == "in_sync"
    assert await log_in(host, "ann", THEIRS), "it is not locked"
    mended = strict.run("reconcile", "--asset", host.name, "--account", "ann")[host.name, "ann"]
    assert (mended["status"], mended["reason"]) == ("succeeded", "reconciled")
    assert strict.read_sync(host, "ann") == "in_sync"
    assert await log_in(host, "ann", vault.reveal("ann", host.name))
    assert not await log_in(host, "ann", THEIRS)


async def test_what_a_host_only_pretends_to_set(strict: Strict) -> None:
    """Rotations and reconciliations whose proof is refused, among verifications, lock nobody either."""
    host, vault = strict.plain, strict.vault
    change(host, "dan")
    host.run("mv /usr/sbin/chpasswd /usr/sbin/real; ln -s /bin/true /usr/sbin/chpasswd")
    words = ["--asset", host.name, "--account", "dan"]
    records = strict.run_together(
        ["rotate", *words], ["verify", *words], ["reconcile", *words], ["push", *words, *PASSWORD]
    )
    assert not {one["status"] for one in records} & {"succeeded"}, records
    assert count_failures(host, "dan") < DENY
    assert await log_in(host, "dan", THEIRS), "it is not locked"
    host.run("mv /usr/sbin/real /usr/sbin/chpasswd")
    strict.run("rotate", *words, status=None)
    assert await log_in(host, "dan", vault.reveal("dan", host.name))


def test_a_host_that_is_down(strict: Strict) -> None:
    """Nothing is known of its accounts, and none of them is called out of sync."""
    (host, _), words = strict.inner, ["verify", "--node", "/inner", "--account", "cat"]
    assert strict.run(*words)[host.name, "cat"]["status"] == "succeeded"
    host.stop_sshd()
    down = strict.run(*words, status=1)[host.name, "cat"]
    assert (down["status"], down["reason"]) == ("unverified", "unreachable"), down
    assert strict.read_sync(host, "cat") == "unknown"
    host.start_sshd()
    strict.run(*words)
    assert strict.read_sync(host, "cat") == "in_sync"


async def test_the_privileged_account(strict: Strict) -> None:
    """The account that Provost works with is not tried into a lock, whatever is asked for, dry or not."""
    host = strict.inner[1]
    change(host, "root")
    place = ["--asset", host.name]
    told = strict.run("verify", *place, status=1)
    assert told[host.name, "root"]["reason"] == "out_of_sync"
    records = strict.run_together(
        ["verify", *place],
        ["push", *place, "--account", "zoe", *PASSWORD, "--dry-run"],
        ["rotate", *place, "--dry-run"],
        ["discover", *place],
    )
    assert not {one["status"] for one in records} & {"succeeded", "unchanged"}, records
    assert count_failures(host, "root") < DENY
    assert await log_in(host, "root", THEIRS), "it is not locked"
    assert strict.read_sync(host, "root") == "out_of_sync"
    assert strict.read_sync(host, "cat") in {"in_sync", "unknown"}, "nobody has asked it"


async def test_a_gateway(strict: Strict) -> None:
    """Nor is the account of a gateway, by runs that go through it to several hosts at once."""
    gate, (host, _) = strict.gate, strict.inner
    change(gate, "root")
    words = ["verify", "--account", "cat", "--asset"]
    records = strict.run_together(
        [*words, host.name],
        ["reconcile", *words[1:], host.name, "--dry-run"],
        [*words, strict.inner[1].name],
        [*words, gate.name],
    )
    assert not {one["status"] for one in records} & {"succeeded", "unchanged"}, records
    assert count_failures(gate, "root") < DENY
    assert await log_in(gate, "root", THEIRS), "it is not locked"
    assert strict.read_sync(host, "cat") == "unknown"
