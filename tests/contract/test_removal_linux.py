"""The cases of tests/cases/removal.yaml, on real hosts, and what needs more than one step."""

import asyncio
import contextlib
from pathlib import Path
from typing import Any

import asyncssh
import pytest
import yaml

from provost.connectors.linux.parameters import LinuxRemoval
from provost.core.connector import Applied, Removal
from provost.core.errors import ChangeRefused, Unreachable
from provost.core.job import Login
from provost.core.model import Become
from provost.core.secrets import Password
from provost.vault.keys import generate_key

pytestmark = pytest.mark.lab
CASES: list[dict[str, Any]] = yaml.safe_load(
    (Path(__file__).parents[1] / "cases" / "removal.yaml").read_text(encoding="utf-8")
)["cases"]
# Started as the account, in the background, with nothing that keeps the test's own pipes open.
TOOLS = """
runs() { # a zombie runs no more
    for status in $(grep -s -l -E "^Uid:.*[[:space:]]$(id -u "$1")[[:space:]]" /proc/[0-9]*/status); do
        grep -s -q '^State:[[:space:]]*[ZX]' "$status" || [ ! -e "$status" ] || return 0
    done
    return 1
}
runas() {
    user=$1
    shift
    if command -v setpriv >/dev/null; then
        setpriv --reuid="$user" --regid="$(id -g "$user")" --clear-groups "$@" >/dev/null 2>&1 </dev/null &
    else
        su -s /bin/sh -c "exec $*" "$user" >/dev/null 2>&1 </dev/null &
    fi
    tries=0
    until runs "$user" || [ "$tries" -ge 50 ]; do
        sleep 0.1
        tries=$((tries + 1))
    done
}
"""


def add_users(host):
    host.run(
        "for name in al alice; do "
        "if command -v useradd >/dev/null; then useradd -m $name; else adduser -D $name; fi; "
        "echo $name:secret | chpasswd; done"
    )


def tell(applied: Applied) -> str:
    if applied.error is None:
        return "done"
    return f"{'refused' if isinstance(applied.error, ChangeRefused) else 'unsure'} {applied.error.code}"


async def act(session, case, username="al") -> Applied:
    if case["do"] == "disable":
        [applied] = [one async for one in session.disable([username])]
    else:
        parameters = {name: case[name] for name in ("home", "archive_folder") if name in case}
        removal = Removal(username, LinuxRemoval.model_validate(parameters))
        [applied] = [one async for one in session.remove([removal])]
    return applied


@pytest.mark.parametrize("kind", ["linux", "busybox"])
async def test_what_was_disabled_is_enabled_as_it_was(request, kind, aim_at, connect, log_in):
    """Disabled twice and enabled twice: its password and key log in again, with the shell that it had."""
    host = request.getfixturevalue("host" if kind == "linux" else "busybox_host")
    add_users(host)
    before = host.run("grep ^al: /etc/passwd; grep ^al: /etc/shadow | cut -d : -f 1,2,8").stdout
    session = await connect(aim_at(host))
    for _ in range(2):
        assert [tell(one) async for one in session.disable(["al"])] == ["done"]
    assert not await log_in(host, "al", Password("secret"))
    for _ in range(2):
        told = sorted([tell(one) async for one in session.enable(["al", "root"])])
        assert told == ["done", "refused acting_account"]
    assert await log_in(host, "al", Password("secret"))
    after = host.run("grep ^al: /etc/passwd; grep ^al: /etc/shadow | cut -d : -f 1,2,8").stdout
    assert after == before
    assert [tell(one) async for one in session.enable(["nobody-here"])] == ["refused enable_refused"]


@pytest.mark.parametrize("kind", ["linux", "busybox"])
async def test_what_was_locked_before_stays_locked(request, kind, aim_at, connect, log_in):
    """Enabling undoes what disabling did, and no lock, expiry or nologin of somebody else's."""
    host = request.getfixturevalue("host" if kind == "linux" else "busybox_host")
    add_users(host)
    if kind == "linux":
        host.run("usermod -L -e 2099-01-01 al")
    else:
        host.run("passwd -l al; sed -i '/^al:/s,[^:]*$,/bin/ash,' /etc/passwd")
    show = "grep ^al: /etc/passwd; grep ^al: /etc/shadow | cut -d : -f 1,2,8"
    before = host.run(show).stdout
    session = await connect(aim_at(host))
    for _ in range(2):
        assert [tell(one) async for one in session.disable(["al"])] == ["done"]
    assert host.run(show).stdout != before
    assert [tell(one) async for one in session.enable(["al"])] == ["done"]
    assert host.run(show).stdout == before
    # A password that is set meanwhile takes the lock away: then it is let in.
    assert [tell(one) async for one in session.disable(["al"])] == ["done"]
    host.run("echo al:secret | chpasswd")
    assert [tell(one) async for one in session.disable(["al"])] == ["done"]
    assert [tell(one) async for one in session.enable(["al"])] == ["done"]
    assert await log_in(host, "al", Password("secret"))
    assert host.run(show).stdout.split(":")[-1] == before.split(":")[-1], "the day on which it expires"


