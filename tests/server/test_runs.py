"""Runs over the in-memory kind: what is staged, recorded, promoted, kept and discarded, on both databases."""

import asyncio
from datetime import timedelta

import pytest
from pydantic import ValidationError

from provost.connectors import memory
from provost.core.errors import NotFound, Refused, Unreachable
from provost.core.model import SecretState, SecretType
from provost.core.passwords import PasswordRules
from provost.core.push import PushSpec
from provost.core.rights import make_local
from provost.core.secrets import Password

pytestmark = pytest.mark.usefixtures("database")

BY = make_local("tester")


@pytest.fixture(autouse=True)
def hosts():
    """The hosts in memory, which every test finds empty."""
    memory.HOSTS.clear()
    yield memory.HOSTS
    memory.HOSTS.clear()


def add_assets(*names, node="/all", privileged=True):
    from provost.server.models import Account
    from provost.server.services import secrets
    from provost.server.services.assets import add_asset
    from provost.server.services.checks import AssetFields

    for name in names:
        asset = add_asset(by=BY, fields=AssetFields(name, "memory", name, nodes=(node,)))
        if privileged:
            account = Account.objects.create(asset=asset, username="root", privileged=True)
            secrets.set_current(secrets=[(account.id, Password("roots"))])


def describe(*usernames, **fields):
    fields.setdefault("nodes", ("/all",))
    return PushSpec(usernames=usernames or ("alice",), **{"secret_type": SecretType.PASSWORD, **fields})


def push(spec, specified=None, control=None):
    """Push and return the records by (asset, username)."""
    from provost.server.services.runs import create_run

    return work_off(create_run(by=BY, spec=spec, specified=specified), control)


def work_off(run, control=None):
    from provost.server.services.execution import Control, execute

    asyncio.run(execute(run=run, control=control or Control(), observe=lambda _: None))
    return {(record.asset_name, record.username): record for record in run.records.all()}


def find_account(asset, username="alice"):
    from provost.server.models import Account

    return Account.objects.filter(asset__name=asset, username=username).first()


def list_states(asset, username="alice"):
    from provost.server.services.secrets import history

    account = find_account(asset, username)
    return sorted(version.state.value for version in history(account_id=account.id)) if account else None


def fail_once(step, error):
    """A script that raises once at a step."""
    left = [error]

    async def script(at, username):
        if at is step and left and username != "root":
            raise left.pop()

    return script


def test_success_enters_the_list(hosts):
    """A created account is in the list with the secret that is on the target, and known as Provost's own."""
    add_assets("db1", "db2")
    records = push(describe("alice", "bob"))
    assert {(record.decision, record.status) for record in records.values()} == {("create", "succeeded")}
    from provost.server.services.secrets import read_current

    texts = set()
    for asset, username in records:
        account = find_account(asset, username)
        assert account.listed_at is not None
        assert account.created_by_provost
        current = read_current(account_ids=[account.id])[account.id][SecretType.PASSWORD]
        assert hosts[asset].accounts[username].password == current.text
        texts.add(current.text)
    assert len(texts) == 4, "every account has a password of its own"


@pytest.mark.parametrize("step", [memory.Step.OPEN, memory.Step.OBSERVE])
def test_failure_leaves_nothing(hosts, step):
    """A push that certainly set nothing leaves no account and no secret, and the next one gets it right."""
    add_assets("db1")

    async def down(at, _username):
        if at is step:
            raise Unreachable("down")

    hosts["db1"] = memory.Host(script=down)
    record = push(describe(connect_timeout=1))["db1", "alice"]
    assert record.status == "failed"
    assert find_account("db1") is None
    hosts["db1"].script = memory.behave
    assert push(describe())["db1", "alice"].status == "succeeded"


