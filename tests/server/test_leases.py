"""Runs that are held, lost, taken over and handed over: over the in-memory kind, on both databases."""

import asyncio
import threading
from datetime import timedelta

import pytest
from tests.server.test_runs import (
    BY,
    add_assets,
    describe,
    fail_once,
    find_account,
    list_states,
    push,
    work_off,
)

from provost.connectors import memory
from provost.core.errors import Conflict, LeaseLost, Unreachable
from provost.core.job import Outcome
from provost.core.model import SecretType, Status
from provost.core.secrets import Password

pytestmark = pytest.mark.usefixtures("database")


@pytest.fixture(autouse=True)
def hosts():
    """The hosts in memory, which every test finds empty."""
    memory.HOSTS.clear()
    yield memory.HOSTS
    memory.HOSTS.clear()


def queue(*usernames, **fields):
    """Write down a run that nobody attends to."""
    from provost.server.services.runs import create_run

    return create_run(by=BY, spec=describe(*usernames, **fields), specified=None, attended=False)


def take(run):
    from provost.server.services import leases

    return leases.take(run_id=run.id)


def take_next(**without):
    from provost.server.services import leases

    return leases.take_next(**without)


def lapse(run):
    """Let the lease of a run, and its locks, be over."""
    from django.utils import timezone

    from provost.server.models import AssetLock, Run

    then = timezone.now() - timedelta(seconds=1)
    Run.objects.filter(id=run.id).update(lease_ends=then)
    AssetLock.objects.filter(run=run).update(expires=then)


def steal(run):
    """Take a run as another server would, once its holder has been silent for too long."""
    lapse(run)
    return take(run)


def stage(lease, asset="db1", username="alice"):
    from provost.server.services.staging import stage_jobs

    return stage_jobs(
        lease=lease,
        spec=describe(),
        specified=None,
        parameters={"memory": memory.Parameters()},
        usernames={find_account(asset, "root").asset_id: [(username, SecretType.PASSWORD)]},
    )


def execute(run, control=None, lease=None):
    """Work a run off, and return its records by (asset, username)."""
    from provost.server.services.execution import Control
    from provost.server.services.execution import execute as work

    asyncio.run(work(run=run, control=control or Control(), observe=lambda _: None, lease=lease))
    return {(record.asset_name, record.username): record for record in run.records.all()}


def in_thread(function, *words):
    """Call a function that uses the database from a script of a host."""
    from django.db import connections

    def call():
        try:
            return function(*words)
        finally:
            connections.close_all()

    return asyncio.to_thread(call)


def look():
    """Return everything that a holder could change."""
    from provost.server.models import Account, AssetLock, Record, Run
    from provost.server.models.secrets import SecretVersion

    tables = (Account, AssetLock, Record, SecretVersion, Run)
    return [list(table.objects.order_by("pk").values()) for table in tables]


def make_uses(lease):
    """Return by name everything that a run's holder writes."""
    from provost.server.services import execution, leases, recording
    from provost.server.services.order import read_order

    asset_id = find_account("db1", "root").asset_id
    (job,) = stage(lease)
    (staged,) = job.wanted[0].pending
    told = {
        "promote": Outcome(asset_id, "alice", Status.SUCCEEDED, SecretType.PASSWORD, settled=staged.id),
        "discard": Outcome(asset_id, "alice", Status.FAILED, SecretType.PASSWORD),
        "leave": Outcome(asset_id, "alice", Status.CANCELLED, SecretType.PASSWORD),
    }
    order = read_order(lease=lease)

    async def make_work():
        return execution._Work(lease, order, None, execution.Control(), set())

    def record(name, write=recording.record_outcomes):
        write(lease=lease, outcomes=[told[name]])

    def finish(*, hand_over):
        control = execution.Control()
        if hand_over:
            control.hand_over()
        execution._finish(lease, begun=(), control=control, why=("", ""))

    return {
        "renew": lambda: leases.renew(lease=lease),
        "lock": lambda: asyncio.run(make_work())._stage([asset_id]),
        "stage": lambda: stage(lease, "db2"),
        "promote": lambda: record("promote"),
        "discard": lambda: record("discard"),
        "leave": lambda: record("leave", recording.leave_open),
        "finish": lambda: finish(hand_over=False),
        "hand over": lambda: finish(hand_over=True),
    }


