"""One push to very many hosts."""

import random
import re
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.conftest import LabHosts
from tests.e2e.conftest import Records, Vault, list_push_words, log_in, read_records

HOSTS = 200
MOST_MEMORY = 300 * 1024  # KiB


def push_measured(vault: Vault) -> tuple[Records, int]:
    """Push ann to all assets; return the records, and the program's peak memory in KiB.

    getrusage(2) would count what the tests' own process had before it became the program.
    """
    peak = 0
    with vault.start(*list_push_words("ann", to=["/lab"])) as push, ThreadPoolExecutor(1) as reader:
        assert push.stdout
        document = reader.submit(push.stdout.read)
        while push.poll() is None:
            status = Path(f"/proc/{push.pid}/status").read_text()
            peak = max([peak, *map(int, re.findall(r"VmHWM:\s+(\d+) kB", status))])
            time.sleep(0.05)
    assert push.returncode == 0, document.result()
    return read_records(document.result()), peak


async def test_two_hundred_hosts(lab_hosts: LabHosts, vault: Vault) -> None:
    """One run sets an account on every one of two hundred hosts, each proven by a login, in little memory."""
    began = time.monotonic()
    hosts = lab_hosts(HOSTS, prefix="many")
    vault.add(*hosts)
    ready = time.monotonic()
    records, peak = push_measured(vault)
    seconds = time.monotonic() - ready
    print(  # noqa: T201  # for the reader; no limit is put on time
        f"{HOSTS} hosts ready in {ready - began:.1f} s, pushed to in {seconds:.1f} s with {peak / 1024:.0f} MiB"
    )
    ends = Counter((one["decision"], one["status"]) for one in records.values())
    assert ends == {("create", "succeeded"): HOSTS}
    assert 0 < peak < MOST_MEMORY
    passwords = vault.read_passwords()
    assert {(host.name, "ann") for host in hosts} <= passwords.keys()
    assert len({passwords[host.name, "ann"] for host in hosts}) == HOSTS
    for host in random.sample(hosts, 20):
        assert await log_in(host, "ann", passwords[host.name, "ann"])
