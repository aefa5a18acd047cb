"""What a push would reach and do, asked before it begins: targets, a sample password, records counted alike."""

import pytest

from provost.core.errors import Forbidden, NotFound, Refused
from provost.core.model import Decision, SecretType, Status
from provost.core.passwords import PasswordRules
from provost.core.push import PushSpec
from provost.core.requests import RecordQuery, SampleBody, TargetsBody, TaskQuery
from provost.core.rights import Face, Granted, Principal, Right, Role, make_local
from provost.core.secrets import Password, SshKey

BY = make_local("tester")
pytestmark = pytest.mark.usefixtures("database")


def add_asset(name: str, *nodes: str, kind: str = "memory") -> None:
    from provost.server.services import assets
    from provost.server.services.checks import AssetFields

    assets.add_asset(by=BY, fields=AssetFields(name, kind, "192.0.2.1", nodes=nodes))


def add_root(asset: str, *, privileged: bool = True, secret: Password | SshKey | None = None) -> None:
    from provost.server.services import accounts
    from provost.server.services.checks import AccountFields

    secret = secret or Password("Correct-horse-1")
    accounts.add_account(by=BY, fields=AccountFields("root", asset, privileged=privileged), secret=secret)


def limit_to(path: str) -> Principal:
    from provost.server.models import Node

    return Principal("ben", Face.API, (Granted(Role.OPERATOR, Node.objects.get(full_path=path).path),))


def test_targets_are_counted_once_and_without_a_login_as_skipped() -> None:
    """However it is named, an asset counts once; a public key alone, or no privileged account, is no login."""
    from provost.server.api.nodes import list_nodes
    from provost.server.api.targets import count_targets

    add_asset("web1", "/prod/web", "/all")
    add_asset("web2", "/prod/web/old")
    add_asset("db1", "/prod", kind="linux")
    add_asset("dev1", "/dev")
    add_asset("dev10", "/dev0")
    add_root("web1")
    add_root("web2", privileged=False)
    add_root(
        "db1", secret=SshKey("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIB9nXFmQm0Vq0v1T5pZ3E9H4v4cJmJcGmJcXo0oX1a2b")
    )
    whole = TargetsBody(assets=("web1", "dev1"), nodes=("/prod", "/prod/web", "/all/"))
    told = count_targets(BY, whole)
    assert (told.assets, told.skipped, told.kinds) == (4, 3, {"linux": 1, "memory": 3})
    assert count_targets(BY, TargetsBody()).assets == 0
    assert {node.path: (node.assets, node.within) for node in list_nodes(BY)} == {
        "/all": (1, 1),
        "/dev": (1, 1),
        "/dev0": (1, 1),
        "/prod": (1, 3),
        "/prod/web": (1, 2),
        "/prod/web/old": (1, 1),
    }
    by = limit_to("/prod/web")
    assert count_targets(by, TargetsBody(nodes=("/prod/web",))).assets == 2
    for body in (TargetsBody(nodes=("/prod",)), TargetsBody(assets=("dev1",)), TargetsBody(nodes=("prod",))):
        with pytest.raises(NotFound):
            count_targets(by, body)
    auditor = Principal("aude", Face.API, (Granted(Role.AUDITOR),))
    with pytest.raises(Forbidden, match=Right.OPERATE):
        count_targets(auditor, whole)


def test_the_number_of_queries_does_not_grow_with_the_targets() -> None:
    """Nor with the nodes that are named."""
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    from provost.server.api.targets import count_targets

    def count(by: Principal, nodes: int) -> int:
        body = TargetsBody(nodes=tuple(f"/all/n{number}" for number in range(nodes)))
        with CaptureQueriesContext(connection) as queries:
            assert count_targets(by, body).assets == nodes
        return len(queries)

    for number in range(20):
        add_asset(f"web{number}", f"/all/n{number}")
    for by in (BY, limit_to("/all")):
        assert count(by, 2) == count(by, 20) == 5


def test_a_sample_follows_the_rules() -> None:
    """A new one each time; rules that nothing can follow are refused."""
    from provost.server.api.passwords import sample_password

    rules = PasswordRules(length=12, symbols=None, digits=3, exclude="0l")
    samples = {sample_password(BY, SampleBody(rules=rules)).sample for _ in range(20)}
    assert len(samples) == 20
    assert all(rules.accept(sample) for sample in samples)
    with pytest.raises(Refused, match="at least 20 characters"):
        sample_password(BY, SampleBody(rules=PasswordRules(length=9, digits=17)))


def test_records_are_counted_alike_and_listed_by_decision() -> None:
    """By decision, status and reason; of what is in reach alone."""
    from provost.server.api.runs import count_records, list_records
    from provost.server.services import runs

    for number in range(4):
        add_asset(f"web{number}", "/all/own" if number else "/all/other")
    spec = PushSpec(nodes=("/all",), usernames=("alice",), secret_type=SecretType.PASSWORD)
    run = runs.create_run(by=BY, spec=spec, specified=None, attended=False, dry_run=True)
    done = run.records.order_by("asset_name")
    run.records.filter(id__in=[record.id for record in done[:2]]).update(
        decision="create", status="unchanged", reason="dry_run"
    )
    run.records.filter(id=done[2].id).update(status="failed", reason="unreachable")
    told = [(row.decision, row.status, row.reason, row.count) for row in count_records(BY, str(run.id))]
    assert told[0] == (Decision.CREATE, Status.UNCHANGED, "dry_run", 2)
    assert set(told[1:]) == {(None, Status.FAILED, "unreachable", 1), (None, None, "", 1)}
    assert sum(row.count for row in count_records(limit_to("/all/own"), str(run.id))) == 3
    found = list_records(BY, str(run.id), RecordQuery(decision=Decision.CREATE)).items
    assert [record.asset for record in found] == ["web0", "web1"]


def test_a_task_tells_how_its_last_run_went() -> None:
    """With a fixed number of queries, however many tasks there are."""
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    from provost.server.api.tasks import list_tasks, show_task
    from provost.server.services import tasks
    from provost.server.services.tasks import TaskFields

    def fill(first: int, last: int) -> int:
        for number in range(first, last):
            add_asset(f"web{number}")
            spec = PushSpec(assets=(f"web{number}",), usernames=("alice",), secret_type=SecretType.PASSWORD)
            tasks.create_task(by=BY, fields=TaskFields(f"task{number}", spec), specified=None)
            assert show_task(BY, f"task{number}").latest is None
            run = tasks.start(by=BY, name=f"task{number}", attended=False)
            run.records.update(status="failed")
            type(run).objects.filter(id=run.id).update(state="finished")
        with CaptureQueriesContext(connection) as queries:
            found = list_tasks(BY, TaskQuery()).items
        latest = [(task.latest.state, task.latest.counts) for task in found if task.latest]
        assert latest == [("finished", {"failed": 1})] * last
        return len(queries)

    assert fill(0, 2) == fill(2, 12)