@pytest.mark.parametrize("was_set", [True, False])
def test_uncertainty_keeps_the_secret(hosts, was_set):
    """An answer that never came keeps the pending secret, unlisted; the next push finds out and settles it."""
    add_assets("db1")
    step = memory.Step.ANSWER if was_set else memory.Step.SET
    hosts["db1"] = memory.Host(
        accounts={"alice": memory.Account(password="old")}, script=fail_once(step, Unreachable("cut"))
    )
    record = push(describe())["db1", "alice"]
    assert (record.decision, record.status) == ("adopt", "uncertain")
    assert list_states("db1") == ["pending"]
    assert find_account("db1").listed_at is None
    again = push(describe())["db1", "alice"]
    if was_set:
        assert (again.decision, again.status, again.reason) == ("leave", "unchanged", "settled")
    else:
        assert (again.decision, again.status) == ("adopt", "succeeded")
    assert list_states("db1") == ["current"], "the same staged secret was used again"


def test_a_pending_secret_that_breaks_the_rules_is_not_used_again(hosts):
    """Other rules stage another secret; the one that was left is probed, then retired."""
    add_assets("db1")
    hosts["db1"] = memory.Host(
        accounts={"alice": memory.Account()}, script=fail_once(memory.Step.SET, Unreachable("cut"))
    )
    push(describe())
    record = push(describe(rules=PasswordRules(length=40)))["db1", "alice"]
    assert record.status == "succeeded"
    assert len(hosts["db1"].accounts["alice"].password) == 40
    assert list_states("db1") == ["current", "retired"]


def test_restore_uses_the_listed_secret(hosts):
    """An account that is in the list only comes back with the secret that the list holds; nothing is staged."""
    add_assets("db1")
    push(describe())
    password = hosts["db1"].accounts.pop("alice").password
    record = push(describe(), Password("another"))["db1", "alice"]
    assert (record.decision, record.status) == ("restore", "succeeded")
    assert hosts["db1"].accounts["alice"].password == password
    assert list_states("db1") == ["current"]


def test_skipped_assets_get_no_secret(hosts):
    """Without a privileged account nothing is contacted and nothing staged."""
    add_assets("db1", privileged=False)
    record = push(describe())["db1", "alice"]
    assert (record.decision, record.status, record.reason) == (None, "skipped", "no_privileged_account")
    assert find_account("db1") is None
    assert not hosts


def test_an_asset_in_two_nodes_counts_once():
    """Nodes overlap, assets are named twice: one record for each account."""
    from provost.server.models import Asset
    from provost.server.services.nodes import ensure_nodes

    add_assets("db1")
    Asset.objects.get(name="db1").nodes.add(ensure_nodes(by=BY, paths=["/all/more"])["/all/more"])
    assert len(push(describe("alice", "alice", assets=("db1",), nodes=("/all", "/all/more")))) == 1


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"nodes": (), "assets": ()}, "no_assets"),
        ({"nodes": ("/nosuch",)}, "node_not_found"),
        ({"assets": ("nosuch",)}, "asset_not_found"),
        ({"rules": PasswordRules(length=4)}, "rules_impossible"),
        ({"parameters": {"shell": "/bin/sh"}}, "parameter_refused"),
        ({"usernames": ("",)}, "username_refused"),
        ({"usernames": ()}, "no_accounts"),
    ],
)
def test_bad_input_is_refused_before_a_run_is_made(fields, code):
    """What cannot work leaves no run behind."""
    from provost.server.models import Run
    from provost.server.services.runs import create_run

    add_assets("db1")
    with pytest.raises((Refused, NotFound)) as caught:
        create_run(by=BY, spec=describe().model_copy(update=fields), specified=None)
    assert caught.value.code == code
    assert not Run.objects.exists()


def test_a_push_has_its_bounds(monkeypatch):
    """Nobody fills the database, or the memory, by one request."""
    from provost.server.models import Run
    from provost.server.services import expansion
    from provost.server.services.runs import create_run

    add_assets("db1", "db2")
    monkeypatch.setattr(expansion, "_MOST", 4)
    assert create_run(by=BY, spec=describe("a", "b", "a"), specified=None).records.count() == 4
    with pytest.raises(Refused, match="6 accounts, and one run has 4 at most"):
        create_run(by=BY, spec=describe("a", "b", "c"), specified=None)
    assert Run.objects.count() == 1
    with pytest.raises(ValidationError, match="at most 10000 items"):
        describe(*map(str, range(10_001)))