@pytest.mark.parametrize("kind", ["linux", "busybox"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case['do']} {case['it']}")
async def test_case(request, kind, case, aim_at, connect):
    """One case: the answer, what it says, what is there afterwards; and the same once more does no harm."""
    if kind not in case.get("kinds", [kind]):
        pytest.skip("not on this kind")
    host = request.getfixturevalue("host" if kind == "linux" else "busybox_host")
    add_users(host)
    host.run(TOOLS + case["prepare"])
    session = await connect(aim_at(host))
    applied = await act(session, case)
    assert tell(applied) == case["answer"], applied
    assert case.get("says", "") in applied.message, applied
    for command in case.get("afterwards", ()):
        done = host.run(TOOLS + command, check=False)
        assert done.returncode == 0, (command, done.stdout, done.stderr)
    again = await act(session, case)
    assert tell(again) == case["answer"], again
    assert host.run("grep -c ^alice: /etc/passwd").stdout == "1\n"


@pytest.mark.parametrize("kind", ["linux", "busybox"])
async def test_nobody_gets_in_any_more(request, kind, aim_at, connect, log_in):
    """A disabled account is out by password and by key, its session is ended, and alice's goes on."""
    host = request.getfixturevalue("host" if kind == "linux" else "busybox_host")
    add_users(host)
    key = generate_key("ed25519")
    host.run(
        "for name in al alice; do mkdir /home/$name/.ssh; "
        f"echo '{key.public}' > /home/$name/.ssh/authorized_keys; chown -R $name /home/$name/.ssh; done"
    )
    private = asyncssh.import_private_key(key.private)
    open_sessions = {}
    for name in ("al", "alice"):
        connection = await asyncssh.connect(
            host.address, host.port, username=name, client_keys=[private], known_hosts=None, config=None
        )
        open_sessions[name] = (connection, await connection.create_process("cat"))
    session = await connect(aim_at(host))
    assert tell(await act(session, {"do": "disable"})) == "done"
    async with asyncio.timeout(20):
        await open_sessions["al"][0].wait_closed()
    assert not await log_in(host, "al", Password("secret"))
    assert not await log_in(host, "al", key)
    assert await log_in(host, "alice", Password("secret"))
    assert open_sessions["alice"][1].exit_status is None
    open_sessions["alice"][0].close()
    await open_sessions["alice"][0].wait_closed()


@pytest.mark.parametrize("do", ["disable", "remove"])
async def test_who_is_needed_stays(host, aim_at, connect, do):
    """Root, accounts of the system, and the account that acts, are refused, and stay as they are."""
    host.run(
        "useradd -m admin; echo admin:secret | chpasswd; useradd -o -u $(id -u admin) twin; "
        "echo 'admin ALL=(ALL) NOPASSWD: ALL' > /etc/sudoers.d/admin"
    )
    before = host.run("cat /etc/passwd /etc/shadow").stdout
    session = await connect(aim_at(host, Login("admin", password=Password("secret"), become=Become.SUDO)))
    for name, code in {
        "root": "protected_account",
        "www-data": "protected_account",
        "systemd-network": "protected_account",
        "admin": "acting_account",
        "twin": "acting_account",
    }.items():
        assert tell(await act(session, {"do": do}, name)) == f"refused {code}", name
    assert host.run("cat /etc/passwd /etc/shadow").stdout == before


async def test_a_removal_that_is_cut_off(host, aim_at, connect):
    """Whenever the shell on the host is killed, another removal ends it, and every file is in some archive."""
    add_users(host)
    for moment in range(12):
        host.run(
            "id al >/dev/null 2>&1 || useradd -m al; rm -rf /var/lib/provost; "
            "i=0; while [ $i -lt 300 ]; do i=$((i + 1)); head -c 20000 /dev/urandom > /home/al/$i; done"
        )
        session = await connect(aim_at(host))
        removing = asyncio.create_task(act(session, {"do": "remove"}))
        await asyncio.sleep(0.05 * moment)
        host.run("kill -KILL $(readlink /run/provost.pid | cut -d. -f1)", check=False)
        with contextlib.suppress(Unreachable):
            await removing
        await session.close()
        session = await connect(aim_at(host))
        again = await act(session, {"do": "remove"})
        await session.close()
        assert tell(again) == "done", (moment, again)
        assert host.run("ls -d /home/al; grep ^al: /etc/passwd", check=False).stdout == ""
        packed = host.run(
            "for file in /var/lib/provost/archive/*.tar.gz; do tar -tzf $file; done | "
            "grep -c 'home/al/[0-9]' || true"
        )
        assert int(packed.stdout) >= 300, moment
