"""Hostile input and broken connections in the other actions: inert, refused, and settled by another run."""

import asyncio
from contextlib import AsyncExitStack
from dataclasses import replace
from math import inf

import pytest
from tests.conftest import LabHosts
from tests.e2e.conftest import Records, Vault, count_connections, log_in, read_records, wait_for_silence
from tests.e2e.test_failures import Wire
from tests.e2e.test_hostile import check_refusal
from tests.e2e.test_hostile_output import ESCAPES

from provost.lab import Host

NAME = "x'\ntouch /run/ran\n'"
ACTIONS = {
    "verify": [],
    "rotate": [],
    "reconcile": [],
    "disable": ["--force"],
    "remove": ["--force"],
}


def test_a_username_that_is_a_command(host: Host, vault: Vault) -> None:
    """No action takes it, not even by force, and the host does not hear of it."""
    vault.add(host)
    connections = count_connections(host)
    for action, options in ACTIONS.items():
        check_refusal(vault.run(action, "--account", NAME, "--asset", host.name, *options, status=None))
    assert count_connections(host) == connections


def run(vault: Vault, *words: str, status: int | None = None) -> Records:
    """Run an action, and return its records."""
    return read_records(vault.run(*words, "--json", status=status).stdout)


def test_what_tools_say(host: Host, vault: Vault) -> None:
    """A megabyte of escapes and markup from a host ends as one short, inert line, whatever was asked for."""
    vault.add(host)
    vault.push("ann", "ben", to=[host.name])
    host.run("cat > /root/says", stdin=ESCAPES * (2**20 // len(ESCAPES)))
    liar = "#!/bin/sh\ncat /root/says >&2\nexit 7\n"
    for tool in ("chpasswd", "usermod", "userdel"):
        host.run(f"rm /usr/sbin/{tool}; cat > /usr/sbin/{tool}; chmod 755 /usr/sbin/{tool}", stdin=liar)
    place = ["--account", "ann", "--asset", host.name]
    for words in (["rotate", *place], ["disable", *place], ["remove", *place]):
        record = run(vault, *words, status=1)[host.name, "ann"]
        assert record["status"] in {"failed", "uncertain"}, record
        assert "marked" in record["message"]
        assert len(record["message"]) <= 500
        assert record["message"].isprintable()
        plain = vault.run("run", "show", vault.read("run", "list")["runs"][0]["id"]).stdout
        assert all(line.isprintable() for line in plain.splitlines())
    assert run(vault, "verify", *place)[host.name, "ann"]["status"] == "succeeded", "nothing was changed"


def test_a_full_disk(host: Host, vault: Vault) -> None:
    """Where nothing can be written, nothing is changed or removed, no secret is lost, and it is done later."""
    vault.add(host)
    vault.push("ann", to=[host.name])
    vault.push("ben", to=[host.name], secret_type="ssh_key")
    host.run("echo precious > ~ann/notes; cat /dev/zero > /var/full 2>/dev/null || true")
    place = ["--asset", host.name]
    rotations = [
        ["rotate", "--account", "ann", *place],
        ["rotate", "--account", "ben", "--secret-type", "ssh_key", *place],
    ]
    for words in rotations:
        (record,) = run(vault, *words, status=1).values()
        assert record["status"] in {"failed", "uncertain"}, record
    (record,) = run(vault, "remove", "--account", "ann", *place, status=1).values()
    assert record["status"] == "failed", record
    assert record["reason"] in {"archive_failed", "disable_refused"}, record
    assert host.run("cat ~ann/notes").stdout == "precious\n"
    for username, secret_type in (("ann", "password"), ("ben", "ssh_key")):
        assert asyncio.run(log_in(host, username, vault.reveal(username, host.name, secret_type)))
    host.run("rm /var/full")
    for words in rotations:
        (record,) = run(vault, *words, status=0).values()
    assert asyncio.run(log_in(host, "ben", vault.reveal("ben", host.name, "ssh_key")))
    run(vault, "remove", "--account", "ann", *place, status=0)
    wait_for_silence(host)
    assert host.run("cat /etc/passwd; ls /home").stdout.count("ann") == 0
    assert "notes" in host.run("tar -tf /var/lib/provost/archive/*").stdout


CUTS = [
    ("to host", 30), ("to host", 200), ("to host", 2500), ("to us", 30), ("to us", 150), ("to us", 700),
]  # fmt: skip
"""Which way, and how many bytes before the end, a connection is cut."""


THOROUGH = [
    pytest.param(action, marks=pytest.mark.thorough)
    for action in ("rotate-keys", "reconcile", "disable", "discover")
]


@pytest.mark.parametrize("action", ["rotate", "remove", *THOROUGH])
async def test_a_connection_that_breaks(lab_hosts: LabHosts, vault: Vault, action: str) -> None:
    """Wherever it is cut, no secret is lost, nothing is removed by half, and the next run gets it right."""
    hosts = lab_hosts(1 + len(CUTS), prefix="broken")
    # A reconciliation that is cut off has used up what the guard lets it, and the next one would wait an hour.
    vault = replace(vault, settings={"PROVOST_REJECTED_LOGINS_PER_HOUR": "1000"})
    secret_type = "ssh_key" if action == "rotate-keys" else "password"
    words = [action.partition("-")[0], "--node", "/cut"]
    words += [] if action == "discover" else ["--account", "ann"]
    words += ["--secret-type", secret_type] if action.startswith("rot") else []
    async with AsyncExitStack() as stack:
        wires = [Wire(host) for host in hosts]
        for wire in wires:
            await wire.open(stack)
        vault.bring_in(
            {
                "assets": [
                    {"name": one.host.name, "kind": "linux", "address": "127.0.0.1", "port": one.port,
                     "nodes": ["/cut"]}
                    for one in wires
                ],
                "accounts": [
                    {"username": "root", "asset": host.name, "privileged": True, "password": host.root_password}
                    for host in hosts
                ],
            }
        )  # fmt: skip
        await asyncio.to_thread(vault.push, "ann", to=["/cut"], secret_type=secret_type)
        for host in hosts:
            host.run("echo precious > ~ann/notes; chown ann: ~ann/notes")
            if action == "reconcile":
                host.run("chpasswd", stdin="ann:changed behind it\n")
        whole, *cut = wires
        for wire in wires:
            wire.longest = dict.fromkeys(wire.longest, 0)
        alone = [
            whole.host.name if word == "/cut" else "--asset" if word == "--node" else word for word in words
        ]
        await asyncio.to_thread(run, vault, *alone, status=0)
        for wire, (way, before) in zip(cut, CUTS, strict=True):
            wire.limits[way] = whole.longest[way] - before
        records = await asyncio.to_thread(run, vault, *words)
        assert {one["status"] for one in records.values()} & {"failed", "uncertain", "unverified"}, records
        for wire in cut:
            wire.limits = dict.fromkeys(wire.limits, inf)
        # What was acknowledged and not seen by a removal's end is not in the list any more.
        again = await asyncio.to_thread(run, vault, *words, *(["--force"] if action == "remove" else []))
    fine = {"succeeded", "unchanged"}
    assert {one["status"] for one in again.values()} <= fine, (records, again)
    for host in hosts:
        wait_for_silence(host)
        there = "ann" in host.run("cut -d: -f1 /etc/passwd").stdout.split()
        assert there == (action != "remove")
        if action == "remove":
            archives = host.run("ls /var/lib/provost/archive").stdout.split()
            assert len(archives) == 1, archives
            assert "notes" in host.run("tar -tf /var/lib/provost/archive/*").stdout
            assert "ann" not in host.run("ls /home /etc/sudoers.d").stdout.split()
        else:
            assert host.run("cat ~ann/notes").stdout == "precious\n"
            secret = vault.reveal("ann", host.name, secret_type)
            assert await log_in(host, "ann", secret) == (action != "disable")
