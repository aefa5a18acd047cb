"""kill -9 of what becomes of ordinary accounts: another run, and all is as if nothing had happened."""

import json
import signal
from collections.abc import Iterator

import pytest
from tests import forks
from tests.crash.conftest import HERE, Scene, log_in, make_scene

pytestmark = [pytest.mark.lab, pytest.mark.crash]

WORDS = {
    "rotate": ["rotate", "--secret-type", "password"],
    "rotate-keys": ["rotate", "--secret-type", "ssh_key"],
    "reconcile": ["reconcile"],
    "disable": ["disable"],
    "remove": ["remove", "--force"],
    "discover": ["discover"],
}
"""Removed by force, since what was removed and recorded is not in the list when it is asked for again."""
BOUNDARIES = [
    ("holder.py", "observed"),
    ("holder.py", "half-sent"),
    ("holder.py", "all-sent"),
    ("holder.py", "answered"),
    ("victim.py", "before-record"),
    ("victim.py", "inside-record"),
    ("victim.py", "after-record"),
    ("victim.py", "before-finish"),
]
IN_SHORT = {"rotate.answered", "rotate-keys.all-sent:2", "remove.all-sent", "reconcile.all-sent"}
CASES = [
    *(
        (action, program, boundary)
        for action in WORDS
        for program, boundary in BOUNDARIES
        if action != "discover" or ("sent" not in boundary and boundary not in {"answered", "observed"})
    ),
    ("rotate-keys", "holder.py", "all-sent:2"),
    ("rotate-keys", "holder.py", "answered:2"),
]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """All boundaries under `make crash`, those where most can go wrong under `make test`."""
    if "boundary" in metafunc.fixturenames:
        few = metafunc.config.getoption("moments") < 50
        cases = [
            pytest.param(number, *case, id=f"{case[0]}.{case[2]}")
            for number, case in enumerate(CASES)
            if not few or f"{case[0]}.{case[2]}" in IN_SHORT
        ]
        metafunc.parametrize(("number", "action", "program", "boundary"), cases)


@pytest.fixture(scope="module")
def life(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """A scene with an account for each case, that Provost has made."""
    # A reconciliation that is cut off has used up what the guard lets it, and the next one would wait an hour.
    settings = {"PROVOST_REJECTED_LOGINS_PER_HOUR": "1000"}
    with make_scene(tmp_path_factory.mktemp("life"), settings) as made:
        for secret_type in ("password", "ssh_key"):
            accounts = [
                word
                for number, (action, *_) in enumerate(CASES)
                if (action == "rotate-keys") == (secret_type == "ssh_key")
                for word in ("--account", f"life{number}")
            ]
            made.provost("push", *accounts, "--node", "/crash", "--secret-type", secret_type)
        yield made


async def check_some_way_in(scene: Scene, name: str, secret_type: str, *others: str) -> None:
    """Check that a stored secret logs in on every host, or one of others."""
    stored = scene.read_stored()
    for host in scene.hosts:
        texts = [*(text for _, text in stored[host.name, name, secret_type]), *others]
        opened = [await log_in(host, name, secret_type, text) for text in texts]
        assert any(opened), f"{name} on {host.name}: none of {len(texts)} secrets logs in"


async def test_killed_at_a_boundary(life: Scene, number: int, action: str, program: str, boundary: str) -> None:
    """Killed between two stages, no secret is lost, nothing is removed by half; the next run ends it well."""
    name, behind = f"life{number}", "changed-behind-1"
    secret_type = "ssh_key" if action == "rotate-keys" else "password"
    for host in life.hosts:
        host.run(f"echo precious > ~{name}/notes; chown {name}: ~{name}/notes")
        if action == "reconcile":
            host.run("chpasswd -c SHA512", stdin=f"{name}:{behind}\n")
    words = [*WORDS[action], "--node", "/crash", *([] if action == "discover" else ["--account", name])]
    done = forks.run(HERE / program, boundary, *words, env=life.environment)
    assert done.returncode == -signal.SIGKILL, done.stdout + done.stderr
    life.settle_host()
    if action in {"rotate", "rotate-keys", "reconcile"}:
        await check_some_way_in(life, name, secret_type, *([behind] if action == "reconcile" else []))
    document = json.loads(life.provost(*words, "--json"))
    assert {record["status"] for record in document["records"]} <= {"succeeded", "unchanged"}, document
    await check_end(life, name, action, secret_type)


async def check_end(scene: Scene, name: str, action: str, secret_type: str) -> None:
    """Check that everything is as the action would have it, and that nothing is left beside."""
    stored = scene.read_stored()
    for host in scene.hosts:
        held = stored.get((host.name, name, secret_type), [])
        listed = host.run("cut -d: -f1 /etc/passwd").stdout.split()
        if action == "remove":
            assert (name in listed, held) == (False, [])
            archives = host.run(f"ls /var/lib/provost/archive | grep '^{name}-'").stdout.split()
            assert len(archives) == 1, archives
            assert "notes" in host.run(f"tar -tf /var/lib/provost/archive/{archives[0]}").stdout
            assert name not in host.run("ls /home").stdout.split()
        else:
            assert host.run(f"cat ~{name}/notes").stdout == "precious\n"
            ((state, text),) = held
            assert state == "current"
            assert await log_in(host, name, secret_type, text) == (action != "disable")
        if action == "rotate-keys":
            assert host.run(f"wc -l < ~{name}/.ssh/authorized_keys").stdout.strip() == "1"
        assert host.run("ls /run/provost.pid /home/*/.ssh/.provost* 2>/dev/null || true").stdout == ""
