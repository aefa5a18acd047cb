"""Pushes that fail: nothing untrue enters the list, no secret is lost, and the next push gets it right."""

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from math import inf

import pytest
from tests.e2e.conftest import (
    Records,
    Vault,
    check_logins,
    list_push_words,
    log_in,
    read_records,
    wait_for_silence,
)

from provost.lab import Host, Lab


@dataclass(frozen=True)
class Fault:
    """Something that makes a push to one host fail: how it comes, what the record says, how it is mended."""

    reason: str
    message: str
    bring: Callable[[Vault, Host], object]
    mend: Callable[[Vault, Host], object]


def set_root_password(vault: Vault, host: Host, password: str) -> None:
    """Put another password of root's into the list."""
    words = ("account", "add", "root", "--asset", host.name, "--privileged", "--password-stdin", "--replace")
    vault.run(*words, stdin=password)


FAULTS = {
    "unreachable": Fault(
        "connection_refused",
        "refuses connections",
        lambda _, host: host.stop_sshd(),
        lambda _, host: host.start_sshd(),
    ),
    "login refused": Fault(
        "privileged_login_refused",
        "refused the login of root",
        lambda vault, host: set_root_password(vault, host, "not root's"),
        lambda vault, host: set_root_password(vault, host, host.root_password),
    ),
    "no such group": Fault(
        "create_refused",
        "group 'ops' does not exist",
        lambda _, host: host.run("groupdel ops"),
        lambda _, host: host.run("groupadd ops"),
    ),
    "password refused": Fault(
        "password_refused",
        "chpasswd",
        lambda _, host: host.run(
            "cp /etc/pam.d/chpasswd /root; echo 'password requisite pam_deny.so' > /etc/pam.d/chpasswd"
        ),
        lambda _, host: host.run("mv /root/chpasswd /etc/pam.d/chpasswd"),
    ),
    "disk full": Fault(
        "host_not_writable",
        "is the disk full",
        lambda _, host: host.run("cat /dev/zero > /var/full 2>/dev/null || true"),
        lambda _, host: host.run("rm /var/full"),
    ),
}


@dataclass(frozen=True)
class Failed:
    """One push to a host for each fault, and another when all were mended."""

    vault: Vault
    hosts: dict[str, Host]
    records: Records
    shown: Records
    left: dict[str, str]
    """What each host had of the account after the failed push."""
    listed: set[tuple[str, str]]
    waiting: set[tuple[str, str]]
    mended: Records


@pytest.fixture(scope="module")
def failed(lab: Lab, make_vault: Callable[[], Vault]) -> Iterator[Failed]:
    """The account alice, pushed to five hosts that each have a fault, and then again."""
    started = lab.up(len(FAULTS), prefix="fault")
    hosts = dict(zip(FAULTS, started, strict=True))
    vault = make_vault()
    vault.add(*started)
    for name, host in hosts.items():
        host.run("groupadd ops")
        FAULTS[name].bring(vault, host)
    options = ["--param", "group=ops"]
    records = vault.push("alice", to=["/lab"], options=options, status=1)
    run = vault.read("run", "list")["runs"][0]["id"]
    look = "getent passwd alice; ls -A /home /var/lib/provost /etc/sudoers.d"
    state = (
        {name: host.run(look, check=False).stdout for name, host in hosts.items()},
        vault.list_accounts(),
        vault.list_accounts("--pending"),
    )
    shown = read_records(vault.run("run", "show", run, "--json").stdout)
    for name, host in hosts.items():
        FAULTS[name].mend(vault, host)
    mended = vault.push("alice", to=["/lab"], options=options)
    yield Failed(vault, hosts, records, shown, *state, mended)
    lab.down(started)


@pytest.mark.parametrize("name", FAULTS)
def test_a_failed_push(failed: Failed, name: str) -> None:
    """The record says what went wrong; neither the list nor the host has anything of the account."""
    host = failed.hosts[name]
    record = failed.records[host.name, "alice"]
    assert (record["status"], record["reason"]) == ("failed", FAULTS[name].reason), record
    assert FAULTS[name].message in record["message"]
    assert failed.shown[host.name, "alice"] == record
    assert failed.left[name].split() == ["/etc/sudoers.d:", "/home:"]
    assert (host.name, "alice") not in failed.listed
    assert (host.name, "alice") not in failed.waiting


@pytest.mark.parametrize("name", FAULTS)
async def test_the_next_push_gets_it_right(failed: Failed, name: str) -> None:
    """Once the cause is mended, the same push creates the account, and its stored secret logs in."""
    host = failed.hosts[name]
    record = failed.mended[host.name, "alice"]
    assert (record["decision"], record["status"]) == ("create", "succeeded"), record
    assert await log_in(host, "alice", failed.vault.reveal("alice", host.name))


def test_a_refused_login_is_not_repeated(failed: Failed) -> None:
    """A wrong password of root's is tried once in a push: no lock-out."""
    assert failed.hosts["login refused"].log.read_text().count("Failed password for root") == 1


