"""The worker: in a thread here, and as processes that share a database."""

import asyncio
import json
import logging
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml
from tests import forks
from tests.server.test_runs import BY, add_assets, describe

from provost.connectors import memory
from provost.core.model import SecretType
from provost.core.schedule import Schedule
from provost.core.secrets import Password

HERE = Path(__file__).parent
CASES = yaml.safe_load((HERE.parent / "cases" / "clock.yaml").read_text())
PATIENCE = 60.0
FOREIGN = "a-secret-in-an-exception"


@pytest.fixture(autouse=True)
def hosts():
    """The hosts in memory, which every test finds empty."""
    memory.HOSTS.clear()
    yield memory.HOSTS
    memory.HOSTS.clear()


@pytest.fixture
def start_worker(database):  # noqa: ARG001  # what the worker works with
    """A function that starts a worker; it is stopped at the end."""
    from provost.worker import Worker

    workers = []

    def start(**options):
        workers.append(Worker(**options))
        workers[-1].start()
        return workers[-1]

    yield start
    for worker in workers:
        assert worker.stop(PATIENCE)


def queue(*usernames, specified=None, **fields):
    """Write down a run that nobody attends to."""
    from provost.server.services.runs import create_run

    return create_run(by=BY, spec=describe(*usernames, **fields), specified=specified, attended=False)


def wait_for(what):
    """Wait until `what` returns something true, and return that."""
    ends = time.monotonic() + PATIENCE
    while not (found := what()):
        assert time.monotonic() < ends, "it did not come"
        time.sleep(0.05)
    return found


def wait_until(run, *states):
    """Wait until a run is in one of some states."""

    def look():
        run.refresh_from_db()
        return run.state in states

    wait_for(look)


def test_a_queued_run_is_worked_off(hosts, start_worker):
    """Whether the run or the worker was there first, it is done and the worker has beaten."""
    add_assets("db1")
    first = queue("alice")
    worker = start_worker()
    wait_until(first, "finished")
    beat = worker.beat
    second = queue("bob")
    worker.wake()
    wait_until(second, "finished")
    assert set(hosts["db1"].accounts) == {"alice", "bob"}
    assert {record.status for run in (first, second) for record in run.records.all()} == {"succeeded"}
    wait_for(lambda: worker.beat > beat)


def test_attended_runs_are_left_to_whoever_attends(hosts, start_worker):
    """The worker takes no run that a command has made for itself."""
    from provost.server.services.runs import create_run

    add_assets("db1")
    attended = create_run(by=BY, spec=describe(), specified=None)
    start_worker()
    wait_until(queue("bob"), "finished")
    attended.refresh_from_db()
    assert (attended.state, set(hosts["db1"].accounts)) == ("queued", {"bob"})


def test_so_many_runs_go_on_at_once(hosts, start_worker):
    """As many as it was told, and no more, however many wait; in the end all are done."""
    names = [f"db{number}" for number in range(5)]
    add_assets(*names)
    going, most, opened = set(), [], threading.Event()

    def script_for(name):
        async def script(at, username):
            if at is memory.Step.SET and username == "alice":
                going.add(name)
                most.append(len(going))
                await asyncio.to_thread(opened.wait)
                going.discard(name)

        return script

    for name in names:
        hosts[name] = memory.Host(script=script_for(name))
    runs = [queue(assets=(name,), nodes=()) for name in names]
    start_worker(runs=2)
    wait_for(lambda: len(going) == 2)
    time.sleep(1.5)
    assert len(going) == 2
    opened.set()
    for run in runs:
        wait_until(run, "finished")
    assert max(most) == 2


def test_stopping_hands_over(hosts, start_worker):
    """What has begun is finished; the rest goes back to the queue, and the next worker does it."""
    add_assets("db1", "db2")
    begun = []

    async def slow(at, username):
        if at is memory.Step.SET and username == "alice":
            begun.append(True)
            await asyncio.sleep(1)

    hosts["db1"] = memory.Host(script=slow)
    run = queue(concurrency=1)
    worker = start_worker()
    wait_for(lambda: begun)
    assert worker.stop(PATIENCE)
    run.refresh_from_db()
    assert (run.state, run.owner) == ("queued", "")
    assert {record.asset_name: record.status for record in run.records.all()} == {
        "db1": "succeeded",
        "db2": None,
    }
    start_worker()
    wait_until(run, "finished")
    assert run.epoch == 2


