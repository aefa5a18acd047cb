"""The lab's promises: hosts of their own, with the stock OpenSSH client as the witness."""

import json
import os
import pwd
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from provost.core.errors import UsageError
from provost.lab import Host, Lab, LabError
from provost.lab.addresses import claim_addresses

SSH = ["ssh", "-F", "none", "-o", "LogLevel=ERROR", "-o", "ConnectTimeout=30", "-o", "IdentitiesOnly=yes"]


@pytest.fixture
def another_lab(lab: Lab, tmp_path: Path) -> Iterator[Lab]:
    """A lab beside the session's."""
    with Lab(tmp_path / "another") as another:
        yield another


def ssh(host: Host, command: str, *, username: str = "root", password: str | None = None) -> str:
    """Log in with the stock client, which accepts the host's own key alone; with the lab's key or a password."""
    known = host.folder / "known_hosts"
    name = host.address if host.port == 22 else f"[{host.address}]:{host.port}"
    known.write_text(f"{name} {host.host_key}\n")
    options = [*SSH, "-o", f"UserKnownHostsFile={known}", "-p", str(host.port), "-l", username]
    if password is None:
        words = [*options, "-i", str(host.folder.parent / "root_key"), "-o", "BatchMode=yes"]
        done = subprocess.run([*words, host.address, command], capture_output=True, text=True, check=True)
        return done.stdout
    reader, writer = os.pipe()
    os.write(writer, f"{password}\n".encode())
    os.close(writer)
    words = ["sshpass", "-d", str(reader), *options, "-o", "PubkeyAuthentication=no"]
    try:
        done = subprocess.run(
            [*words, host.address, command], capture_output=True, text=True, check=True, pass_fds=[reader]
        )
    finally:
        os.close(reader)
    return done.stdout


def list_processes() -> set[tuple[str, str]]:
    """Return (pid, start time) of every process on the machine."""
    found = set()
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            pid, rest = path.read_text().split(" ", 1)
        except (FileNotFoundError, ProcessLookupError):
            continue
        found.add((pid, rest.rpartition(")")[2].split()[19]))
    return found


def list_processes_of(hosts: list[Host]) -> set[tuple[str, str]]:
    """Return (pid, start time) of every process inside hosts."""
    spaces = {Path(f"/proc/{host.pid}/ns/pid").readlink() for host in hosts}
    found = set()
    for pid, start_time in list_processes():
        try:
            if Path(f"/proc/{pid}/ns/pid").readlink() in spaces:
                found.add((pid, start_time))
        except (FileNotFoundError, ProcessLookupError):
            continue
    return found


def test_fifty_hosts(another_lab: Lab) -> None:
    """Fifty hosts answer the stock client by key and by password, each as itself, and `down` leaves nothing."""
    if not shutil.which("sshpass"):
        pytest.fail("sshpass is missing: scripts/packages sshpass") if os.environ.get("CI") else pytest.skip("sshpass")
    mounts = Path("/proc/mounts").read_text()
    began = time.monotonic()
    hosts = another_lab.up(50)
    print(f"50 hosts up in {time.monotonic() - began:.2f} s")
    assert len({host.address for host in hosts}) == len({host.host_key for host in hosts}) == 50
    assert Path("/proc/mounts").read_text() == mounts

    with ThreadPoolExecutor(4) as pool:
        names = [host.name for host in hosts]
        assert list(pool.map(lambda host: ssh(host, "hostname").strip(), hosts)) == names
        by_password = pool.map(lambda host: ssh(host, "hostname", password=host.root_password).strip(), hosts)
        assert list(by_password) == names

    processes = list_processes_of(hosts)
    assert len(processes) >= 100
    began = time.monotonic()
    another_lab.down()
    print(f"and down in {time.monotonic() - began:.2f} s")
    assert not processes & list_processes_running()
    assert Path("/proc/mounts").read_text() == mounts
    assert not another_lab.directory.exists()


def list_processes_running() -> set[tuple[str, str]]:
    """Return those of `list_processes` that are not merely waiting to be reaped by the machine's process 1."""
    running = set()
    for pid, start_time in list_processes():
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except (FileNotFoundError, ProcessLookupError):
            continue
        if state not in {"Z", "X"}:
            running.add((pid, start_time))
    return running
