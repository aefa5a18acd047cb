"""One push to very many hosts."""

import os
import random
import time
from collections import Counter
from resource import struct_rusage

from tests.conftest import LabHosts
from tests.e2e.conftest import Records, Vault, list_push_words, log_in, read_records

HOSTS = 200
MOST_MEMORY = 300 * 1024  # KiB, as getrusage(2) counts


def push_measured(vault: Vault) -> tuple[Records, struct_rusage]:
    """Push ann to all assets; return the records, and what the program used."""
    with vault.start(*list_push_words("ann", to=["/lab"])) as push:
        assert push.stdout
        document = push.stdout.read()
        _, status, usage = os.wait4(push.pid, 0)
        push.returncode = os.waitstatus_to_exitcode(status)
    assert push.returncode == 0, document
    return read_records(document), usage


async def test_two_hundred_hosts(lab_hosts: LabHosts, vault: Vault) -> None:
    """One run sets an account on every one of two hundred hosts, each proven by a login, in little memory."""
    began = time.monotonic()
    hosts = lab_hosts(HOSTS, prefix="many")
    vault.add(*hosts)
    ready = time.monotonic()
    records, usage = push_measured(vault)
    seconds = time.monotonic() - ready
    print(  # noqa: T201  # for the reader; no limit is put on time
        f"{HOSTS} hosts ready in {ready - began:.1f} s, pushed to in {seconds:.1f} s "
        f"with {usage.ru_utime + usage.ru_stime:.1f} s of processor time and {usage.ru_maxrss / 1024:.0f} MiB"
    )
    ends = Counter((one["decision"], one["status"]) for one in records.values())
    assert ends == {("create", "succeeded"): HOSTS}
    assert usage.ru_maxrss < MOST_MEMORY
    passwords = vault.read_passwords()
    assert {(host.name, "ann") for host in hosts} <= passwords.keys()
    assert len({passwords[host.name, "ann"] for host in hosts}) == HOSTS
    for host in random.sample(hosts, 20):
        assert await log_in(host, "ann", passwords[host.name, "ann"])