def test_stopping_without_patience_interrupts(hosts, start_worker):
    """What hangs is interrupted and stays open; the secret is kept, and the next worker finds out."""
    add_assets("db1", "db2")
    begun = []

    async def hang(at, username):
        if at is memory.Step.ANSWER and username == "alice":
            begun.append(True)
            await asyncio.sleep(PATIENCE)

    hosts["db1"] = memory.Host(script=hang)
    run = queue(concurrency=1)
    worker = start_worker()
    wait_for(lambda: begun)
    assert worker.stop(0.1)
    run.refresh_from_db()
    assert run.state == "queued"
    assert {record.status for record in run.records.all()} == {None}
    hosts["db1"].script = memory.behave
    start_worker()
    wait_until(run, "finished")
    assert {record.asset_name: record.reason for record in run.records.all()} == {"db1": "settled", "db2": ""}


def test_a_run_that_fails_ends_no_worker(hosts, start_worker, monkeypatch, caplog):
    """A damaged secret and a fault of Provost's own settle their runs, once; the log shows no foreign text."""
    from provost.config import logs
    from provost.server.models.secrets import SpecifiedSecret
    from provost.server.services import execution

    add_assets("db1")
    damaged = queue(strategy="specified", specified=Password("mine"))
    SpecifiedSecret.objects.update(ciphertext=b"damaged")
    stage = execution.stage_jobs

    def fail(**what):
        if what["spec"].usernames == ("bad",):
            raise KeyError(FOREIGN)
        return stage(**what)

    monkeypatch.setattr(execution, "stage_jobs", fail)
    faulty, good = queue("bad"), queue("alice")
    caplog.handler.setFormatter(logs._Text(debug=False))  # as `provost serve` has it
    with caplog.at_level(logging.INFO):
        start_worker(runs=1)
        wait_until(good, "finished")
    for run, reason in ((damaged, "secret_does_not_decrypt"), (faulty, "internal_error")):
        run.refresh_from_db()
        assert (run.state, run.reason, run.epoch) == ("finished", reason, 1)
        assert {record.status for record in run.records.all()} == {"cancelled"}
    assert "KeyError" in caplog.text
    assert FOREIGN not in caplog.text
    assert set(hosts["db1"].accounts) == {"alice"}


def test_a_database_that_fails_ends_no_worker(hosts, start_worker, monkeypatch):
    """Looking for runs fails for a while; then they are taken."""
    from django.db import OperationalError

    from provost.worker import worker

    add_assets("db1")
    take_next, left = worker.take_next, [1, 2]

    def fail(**without):
        if left:
            left.pop()
            raise OperationalError("the database is starting")
        return take_next(**without)

    monkeypatch.setattr(worker, "take_next", fail)
    run = queue()
    start_worker()
    wait_until(run, "finished")
    assert not left
    assert hosts["db1"].accounts


def save_task(name, schedule, due):
    from provost.server.models import Task
    from provost.server.services.tasks import TaskFields, create_task

    task = create_task(by=BY, fields=TaskFields(name=name, spec=describe(), schedule=schedule), specified=None)
    Task.objects.filter(id=task.id).update(next_due=due)
    return task


def test_the_clock_starts_what_is_due(start_worker):
    """A due task becomes a run that a worker does; the run says what asked for it."""
    from provost.server.models import Run

    add_assets("db1")
    now = datetime.now(UTC)
    save_task("nightly", Schedule(every="1d", since=now), now - timedelta(minutes=1))
    save_task("later", Schedule(every="1d", since=now), now + timedelta(hours=1))
    start_worker()
    run = wait_for(lambda: Run.objects.select_related("task").first())
    wait_until(run, "finished")
    assert (run.task.name, run.requested_by, run.attended) == ("nightly", "task nightly", False)
    assert Run.objects.count() == 1


def read_instant(instant):
    return instant if isinstance(instant, datetime) else datetime.fromisoformat(instant)


@pytest.mark.usefixtures("database")
@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"].replace(" ", "-"))
def test_the_clock_by_cases(case):
    """Every tick starts, skips, or leaves alone what the case says; the task is then due when it says."""
    from provost.server.models import Run, Task
    from provost.worker.clock import tick

    add_assets("db1")
    due = read_instant(case["due"])
    schedule = Schedule.model_validate({"since": due - timedelta(days=1), **case["schedule"]})
    task = save_task("case", schedule, due)
    starts, skips = [], []
    for instant in case["ticks"]:
        before = Counter(Run.objects.values_list("state", flat=True))
        tick(now=read_instant(instant), settled=True)
        after = Counter(Run.objects.values_list("state", flat=True))
        assert after.total() - before.total() <= 1
        if after["queued"] > before["queued"]:
            starts.append(instant)
        if after["skipped"] > before["skipped"]:
            skips.append(instant)
        if case.get("takes") != "long":
            Run.objects.filter(state="queued").update(state="finished")
    assert (starts, skips) == (case["starts"], case.get("skips", []))
    assert Task.objects.get(id=task.id).next_due == read_instant(case["next"])


