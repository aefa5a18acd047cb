"""The cases of tests/cases/overlap.yaml, on real hosts and in memory."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from provost.connectors.linux.parameters import LinuxParameters
from provost.connectors.memory import Account, MemoryConnector, Parameters
from provost.connectors.memory import Host as MemoryHost
from provost.core.connector import Change, Timeouts, Withdrawal
from provost.core.job import Login, Target
from provost.core.model import Decision, Verdict
from provost.vault.keys import generate_key

CASES: list[dict[str, Any]] = yaml.safe_load(
    (Path(__file__).parents[1] / "cases" / "overlap.yaml").read_text(encoding="utf-8")
)["cases"]
KEYS = {name: generate_key("ed25519") for name in ("hers", "p1", "p2", "p3")}
FILE = "/home/al/.ssh/authorized_keys"


def name_keys(lines):
    return sorted(name for name, key in KEYS.items() if any(key.public in line for line in lines))


async def act(session, case, parameters):
    if case["do"] == "add":
        change = Change("al", Decision.ADOPT, KEYS[case["key"]], parameters, overlap=True)
        return [one async for one in session.apply([change])]
    gone = tuple(KEYS[name] for name in case["gone"])
    return [one async for one in session.withdraw([Withdrawal("al", KEYS[case["keep"]], gone)])]


def add_user(host, before):
    host.run("if command -v useradd >/dev/null; then useradd -m al; else adduser -D al; fi")
    if before:
        lines = "".join(
            f"{KEYS[name].public} {'someone' if name == 'hers' else 'provost-managed'}\n" for name in before
        )
        host.run(f"mkdir -m 700 /home/al/.ssh; cat > {FILE}; chown -R al /home/al/.ssh", stdin=lines)


@pytest.mark.lab
@pytest.mark.parametrize("kind", ["linux", "busybox"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case["it"])
async def test_linux(request, kind, case, aim_at, connect):
    """One case on a host: the keys afterwards, whatever the strategy; and twice is once."""
    host = request.getfixturevalue("host" if kind == "linux" else "busybox_host")
    add_user(host, case["before"])
    session = await connect(aim_at(host))
    for _ in range(2):
        [applied] = await act(session, case, LinuxParameters(key_strategy="exclusive"))
        assert applied.error is None, applied
        lines = host.run(f"cat {FILE} 2>/dev/null || true").stdout.splitlines()
        assert name_keys(lines) == case["after"]
        assert len(lines) == len(case["after"])


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["it"])
async def test_memory(case):
    """One case in memory."""
    public = [KEYS[name].public for name in case["before"]]
    managed = {KEYS[name].public for name in case["before"] if name != "hers"}
    host = MemoryHost({"al": Account(keys=set(public), managed=managed)})
    target = Target(1, "host", "memory", "a", 0, ())
    session = await MemoryConnector({"a": host}).open(target, Login("root"), Timeouts(), None)
    [applied] = await act(session, case, Parameters())
    assert applied.error is None
    assert name_keys(host.accounts["al"].keys) == case["after"]


@pytest.mark.lab
async def test_options_are_handed_on(host, aim_at, connect):
    """A key that comes after another gets its options; a comment that quotes that key gives none."""
    old, new = KEYS["p1"], KEYS["p2"]
    add_user(host, ["hers"])
    options = 'from="10.0.0.0/8",command="echo \\"a b\\""'
    host.run(f"cat >> {FILE}", stdin=f"# was {old.public}\n{options} {old.public} provost-managed\n")
    session = await connect(aim_at(host))
    change = Change("al", Decision.ADOPT, new, LinuxParameters(), overlap=True, replaces=old)
    [applied] = [one async for one in session.apply([change])]
    assert applied.error is None
    assert host.run(f"tail -n 1 {FILE}").stdout == f"{options} {new.public} provost-managed\n"
    assert (await session.verify("al", new)).reason == "key_options_forbid"


@pytest.mark.lab
@pytest.mark.parametrize("kind", ["linux", "busybox"])
@pytest.mark.parametrize("options", ['from="192.0.2.1"', 'command="x",Expiry-Time="20200101"'])
async def test_options_that_bind_a_key(request, kind, options, aim_at, connect):
    """A key whose own line forbids the login is no wrong key; set again, it keeps its options."""
    host, key = request.getfixturevalue("host" if kind == "linux" else "busybox_host"), KEYS["p1"]
    add_user(host, ["hers", "p1"])
    host.run(f"sed -i '$d' {FILE}; cat >> {FILE}", stdin=f"{options} {key.public} provost-managed\n")
    before = host.run(f"cat {FILE}").stdout
    session = await connect(aim_at(host))
    told = await session.verify("al", key)
    if kind == "linux":  # dropbear heeds no such option
        assert (told.verdict, told.reason, told.refused) == (Verdict.UNKNOWN, "key_options_forbid", True), told
    change = Change("al", Decision.ADOPT, key, LinuxParameters(), overlap=True, replaces=key)
    [applied] = [one async for one in session.apply([change])]
    assert applied.error is None
    assert host.run(f"cat {FILE}").stdout == before


@pytest.mark.lab
async def test_nothing_is_withdrawn_through_a_link(host, aim_at, connect):
    """A file that its owner made a link to root's is refused, and root's keys stay."""
    host.run(
        "useradd -m al; mkdir /home/al/.ssh; chmod 755 /root /root/.ssh; chmod 666 /root/.ssh/authorized_keys"
    )
    host.run(f"ln -s /root/.ssh/authorized_keys {FILE}; chown -hR al /home/al/.ssh")
    before = host.run("cat /root/.ssh/authorized_keys").stdout
    session = await connect(aim_at(host))
    [applied] = [one async for one in session.withdraw([Withdrawal("al", KEYS["p1"])])]
    assert applied.error
    assert applied.error.code == "unsafe_path"
    assert host.run("cat /root/.ssh/authorized_keys").stdout == before


@pytest.mark.lab
async def test_a_full_disk_empties_no_file(host, aim_at, connect):
    """Nothing is withdrawn on a full disk, and no key is lost by it."""
    add_user(host, ["hers", "p1", "p2"])
    before = host.run(f"cat {FILE}").stdout
    host.run("cat /dev/zero > /home/full 2>/dev/null || true")
    session = await connect(aim_at(host))
    [applied] = [one async for one in session.withdraw([Withdrawal("al", KEYS["p1"])])]
    assert applied.error
    assert host.run(f"cat {FILE}").stdout == before