def test_an_attended_run_whose_process_is_gone_is_closed():
    """Interrupted, or never taken by a machine that nobody hears of: it ends, and the audit trail has that."""
    from provost.server.models import AuditEntry, Run
    from provost.server.services.locks import name_owner
    from provost.server.services.runs import create_run, find_run

    add_assets("db1")
    here, away = (create_run(by=BY, spec=describe(), specified=None) for _ in range(2))
    Run.objects.filter(id=here.id).update(state="running", owner=name_owner().rpartition("/")[0] + "/0")
    Run.objects.filter(id=away.id).update(owner="elsewhere.id/boot/pid:[1]/77/1")
    assert [find_run(by=BY, run_id=str(run.id)).state for run in (here, away)] == ["interrupted", "queued"]
    Run.objects.filter(id=away.id).update(created=away.created - timedelta(minutes=11))
    assert find_run(by=BY, run_id=str(away.id)).state == "interrupted"
    ended = AuditEntry.objects.filter(action="run.finish").order_by("number")
    assert [one.subject for one in ended] == [f"run {here.id}", f"run {away.id}"]
    assert {one.details["state"] for one in ended} == {"interrupted"}


def test_retry_does_what_did_not_end_well(hosts):
    """A retry holds the failed records alone, and takes the specified secret along with it."""
    from provost.server.models import Run
    from provost.server.services.runs import create_retry

    add_assets("db1", "db2")

    async def down(_at, _username):
        raise Unreachable("down")

    hosts["db2"] = memory.Host(script=down)
    push(describe(connect_timeout=1, strategy="specified"), Password("the operators own"))
    hosts["db2"].script = memory.behave
    first = Run.objects.get()
    retry = create_retry(by=BY, run=first)
    records = work_off(retry)
    assert {place: record.status for place, record in records.items()} == {("db2", "alice"): "succeeded"}
    assert hosts["db2"].accounts["alice"].password == "the operators own"
    for run, code in ((first, "secret_not_held"), (retry, "no_retry")):
        with pytest.raises(Refused) as caught:
            create_retry(by=BY, run=run)
        assert caught.value.code == code


def test_cancelling_settles_every_record():
    """A run that is cancelled before it begins contacts nothing and leaves no secret."""
    from provost.server.models import Run
    from provost.server.services.execution import Control

    add_assets("db1", "db2")
    control = Control()
    control.cancel.set()
    records = push(describe(), control=control)
    assert {record.status for record in records.values()} == {"cancelled"}
    assert Run.objects.get().state == "cancelled"
    assert find_account("db1") is None


def test_a_request_to_cancel_is_heard(hosts):
    """Another process asks; what has begun is finished, the rest is cancelled."""
    from django.db import connections

    from provost.server.services.runs import create_run, request_cancel

    add_assets("db1", "db2")
    run = create_run(by=BY, spec=describe(concurrency=1), specified=None)

    def ask():
        request_cancel(by=BY, run=type(run)(id=run.id, state="running"))
        connections.close_all()

    async def slow(at, _username):
        if at is memory.Step.SET:
            await asyncio.to_thread(ask)
            await asyncio.sleep(3)

    hosts["db1"] = memory.Host(script=slow)
    records = work_off(run)
    assert records["db1", "alice"].status == "succeeded"
    assert records["db2", "alice"].status == "cancelled"


