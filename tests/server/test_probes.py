"""What the server tells machines about itself, and how it answers where no view does."""

import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import OperationalError
from django.test import Client
from django.utils import timezone

from provost.core.rights import Face, Granted, Principal, Role, make_local

pytestmark = [pytest.mark.usefixtures("database"), pytest.mark.once]


class Worker:
    """As much of a worker as is watched."""

    def __init__(self, silence: float) -> None:
        self.beat = time.monotonic() - silence


@pytest.fixture
def client() -> Client:
    return Client()


@pytest.fixture(autouse=True)
def _worker(monkeypatch: pytest.MonkeyPatch) -> None:
    from provost.server.services import vitals

    monkeypatch.setattr(vitals, "_watched", Worker(1))


def read_checks(client: Client) -> tuple[int, dict[str, str]]:
    answer = client.get("/readyz")
    return answer.status_code, answer.json()["checks"]


def test_ready_when_all_is_well(client: Client) -> None:
    """All four parts are named, each ok."""
    fine = dict.fromkeys(("database", "migrations", "keyset", "worker", "disk"), "ok")
    assert read_checks(client) == (200, fine)
    assert client.get("/readyz", headers={"host": "10.9.8.7"}).status_code == 200


def test_not_ready_with_a_silent_worker(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that has stuck is told; so is one that never started."""
    from provost.server.services import vitals

    monkeypatch.setattr(vitals, "_watched", Worker(60))
    assert read_checks(client) == (
        503,
        {"database": "ok", "migrations": "ok", "keyset": "ok", "worker": "worker_silent", "disk": "ok"},
    )
    monkeypatch.setattr(vitals, "_watched", None)
    assert read_checks(client)[1]["worker"] == "worker_missing"


def test_not_ready_with_an_exposed_master_key(client: Client, database: Path) -> None:
    """The file is looked at as it is now, not as it was read once; no path is told."""
    (database / "master.key").chmod(0o644)
    status, checks = read_checks(client)
    assert (status, checks["keyset"]) == (503, "master_key_exposed")
    assert str(database) not in client.get("/readyz").content.decode()


def test_not_ready_with_an_older_database(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """A migration that was not made is told."""
    from provost.server.services import vitals

    monkeypatch.setattr(vitals, "list_missing_migrations", lambda: {"0099_next"})
    assert read_checks(client)[1]["migrations"] == "database_outdated"


def test_not_ready_without_a_database(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is not known for want of a database is told as such."""
    from django.db import OperationalError

    from provost.server.services import vitals

    def fail() -> set[str]:
        raise OperationalError("hush")

    monkeypatch.setattr(vitals, "list_missing_migrations", fail)
    status, checks = read_checks(client)
    assert status == 503
    assert checks == {
        "database": "database_error",
        "migrations": "unknown",
        "keyset": "unknown",
        "worker": "ok",
        "disk": "ok",
    }


@pytest.fixture
def public(settings: Any) -> None:
    settings.PUBLIC_METRICS = True


@pytest.mark.usefixtures("public")
def test_metrics_tell_what_the_database_holds(client: Client, django_assert_max_num_queries: Any) -> None:
    """Gauges are read at the scrape, with few queries."""
    from provost.server.models import Account, Asset, Record, Run, Task

    now = timezone.now()
    asset = Asset.objects.create(name="web1", kind="linux", address="a", port=22)
    Account.objects.create(asset=asset, username="a", listed_at=now)
    Account.objects.create(asset=asset, username="b")
    run = Run.objects.create(action="push")
    Run.objects.filter(id=run.id).update(created=now - timedelta(seconds=90))
    Run.objects.create(action="push", state="finished")
    Record.objects.create(run=run, asset=asset, asset_name="web1", username="a", secret_type="password")
    Task.objects.create(name="due", spec={}, next_due=now - timedelta(seconds=1))
    Task.objects.create(name="later", spec={}, next_due=now + timedelta(hours=1))
    with django_assert_max_num_queries(7):
        answer = client.get("/metrics")
    assert answer["Content-Type"].startswith("text/plain; version=")
    values = dict(
        line.rsplit(" ", 1) for line in answer.content.decode().splitlines() if not line.startswith("#")
    )
    assert values['provost_runs{state="queued"}'] == "1.0"
    assert values['provost_runs{state="finished"}'] == "1.0"
    assert values['provost_runs{state="running"}'] == "0.0"
    assert values["provost_open_records"] == "1.0"
    assert 90 <= float(values["provost_oldest_queued_run_age_seconds"]) < 3600
    assert values["provost_due_tasks"] == "1.0"
    assert values['provost_accounts{state="listed"}'] == "1.0"
    assert values['provost_accounts{state="pending"}'] == "1.0"
    assert values['provost_accounts_by_sync{sync="never"}'] == "0.0"
    assert float(values["provost_worker_beat_age_seconds"]) >= 1
    assert "provost_lease_takeovers_total" in values
    assert "provost_scheduler_tick_timestamp_seconds" in values


def test_settled_records_are_counted_once_committed() -> None:
    """Records count by status when their transaction is over, and not when it fails."""
    from django.db import transaction

    from provost.core.model import Status
    from provost.server.models import Record, Run
    from provost.server.services.metrics import REGISTRY
    from provost.server.services.recording import settle_interrupted_records

    def count() -> float:
        labels = {"status": Status.UNCERTAIN.value}
        return REGISTRY.get_sample_value("provost_records_settled_total", labels) or 0.0

    run = Run.objects.create(action="push")
    Record.objects.create(run=run, asset_name="web1", username="a", secret_type="password")
    before = count()
    with transaction.atomic():
        settle_interrupted_records(run=run)
        transaction.set_rollback(True)
    assert count() == before
    settle_interrupted_records(run=run)
    assert count() == before + 1


def test_runs_taken_over_are_counted() -> None:
    """A run whose holder went silent counts when another takes it; one from the queue does not."""
    from provost.server.models import Run
    from provost.server.services.leases import take
    from provost.server.services.metrics import REGISTRY

    def count() -> float:
        return REGISTRY.get_sample_value("provost_lease_takeovers_total") or 0.0

    before = count()
    run = Run.objects.create(action="push")
    take(run_id=run.id)
    assert count() == before
    Run.objects.update(lease_ends=timezone.now() - timedelta(seconds=1))
    take(run_id=run.id)
    assert count() == before + 1


async def test_lines_of_a_run_carry_its_id() -> None:
    """What a clerk's thread writes to the log tells of the run that its work is for."""
    from provost.server.services import context
    from provost.server.services.clerk import open_clerk

    async with open_clerk() as clerk:
        token = context.run_id.set("run-1")
        assert await clerk.do(context.run_id.get) == "run-1"
        context.run_id.reset(token)


@pytest.mark.parametrize(
    ("principal", "status"),
    [
        (None, 401),
        (OperationalError("x"), 503),
        (Principal("carol", Face.API, grants=(Granted(Role.OPERATOR, node="0001"),)), 403),
        (make_local("dave", face=Face.API), 200),
    ],
)
def test_metrics_take_the_right_to_view_everything(
    client: Client, monkeypatch: pytest.MonkeyPatch, principal: Principal | Exception | None, status: int
) -> None:
    """Without PROVOST_PUBLIC_METRICS, who may view everything sees them, and nobody else."""
    from provost.server.web import probes

    def authenticate(_request: object) -> Principal | None:
        if isinstance(principal, Exception):
            raise principal
        return principal

    monkeypatch.setattr(probes, "authenticate", authenticate)
    answer = client.get("/metrics")
    assert answer.status_code == status
    assert ("WWW-Authenticate" in answer) == (status == 401)
    assert ("provost_runs" in answer.content.decode()) == (status == 200)


def test_nothing_else_is_there(client: Client) -> None:
    """Where there is no view, the answer is a document with a code; a wrong host gets no further."""
    assert client.get("/nothing").json()["code"] == "not_found"
    assert client.post("/healthz").status_code == 405
    refused = client.get("/nothing", headers={"host": "evil.example"})
    assert (refused.status_code, refused.json()["code"]) == (400, "host_refused")


def test_static_files_are_served(tmp_path: Path, settings: Any) -> None:
    """Files of the static folder are served under /static/, to this origin alone."""
    (tmp_path / "a.css").write_text("a {}")
    settings.STATIC_ROOT = tmp_path
    answer = Client().get("/static/a.css")
    assert answer.content == b"a {}"
    assert answer["Content-Type"] == 'text/css; charset="utf-8"'
    assert "Access-Control-Allow-Origin" not in answer
