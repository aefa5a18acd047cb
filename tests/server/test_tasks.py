"""Saved tasks over the in-memory kind: what they keep, and that what is due starts exactly once."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from tests.server.conftest import compete

from provost.connectors import memory
from provost.core.errors import NotFound, Refused, VaultError
from provost.core.model import SecretType, Strategy
from provost.core.passwords import PasswordRules
from provost.core.push import PushSpec
from provost.core.rights import make_local
from provost.core.schedule import Schedule
from provost.core.secrets import Password

pytestmark = pytest.mark.usefixtures("database")

BY = make_local("tester")
NOW = datetime(2026, 7, 1, 12, 30, tzinfo=UTC)
HOURLY = Schedule(every="1h", since=NOW)
SPEC = PushSpec(nodes=("/all",), usernames=("alice",), secret_type=SecretType.PASSWORD)
SPECIFIED = SPEC.model_copy(update={"strategy": Strategy.SPECIFIED})
MINE = Password("the operators own")


@pytest.fixture(autouse=True)
def hosts():
    """The hosts in memory, which every test finds empty."""
    memory.HOSTS.clear()
    yield memory.HOSTS
    memory.HOSTS.clear()


def add_asset(name, *nodes):
    from provost.server.models import Account
    from provost.server.services import assets, secrets
    from provost.server.services.checks import AssetFields

    asset = assets.add_asset(by=BY, fields=AssetFields(name, "memory", name, nodes=nodes or ("/all",)))
    account = Account.objects.create(asset=asset, username="root", privileged=True)
    secrets.set_current(secrets=[(account.id, Password("roots"))])


def create(name="nightly", specified=None, due=None, **fields):
    """Save a task; `due` says when the clock is to start it next, which it otherwise works out by itself."""
    from provost.server.models import Task
    from provost.server.services.tasks import TaskFields, create_task

    task = create_task(by=BY, fields=TaskFields(**{"name": name, "spec": SPEC, **fields}), specified=specified)
    if due is not None:
        Task.objects.filter(id=task.id).update(next_due=due)
    return task


def edit(which="nightly", specified=None, **changes):
    from provost.server.services.tasks import edit_task, find_task, read_fields

    fields = replace(read_fields(task=find_task(by=BY, name=which)), **changes)
    return edit_task(by=BY, name=which, fields=fields, specified=specified)


def find(name="nightly"):
    from provost.server.services.tasks import find_task

    return find_task(by=BY, name=name)


def start(name="nightly"):
    from provost.server.services import tasks

    return tasks.start(by=BY, name=name)


def list_task_runs(name="nightly"):
    from provost.server.services.runs import RunFilter, list_runs

    return list_runs(by=BY, filters=RunFilter(task=name))[0]


def claim(now=NOW, limit=100):
    from provost.server.services.tasks import claim_due

    return claim_due(now=now, limit=limit)


def work_off(run):
    from provost.server.services.execution import Control, execute

    asyncio.run(execute(run=run, control=Control(), observe=lambda _: None))
    return {(one.asset_name, one.username): (one.decision, one.status) for one in run.records.all()}


def test_task_keeps_what_it_is_told():
    """Every field comes back as it was given, and the time that it is next due is worked out."""
    from provost.server.services.tasks import TaskFields, delete_task, list_tasks, read_fields

    add_asset("db1")
    fields = TaskFields(
        name="nightly",
        spec=PushSpec(
            assets=("db1",),
            nodes=("/all",),
            usernames=("alice", "bob"),
            secret_type=SecretType.PASSWORD,
            rules=PasswordRules(length=40, symbols=None),
            verify=False,
            concurrency=7,
        ),
        schedule=HOURLY,
        comment="why",
    )
    from provost.server.services.tasks import create_task

    before = datetime.now(UTC)
    create_task(by=BY, fields=fields, specified=None)
    task = find()
    assert read_fields(task=task) == fields
    assert before < task.next_due <= datetime.now(UTC) + timedelta(hours=1)
    assert [one.name for one in list_tasks(by=BY)[0]] == ["nightly"]
    delete_task(by=BY, name="nightly")
    assert list_tasks(by=BY) == ([], None)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"name": "two words"}, "name_refused"),
        ({"name": "taken"}, "task_exists"),
        ({"spec": SPEC.model_copy(update={"nodes": ("/nosuch",)})}, "node_not_found"),
        ({"spec": SPEC.model_copy(update={"assets": ("nosuch",)})}, "asset_not_found"),
        ({"spec": SPEC.model_copy(update={"nodes": ()})}, "no_assets"),
        ({"spec": SPEC.model_copy(update={"usernames": ()})}, "no_accounts"),
        ({"spec": SPEC.model_copy(update={"rules": PasswordRules(length=4)})}, "rules_impossible"),
        ({"spec": SPEC.model_copy(update={"parameters": {"shell": "/bin/sh"}})}, "parameter_refused"),
        ({"spec": SPECIFIED}, "secret_type_refused"),
        ({"schedule": Schedule(since=NOW)}, "schedule_refused"),
        ({"schedule": Schedule(cron="0 1 * * *", window="02:00-03:00", since=NOW)}, "schedule_never"),
    ],
)
def test_task_that_could_not_run_is_not_saved(changes, code):
    """What can be refused is refused when the task is saved or edited, and nothing is changed."""
    from provost.server.models import Task
    from provost.server.services.tasks import read_fields

    add_asset("db1")
    create("taken")
    create("edited")
    before = read_fields(task=find("edited"))
    with pytest.raises((Refused, NotFound)) as caught:
        create(**{"name": "new", **changes})
    assert caught.value.code == code
    with pytest.raises((Refused, NotFound)) as caught:
        edit("edited", **changes)
    assert caught.value.code == code
    assert read_fields(task=find("edited")) == before
    assert Task.objects.count() == 2


def test_missing_task_lists_what_there_is():
    """A name that no task has is answered with those that there are."""
    add_asset("db1")
    create("nightly")
    with pytest.raises(NotFound, match=r"There is no task 'nighty'\. There is: nightly\.") as caught:
        find("nighty")
    assert caught.value.code == "task_not_found"


def test_folder_is_looked_into_when_the_run_starts(hosts):
    """A task for an empty folder can be saved; an asset added later is pushed to, in two folders or in one."""
    from provost.server.services.nodes import ensure_nodes

    ensure_nodes(by=BY, paths=["/all", "/other"])
    create(spec=SPEC.model_copy(update={"nodes": ("/all", "/other", "/all"), "usernames": ("alice", "alice")}))
    with pytest.raises(Refused) as caught:
        start()
    assert caught.value.code == "no_assets"
    add_asset("db1", "/all", "/other")
    assert work_off(start()) == {("db1", "alice"): ("create", "succeeded")}
    add_asset("db2", "/all/below")
    assert work_off(start()) == {
        ("db1", "alice"): ("leave", "unchanged"),
        ("db2", "alice"): ("create", "succeeded"),
    }
    assert hosts["db2"].accounts["alice"].password


def test_specified_secret_is_in_the_vault_alone(hosts):
    """It is in no column in clear; each run gets a copy, and dropping a run's leaves the task's."""
    from provost.server.models import Task
    from provost.server.models.secrets import SpecifiedSecret, TaskSecret
    from provost.server.services import held

    add_asset("db1")
    task = create(spec=SPECIFIED, specified=MINE)
    rows = [*Task.objects.values(), *TaskSecret.objects.values()]
    assert all("operators" not in str({**row, "ciphertext": bytes(row.get("ciphertext", b""))}) for row in rows)
    work_off(start())
    assert hosts["db1"].accounts["alice"].password == MINE.text
    assert not SpecifiedSecret.objects.exists(), "the run ended well"
    assert held.read_for_task(task_id=task.id) == MINE


def test_specified_secret_belongs_to_its_task():
    """Copied to another task's row it does not decrypt, and the error names the task."""
    from provost.server.models.secrets import TaskSecret
    from provost.server.services import held

    add_asset("db1")
    one = create("one", spec=SPECIFIED, specified=MINE)
    two = create("two", spec=SPECIFIED, specified=Password("another one"))
    TaskSecret.objects.filter(task=two).update(ciphertext=TaskSecret.objects.get(task=one).ciphertext)
    with pytest.raises(VaultError, match="specified secret of task two does not decrypt") as caught:
        held.read_for_task(task_id=two.id)
    assert caught.value.code == "secret_does_not_decrypt"