# --- connections that break ----------------------------------------------------------------------------


class Wire:
    """A port in front of a host, which cuts every connection after so many bytes one way or the other."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self.limits = {"to host": inf, "to us": inf}
        self.longest = {"to host": 0, "to us": 0}
        """Bytes that the longest connection had."""
        self.port = 0

    async def open(self, stack: AsyncExitStack) -> None:
        """Listen, until the stack ends."""
        server = await asyncio.start_server(self._serve, "127.0.0.1")
        await stack.enter_async_context(server)
        self.port = server.sockets[0].getsockname()[1]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        host_reader, host_writer = await asyncio.open_connection(self.host.address, self.host.port)
        ways = [
            asyncio.create_task(self._pass_on("to host", reader, host_writer)),
            asyncio.create_task(self._pass_on("to us", host_reader, writer)),
        ]
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        for way in ways:
            way.cancel()
        await asyncio.gather(*ways, return_exceptions=True)
        for end in (writer, host_writer):
            end.transport.abort()

    async def _pass_on(self, way: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        passed = 0
        while passed < self.limits[way]:
            data = await reader.read(int(min(self.limits[way] - passed, 65536)))
            if not data:
                return
            writer.write(data)
            await writer.drain()
            passed += len(data)
            self.longest[way] = max(self.longest[way], passed)


BEFORE_THE_END = [*range(20, 1000, 90), 1300, 3000, 8000, 14000]
"""How many bytes before the end of what a push sends or gets its connection is cut."""


async def test_a_connection_that_breaks(farm: list[Host], vault: Vault) -> None:
    """Wherever a connection is cut, what is listed logs in, and what is not is settled by the next push."""
    usernames = ("ann", "ben", "cid")
    async with AsyncExitStack() as stack:
        wires = [Wire(host) for host in farm]
        for wire in wires:
            await wire.open(stack)
        vault.bring_in(
            {
                "assets": [
                    {
                        "name": wire.host.name,
                        "kind": "linux",
                        "address": "127.0.0.1",
                        "port": wire.port,
                        "nodes": ["/cut"],
                    }
                    for wire in wires
                ],
                "accounts": [
                    {"username": "root", "asset": host.name, "privileged": True, "password": host.root_password}
                    for host in farm
                ],
            }
        )
        whole, *cut = wires
        await asyncio.to_thread(vault.push, *usernames, to=[whole.host.name])
        places = [(way, whole.longest[way] - before) for before in BEFORE_THE_END for way in whole.longest]
        for wire, (way, limit) in zip(cut, (place for place in places if place[1] > 0), strict=False):
            wire.limits[way] = limit
        records = await asyncio.to_thread(vault.push, *usernames, to=["/cut"], status=1)
        listed, waiting = vault.list_accounts(), vault.list_accounts("--pending")
        for place, record in records.items():
            assert record["status"] in {"succeeded", "unverified", "uncertain", "failed", "unchanged"}, record
            assert (place in listed) == (record["status"] in {"succeeded", "unverified", "unchanged"}), record
            assert (place in waiting) == (record["status"] == "uncertain"), record
        assert {"failed", "uncertain"} <= {record["status"] for record in records.values()}
        for wire in cut:
            wire.limits = dict.fromkeys(wire.limits, inf)
        await asyncio.to_thread(vault.push, *usernames, to=["/cut"])
    await check_logins(vault, farm, usernames)


def kill_during_chpasswd(vault: Vault, host: Host, words: list[str]) -> None:
    """Start a push, and kill it while the host sets the first password."""
    push = vault.start(*words, stdin="the first secret")
    while host.run("rm /run/at-work", check=False).returncode:
        time.sleep(0.05)
    push.kill()
    push.communicate()


async def test_a_shell_that_outlives_its_connection(host: Host, vault: Vault) -> None:
    """After a kill, what the host still does is over before the next push looks: it cannot undo it later."""
    vault.add(host)
    host.run(
        "mv /usr/sbin/chpasswd /usr/sbin/chpasswd.real; cat > /usr/sbin/chpasswd; chmod 755 /usr/sbin/chpasswd",
        stdin='#!/bin/sh\ntouch /run/at-work\nsleep 2\nexec /usr/sbin/chpasswd.real "$@"\n',
    )
    words = list_push_words("ann", "ben", to=[host.name], options=["--secret-stdin"])
    kill_during_chpasswd(vault, host, words)
    vault.run(*words, stdin="another secret")
    wait_for_silence(host)
    host.run("rm /run/at-work")
    assert host.run("ls -A /var/lib").stdout == ""
    await check_logins(vault, [host], ["ann", "ben"])
    kill_during_chpasswd(vault, host, list_push_words("cid", "dan", to=[host.name], options=["--secret-stdin"]))
    wait_for_silence(host)
    assert "dan" not in host.run("cat /etc/passwd").stdout, "it stops at the next account"
