import json
import os
import subprocess
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

pytestmark = pytest.mark.once

Provost = Callable[..., subprocess.CompletedProcess[str]]


def read(done: subprocess.CompletedProcess[str]) -> dict[str, str]:
    """Return the level of each code."""
    return {one["code"]: one["level"] for one in json.loads(done.stdout)["findings"]}


def test_before_init_it_says_so(provost: Provost, environment: dict[str, str]) -> None:
    """Where there is nothing it makes nothing, and says what to do."""
    done = provost("check", status=1)
    assert "provost init" in done.stdout
    assert not Path(environment["PROVOST_HOME"]).exists()


def test_all_is_well_but_for_a_user(ready: Provost) -> None:
    """A new Provost has no problem; without --json each finding is a line, with what to do below."""
    levels = read(ready("check", "--deploy", "--json"))
    assert levels["no_administrator"] == levels["first_contact"] == "warning"
    assert {levels[code] for code in ("home", "disk_space", "database", "keyset", "tls", "hosts")} == {"ok"}
    assert "problem" not in levels.values()
    lines = ready("check").stdout.splitlines()
    assert any(line.startswith("warning  no_administrator") for line in lines)


def test_problems_are_found(ready: Provost, environment: dict[str, str]) -> None:
    """Modes, the master key, mistyped and dangerous settings: each has its code, and the status is 1."""
    home = Path(environment["PROVOST_HOME"])
    home.chmod(0o755)
    (home / "master.key").chmod(0o644)
    environment |= {
        "PROVOST_HOST": "0.0.0.0",  # noqa: S104  # what is to be found
        "PROVOST_PROT": "1",
        "PROVOST_DEBUG": "1",
    }
    levels = read(ready("check", "--deploy", "--json", status=1))
    assert {code for code, level in levels.items() if level == "problem"} == {
        "home_exposed",
        "master_key_exposed",
        "tls_needed",
        "hosts_unset",
        "debug_on",
    }
    assert levels["setting_unknown"] == "warning"


def test_database_that_does_not_answer(provost: Provost, environment: dict[str, str]) -> None:
    """It is a finding like any other, and shows no password."""
    environment["PROVOST_DATABASE_URL"] = "postgresql://me:hush@127.0.0.1:1/x"
    done = provost("check", "--json", status=1)
    assert read(done)["database_error"] == "problem"
    assert "hush" not in done.stdout


@pytest.fixture
def examine(database: Path) -> Callable[[], dict[str, str]]:
    """What is found, by code."""
    database.chmod(0o700)
    from provost.server.services import checkup

    return lambda: {one.code: one.level.value for one in checkup.examine(deploy=True)}


def test_administrators_and_tokens(examine: Callable[[], dict[str, str]]) -> None:
    """An administrator who is active satisfies; a token that is about to expire is told, a revoked one not."""
    from provost.server.models import Grant, Token, User

    user = User.objects.create(username="alice", is_active=False)
    Grant.objects.create(user=user, role="administrator")
    assert "no_administrator" in examine()
    User.objects.update(is_active=True)
    assert examine()["administrator"] == "ok"
    assert "token_expires" not in examine()
    soon = timezone.now() + timedelta(days=3)
    token = Token.objects.create(user=user, name="ci", digest="x", rights=["view"], expires=soon)
    assert examine()["token_expires"] == "warning"
    token.revoked = timezone.now()
    token.save()
    assert "token_expires" not in examine()


def test_disk_that_fills_up(examine: Callable[[], dict[str, str]], monkeypatch: pytest.MonkeyPatch) -> None:
    """Little room is a warning, almost none a problem."""
    from provost.server.services import checkup

    usage: Any = type("Usage", (), {"free": 200 << 20})
    monkeypatch.setattr(checkup.shutil, "disk_usage", lambda _path: usage)
    assert examine()["disk_full"] == "warning"
    usage.free = 1 << 20
    assert examine()["disk_full"] == "problem"


def test_data_folder_of_somebody_else(examine: Callable[[], dict[str, str]], database: Path) -> None:
    """Who looks as another user is told so, and not to take the folder away from its owner."""
    if os.geteuid() != 0:
        pytest.skip("giving a folder away takes root")
    os.chown(database, 65534, 65534)
    try:
        assert examine()["home_foreign"] == "problem"
    finally:
        os.chown(database, 0, 0)


def test_clocks_that_differ(monkeypatch: pytest.MonkeyPatch, database: Path) -> None:
    """A database's clock that is off matters from five seconds on, and from half a lease on it is a problem."""
    from provost.server.services import checkup

    assert database
    for seconds, level in ((0, "ok"), (-10, "warning"), (10, "warning"), (40, "problem")):
        theirs = timezone.now() + timedelta(seconds=seconds)
        monkeypatch.setattr(checkup, "_ask", lambda _statement, theirs=theirs: theirs)
        assert checkup._examine_clock().level == level


MOUNTS = """\
22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
30 22 0:27 / /srv rw shared:2 - nfs4 server:/srv rw
31 30 0:28 / /srv/with\\040space rw - xfs /dev/vdb rw
"""


@pytest.mark.parametrize(
    ("file", "kind"),
    [("/var/x", "ext4"), ("/srv/x", "nfs4"), ("/srvx/x", "ext4"), ("/srv/with space/x", "xfs")],
)
@pytest.mark.usefixtures("database")
def test_file_systems_are_told_apart(file: str, kind: str) -> None:
    """The innermost mount counts, and its name may have a space."""
    from provost.server.services.checkup import find_file_system

    assert find_file_system(Path(file), MOUNTS) == kind