def test_edit_keeps_the_secret_until_it_is_random():
    """A task's own secret stays over an edit, is replaced by another, and goes when it is not needed."""
    from provost.server.models.secrets import TaskSecret
    from provost.server.services import held

    add_asset("db1")
    task = create(spec=SPECIFIED, specified=MINE)
    edit(comment="new")
    assert held.read_for_task(task_id=task.id) == MINE
    edit(specified=Password("next"))
    assert held.read_for_task(task_id=task.id) == Password("next")
    with pytest.raises(Refused, match="no ssh_key of yours"):
        edit(spec=SPECIFIED.model_copy(update={"secret_type": SecretType.SSH_KEY}))
    edit(spec=SPEC)
    assert not TaskSecret.objects.exists()


def test_run_is_a_snapshot():
    """A run made before an edit does what the task said then, with the secret of then, also when it is gone."""
    from provost.server.models import Run
    from provost.server.services.tasks import delete_task

    add_asset("db1")
    create(spec=SPECIFIED, specified=MINE)
    run = start()
    edit(spec=SPEC.model_copy(update={"usernames": ("bob",)}))
    delete_task(by=BY, name="nightly")
    run = Run.objects.get(id=run.id)
    assert run.task is None
    assert work_off(run) == {("db1", "alice"): ("create", "succeeded")}
    assert memory.HOSTS["db1"].accounts["alice"].password == MINE.text