def test_a_run_whose_process_is_gone_is_closed():
    """Its records become uncertain, its locks are taken over, and its pending secrets are kept."""
    from provost.server.models import AssetLock, Run
    from provost.server.services.leases import take
    from provost.server.services.locks import acquire_locks, name_owner
    from provost.server.services.runs import create_run, list_runs
    from provost.server.services.staging import stage_jobs

    add_assets("db1")
    run = create_run(by=BY, spec=describe(), specified=None)
    acquire_locks(run_id=run.id, asset_ids=[find_account("db1", "root").asset_id])
    stage_jobs(
        lease=take(run_id=run.id),
        spec=describe(),
        specified=None,
        parameters={"memory": memory.Parameters()},
        usernames={find_account("db1", "root").asset_id: [("alice", SecretType.PASSWORD)]},
    )
    gone = name_owner().rpartition("/")[0] + "/0"
    Run.objects.update(owner=gone)
    AssetLock.objects.update(owner=gone)
    assert list_runs(by=BY)[0][0].state == "interrupted"
    assert [record.status for record in run.records.all()] == ["uncertain"]
    assert list_states("db1") == ["pending"]
    assert push(describe())["db1", "alice"].status == "succeeded"


def test_an_asset_is_worked_on_by_one_run_at_a_time():
    """A lock of a living owner is respected until it is released or its lease is over."""
    from django.utils import timezone

    from provost.server.models import AssetLock
    from provost.server.services.locks import acquire_locks, release_locks
    from provost.server.services.runs import create_run

    add_assets("db1", "db2")
    ids = [find_account(name, "root").asset_id for name in ("db1", "db2")]
    one, two = (create_run(by=BY, spec=describe(), specified=None) for _ in range(2))
    assert acquire_locks(run_id=one.id, asset_ids=ids[:1]) == {ids[0]}
    assert acquire_locks(run_id=two.id, asset_ids=ids) == {ids[1]}
    release_locks(run_id=one.id)
    assert acquire_locks(run_id=two.id, asset_ids=ids) == set(ids)
    AssetLock.objects.update(expires=timezone.now() - timedelta(seconds=1))
    assert acquire_locks(run_id=one.id, asset_ids=ids) == set(ids)


def test_a_dry_run_changes_and_stages_nothing(hosts):
    """The decisions are told and kept; the list, the vault and the target stay as they were."""
    from provost.server.models import Account, AssetLock
    from provost.server.models.secrets import SecretVersion, SpecifiedSecret
    from provost.server.services.runs import create_retry, create_run

    add_assets("db1", "db2")
    Account.objects.create(asset=find_account("db1", "root").asset, username="left")
    before = list(SecretVersion.objects.values()), list(Account.objects.values())
    hosts["db2"] = memory.Host(accounts={"alice": memory.Account(password="old")})
    run = create_run(
        by=BY, spec=describe("alice", "left", strategy="specified"), specified=Password("mine"), dry_run=True
    )
    records = work_off(run)
    assert {place: (record.decision, record.status) for place, record in records.items()} == {
        ("db1", "alice"): ("create", "unchanged"),
        ("db1", "left"): ("create", "unchanged"),
        ("db2", "alice"): ("adopt", "unchanged"),
        ("db2", "left"): ("create", "unchanged"),
    }
    assert (run.state, run.dry_run) == ("finished", True)
    assert not SpecifiedSecret.objects.exists()
    assert not AssetLock.objects.exists(), "it has locked, since a login may be refused, and let go"
    assert (list(SecretVersion.objects.values()), list(Account.objects.values())) == before
    with pytest.raises(Refused) as caught:
        create_retry(by=BY, run=run)
    assert caught.value.code == "no_retry"
    assert {account.username for account in Account.objects.all()} == {"root", "left"}
    assert hosts["db2"].accounts["alice"].password == "old"
    assert not hosts["db1"].accounts


def test_history_keeps_what_was_retired(hosts):
    """A secret that a later push replaced can still be read."""
    from provost.server.services.accounts import find_account as find
    from provost.server.services.secrets import retire_current

    add_assets("db1")
    push(describe())
    before = hosts["db1"].accounts["alice"].password
    account = find(by=BY, username="alice", asset="db1")
    retire_current(account_id=account.id)
    assert push(describe())["db1", "alice"].decision == "adopt"
    from provost.server.services.secrets import history, reveal

    assert [version.state for version in history(account_id=account.id)] == [
        SecretState.CURRENT,
        SecretState.RETIRED,
    ]
    assert reveal(account_id=account.id, secret_type=SecretType.PASSWORD, version=1) == Password(before)


