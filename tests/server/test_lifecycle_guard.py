"""The guard against lock-outs: however often a wrong secret is tried, the target hears few refused logins."""

import asyncio
from typing import Any

import pytest
from tests.server.lifecycle import Scene, find_record, run
from tests.server.test_runs import BY

from provost.connectors import memory
from provost.core.model import SecretType
from provost.core.specs import SPECS

pytestmark = [pytest.mark.usefixtures("database"), pytest.mark.once]

LIMIT = 2
"""What PROVOST_REJECTED_LOGINS_PER_HOUR is when nothing is said."""

ACTIONS: list[dict[str, Any]] = [
    {"action": "verify"},
    {"action": "reconcile"},
    {"action": "push", "usernames": ["carol"], "secret_type": "password"},
    {"action": "rotate", "usernames": ["bob"], "secret_type": "password"},
]


@pytest.fixture(autouse=True)
def _hosts() -> Any:
    memory.HOSTS.clear()
    yield
    memory.HOSTS.clear()


def make_scene(who: str, secret_type: str, on_target: str) -> Scene:
    """An account whose secret is another on the target, with bob beside it; reconciliation leaves it alone."""
    from provost.server.models import Account

    scene = Scene(who, SecretType(secret_type))
    scene.add_subject(on_target, left=True)
    scene.add("bob")
    Account.objects.filter(username=scene.username).update(reconcile=False)
    return scene


def run_together(specs: list[dict[str, Any]]) -> None:
    """Run several things at once."""
    from provost.server.services.execution import Control, execute
    from provost.server.services.runs import create_run

    runs = [
        create_run(by=BY, spec=SPECS.validate_python({"nodes": ["/all"], **spec}), attended=False)
        for spec in specs
    ]

    async def work() -> None:
        async with asyncio.TaskGroup() as group:
            for one in runs:
                group.create_task(execute(run=one, control=Control(), observe=lambda _: None))

    asyncio.run(work())


@pytest.mark.parametrize("together", [False, True], ids=["in sequence", "in parallel"])
@pytest.mark.parametrize(
    ("who", "secret_type"),
    [
        *((who, "password") for who in ("alice", "root", "sudo", "su", "ops")),
        *((who, "ssh_key") for who in ("alice", "root", "su", "ops")),
    ],
)
def test_few_refused_logins_an_hour(who: str, secret_type: str, together: bool) -> None:
    """Whatever is done, whoever has the wrong secret, and although a pending one is wrong, too."""
    scene = make_scene(who, secret_type, "other")
    if together:
        run_together([*ACTIONS, ACTIONS[0]])
    else:
        for spec in [*ACTIONS, ACTIONS[0]]:
            run(**spec)
    assert scene.host.accounts[scene.username].refused <= LIMIT
    assert max(account.refused for account in scene.host.accounts.values()) <= LIMIT


def test_both_secrets_of_an_account_count_together() -> None:
    """A wrong password and a wrong key are tried at once, and the account can afford one refusal more."""
    from provost.server.services.guard import note_refusals

    scene = Scene("alice", SecretType.PASSWORD)
    scene.add_subject("other")
    scene.add_secret("alice", SecretType.SSH_KEY)
    scene.host.accounts["alice"].keys.clear()
    note_refusals(refusals=[(scene.row.id, "alice")])
    for _ in range(3):
        run("reconcile", usernames=["alice"])
    assert scene.host.accounts["alice"].refused < LIMIT


def test_an_account_with_two_secrets_is_logged_in_to_in_turn() -> None:
    """With both right, both are proven; with both wrong, the second waits for what the first tells."""
    scene = Scene("alice", SecretType.PASSWORD)
    scene.add_subject("listed")
    scene.add_secret("alice", SecretType.SSH_KEY)
    assert {record.status for record in run("verify", usernames=["alice"]).records.all()} == {"succeeded"}
    scene.host.accounts["alice"] = memory.Account()
    ends = {record.reason for record in run("verify", usernames=["alice"]).records.all()}
    assert ends == {"out_of_sync", "lockout_guard"}
    assert scene.host.accounts["alice"].refused == 1