def test_retry_belongs_to_the_task_too():
    """The retry of a task's run is listed with the task; a task whose retry is going is not started."""
    from provost.server.models import Run
    from provost.server.services.runs import create_retry

    add_asset("db1")
    create()
    first = start()
    Run.objects.filter(id=first.id).update(state="interrupted")
    first.refresh_from_db()
    retry = create_retry(by=BY, run=first)
    assert list_task_runs() == [retry, first]
    with pytest.raises(Refused) as caught:
        start()
    assert caught.value.code == "task_running"
    work_off(retry)
    start()


def test_due_task_starts_once():
    """What is due starts, is then due at its next time, and does not start before that."""
    add_asset("db1")
    create(schedule=HOURLY, due=NOW - timedelta(minutes=1))
    create("later", schedule=HOURLY, due=NOW + timedelta(minutes=1))
    create("by-hand")
    create("off", schedule=HOURLY, active=False)
    runs = claim()
    assert [run.task.name for run in runs] == ["nightly"]
    assert find().next_due == NOW + timedelta(hours=1)
    assert find().last_run == runs[0]
    assert work_off(runs[0]) == {("db1", "alice"): ("create", "succeeded")}
    assert claim() == []
    assert find("off").next_due is None
    assert find("by-hand").next_due is None


def test_task_of_the_longest_name_starts():
    """Whatever fits as a task's name leaves room for who started its runs."""
    add_asset("db1")
    name = "x" * 255
    create(name, schedule=HOURLY, due=NOW)
    (run,) = claim()
    assert run.requested_by.startswith("task xxx")
    claim(NOW + timedelta(hours=1))
    assert find(name).next_due == NOW + timedelta(hours=2)


