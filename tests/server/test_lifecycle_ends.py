"""The cases of tests/cases/lifecycle_removal.yaml and lifecycle_selection.yaml, and who may do what."""

import asyncio
from collections import Counter
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.server.lifecycle import Scene, find_record, make_secret, run
from tests.server.test_runs import BY

from provost.connectors import memory
from provost.core.errors import Forbidden, UsageError
from provost.core.keys import KeyAlgorithm
from provost.core.model import SecretType, Strategy
from provost.core.rights import Face, Granted, Principal, Role
from provost.core.secrets import Password, SshKey
from provost.core.specs import SPECS
from provost.vault.keys import generate_key

pytestmark = pytest.mark.usefixtures("database")

CASES = Path(__file__).parents[1] / "cases"
ENDS: dict[str, list[dict[str, Any]]] = yaml.safe_load((CASES / "lifecycle_removal.yaml").read_text("utf-8"))
SELECTION: list[dict[str, Any]] = yaml.safe_load((CASES / "lifecycle_selection.yaml").read_text("utf-8"))[
    "cases"
]


@pytest.fixture(autouse=True)
def _hosts() -> Any:
    memory.HOSTS.clear()
    yield
    memory.HOSTS.clear()


def make_ending() -> Scene:
    """Alice as the cases of an end describe her."""
    from provost.server.models import Account
    from provost.server.services import lifetimes

    scene = Scene("alice", SecretType.PASSWORD)
    scene.add_subject("listed", left=True)
    Account.objects.filter(username="alice").update(created_by_provost=True)
    lifetimes.begin(account_ids=[scene.account.id], lifetime=3600, grace=86_400)
    return scene


@pytest.mark.parametrize(
    ("action", "case"),
    [
        pytest.param(action, case, id=" ".join([action, *map(str, case.values())]))
        for action, cases in ENDS.items()
        for case in cases
    ],
)
def test_end(action: str, case: dict[str, Any]) -> None:
    """One case: how its record ends, and what is left there, in the list, of secrets, and to do."""
    from provost.server.models import Account
    from provost.server.services.execution import Control, execute
    from provost.server.services.runs import create_run

    scene = make_ending()
    if fault := case.get("fault"):
        scene.misbehave(fault)
    made = create_run(
        by=BY, spec=SPECS.validate_python({"action": action, "nodes": ["/all"], "usernames": ["alice"]})
    )
    if case["on_target"] is False:
        del scene.host.accounts["alice"]
    elif case["on_target"] == "root":
        scene.host.accounts["alice"].uid = 0
    elif case["on_target"] == "privileged":
        Account.objects.filter(username="alice").update(privileged=True)
    asyncio.run(execute(run=made, control=Control(), observe=lambda _: None))

    record = find_record(made, "alice")
    assert (record.status, record.reason) == (case["status"], case.get("reason", "")), record.message
    there = scene.host.accounts.get("alice")
    now = {None: False, True: "disabled", False: True}[None if there is None else there.disabled]
    assert now == case["there"]
    account = scene.account
    assert (account.listed_at is not None) == case["listed"]
    kept = {"kept": {"current": 1, "pending": 1}, "retired": {"retired": 2}}[case["secrets"]]
    assert scene.count_states("alice", SecretType.PASSWORD) == kept
    due = {
        "end": (account.expires_at, None),
        "removal": (account.expires_at and account.expires_at + timedelta(days=1), account.disabled_at),
        "nothing": (None, None),
    }[case["due"]]
    assert (account.expiry_due, account.disabled_at) == due
    assert (account.disabled_at is not None) == (case["due"] == "removal")
    assert (account.expires_at is None) == (case["due"] == "nothing")


def test_a_removed_account_can_be_pushed_again() -> None:
    """It is not in the list any more, so it gets a new secret, and is Provost's own."""
    scene = make_ending()
    run("remove", usernames=["alice"])
    record = find_record(run("push", usernames=["alice"], secret_type="password"), "alice")
    assert (record.decision, record.status) == ("create", "succeeded")
    assert scene.count_states("alice", SecretType.PASSWORD) == {"current": 1, "retired": 2}
    assert scene.is_current_in_force("alice", SecretType.PASSWORD)
    assert scene.account.created_by_provost


def test_a_dry_run_of_an_end_changes_nothing() -> None:
    """What would be done is told, and nothing else happens."""
    from provost.server.services.execution import Control, execute
    from provost.server.services.runs import create_run

    scene = make_ending()
    for action in ("disable", "remove", "verify", "reconcile", "rotate"):
        named = {"usernames": ["alice"]}
        spec = SPECS.validate_python({"action": action, "nodes": ["/all"], **named})
        made = create_run(by=BY, spec=spec, dry_run=True)
        asyncio.run(execute(run=made, control=Control(), observe=lambda _: None))
        record = find_record(made, "alice")
        assert (record.status, record.reason) == ("unchanged", "dry_run")
    assert scene.list_stored() == {"current": ["listed"], "pending": ["left"], "retired": []}
    assert scene.list_working() == ["listed"]
    assert scene.read_sync() == "never"
    assert scene.account.listed_at is not None
    assert scene.account.disabled_at is None


