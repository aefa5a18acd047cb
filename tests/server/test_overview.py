"""What is counted: the overview, and the reasons of a run."""

from datetime import timedelta
from typing import Any

import pytest

from provost.core.model import SecretType
from provost.core.push import PushSpec
from provost.core.rights import Granted, Principal, Role, make_local
from provost.core.secrets import Password

BY = make_local("tester")


def add_records(run: Any, asset: Any, count: int, **fields: Any) -> None:
    from provost.server.models import Record

    Record.objects.bulk_create(
        Record(
            run=run,
            asset=asset,
            asset_name=asset.name,
            username=f"{fields['reason'] or 'fine'}{number}",
            secret_type="password",
            **fields,
        )
        for number in range(count)
    )


def look(by: Principal = BY) -> Any:
    from provost.server.api.overview import show_overview

    return show_overview(by)


@pytest.mark.usefixtures("database")
def test_an_empty_overview_says_what_is_to_be_done() -> None:
    """Without anything there is nothing to count, and no step is done."""
    found = look()
    assert not any(found.steps.model_dump().values())
    assert (found.assets, found.accounts.listed, found.wanting.count) == (0, 0, 0)
    assert len(found.days) == 30
    assert not any(day.runs or day.counts for day in found.days)
    assert [(age.least, age.below, age.count) for age in found.ages] == [
        (0, 30, 0),
        (30, 90, 0),
        (90, 180, 0),
        (180, 365, 0),
        (365, None, 0),
    ]
    assert [*found.failures, *found.stopped, *found.running, *found.due] == []


def test_the_overview_counts_what_is_in_reach(world: Any) -> None:
    """Accounts, steps, runs by day, failures of a week and secrets by age: those of /prod for who sees that."""
    from django.utils import timezone

    from provost.server.models import Account, Asset, Run
    from provost.server.models.secrets import SecretVersion
    from provost.server.services import accounts, runs, tasks
    from provost.server.services.checks import AccountFields

    now = timezone.now()
    prod = world.enter("alice", Granted(Role.OPERATOR, "/prod"))
    inside = Asset.objects.get(name="inside1")
    over = Run.objects.get(id=world.over["inside"])
    add_records(over, inside, 3, status="failed", reason="unreachable", message="no route")
    add_records(over, inside, 2, status="succeeded", reason="")
    outside = Run.objects.get(id=world.over["outside"])
    add_records(outside, Asset.objects.get(name="outside1"), 5, status="failed", reason="not_root")
    old = runs.create_run(
        by=BY,
        spec=PushSpec(assets=("inside1",), usernames=("bob",), secret_type=SecretType.PASSWORD),
        specified=None,
        attended=False,
    )
    add_records(old, inside, 4, status="failed", reason="appeared")
    Run.objects.filter(id=old.id).update(created=now - timedelta(days=10), state="finished")
    accounts.add_account(by=BY, fields=AccountFields("carol", "inside1"), secret=Password("hush of carol"))
    Account.objects.filter(username="carol").update(listed_at=None, created_by_provost=True)
    Account.objects.filter(username="inside-alice").update(created_by_provost=True)
    held = SecretVersion.objects.filter(account__username="inside-alice")
    held.update(promoted_at=now - timedelta(days=100))
    Account.objects.filter(asset__name="unseen1").update(privileged=False)
    Run.objects.create(action="push", state="skipped", reason="no_assets", spec=over.spec)

    mine, all_of_them = look(prod), look()
    assert (mine.assets, mine.wanting.count) == (1, 0)
    assert (all_of_them.assets, all_of_them.wanting.assets) == (3, ["unseen1"])
    assert mine.accounts.model_dump() == {
        "listed": 5,
        "privileged": 1,
        "created_by_provost": 1,
        "unsettled": 1,
    }
    assert all_of_them.accounts.listed == 15
    assert [(one.least, one.count) for one in mine.ages if one.count] == [(0, 5), (90, 1)]
    assert mine.days[-1].counts == {"failed": 4, "succeeded": 2, "open": 1}
    assert mine.days[-11].counts == {"failed": 4, "open": 1}
    assert all_of_them.days[-1].counts["failed"] == 11
    assert [(one.reason, one.count, one.runs) for one in mine.failures] == [
        ("unreachable", 3, [over.id]),
        ("", 1, [over.id]),
    ]
    assert {one.reason for one in all_of_them.failures} == {"", "unreachable", "not_root"}
    assert (mine.stopped, [one.reason for one in all_of_them.stopped]) == ([], ["no_assets"])
    assert [str(one.id) for one in mine.running] == [world.runs["inside"]]
    assert mine.steps.model_dump() == {"asset": True, "push": True, "task": True, "check": False}
    assert mine.due == []
    task = tasks.find_task(by=BY, name="inside-task")
    type(task).objects.filter(id=task.id).update(next_due=now)
    assert [(one.task, one.at) for one in look(prod).due] == [("inside-task", now)]


def test_the_reasons_of_a_run_are_those_that_somebody_sees(world: Any) -> None:
    """Records are grouped by status and reason, with a message and the first assets, of what is in reach."""
    from provost.server.api.runs import list_reasons
    from provost.server.models import Asset, Run

    prod = world.enter("alice", Granted(Role.OPERATOR, "/prod"))
    run = Run.objects.get(id=world.runs["inside"])
    for name, count in (("inside1", 2), ("outside1", 5)):
        asset = Asset.objects.get(name=name)
        add_records(run, asset, count, status="failed", reason="unreachable", message=f"no way to {name}")
    add_records(run, Asset.objects.get(name="inside1"), 3, status="uncertain", reason="login_rejected")
    found = [
        (one.status, one.reason, one.count, one.message, one.assets) for one in list_reasons(prod, str(run.id))
    ]
    assert found == [
        ("uncertain", "login_rejected", 3, "", ["inside1"]),
        ("failed", "unreachable", 2, "no way to inside1", ["inside1"]),
    ]
    assert list_reasons(BY, str(run.id))[0].count == 7
    assert list_reasons(BY, str(run.id))[0].assets == ["inside1", "outside1"]