@pytest.mark.parametrize("how", ["taken", "lapsed", "cancelled", "interrupted", "deleted"])
def test_who_lost_a_lease_writes_nothing(how):
    """It cannot lock, stage, promote, discard, finish or hand over; trying changes nothing."""
    from provost.server.models import Run
    from provost.server.services.runs import request_cancel

    add_assets("db1", "db2")
    run = queue()
    uses = make_uses(take(run))
    if how == "taken":
        steal(run)
    elif how == "interrupted":
        Run.objects.update(state="interrupted")
    elif how == "deleted":
        Run.objects.all().delete()
    else:
        lapse(run)
    if how == "cancelled":
        request_cancel(by=BY, run=run)
    before = look()
    for name, use in uses.items():
        with pytest.raises(LeaseLost):
            use()
        assert look() == before, name


@pytest.mark.parametrize(
    "use", ["renew", "lock", "stage", "promote", "discard", "leave", "finish", "hand over"]
)
def test_who_holds_a_lease_may_do_all_of_that(use):
    """The same calls work for the run's holder: the test above would pass for one that does nothing."""
    add_assets("db1", "db2")
    uses = make_uses(take(queue()))
    before = look()
    uses[use]()
    assert look() != before


def test_the_oldest_free_run_is_taken():
    """Queued runs by age, then those whose holder is silent or gone; attended and held ones are left alone."""
    from provost.server.models import Run
    from provost.server.services.locks import name_owner
    from provost.server.services.runs import create_run

    add_assets("db1")
    create_run(by=BY, spec=describe(), specified=None)
    held, gone, silent, nobody, first, last = (queue() for _ in range(6))
    for run in (held, gone, silent, nobody):
        take(run)
    Run.objects.filter(id=gone.id).update(owner=name_owner().rpartition("/")[0] + "/0")
    Run.objects.filter(id=nobody.id).update(owner="")
    lapse(silent)
    assert take_next(without=[gone.id]).run_id == silent.id
    assert take_next().run_id == gone.id
    assert [take_next().run_id, take_next().run_id] == [first.id, last.id]
    assert take_next() is None, "of a run without an owner nothing is known: its lease counts"
    lapse(nobody)
    lease = take_next()
    assert (lease.run_id, lease.epoch) == (nobody.id, 2)
    with pytest.raises(LeaseLost):
        take(held)


