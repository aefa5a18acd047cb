"""Changes at the same time: they wait for each other, and none of them ends in a deadlock or half-way."""

from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import pytest
from tests.server.conftest import compete

from provost.core.errors import Conflict, NotFound, UsageError
from provost.core.model import SecretType
from provost.core.push import PushSpec
from provost.core.rights import Face, Granted, Role, make_local
from provost.core.schedule import Schedule
from provost.core.secrets import Password

pytestmark = pytest.mark.usefixtures("database")

BY = make_local("tester")
OFTEN = 40
NOW = datetime(2026, 7, 1, 12, 30, tzinfo=UTC)


def add_asset(name: str) -> Any:
    from provost.server.services import assets
    from provost.server.services.checks import AssetFields

    return assets.add_asset(by=BY, fields=AssetFields(name, "memory", name, nodes=("/prod",)))


def describe(*names: str) -> PushSpec:
    return PushSpec(assets=names, usernames=("bob",), secret_type=SecretType.PASSWORD)


def often(change: Callable[[int], object]) -> Callable[[], None]:
    def work() -> None:
        for number in range(OFTEN):
            change(number)

    return work


def test_changes_of_what_others_refer_to() -> None:
    """An asset is edited while it is pushed to and gets accounts."""
    from provost.server.services import accounts, assets, runs
    from provost.server.services.checks import AccountFields, AssetFields

    add_asset("web1")

    def edit(number: int) -> None:
        fields = AssetFields("web1", "memory", "web1", nodes=("/prod",), comment=str(number))
        assets.edit_asset(by=BY, name="web1", fields=fields)

    def push(_number: int) -> None:
        runs.create_run(by=BY, spec=describe("web1"), specified=None, attended=False)

    def add(number: int) -> None:
        fields = AccountFields(f"user{number}", "web1")
        accounts.add_account(by=BY, fields=fields, secret=Password("hush"))

    compete(often(edit), often(push), often(add))


def test_changes_of_a_user_who_asks() -> None:
    """A user is edited while they push under an idempotency key, and get tokens."""
    from provost.server.services import idempotency, runs, tokens, users

    add_asset("web1")
    user = users.add_user(by=BY, username="ada", fields=users.UserFields(grants=(Granted(Role.OPERATOR),)))
    ada = users.make_principal(user=user, face=Face.API)

    def push(number: int) -> None:
        idempotency.once(
            by=ada,
            key=f"key {number}",
            asked="",
            secret=None,
            begin=lambda _: runs.create_run(by=ada, spec=describe("web1"), specified=None, attended=False),
        )

    def make(number: int) -> None:
        tokens.create_token(by=BY, user="ada", name=f"token{number}", rights=None, days=1)

    def edit(number: int) -> None:
        users.edit_user(by=BY, username="ada", fields=users.UserFields(email=f"ada{number}@example.com"))

    compete(often(push), often(make), often(edit))


def test_assets_that_go_while_they_are_locked() -> None:
    """An asset is removed or locked by a run, and never both."""
    from provost.server.models import AssetLock
    from provost.server.services import assets, locks, runs

    made = [add_asset(f"web{number}") for number in range(OFTEN)]
    run = runs.create_run(by=BY, spec=describe(*(one.name for one in made)), specified=None, attended=False)

    def remove(number: int) -> None:
        with suppress(Conflict):
            assets.remove_asset(by=BY, name=f"web{number}")

    def lock(_number: int) -> None:
        locks.acquire_locks(run_id=run.id, asset_ids=[one.id for one in made])
        locks.release_locks(run_id=run.id)

    compete(often(remove), often(lock))
    assert not AssetLock.objects.exists()


def test_assets_that_go_while_their_tasks_start(caplog: pytest.LogCaptureFixture) -> None:
    """An asset is removed or renamed while the clock starts tasks that name it."""
    from provost.server.models import Task
    from provost.server.services import assets, tasks
    from provost.server.services.checks import AssetFields

    for number in range(OFTEN):
        add_asset(f"web{number}")
        fields = tasks.TaskFields(f"task{number}", describe(f"web{number}"), Schedule(every="1h", since=NOW))
        tasks.create_task(by=BY, fields=fields, specified=None)
    Task.objects.update(next_due=NOW)

    def change(number: int) -> None:
        name = f"web{number}"
        with suppress(Conflict):
            if number % 2:
                assets.remove_asset(by=BY, name=name)
            else:
                fields = AssetFields(f"new{number}", "memory", name, nodes=("/prod",))
                assets.edit_asset(by=BY, name=name, fields=fields)

    def start() -> None:
        while Task.objects.filter(next_due__lte=NOW).exists():
            tasks.claim_due(now=NOW, limit=5)

    compete(often(change), start)
    assert not caplog.records


def test_nodes_that_come_and_go() -> None:
    """Nodes are made and removed, and none is left without those above it."""
    from provost.server.models import Node
    from provost.server.services import nodes

    nodes.ensure_nodes(by=BY, paths=["/prod"])

    def remove(path: str) -> Callable[[int], None]:
        def work(_number: int) -> None:
            with suppress(Conflict, NotFound):
                nodes.remove_node(by=BY, path=path)

        return work

    def move(_number: int) -> None:
        with suppress(UsageError):
            nodes.move_node(by=BY, path="/prod/a", into=None)
        with suppress(UsageError):
            nodes.move_node(by=BY, path="/a", into="/prod")

    def make(under: str) -> Callable[[int], object]:
        return lambda number: nodes.ensure_nodes(by=BY, paths=[f"{under}/x", f"{under}{number}"])

    compete(*map(often, [remove("/prod/a"), remove("/prod/a/x"), move, make("/prod/a"), make("/prod/b")]))
    places = {node.path: node.full_path for node in Node.objects.all()}
    for place, path in places.items():
        above = path.rpartition("/")[0]
        assert places.get(place[: -Node.steplen], "") == above