def test_times_missed_while_down_count_once():
    """After a week without a clock, an hourly task starts once, and then at its usual time."""
    add_asset("db1")
    create(schedule=HOURLY, due=NOW - timedelta(days=7))
    (run,) = claim(NOW + timedelta(minutes=20))
    work_off(run)
    assert find().next_due == NOW + timedelta(hours=1)
    assert claim(NOW + timedelta(minutes=21)) == []


def test_missed_time_waits_for_the_maintenance_window():
    """A time that was missed in the window is not made up for outside of it, but once, when it next opens."""
    from provost.server.models import Run

    add_asset("db1")
    nightly = Schedule(cron="30 23 * * *", window="22:00-04:00", since=NOW)
    create(schedule=nightly, due=NOW - timedelta(hours=13))
    assert claim() == []
    opening = NOW.replace(hour=22, minute=0)
    assert find().next_due == opening
    (run,) = claim(opening)
    work_off(run)
    assert find().next_due == NOW.replace(hour=23, minute=30)
    assert Run.objects.count() == 1


def test_task_still_running_is_not_started_again():
    """A due time that comes while the run before goes on is passed over, and a skipped run tells of it."""
    from provost.server.models import Run
    from provost.server.services.runs import create_retry

    add_asset("db1")
    create(schedule=HOURLY, due=NOW)
    (first,) = claim()
    assert claim(NOW + timedelta(hours=1)) == []
    skipped = Run.objects.get(state="skipped")
    assert skipped.reason == "still_running"
    assert str(first.id) in skipped.message
    assert find().last_run == first
    assert find().next_due == NOW + timedelta(hours=2)
    assert list_task_runs() == [skipped, first]
    with pytest.raises(Refused) as caught:
        create_retry(by=BY, run=skipped)
    assert caught.value.code == "no_retry"
    work_off(first)
    assert len(claim(NOW + timedelta(hours=2))) == 1


def test_task_whose_process_was_killed_starts_again():
    """A run whose process is gone does not hold its task up."""
    from provost.server.models import Run
    from provost.server.services.locks import name_owner

    add_asset("db1")
    create(schedule=HOURLY, due=NOW)
    start()
    Run.objects.update(state="running", owner=name_owner().rpartition("/")[0] + "/0")
    assert len(claim(NOW + timedelta(hours=1))) == 1


def test_task_that_cannot_start_says_why_and_holds_nobody_up():
    """A folder that is gone, or a secret that does not decrypt, is written down; other tasks start."""
    from provost.server.models import Node, Run
    from provost.server.models.secrets import TaskSecret

    add_asset("db1")
    add_asset("db2", "/gone")
    create("folder", spec=SPEC.model_copy(update={"nodes": ("/gone",)}), schedule=HOURLY, due=NOW)
    create("secret", spec=SPECIFIED, specified=MINE, schedule=HOURLY, due=NOW - timedelta(minutes=1))
    create("whole", schedule=HOURLY, due=NOW)
    Node.objects.get(full_path="/gone").delete()
    TaskSecret.objects.update(ciphertext=b"\0" * 40)
    assert [run.task.name for run in claim()] == ["whole"]
    why = {run.task.name: run.reason for run in Run.objects.filter(state="skipped")}
    assert why == {"folder": "node_not_found", "secret": "secret_does_not_decrypt"}
    for name, reason in why.items():
        assert find(name).last_run.reason == reason
        assert find(name).next_due == NOW + timedelta(hours=1)


