"""The cases of tests/cases/discovery.yaml on real hosts, and discoveries that fail as a whole."""

import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from provost.core.errors import LookupFailed

pytestmark = pytest.mark.lab
CASES: list[dict[str, Any]] = yaml.safe_load(
    (Path(__file__).parents[1] / "cases" / "discovery.yaml").read_text(encoding="utf-8")
)["cases"]
HERS = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIMDLqcTxrBpO0ljUykrn/DSYFaEcCP1gbz1DvqYFLjkz hers"
TOOLS = f"""
adduser_() {{ if command -v useradd >/dev/null; then useradd -m "$1"; else adduser -D "$1"; fi; }}
install_keys() {{
    mkdir "/home/$1/.ssh"
    echo '{HERS}' > "/home/$1/.ssh/authorized_keys"
    chown -R "$1" "/home/$1/.ssh"
}}
rule() {{ printf '%s\\n' "$@" > /etc/sudoers.d/rules; }}
"""


@pytest.mark.parametrize("kind", ["linux", "busybox"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case["it"])
async def test_case(request, kind, case, aim_at, connect):
    """One case: what is told of `al`; and root and all others are told of as ever."""
    if kind not in case.get("kinds", [kind]):
        pytest.skip("not on this kind")
    host = request.getfixturevalue("host" if kind == "linux" else "busybox_host")
    session = await connect(aim_at(host))
    before = await session.discover()
    host.run(TOOLS + case["made"])
    found = await session.discover()
    assert [one for one in found if one.username not in {"al", "root"}] == [
        one for one in before if one.username != "root"
    ] or case["facts"].get("privileges", ()) is None
    [root] = [one for one in found if one.username == "root"]
    assert root.superuser
    assert len(root.keys) == 1
    [facts] = [one for one in found if one.username == "al"]
    told = facts.model_dump()
    if facts.keys is not None:
        told["keys"] = [[key.comment, key.options] for key in facts.keys]
        assert all(key.fingerprint.startswith("SHA256:") for key in facts.keys)
    for name, expected in case["facts"].items():
        value = list(told[name]) if isinstance(told[name], tuple) else told[name]
        wanted = (
            [one.replace("HOST", host.name) for one in expected]
            if name == "privileges" and expected
            else expected
        )
        assert str(value) == str(wanted), (name, facts)


@pytest.mark.parametrize(
    "trouble",
    [
        "printf '#!/bin/sh\\nhead -n 3 /etc/passwd; exit 3\\n' > /usr/bin/getent",
        "printf '#!/bin/sh\\nexit 0\\n' > /usr/bin/getent",
        (
            "sed -i 's/^passwd:.*/passwd: files sss/' /etc/nsswitch.conf; "
            "mkdir -p /etc/sssd; touch /etc/sssd/sssd.conf"
        ),
    ],
)
async def test_a_list_that_is_not_whole(host, aim_at, connect, trouble):
    """A getent that fails or tells nothing, or a directory that is down, is an error: nobody has vanished."""
    session = await connect(aim_at(host))
    host.run(trouble)
    with pytest.raises(LookupFailed):
        await session.discover()


async def test_a_last_login(host, aim_at, connect):
    """The last login is told, in UTC, as lastlog has it."""
    host.run("useradd -m al; touch /var/log/lastlog")
    # lastlog(8)'s struct: seconds, terminal, host, at uid times its size
    host.run("lastlog -u al -S")
    session = await connect(aim_at(host))
    [facts] = [one for one in await session.discover() if one.username == "al"]
    assert facts.last_login is not None
    assert abs(facts.last_login.timestamp() - time.time()) < 600
    assert facts.last_login.utcoffset().total_seconds() == 0


async def test_many_accounts(host, aim_at, connect):
    """2000 accounts with a key each are told of in one exchange, and cost the host no process each."""
    host.run(
        "i=0; mkdir /home/many; while [ $i -lt 2000 ]; do i=$((i + 1)); "
        "echo u$i:x:$((5000 + i)):100:Some Body,,,:/home/many/u$i:/bin/bash >> /etc/passwd; "
        "echo u$i:'$6$x':20000:0:99999:7::: >> /etc/shadow; "
        "mkdir -p /home/many/u$i/.ssh; "
        f"echo '{HERS}' > /home/many/u$i/.ssh/authorized_keys; done"
    )
    session = await connect(aim_at(host))
    await session.discover()
    before = int(host.run("sh -c 'echo $$'").stdout)
    found = await session.discover()
    assert int(host.run("sh -c 'echo $$'").stdout) - before < 200
    assert sum(one.username.startswith("u") and one.can_log_in and len(one.keys) == 1 for one in found) == 2000
