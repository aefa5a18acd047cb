"""kill -9 of privileged accounts' changes of their own secrets: every host can still be managed afterwards."""

import random
import signal
import time
from collections.abc import Iterator

import pytest
from tests import forks
from tests.crash.conftest import HERE, PROVOST
from tests.crash.ownership import (
    NODE,
    Realm,
    check_none_lost,
    check_records,
    count_secrets,
    make_realm,
)

pytestmark = [pytest.mark.lab, pytest.mark.crash]

MANY_MOMENTS = 50
"""From so many on, as by `make crash`, everything is tried."""
MANY = (4, 4, 3, 3, 3, 3)
FEW = (1, 1, 1, 1, 1, 1)
"""How many hosts of each shape."""

# Every kill costs an account a refused login, since the secret in the list is tried first.  In production an
# hour passes between so many kills; here the guard would have every host wait for that.
UNGUARDED = {"PROVOST_REJECTED_LOGINS_PER_HOUR": "1000"}


@pytest.fixture(scope="module")
def realm(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[Realm]:
    """Twenty hosts under `make crash`, one of each shape under `make test`."""
    sizes = MANY if request.config.getoption("moments") >= MANY_MOMENTS else FEW
    with make_realm(tmp_path_factory.mktemp("own"), sizes, UNGUARDED) as made:
        began = time.monotonic()
        check_records(made, made.run(*word_rotation("password")), count_secrets(made, "password"))
        made.span = time.monotonic() - began
        yield made


def word_rotation(secret_type: str) -> list[str]:
    return ["rotate", "--privileged", "--secret-type", secret_type]


def check_managed(realm: Realm, secret_type: str, *, verify: bool) -> None:
    """A verification gets in everywhere, if it is the next run; a rotation does, and all ends well."""
    if verify:
        check_records(realm, realm.run("verify"), count_secrets(realm, "password", "ssh_key"))
    check_records(realm, realm.run(*word_rotation(secret_type)), count_secrets(realm, secret_type))
    check_none_lost(realm, at_end=True)


BOUNDARIES = [
    *(("victim.py", name) for name in ("before-stage", "after-stage", "before-record", "inside-record",
                                        "after-record", "before-finish")),
    *(("holder.py", name) for name in ("opened", "observed", "half-sent", "all-sent", "answered", "verified",
                                        "proven", "opened:2", "answered:2")),
]  # fmt: skip
OF_PASSWORDS = [("holder.py", "proven:2")]
"""Some hosts have two privileged accounts with passwords."""
OF_KEYS = [("holder.py", "all-sent:2")]
"""The second change of a key on a host is the withdrawal of the old one."""
IN_SHORT = {"answered.password", "all-sent:2.ssh_key"}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """All boundaries and moments under `make crash`; few under `make test`: each is on many hosts at once."""
    moments = metafunc.config.getoption("moments")
    few = moments < MANY_MOMENTS
    cases = [
        pytest.param(program, name, secret_type, id=f"{name}.{secret_type}")
        for secret_type, boundaries in (
            ("password", BOUNDARIES + OF_PASSWORDS),
            ("ssh_key", BOUNDARIES + OF_KEYS),
        )
        for program, name in boundaries
        if not few or f"{name}.{secret_type}" in IN_SHORT
    ]
    if "boundary" in metafunc.fixturenames:
        metafunc.parametrize(("program", "boundary", "secret_type"), cases)
    if "some_moment" in metafunc.fixturenames:
        metafunc.parametrize("some_moment", range(1 if few else moments))


def test_killed_at_a_boundary(realm: Realm, program: str, boundary: str, secret_type: str) -> None:
    """Killed with every host between the same two stages, a stored secret lets in, and the next run settles."""
    words = [*word_rotation(secret_type), "--node", NODE]
    done = forks.run(HERE / program, boundary, *words, env=realm.environment)
    assert done.returncode == -signal.SIGKILL, done.stdout + done.stderr
    realm.settle()
    check_none_lost(realm)
    check_managed(realm, secret_type, verify=len(boundary) % 2 == 0)


def test_killed_at_a_random_moment(realm: Realm, some_moment: int) -> None:
    """Killed at any moment, every host is still managed, by a verification or a rotation right after."""
    secret_type = ("password", "ssh_key")[some_moment % 2]
    process = forks.start(PROVOST, *word_rotation(secret_type), "--node", NODE, env=realm.environment)
    time.sleep(random.Random(f"{some_moment}{time.time_ns()}").uniform(0.1, 1) * realm.span)  # noqa: S311  # any will do
    process.close()
    if some_moment % 4 < 2:
        realm.settle()
        check_none_lost(realm)
    check_managed(realm, secret_type, verify=some_moment % 8 < 4)