@pytest.mark.parametrize("broken", ["zone", "fault"])
def test_task_that_provost_fails_at_holds_nobody_up(monkeypatch, broken):
    """A task at which Provost itself fails is skipped, put off for an hour, and starts when it is mended."""
    from provost.server.models import Task
    from provost.server.services import tasks

    add_asset("web1")
    bad = create("bad", schedule=HOURLY, due=NOW - timedelta(hours=3))
    create("good", schedule=HOURLY, due=NOW)
    create_run = tasks.create_run

    def fail(**asked):
        if asked["task"].id == bad.id:
            raise ZeroDivisionError
        return create_run(**asked)

    with monkeypatch.context() as patch:
        if broken == "zone":  # as after an update of the time zones
            Task.objects.filter(id=bad.id).update(schedule={**bad.schedule, "zone": "Mars/Olympus"})
        else:
            patch.setattr(tasks, "create_run", fail)
        assert [run.task.name for run in claim()] == ["good"]
    assert find("bad").next_due == NOW + timedelta(hours=1)
    assert find("bad").last_run.state == "skipped"
    assert find("bad").last_run.reason == ("schedule_refused" if broken == "zone" else "internal_error")
    Task.objects.filter(id=bad.id).update(schedule=bad.schedule)
    assert [run.task.name for run in claim(NOW + timedelta(hours=1))] == ["bad"]


def test_edit_forgets_a_due_time_only_with_the_schedule():
    """A comment leaves a time that is due already; another schedule, or none, or off, takes it away."""
    add_asset("db1")
    create(schedule=HOURLY, due=NOW)
    edit(comment="new")
    assert find().next_due == NOW
    edit(schedule=Schedule(cron="0 0 * * *", since=NOW))
    assert find().next_due > datetime.now(UTC)
    edit(active=False)
    assert find().next_due is None
    edit(active=True)
    assert find().next_due > datetime.now(UTC)
    edit(schedule=None)
    assert find().next_due is None


def test_claims_are_limited_the_longest_due_first():
    """One claim takes at most its limit, and leaves the rest for the next."""
    add_asset("db1")
    for age in (1, 3, 2):
        create(f"age{age}", schedule=HOURLY, due=NOW - timedelta(minutes=age))
    assert [run.task.name for run in claim(limit=2)] == ["age3", "age2"]
    assert [run.task.name for run in claim(limit=2)] == ["age1"]


def test_many_claim_at_once_and_each_due_time_is_taken_once():
    """Eight that claim at the same time start each of 50 due tasks once; none is taken twice."""
    from provost.server.models import Run

    add_asset("db1")
    names = [f"task{number:02}" for number in range(50)]
    for name in names:
        create(name, schedule=HOURLY, due=NOW)
    claimed = []

    def contend():
        while runs := claim(limit=7):
            claimed.extend(run.task.name for run in runs)

    compete(*[contend] * 8)
    claim()
    assert sorted(claimed) == names
    assert sorted(Run.objects.values_list("task__name", "state")) == [(name, "queued") for name in names]
    assert {find(name).next_due for name in names} == {NOW + timedelta(hours=1)}


def test_starts_by_hand_and_by_the_clock_do_not_meet():
    """Of two that start a task by hand and two that claim it, all at the same time, one starts it."""
    from provost.server.models import Run, Task

    add_asset("db1")
    refused = []

    def contend():
        try:
            start()
        except Refused as error:
            refused.append(error.code)

    create(schedule=HOURLY)
    for _ in range(10):
        Task.objects.update(next_due=NOW)
        refused.clear()
        compete(contend, claim, contend, claim)
        assert set(refused) == {"task_running"}
        assert Run.objects.exclude(state="skipped").count() == 1
        Run.objects.all().delete()


def test_a_wrong_clock_does_no_lasting_harm():
    """A task that a clock in the future made due too late is due at its next time; others stay as they are."""
    from provost.server.services.tasks import put_right

    add_asset("db1")
    create("hourly", schedule=HOURLY, due=NOW + timedelta(days=500))
    create("usual", schedule=HOURLY, due=NOW + timedelta(hours=1))
    create("missed", schedule=HOURLY, due=NOW - timedelta(days=1))
    assert put_right(now=NOW) == 1
    assert find("hourly").next_due == NOW + timedelta(hours=1)
    assert find("usual").next_due == NOW + timedelta(hours=1)
    assert find("missed").next_due == NOW - timedelta(days=1)