def fill() -> None:
    """Make the asset of the cases of selection."""
    from provost.server.models import Account, Pair
    from provost.server.services import secrets

    scene = Scene("alice", SecretType.PASSWORD)
    scene.add_subject("listed")
    scene.add_secret("alice", SecretType.SSH_KEY)
    Account.objects.filter(username="alice").update(created_by_provost=True)
    scene.add("ops", privileged=True)
    scene.add("bob", reconcile=False)
    blue, green = (Account.objects.get(username=name) for name in ("blue", "green") if scene.add(name))
    scene.add_secret("blue", SecretType.SSH_KEY)
    Pair.objects.create(name="app", asset=scene.row, active=blue, idle=green, secret_type="password")
    carol, erin = (Account.objects.create(asset=scene.row, username=name) for name in ("carol", "erin"))
    key = generate_key(KeyAlgorithm.ED25519)
    secrets.set_current(secrets=[(carol.id, SshKey(key.public))])
    secrets.stage(run_id=None, secrets=[(erin.id, Password("pending"))], origin=Strategy.RANDOM)


@pytest.mark.parametrize("case", SELECTION, ids=lambda case: " ".join(map(str, case.values())))
def test_selection(case: dict[str, Any]) -> None:
    """One case: which records there are, or why there is no run."""
    from provost.server.models import Run
    from provost.server.services.runs import create_run

    fill()
    asked = {name: value for name, value in case.items() if name not in {"about", "refused"}}
    spec = SPECS.validate_python({"assets": ["db1"], **asked})
    if refused := case.get("refused"):
        with pytest.raises(UsageError) as caught:
            create_run(by=BY, spec=spec)
        assert caught.value.code == refused
        assert not Run.objects.exists()
        return
    letters = {"password": " p", "ssh_key": " k", "": ""}
    records = create_run(by=BY, spec=spec).records.all()
    assert Counter(f"{one.username or '-'}{letters[one.secret_type]}" for one in records) == Counter(
        case["about"]
    )


@pytest.mark.parametrize("action", ["disable", "remove"])
def test_force_takes_an_administrator(action: str) -> None:
    """Whoever operates an asset may end what Provost created there; not by force, nor later, nor by a retry."""
    from provost.server.models import Node
    from provost.server.services.runs import create_retry, create_run
    from provost.server.services.tasks import TaskFields, create_task

    fill()
    place = Node.objects.get(full_path="/all").path
    operator = Principal("olga", Face.API, (Granted(Role.OPERATOR, place),))
    administrator = Principal("ada", Face.API, (Granted(Role.ADMINISTRATOR, place),))
    for where in ({"assets": ["db1"]}, {"nodes": ["/all"]}):
        ours = SPECS.validate_python({"action": action, "usernames": ["alice"], **where})
        forced = SPECS.validate_python({"action": action, "usernames": ["bob"], "force": True, **where})
        assert create_run(by=operator, spec=ours).records.count() == 1
        with pytest.raises(Forbidden):
            create_run(by=operator, spec=forced)
        with pytest.raises(Forbidden):
            create_task(by=operator, fields=TaskFields("later", forced), specified=None)
        made = create_run(by=administrator, spec=forced)
    made.records.update(status="failed")
    type(made).objects.filter(id=made.id).update(state="finished")
    made.refresh_from_db()
    with pytest.raises(Forbidden):
        create_retry(by=operator, run=made)
    assert create_retry(by=administrator, run=made).records.count() == 1


def test_rotation_given_by_the_operator_needs_it_for_a_retry() -> None:
    """A specified secret is held until every record ended well, and is the one that is set then."""
    from provost.server.services.runs import create_retry

    scene = Scene("alice", SecretType.PASSWORD)
    scene.add_subject("listed")
    mine = make_secret(SecretType.PASSWORD)
    scene.known["mine"] = mine
    scene.misbehave("set: refuses")
    made = run("rotate", mine, usernames=["alice"])
    assert find_record(made, "alice").status == "failed"
    assert scene.list_stored()["pending"] == []
    from provost.server.services.execution import Control, execute

    again = create_retry(by=BY, run=made)
    asyncio.run(execute(run=again, control=Control(), observe=lambda _: None))
    assert find_record(again, "alice").status == "succeeded"
    assert scene.list_stored() == {"current": ["mine"], "pending": [], "retired": ["listed"]}