def test_an_observer_that_fails_ends_no_run():
    """Nobody reads the progress any more: the run goes on to its end."""
    from provost.server.services.execution import Control, execute
    from provost.server.services.runs import create_run

    def gone(_event):
        raise BrokenPipeError

    add_assets("db1", "db2")
    run = create_run(by=BY, spec=describe(), specified=None)
    asyncio.run(execute(run=run, control=Control(), observe=gone))
    assert {record.status for record in run.records.all()} == {"succeeded"}


@pytest.mark.parametrize("lasting", [False, True])
def test_a_database_that_takes_no_record_loses_no_secret(hosts, monkeypatch, lasting):
    """A write that fails is tried again; if it never works, what was set is uncertain and kept."""
    from django.db import OperationalError

    from provost.server.models import Run
    from provost.server.services import execution

    add_assets("db1")
    record, left = execution.record_outcomes, [1]

    def busy(**outcomes):
        if lasting or left:
            left.clear()
            raise OperationalError("database is locked")
        record(**outcomes)

    monkeypatch.setattr(execution, "record_outcomes", busy)
    monkeypatch.setattr(execution, "_WRITE_PAUSES", (0.01, 0.01))
    if not lasting:
        assert push(describe())["db1", "alice"].status == "succeeded"
        return
    with pytest.raises(OperationalError):
        push(describe())
    assert [one.status for one in Run.objects.get().records.all()] == ["uncertain"]
    assert list_states("db1") == ["pending"]
    monkeypatch.setattr(execution, "record_outcomes", record)
    assert push(describe())["db1", "alice"].reason == "settled"
    from provost.server.services.secrets import read_current

    account = find_account("db1")
    current = read_current(account_ids=[account.id])[account.id][SecretType.PASSWORD]
    assert hosts["db1"].accounts["alice"].password == current.text


def test_an_account_that_is_created_gets_every_type(hosts):
    """Restoring one type of secret restores the others of the list, which the table could not do any more."""
    add_assets("db1")
    push(describe())
    push(describe(secret_type=SecretType.SSH_KEY))
    before = hosts["db1"].accounts.pop("alice")
    assert push(describe())["db1", "alice"].decision == "restore"
    after = hosts["db1"].accounts["alice"]
    assert (after.password, after.keys) == (before.password, before.keys)


def test_one_secret_that_does_not_decrypt_fails_its_asset_alone():
    """A damaged row is told on its asset; the others are pushed to."""
    from provost.server.models.secrets import SecretVersion

    add_assets("db1", "db2")
    SecretVersion.objects.filter(account=find_account("db1", "root")).update(ciphertext=b"damaged")
    records = push(describe())
    assert records["db1", "alice"].reason == "secret_does_not_decrypt"
    assert records["db2", "alice"].status == "succeeded"


def test_an_asset_that_is_removed_on_the_way():
    """Its records say so, and the run goes on."""
    from provost.server.models import Asset
    from provost.server.services.runs import create_run

    add_assets("db1", "db2")
    run = create_run(by=BY, spec=describe(), specified=None)
    Asset.objects.get(name="db1").delete()
    records = work_off(run)
    assert (records["db1", "alice"].status, records["db1", "alice"].reason) == ("failed", "asset_gone")
    assert records["db2", "alice"].status == "succeeded"


def test_a_secret_retired_on_its_way_comes_back(hosts):
    """The target has it, so it is the account's, whatever was written over it in the list meanwhile."""
    from provost.server.services import secrets

    add_assets("db1")

    async def meddle(at, username):
        if at is memory.Step.ANSWER and username == "alice":
            await asyncio.to_thread(overwrite)

    def overwrite():
        from django.db import connections

        secrets.set_current(secrets=[(find_account("db1").id, Password("written over it"))])
        connections.close_all()

    hosts["db1"] = memory.Host(script=meddle)
    assert push(describe())["db1", "alice"].status == "succeeded"
    account = find_account("db1")
    current = secrets.read_current(account_ids=[account.id])[account.id][SecretType.PASSWORD]
    assert hosts["db1"].accounts["alice"].password == current.text