def test_many_take_at_once_and_each_run_is_taken_once():
    """Eight that take runs at the same time share them out."""
    from django.db import connection

    add_assets("db1")
    runs = [queue() for _ in range(30)]
    taken, together = [], threading.Barrier(8)

    def contend():
        together.wait()
        try:
            while lease := take_next():
                taken.append(lease.run_id)
        finally:
            connection.close()

    threads = [threading.Thread(target=contend) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    while lease := take_next():  # who looks while others take may leave with nothing
        taken.append(lease.run_id)
    assert sorted(taken) == sorted(run.id for run in runs)


def lose_after_setting(run):
    """A script: as the secret is set and the answer on its way, another server takes the run."""

    async def script(at, username):
        if at is memory.Step.ANSWER and username == "alice":
            await in_thread(steal, run)

    return script


async def hang(_at, _username):
    await asyncio.sleep(60)


def leave_behind(hosts, **fields):
    """Return a run that was lost when its secret was on the target and not recorded."""
    add_assets("db1", "db2", "db3")
    run = queue(concurrency=1, **fields)
    hosts["db1"] = memory.Host(script=lose_after_setting(run))
    hosts["db2"] = memory.Host(script=hang)
    with pytest.raises(LeaseLost):
        execute(run)
    hosts["db1"].script = hosts["db2"].script = memory.behave
    assert list_states("db1") == ["pending"]
    assert {record.status for record in run.records.all()} == {None}, "nothing was recorded"
    assert "db3" not in hosts, "it was not gone on with"
    lapse(run)
    return run


def check_in_force(hosts, *assets):
    """Check that what the list holds opens the account."""
    from provost.server.services.secrets import read_current

    for asset in assets:
        account = find_account(asset)
        assert account.listed_at is not None
        current = read_current(account_ids=[account.id])[account.id][SecretType.PASSWORD]
        assert hosts[asset].accounts["alice"].password == current.text


def test_whoever_takes_a_run_over_goes_on_with_it(hosts):
    """What was set and not recorded is found out by a login; the rest is done; every record is settled."""
    run = leave_behind(hosts)
    run.refresh_from_db()
    started = run.started
    records = execute(run, lease=take_next())
    assert {place[0]: (one.status, one.reason) for place, one in records.items()} == {
        "db1": ("unchanged", "settled"),
        "db2": ("succeeded", ""),
        "db3": ("succeeded", ""),
    }
    assert (run.state, run.started, run.epoch) == ("finished", started, 3)
    check_in_force(hosts, "db1", "db2", "db3")
    assert {name: list_states(name) for name in hosts} == {name: ["current"] for name in hosts}


@pytest.mark.parametrize("how", ["unreachable", "refused", "busy", "damaged", "cancelled", "cancelled waiting"])
def test_what_an_earlier_holder_staged_is_not_discarded(hosts, monkeypatch, how):
    """However the next holder fails, what may be on the target is kept and uncertain; a push settles it."""
    from provost.core.errors import ChangeRefused
    from provost.server.models.secrets import SecretVersion
    from provost.server.services import execution
    from provost.server.services.locks import acquire_locks
    from provost.server.services.runs import create_run, request_cancel

    run = leave_behind(hosts, connect_timeout=1)
    control = execution.Control()
    root = find_account("db1", "root")
    password = hosts["db1"].accounts["alice"].password
    before = SecretVersion.objects.get(account=root).ciphertext
    lease = None
    if how == "unreachable":

        async def down(_at, _username):
            raise Unreachable("down")

        hosts["db1"].script = down
    elif how == "refused":
        hosts["db1"].accounts["alice"].password = "changed by hand"
        hosts["db1"].script = fail_once(memory.Step.SET, ChangeRefused("no"))
    elif how == "busy":
        acquire_locks(run_id=create_run(by=BY, spec=describe(), specified=None).id, asset_ids=[root.asset_id])
        monkeypatch.setattr(execution, "_LOCK_PATIENCE", 0.1)
    elif how == "damaged":
        SecretVersion.objects.filter(account=root).update(ciphertext=b"damaged")
    elif how == "cancelled":
        control.cancel.set()
    if how == "cancelled waiting":
        request_cancel(by=BY, run=run)
        run.refresh_from_db()
        assert run.state == "cancelled"
        records = {(one.asset_name, one.username): one for one in run.records.all()}
    else:
        lease = take_next()
        records = execute(run, control, lease)
    record = records["db1", "alice"]
    assert record.status == "uncertain", (record.reason, record.message)
    assert list_states("db1") == ["pending"]
    assert records["db3", "alice"].status in {"succeeded", "cancelled", "uncertain"}
    hosts["db1"].script = memory.behave
    hosts["db1"].accounts["alice"].password = password
    SecretVersion.objects.filter(account=root).update(ciphertext=before)
    from provost.server.models import AssetLock, Rejection

    AssetLock.objects.all().delete()
    Rejection.objects.all().delete()  # an hour later
    assert push(describe())["db1", "alice"].reason == "settled"
    check_in_force(hosts, "db1", "db2", "db3")


def test_what_this_holder_staged_for_nothing_is_discarded(hosts):
    """A failure that is certain leaves nothing, also in a run that was taken over."""
    add_assets("db1")
    run = queue(connect_timeout=1)
    take(run)
    lapse(run)

    async def down(_at, _username):
        raise Unreachable("down")

    hosts["db1"] = memory.Host(script=down)
    records = execute(run, lease=take_next())
    assert records["db1", "alice"].status == "failed"
    assert find_account("db1") is None


def test_locks_of_an_earlier_holder_are_taken_over():
    """They count until they lapse, or until their process is gone."""
    from provost.server.models import AssetLock, Run
    from provost.server.services.locks import acquire_locks, name_owner

    add_assets("db1", "db2")
    run = queue()
    take(run)
    ids = [find_account(name, "root").asset_id for name in ("db1", "db2")]
    acquire_locks(run_id=run.id, asset_ids=ids)
    elsewhere = "/".join(["elsewhere.0", *name_owner().split("/")[1:]])
    Run.objects.update(owner=elsewhere)
    AssetLock.objects.update(owner=elsewhere)
    AssetLock.objects.filter(asset_id=ids[0]).update(owner=name_owner().rpartition("/")[0] + "/0")
    assert acquire_locks(run_id=run.id, asset_ids=ids) == {ids[0]}
    lapse(run)
    records = execute(run, lease=take_next())
    assert {record.status for record in records.values()} == {"succeeded"}
    assert not AssetLock.objects.exists()


@pytest.mark.parametrize("interrupted", [False, True])
def test_handing_over(hosts, interrupted):
    """What has begun is finished and recorded, or stays open; the rest waits for the next holder."""
    from provost.server.models import AssetLock
    from provost.server.services.execution import Control

    add_assets("db1", "db2", "db3")
    run, control = queue(concurrency=1), Control()

    async def hand_over(at, username):
        if at is memory.Step.SET and username == "alice":
            control.hand_over()
            if interrupted:
                control.halt.set()
                await asyncio.sleep(60)

    hosts["db1"] = memory.Host(script=hand_over)
    records = execute(run, control, take_next())
    assert records["db1", "alice"].status == (None if interrupted else "succeeded")
    assert {records[name, "alice"].status for name in ("db2", "db3")} == {None}
    assert (run.state, run.owner, run.lease_ends, run.finished) == ("queued", "", None, None)
    assert not AssetLock.objects.exists()
    assert list_states("db1") == (["pending"] if interrupted else ["current"])
    assert find_account("db2") is find_account("db3") is None, "nothing is left of what was not begun"
    hosts["db1"].script = memory.behave
    records = execute(run, lease=take_next())
    assert {record.status for record in records.values()} == {"succeeded"}
    assert (run.state, run.epoch) == ("finished", 2)
    check_in_force(hosts, "db1", "db2", "db3")


def test_a_run_that_is_done_is_not_handed_over():
    """With nothing left to do it is finished."""
    from provost.server.services.execution import Control

    add_assets("db1")
    run, control = queue(), Control()
    take(run)
    lapse(run)
    records = execute(run, lease=take_next())
    assert {record.status for record in records.values()} == {"succeeded"}
    again = queue()
    run.records.all().delete()
    control.hand_over()
    again.records.update(status="unchanged")
    execute(again, control, take_next())
    assert again.state == "finished"


def test_cancelling_a_run_that_is_handed_over(hosts):
    """Asked to end while it goes back to the queue, it ends there: nobody takes it up again."""
    from provost.server.services.execution import Control
    from provost.server.services.runs import request_cancel

    add_assets("db1", "db2")
    run, control = queue(concurrency=1), Control()

    async def stop(at, username):
        if at is memory.Step.SET and username == "alice":
            control.hand_over()
            await in_thread(lambda: request_cancel(by=BY, run=run))

    hosts["db1"] = memory.Host(script=stop)
    records = execute(run, control, take_next())
    assert {place[0]: one.status for place, one in records.items()} == {"db1": "succeeded", "db2": "cancelled"}
    assert run.state == "cancelled"
    assert take_next() is None


def test_cancelling_a_queued_run_ends_it_at_once():
    """Its records are cancelled without a server; it cannot be taken or cancelled again."""
    from provost.server.services.runs import create_retry, request_cancel

    add_assets("db1", "db2")
    run = queue()
    request_cancel(by=BY, run=run)
    run.refresh_from_db()
    assert (run.state, run.finished is None) == ("cancelled", False)
    assert {record.status for record in run.records.all()} == {"cancelled"}
    assert take_next() is None
    with pytest.raises(Conflict) as caught:
        request_cancel(by=BY, run=run)
    assert caught.value.code == "run_over"
    assert {record.status for record in work_off(create_retry(by=BY, run=run)).values()} == {"succeeded"}


@pytest.mark.parametrize("taken", [False, True])
@pytest.mark.parametrize("action", ["disable", "remove", "reconcile", "push", "verify"])
def test_cancelling_a_run_that_somebody_may_have_begun(action, taken):
    """What a holder that died may have done is uncertain; what nobody has taken is certainly not done."""
    from provost.core.specs import SPECS
    from provost.server.models import Account
    from provost.server.services.runs import create_run, request_cancel

    add_assets("db1")
    push(describe())
    Account.objects.filter(username="alice").update(created_by_provost=True)
    spec = {"action": action, "assets": ["db1"], "usernames": ["alice"]}
    if action == "push":  # which would restore her, were she gone
        spec["secret_type"] = "password"
    run = create_run(by=BY, spec=SPECS.validate_python(spec), attended=False)
    if taken:
        take(run)
        lapse(run)
    request_cancel(by=BY, run=run)
    record = run.records.get()
    expected = ("uncertain", "interrupted") if taken and action != "verify" else ("cancelled", "cancelled")
    assert (record.status, record.reason) == expected


def test_a_run_that_was_to_be_cancelled_is_not_gone_on_with(hosts):
    """Its holder died before it heard of it; the next one ends it without contact."""
    from provost.server.models import Run
    from provost.server.services.runs import request_cancel

    add_assets("db1")
    run = queue()
    take(run)
    request_cancel(by=BY, run=run)
    run.refresh_from_db()
    assert run.state == "running"
    lapse(run)
    records = execute(run, lease=take_next())
    assert {record.status for record in records.values()} == {"cancelled"}
    assert Run.objects.get().state == "cancelled"
    assert not hosts


def test_who_falls_silent_in_a_transaction_holds_nobody_up(monkeypatch):
    """PostgreSQL ends the transaction of a holder that was frozen in it; then the run can be taken."""
    import time

    from django.db import DatabaseError, connection

    from provost.server.models import Run
    from provost.server.services import leases

    if connection.vendor != "postgresql":
        pytest.skip("SQLite's lock ends with its process, and that is on the same machine")
    add_assets("db1")
    run = queue()
    lease = take(run)
    monkeypatch.setattr(leases, "LEASE", timedelta(seconds=1))

    def freeze():
        with leases.fence(lease=lease):
            time.sleep(2)
            Run.objects.update(state="finished")

    with pytest.raises(DatabaseError):
        freeze()
    connection.close()
    assert steal(run).epoch == 2


@pytest.mark.parametrize("silent", [False, True])
@pytest.mark.parametrize("attended", [False, True])
def test_a_lease_that_cannot_be_renewed_ends_the_run_in_good_order(hosts, monkeypatch, attended, silent):
    """Before it ends, what has begun is finished; the rest is handed over, or cancelled if somebody attends."""
    import time

    from django.db import OperationalError

    from provost.server.services import execution
    from provost.server.services.runs import create_run

    add_assets("db1", "db2")
    run = create_run(by=BY, spec=describe(concurrency=1), specified=None, attended=attended)

    def fail(**_lease):
        if silent:
            time.sleep(6)
        raise OperationalError("the database is gone")

    monkeypatch.setattr(execution, "renew", fail)
    monkeypatch.setattr(execution, "LEASE", timedelta(seconds=4))

    async def slow(at, username):
        if at is memory.Step.SET and username == "alice":
            await asyncio.sleep(3.5)

    hosts["db1"] = memory.Host(script=slow)
    records = execute(run)
    assert records["db1", "alice"].status == "succeeded"
    assert records["db2", "alice"].status == ("cancelled" if attended else None)
    assert run.state == ("cancelled" if attended else "queued")


def test_a_lease_that_has_ended_stops_the_run_at_once(hosts, monkeypatch):
    """What is being done is interrupted, nothing is written, and the next holder settles it."""
    from django.db import OperationalError

    from provost.server.services import execution

    add_assets("db1", "db2")
    run = queue(concurrency=1)

    def fail(**_lease):
        raise OperationalError("the database is gone")

    async def set_and_hang(at, username):
        if at is memory.Step.ANSWER and username == "alice":
            await asyncio.sleep(60)

    hosts["db1"] = memory.Host(script=set_and_hang)
    with monkeypatch.context() as patch:
        patch.setattr(execution, "renew", fail)
        patch.setattr(execution, "LEASE", timedelta(seconds=3))
        with pytest.raises(LeaseLost):
            execute(run)
    assert {record.status for record in run.records.all()} == {None}
    hosts["db1"].script = memory.behave
    lapse(run)
    records = execute(run, lease=take_next())
    assert {place[0]: (one.status, one.reason) for place, one in records.items()} == {
        "db1": ("unchanged", "settled"),
        "db2": ("succeeded", ""),
    }
    check_in_force(hosts, "db1", "db2")


def test_a_run_that_cannot_be_begun_is_settled():
    """A secret that does not decrypt ends a run that nobody attends to, says why, and is not tried again."""
    from provost.core.errors import VaultError
    from provost.server.models.secrets import SpecifiedSecret
    from provost.server.services.runs import create_run

    add_assets("db1")
    run = create_run(by=BY, spec=describe(strategy="specified"), specified=Password("mine"), attended=False)
    SpecifiedSecret.objects.update(ciphertext=b"damaged")
    with pytest.raises(VaultError):
        execute(run, lease=take_next())
    run.refresh_from_db()
    assert (run.state, run.reason) == ("finished", "secret_does_not_decrypt")
    assert {record.status for record in run.records.all()} == {"cancelled"}
    assert take_next() is None


def test_a_database_that_fails_leaves_the_run_to_the_next(hosts, monkeypatch):
    """Where records cannot be written they stay open, and whoever takes the run then settles them."""
    from django.db import OperationalError

    from provost.server.services import execution

    add_assets("db1", "db2")
    run = queue(concurrency=1)

    def busy(**_outcomes):
        raise OperationalError("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(execution, "record_outcomes", busy)
        patch.setattr(execution, "_WRITE_PAUSES", (0.01,))
        with pytest.raises(OperationalError):
            execute(run, lease=take_next())
    run.refresh_from_db()
    assert run.state == "running"
    assert take_next() is None, "not before the lease has ended: it might fail again at once"
    lapse(run)
    records = execute(run, lease=take_next())
    assert {record.status for record in records.values()} <= {"succeeded", "unchanged"}
    check_in_force(hosts, "db1", "db2")


def test_a_dry_run_is_taken_over_too(hosts):
    """It has nothing to lose: it is looked at anew, and settled."""
    from provost.server.services.runs import create_run, request_cancel

    add_assets("db1")
    run = create_run(by=BY, spec=describe(), specified=None, attended=False, dry_run=True)
    take(run)
    lapse(run)
    records = execute(run, lease=take_next())
    assert records["db1", "alice"].reason == "dry_run"
    other = create_run(by=BY, spec=describe(), specified=None, attended=False, dry_run=True)
    request_cancel(by=BY, run=other)
    assert [record.status for record in other.records.all()] == ["cancelled"]
    assert not hosts["db1"].accounts
