"""Discoveries of many hosts with many accounts."""

import os
import re
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

from tests.conftest import LabHosts
from tests.e2e.conftest import Vault, count_connections

HOSTS = int(os.environ.get("PROVOST_TEST_DISCOVERED_HOSTS", "20"))
"""200 by hand: it takes minutes."""
USERS = 100
MOST_MEMORY = 400 * 1024  # KiB
FLOOR = """
import asyncio, json, sys
import asyncssh
async def look(address, key, room):
    common = {"known_hosts": None, "config": None, "agent_path": None}
    async with room, asyncssh.connect(address, username="root", client_keys=[key], **common) as connection:
        done = await connection.run("getent passwd; getent shadow", check=True)
        return done.stdout.count("\\n")
async def look_at_all(addresses, key):
    room = asyncio.Semaphore(50)
    print(sum(await asyncio.gather(*(look(address, key, room) for address in addresses))))
asyncio.run(look_at_all(sys.argv[2:], asyncssh.import_private_key(open(sys.argv[1]).read())))
"""


def measure(command: list[str], environment: dict[str, str]) -> tuple[str, float, int]:
    """Run a program; return what it printed, its seconds of CPU, and its peak memory in KiB."""
    peak = 0
    with (
        subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process,
        ThreadPoolExecutor(1) as reader,
    ):
        assert process.stdout
        output = reader.submit(process.stdout.read)
        while os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT | os.WNOHANG) is None:
            status = Path(f"/proc/{process.pid}/status").read_text()
            peak = max([peak, *map(int, re.findall(r"VmHWM:\s+(\d+) kB", status))])
            time.sleep(0.05)
        times = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[11:13]
    assert process.returncode == 0, output.result()
    return output.result(), sum(map(int, times)) / os.sysconf("SC_CLK_TCK"), peak


def test_discovery_of_many_hosts(lab_hosts: LabHosts, vault: Vault) -> None:
    """One run tells of every account on every host, by one connection to each, in little memory."""
    began = time.monotonic()
    hosts = lab_hosts(HOSTS, prefix="seen")
    up = time.monotonic()
    # Written as newusers(8) would: a program run for each would take too long.
    passwd = "".join(f"u{n:03}:x:{2000 + n}:100:User {n}:/home/u{n:03}:/bin/bash\n" for n in range(USERS))
    shadow = "".join(f"u{n:03}:$6$salt$hash:20000:0:99999:7:::\n" for n in range(USERS))
    for host in hosts:
        host.run("cat >> /etc/passwd", stdin=passwd)
        host.run("cat >> /etc/shadow", stdin=shadow)
    key = hosts[0].folder.parent / "root_key"
    assets = [{"name": one.name, "kind": "linux", "address": one.address, "nodes": ["/lab"]} for one in hosts]
    accounts = [
        {"username": "root", "asset": one.name, "privileged": True, "key_file": str(key)} for one in hosts
    ]
    vault.bring_in({"assets": assets, "accounts": accounts})
    ready = time.monotonic()
    floor_told, floor, _ = measure(
        [sys.executable, "-c", FLOOR, str(key), *(host.address for host in hosts)], vault.environment
    )
    assert int(floor_told) >= 2 * USERS * HOSTS
    before = {host.name: count_connections(host) for host in hosts}
    looked = time.monotonic()
    told, cpu, peak = measure(
        [*map(str, vault.program), "discover", "--node", "/lab", "--json"], vault.environment
    )
    seconds = time.monotonic() - looked
    print(  # noqa: T201  # for the reader; no limit is put on time
        f"{HOSTS} hosts up in {up - began:.0f} s, with {USERS} users each in {ready - up:.0f} s; "
        f"discovered in {seconds:.1f} s with {peak / 1024:.0f} MiB and {cpu:.1f} s of CPU, "
        f"{cpu / floor:.1f} times the {floor:.1f} s of the floor"
    )
    assert told.count('"status": "succeeded"') == HOSTS
    assert {count_connections(host) - before[host.name] for host in hosts} == {1}
    assert 0 < peak < MOST_MEMORY
    with closing(sqlite3.connect(vault.home / "provost.sqlite3")) as database:
        rows = database.execute(
            "SELECT asset_id, username FROM server_foundaccount WHERE username GLOB 'u[0-9]*'"
        )
        found = Counter(asset for asset, _ in rows)
    assert list(found.values()) == [USERS] * HOSTS