def test_one_secret_of_two_that_cannot_be_set_again() -> None:
    """The password is refused by the target, the key is set: each has its own end."""
    scene = Scene("alice", SecretType.PASSWORD)
    scene.add_subject("other", checked=True)
    scene.add_secret("alice", SecretType.SSH_KEY)
    scene.host.accounts["alice"].keys.clear()
    from provost.server.models.secrets import SecretVersion

    told = SecretVersion.objects.get(account=scene.account, secret_type="password")
    SecretVersion.objects.filter(account=scene.account).update(sync=told.sync, checked_at=told.checked_at)
    scene.misbehave("set: refuses")
    made = run("reconcile", usernames=["alice"])
    assert {one.secret_type: (one.status, one.reason) for one in made.records.all()} == {
        "password": ("failed", "change_refused"),
        "ssh_key": ("succeeded", "reconciled"),
    }


def test_a_check_that_is_cancelled() -> None:
    """What was not looked at is cancelled, and not a fault; what is known of it stays."""
    from provost.server.services.execution import Control

    scene = Scene("alice", SecretType.PASSWORD)
    scene.add_subject("listed")
    control = Control()

    async def play(step: memory.Step, _username: str) -> None:
        if step is memory.Step.OBSERVE:
            control.cancel.set()

    scene.host.script = play
    made = run("verify", control=control)
    assert {(one.status, one.reason) for one in made.records.all()} == {("cancelled", "cancelled")}
    assert made.state == "cancelled"
    assert scene.read_sync() == "never"


@pytest.mark.parametrize("who", ["alice", "ops"])
def test_reconcile_still_puts_it_right(who: str) -> None:
    """After many checks there is a login left to prove what is set again."""
    scene = Scene(who, SecretType.PASSWORD)
    scene.add_subject("other")
    for _ in range(3):
        run("verify")
    record = find_record(run("reconcile", usernames=[scene.username]), scene.username)
    assert (record.status, record.reason) == ("succeeded", "reconciled")
    assert scene.list_working() == ["listed"]
    assert scene.read_sync() == "in_sync"
    assert scene.host.accounts[scene.username].refused == 1


def test_an_hour_later_it_is_tried_again() -> None:
    """The guard forgets, and says until when an account is left alone."""
    from datetime import timedelta

    from django.db.models import F

    from provost.server.models import Rejection

    scene = Scene("alice", SecretType.PASSWORD)
    scene.add_subject("other")
    assert find_record(run("verify"), "alice").reason == "out_of_sync"
    record = find_record(run("verify"), "alice")
    assert (record.status, record.reason) == ("skipped", "lockout_guard")
    assert "an hour" in record.message
    assert scene.read_sync() == "out_of_sync"
    Rejection.objects.update(at=F("at") - timedelta(hours=1))
    scene.host.accounts["alice"].set_secret(scene.known["listed"])
    assert find_record(run("verify"), "alice").status == "succeeded"
    assert scene.read_sync() == "in_sync"


def test_a_refusal_is_written_down_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """While the run goes on, so that whoever takes it over from a process that was killed knows of it."""
    from provost.server.models import Rejection
    from provost.server.services import execution

    monkeypatch.setattr(execution, "_BATCH_SECONDS", 3600)
    scene = Scene("alice", SecretType.PASSWORD)
    scene.add_subject("other")
    scene.add("bob")
    counts: list[int] = []

    async def play(step: memory.Step, username: str) -> None:
        if (step, username) == (memory.Step.VERIFY, "bob"):
            for _ in range(100):
                if count := await asyncio.to_thread(Rejection.objects.count):
                    break
                await asyncio.sleep(0.05)
            counts.append(count)

    scene.host.script = play
    run("verify")
    assert counts == [1]


def test_su_is_counted_against_root() -> None:
    """Passwords of root's that su has refused are refused logins of root's, in all runs together."""
    scene = Scene("su", SecretType.SSH_KEY)
    scene.add_subject("listed")
    scene.host.accounts["root"].password = "another"
    for _ in range(3):
        run("verify")
    assert scene.host.accounts["root"].refused == LIMIT
    assert scene.host.accounts["ops"].refused == 0
    record = find_record(run("verify"), "ops")
    assert (record.status, record.reason) == ("skipped", "lockout_guard")