@pytest.mark.usefixtures("database")
def test_what_is_old_is_deleted():
    """Runs that are over, by their age; dry runs and idempotency keys sooner. Secrets and open runs stay."""
    from provost.server.models import IdempotencyKey, Record, Run, User
    from provost.server.models.secrets import SecretVersion
    from provost.server.services import retention, secrets
    from provost.server.services.leases import take
    from provost.server.services.staging import stage_jobs

    now = datetime.now(UTC)
    add_assets("db1")
    old, young, going, dry, new_dry = runs = [queue() for _ in range(5)]
    lease = take(run_id=old.id)
    asset_id = old.records.get().asset_id
    stage_jobs(
        lease=lease,
        spec=describe(),
        specified=None,
        parameters={"memory": memory.Parameters()},
        usernames={asset_id: [("alice", SecretType.PASSWORD)]},
    )
    ages = {old: 401, young: 399, going: 500, dry: 8, new_dry: 6}
    for run in runs:
        ended = now - timedelta(days=ages[run])
        Run.objects.filter(id=run.id).update(
            state="running" if run is going else "finished", finished=ended, dry_run=run in {dry, new_dry}
        )
    user = User.objects.create(username="ann")
    for key, hours in (("old", 25), ("new", 23)):
        row = IdempotencyKey.objects.create(user=user, key=key, fingerprint="", run=young)
        IdempotencyKey.objects.filter(id=row.id).update(created=now - timedelta(hours=hours))
    assert retention.delete_old(now=now, days=400) == 2
    assert set(Run.objects.all()) == {young, going, new_dry}
    assert Record.objects.count() == 3
    assert [row.key for row in IdempotencyKey.objects.all()] == ["new"]
    (pending,) = SecretVersion.objects.filter(state="pending")
    assert pending.run is None
    assert secrets.history(account_id=pending.account_id)
    assert retention.delete_old(now=now, days=400) == 0
    Run.objects.exclude(id=young.id).delete()
    Run.objects.bulk_create(
        Run(action="push", state="skipped", finished=now - timedelta(days=401)) for _ in range(70)
    )
    assert [retention.delete_old(now=now, days=400) for _ in range(3)] == [50, 20, 0]
    assert list(Run.objects.all()) == [young]


@pytest.fixture
def start_process(environment):
    """A function that starts a process with nothing but a worker; it is ended by SIGTERM."""
    processes = []

    def start():
        process = forks.start(HERE.parent / "lone_worker.py", env=environment)
        processes.append(process)
        return process

    yield start
    for process in processes:
        process.send_signal(signal.SIGTERM)
    assert {process.wait(PATIENCE) for process in processes} <= {0}
    for process in processes:
        process.close()


MAKE_TASKS = """
from datetime import UTC, datetime, timedelta
from provost.config.start import start
start()
from provost.core.push import PushSpec
from provost.core.rights import make_local
from provost.core.schedule import Schedule
from provost.server.models import Task
from provost.server.services.tasks import TaskFields, create_task
now = datetime.now(UTC)
for number in range(50):
    spec = PushSpec(assets=(f"db{number % 10}",), usernames=(f"task{number}",), secret_type="password")
    schedule = Schedule(every="1d", since=now)
    fields = TaskFields(name=f"task{number}", spec=spec, schedule=schedule)
    create_task(by=make_local("tester"), fields=fields, specified=None)
Task.objects.update(next_due=now + timedelta(seconds=2))
"""


def test_two_servers_start_what_is_due_once_between_them(provost, environment, start_process):
    """Of 50 tasks due in the same minute each becomes one run, which one of two processes does, once."""
    provost("init")
    names = [f"db{number}" for number in range(10)]
    inventory = {
        "assets": [{"name": name, "kind": "memory", "address": name, "nodes": ["/all"]} for name in names],
        "accounts": [
            {"username": "root", "asset": name, "privileged": True, "password": "roots"} for name in names
        ],
    }
    file = Path(environment["PROVOST_HOME"]) / "inventory.yaml"
    file.write_text(json.dumps(inventory))
    provost("import", str(file))
    workers = [start_process(), start_process()]
    assert [worker.stdout.readline() for worker in workers] == ["ready\n"] * 2
    subprocess.run([sys.executable, "-c", MAKE_TASKS], env=environment, check=True)

    def look():
        runs = json.loads(provost("run", "list", "--limit", "200", "--json").stdout)["runs"]
        over = [run for run in runs if run["state"] == "finished"]
        assert {run["state"] for run in runs} <= {"queued", "running", "finished"}
        return runs if len(over) >= 50 else None

    runs = wait_for(look)
    assert Counter(run["task"] for run in runs) == Counter(f"task{number}" for number in range(50))
    assert all(run["counts"] == {"succeeded": 1} for run in runs)
    tasks = json.loads(provost("task", "list", "--json").stdout)["tasks"]
    assert all(datetime.fromisoformat(task["next_due"]) > datetime.now(UTC) for task in tasks)
