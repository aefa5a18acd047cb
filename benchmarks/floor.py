"""The floor: what a bare asyncssh script needs for one password account a host, with a login to prove it.

usage: floor.py HOSTS.json USERNAME      It keeps nothing, checks no host key, and knows no table.
"""

import asyncio
import json
import secrets
import sys
from pathlib import Path
from typing import Any

import asyncssh

CONCURRENCY = 50


async def push(host: dict[str, Any], username: str, key: asyncssh.SSHKey, room: asyncio.Semaphore) -> None:
    """Create the account with one exec, then log in afresh."""
    password = secrets.token_urlsafe(18)
    common = {"known_hosts": None, "config": None, "agent_path": None}
    async with room:
        async with asyncssh.connect(
            host["address"], username="root", client_keys=[key], **common
        ) as connection:
            done = await connection.run(f"useradd -m {username} && chpasswd", input=f"{username}:{password}\n")
            if done.exit_status:
                raise SystemExit(f"{host['name']}: {done.stderr}")
        async with asyncssh.connect(
            host["address"], host["port"], username=username, password=password, client_keys=None, **common
        ):
            pass


async def push_all(hosts: list[dict[str, Any]], username: str, key: asyncssh.SSHKey) -> None:
    """Push to all hosts at once."""
    room = asyncio.Semaphore(CONCURRENCY)
    await asyncio.gather(*(push(host, username, key, room) for host in hosts))


def main() -> None:
    """Read the hosts and push to them."""
    hosts = json.loads(Path(sys.argv[1]).read_text())
    asyncio.run(push_all(hosts, sys.argv[2], asyncssh.import_private_key(Path(hosts[0]["key"]).read_text())))


main()
