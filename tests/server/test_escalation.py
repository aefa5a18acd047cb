"""What somebody with rights in one place would try, to reach more than that."""

from dataclasses import replace
from typing import Any

import pytest
from asgiref.sync import async_to_sync

from provost.core import requests as said
from provost.core.errors import Conflict, Forbidden, NotFound, ProvostError, Refused
from provost.core.model import SecretType, Strategy
from provost.core.push import PushSpec
from provost.core.rights import Granted, Principal, Right, Role
from provost.core.secrets import Password
from provost.server.services.inventory_files import Inventory, Row

pytestmark = pytest.mark.once

OPERATOR = Granted(Role.OPERATOR, "/prod")
ADMINISTRATOR = Granted(Role.ADMINISTRATOR, "/prod")


@pytest.fixture
def operator(world: Any) -> Principal:
    """An operator of /prod."""
    return world.enter("olga", OPERATOR)


@pytest.fixture
def administrator(world: Any) -> Principal:
    """An administrator of /prod."""
    return world.enter("anna", ADMINISTRATOR)


def read_report(by: Principal, run: str) -> str:
    """Return the page that reports a run."""
    from provost.server.api.streams import stream_report

    response = stream_report(by, run, "html")

    async def read() -> bytes:
        return b"".join([part async for part in response])

    return async_to_sync(read)().decode()


def edit(by: Principal, name: str, **changes: Any) -> Any:
    from provost.server.api.assets import edit_asset

    return edit_asset(by, name, said.AssetPatch(**changes))


def add(by: Principal, name: str, *nodes: str, **fields: Any) -> Any:
    from provost.server.api.assets import add_asset

    return add_asset(by, said.AssetBody(name=name, kind="memory", address=name, nodes=nodes, **fields))


def bring_in(by: Principal, *assets: dict[str, Any], accounts: Any = (), nodes: Any = ()) -> Any:
    from provost.server.services.imports import import_inventory

    inventory = Inventory(
        nodes=[Row(number, {"path": path}) for number, path in enumerate(nodes)],
        assets=[Row(number, fields) for number, fields in enumerate(assets)],
        accounts=[Row(number, fields) for number, fields in enumerate(accounts)],
    )
    return import_inventory(by=by, inventory=inventory, name="inventory")


def push(*assets: str, nodes: tuple[str, ...] = (), **fields: Any) -> PushSpec:
    return PushSpec(
        assets=assets, nodes=nodes, usernames=("bob",), **{"secret_type": SecretType.PASSWORD, **fields}
    )


def list_nodes(name: str) -> list[str]:
    from provost.server.models import Asset

    return sorted(Asset.objects.get(name=name).nodes.values_list("full_path", flat=True))


def test_assets_move_within_reach_alone(operator: Principal) -> None:
    """An asset goes into no node that the caller may not work in, nor into none."""
    for nodes in [("/outside/web",), ("/prod/web", "/outside/new"), ("/prod", "/new"), ()]:
        with pytest.raises(Forbidden):
            edit(operator, "inside1", nodes=nodes)
        with pytest.raises(Forbidden):
            bring_in(operator, {"name": "inside1", "nodes": nodes})
        with pytest.raises(Forbidden):
            add(operator, "new1", *nodes)
    edit(operator, "inside1", nodes=("/prod/new",))
    assert list_nodes("inside1") == ["/prod/new"]


@pytest.mark.parametrize(
    ("field", "value"),
    [("address", "192.0.2.66"), ("port", 2222), ("options", {"present": "x"}), ("via", None)],
)
def test_who_operates_points_no_asset_elsewhere(
    world: Any, operator: Principal, administrator: Principal, field: str, value: Any
) -> None:
    """The secrets of an asset would go to wherever it points: that takes the right to administer it."""
    add(world.local, "gateway", "/prod")
    edit(world.local, "inside1", via="gateway")
    for change in (lambda by: edit(by, "inside1", **{field: value}),
                   lambda by: bring_in(by, {"name": "inside1", field: value})):  # fmt: skip
        with pytest.raises(Forbidden, match=field):
            change(operator)
    edit(administrator, "inside1", **{field: value})
    bring_in(administrator, {"name": "inside1", field: value})


@pytest.mark.parametrize(
    "grant", [Granted(Role.ADMINISTRATOR, "/lab"), Granted(Role.AUDITOR, "/lab", reveal=True)]
)
def test_moving_an_asset_gains_no_right(world: Any, grant: Granted) -> None:
    """Who operates two nodes, and may do more in one, brings no asset of the other into it."""
    add(world.local, "lab1", "/lab")
    by = world.enter("greta", OPERATOR, Granted(Role.OPERATOR, "/lab"), grant)
    with pytest.raises(Forbidden, match="gain the right"):
        edit(by, "inside1", nodes=("/prod/web", "/lab"))
    with pytest.raises(Forbidden, match="gain the right"):
        bring_in(by, {"name": "inside1", "nodes": ("/lab",)})
    assert list_nodes("inside1") == ["/prod/web"]
    edit(by, "lab1", nodes=("/prod/web", "/lab/deep"))
    edit(world.local, "inside1", nodes=("/lab",))


def test_moving_a_node_gains_no_right(world: Any) -> None:
    """Who administers two nodes, and reveals in one, moves none of the other into it."""
    from provost.server.services.nodes import move_node

    add(world.local, "lab1", "/lab/deep")
    by = world.enter("greta", ADMINISTRATOR, Granted(Role.ADMINISTRATOR, "/lab", reveal=True))
    with pytest.raises(Forbidden, match="gain the right to reveal"):
        move_node(by=by, path="/prod/web", into="/lab")
    move_node(by=by, path="/lab/deep", into="/prod")
    move_node(by=world.local, path="/prod/web", into="/lab")


def test_nodes_move_within_reach_alone(administrator: Principal) -> None:
    """No node goes out of reach, to the top, or comes from elsewhere."""
    from provost.server.services.nodes import move_node

    with pytest.raises(NotFound):
        move_node(by=administrator, path="/prod/web", into="/outside")
    with pytest.raises(NotFound):
        move_node(by=administrator, path="/outside/web", into="/prod")
    with pytest.raises(Forbidden, match="to the top"):
        move_node(by=administrator, path="/prod/web", into=None)


def test_nodes_out_of_reach_are_not_told_of(world: Any, operator: Principal) -> None:
    """An asset in two nodes is shown in those that are seen; an edit of them leaves the others alone."""
    from provost.server.api.assets import list_assets, show_asset

    edit(world.local, "inside1", nodes=("/prod/web", "/outside/web"))
    shown = show_asset(operator, "inside1")
    (listed,) = list_assets(operator, said.AssetQuery()).items
    assert shown.nodes == listed.nodes == ["/prod/web"]
    edit(operator, "inside1", comment="new")
    edit(operator, "inside1", nodes=("/prod/empty",))
    assert list_nodes("inside1") == ["/outside/web", "/prod/empty"]
    bring_in(operator, {"name": "inside1", "nodes": ("/prod/web",)})
    assert list_nodes("inside1") == ["/outside/web", "/prod/web"]
    for guess in ("/outside/web", "/outside/nothing"):
        with pytest.raises(Forbidden, match=f"{guess}: it is out of reach"):
            edit(operator, "inside1", nodes=("/prod/web", guess))
        with pytest.raises(Forbidden, match=f"{guess}: it is out of reach"):
            bring_in(operator, {"name": "inside1", "nodes": ("/prod/web", guess)})
    edit(operator, "inside1", nodes=())
    assert list_nodes("inside1") == ["/outside/web"]
    with pytest.raises(NotFound):
        show_asset(operator, "inside1")


def test_gateways_out_of_reach_are_not_told_of(world: Any, administrator: Principal) -> None:
    """A gateway that is not seen is not shown, not searched for, not named in errors, and stays."""
    from provost.server.api.assets import list_assets, remove_asset, show_asset
    from provost.server.models import Asset

    edit(world.local, "inside1", via="outside1")
    assert show_asset(administrator, "inside1").via is None
    assert [one.via for one in list_assets(administrator, said.AssetQuery()).items] == [None]
    for guess in ("outside1", "nothing1"):
        with pytest.raises(NotFound) as caught:
            list_assets(administrator, said.AssetQuery(via=guess))
        assert caught.value.message == f"There is no asset '{guess}'. There is: inside1."
        for change in (lambda name: edit(administrator, "inside1", via=name),
                       lambda name: add(administrator, "new1", "/prod", via=name)):  # fmt: skip
            with pytest.raises(NotFound):
                change(guess)
        with pytest.raises(Refused, match=f"no asset '{guess}' to go through"):
            bring_in(administrator, {"name": "inside1", "via": guess})
    edit(administrator, "inside1", comment="new")
    bring_in(administrator, {"name": "inside1", "comment": "newer"})
    assert Asset.objects.get(name="inside1").via.name == "outside1"
    edit(world.local, "inside1", via=None)
    edit(world.local, "outside1", via="inside1")
    with pytest.raises(Conflict) as conflict:
        remove_asset(administrator, "inside1")
    assert "outside1" not in conflict.value.message
    add(world.local, "inside2", "/prod", via="outside1")
    with pytest.raises(Refused) as loop:
        edit(administrator, "inside1", via="inside2")
    assert loop.value.code == "via_loop"
    assert "outside1" not in loop.value.message


def test_gateways_are_passed_by_who_operates_them(world: Any) -> None:
    """To see a gateway is not enough: Provost would log in to it on behalf of who goes through."""
    by = world.enter("vera", ADMINISTRATOR, Granted(Role.AUDITOR, "/outside"))
    for change in (lambda: edit(by, "inside1", via="outside1"),
                   lambda: add(by, "new1", "/prod", via="outside1"),
                   lambda: bring_in(by, {"name": "inside1", "via": "outside1"}),
                   lambda: bring_in(by, {"name": "new1", "kind": "memory", "address": "a",
                                         "nodes": ("/prod",), "via": "outside1"})):  # fmt: skip
        with pytest.raises(Forbidden, match="go through"):
            change()


def test_import_changes_nothing_out_of_reach(world: Any, operator: Principal) -> None:
    """Assets, accounts and nodes elsewhere cannot be brought in, and nothing of the inventory is."""
    from provost.server.models import Account, Asset

    before = Asset.objects.count(), Account.objects.count()
    fine = {"name": "new1", "kind": "memory", "address": "a", "nodes": ("/prod",)}
    account = {"username": "eve", "password": "eve's"}
    with pytest.raises(Refused, match="out of your reach"):
        bring_in(operator, fine, {"name": "outside1", "comment": "mine"})
    for asset in ("outside1", "nothing1"):
        with pytest.raises(Refused, match=f"no asset '{asset}', neither here nor in the inventory"):
            bring_in(operator, fine, accounts=[{**account, "asset": asset}])
    with pytest.raises(Forbidden):
        bring_in(operator, fine, nodes=["/outside/new"])
    with pytest.raises(Forbidden):
        bring_in(world.enter("audrey", Granted(Role.AUDITOR)), accounts=[{**account, "asset": "inside1"}])
    by = world.enter("vera", OPERATOR, Granted(Role.AUDITOR, "/outside"))
    with pytest.raises(Forbidden, match="outside1"):
        bring_in(by, fine, accounts=[{**account, "asset": "outside1"}])
    assert (Asset.objects.count(), Account.objects.count()) == before


def test_tasks_name_what_their_saver_operates(world: Any, operator: Principal) -> None:
    """A task that names more cannot be saved, and one of others is neither seen nor taken over."""
    from provost.server.api import tasks

    elsewhere = [push("outside1"), push("inside1", nodes=("/outside",)), push(nodes=("/nothing",))]
    for spec in elsewhere:
        with pytest.raises(NotFound):
            tasks.create_task(operator, said.TaskBody(name="mine", spec=spec))
        with pytest.raises(NotFound):
            tasks.edit_task(operator, "inside-task", said.TaskPatch(spec=spec))
    tasks.edit_task(world.local, "inside-task", said.TaskPatch(spec=push("inside1", "outside1")))
    for attempt in (
        lambda: tasks.show_task(operator, "inside-task"),
        lambda: tasks.run_task(operator, "inside-task"),
        lambda: tasks.edit_task(operator, "inside-task", said.TaskPatch(spec=push("inside1"))),
        lambda: tasks.delete_task(operator, "inside-task"),
    ):
        with pytest.raises(NotFound):
            attempt()
    assert tasks.list_tasks(operator, said.TaskQuery()).items == []
    by = world.enter("vera", OPERATOR, Granted(Role.AUDITOR, "/outside"))
    assert [one.name for one in tasks.list_tasks(by, said.TaskQuery()).items] == ["inside-task", "outside-task"]
    with pytest.raises(Forbidden, match="may not run task"):
        tasks.run_task(by, "inside-task")


def test_task_of_lost_reach_is_not_started(world: Any, operator: Principal) -> None:
    """What was in reach when a task was saved, and is not any more, is not pushed to by its saver."""
    from provost.server.api import tasks
    from provost.server.services.nodes import move_node
    from provost.server.services.users import UserFields, edit_user

    tasks.create_task(operator, said.TaskBody(name="mine", spec=push("inside1", nodes=("/prod/web",))))
    move_node(by=world.local, path="/prod/web", into="/outside/empty")
    with pytest.raises(NotFound):
        tasks.run_task(operator, "mine")
    move_node(by=world.local, path="/outside/empty/web", into="/prod")
    tasks.run_task(operator, "mine")
    edit_user(by=world.local, username="olga", fields=UserFields(grants=(Granted(Role.AUDITOR, "/prod"),)))
    by = replace(operator, grants=(Granted(Role.AUDITOR, operator.grants[0].node),))
    with pytest.raises(Forbidden):
        tasks.run_task(by, "mine")


@pytest.mark.parametrize("gone", ["asset", "node"])
def test_name_that_goes_is_not_taken_over(world: Any, gone: str) -> None:
    """A task names no removed asset or node any more, so that a new one of its name is not pushed to."""
    from provost.server.api import tasks
    from provost.server.services.assets import remove_asset
    from provost.server.services.nodes import add_node, remove_node, rename_node

    mine = PushSpec(**{**push().model_dump(), "strategy": Strategy.SPECIFIED})
    spec = mine.model_copy(update={"assets": ("inside1",)} if gone == "asset" else {"nodes": ("/prod/empty",)})
    secret = said.SecretBody(password="the administrator's own")
    tasks.create_task(world.local, said.TaskBody(name="specified", spec=spec, secret=secret))
    if gone == "asset":
        remove_asset(by=world.local, name="inside1")
        add(world.enter("olga", OPERATOR), "inside1", "/prod")
    else:
        remove_node(by=world.local, path="/prod/empty")
        add_node(by=world.local, path="/prod/other")
        other = world.enter("otto", Granted(Role.ADMINISTRATOR, "/prod/other"))
        rename_node(by=other, path="/prod/other", name="empty")
        add(other, "trap", "/prod/empty")
    shown = tasks.show_task(world.local, "specified")
    assert (shown.spec.assets, shown.spec.nodes, shown.version) == ((), (), 2)
    with pytest.raises(Refused) as caught:
        tasks.run_task(world.local, "specified")
    assert caught.value.code == "no_assets"
    by = world.enter("oscar", OPERATOR)
    with pytest.raises(NotFound):
        tasks.edit_task(by, "specified", said.TaskPatch(spec=push(nodes=("/prod",), strategy="specified")))


def test_runs_are_seen_as_far_as_their_assets(world: Any, operator: Principal) -> None:
    """Of a run over more, its records, counts, spec and task are shown as far as they are seen."""
    from provost.server.api import runs, tasks
    from provost.server.services import runs as service

    spec = push("inside1", "outside1", nodes=("/prod/empty", "/outside/empty"))
    tasks.create_task(world.local, said.TaskBody(name="both-task", spec=spec))
    run = str(tasks.run_task(world.local, "both-task").id)
    shown = runs.show_run(operator, run)
    assert (shown.spec.assets, shown.spec.nodes) == (("inside1",), ("/prod/empty",))
    assert (shown.counts, shown.task) == ({"open": 1}, None)
    records = runs.list_records(operator, run, said.RecordQuery())
    assert [one.asset for one in records.items] == ["inside1"]
    assert runs.list_records(operator, run, said.RecordQuery(search="outside")).items == []
    found = service.find_run(by=operator, run_id=run)
    assert [one.asset_name for one in service.export_records(by=operator, run=found)] == ["inside1"]
    page = read_report(operator, run)
    assert "inside1" in page
    assert "outside" not in page
    for guess in ("both-task", "nothing"):
        with pytest.raises(NotFound):
            runs.list_runs(operator, said.RunQuery(task=guess))
    for attempt in (runs.cancel_run, runs.retry_run):
        with pytest.raises(Forbidden) as caught:
            attempt(operator, run)
        assert "outside" not in caught.value.message
    assert runs.show_run(world.local, run).task == "both-task"


def test_run_of_the_clock_does_not_name_its_task(world: Any, operator: Principal) -> None:
    """A run that an unseen task began by itself is a task's, whichever."""
    from django.utils import timezone

    from provost.server.api import runs, tasks
    from provost.server.models import Task
    from provost.server.services.tasks import claim_due

    body = said.TaskBody(
        name="both-task", spec=push("inside1", "outside1"), schedule=said.ScheduleBody(every="1h")
    )
    tasks.create_task(world.local, body)
    Task.objects.filter(name="both-task").update(next_due=timezone.now())
    (run,) = claim_due(now=timezone.now(), limit=1)
    assert runs.show_run(world.local, str(run.id)).requested_by == "task both-task"
    assert runs.show_run(operator, str(run.id)).requested_by == "task"
    tasks.delete_task(world.local, "both-task")
    assert runs.show_run(operator, str(run.id)).requested_by == "task"


def test_run_whose_assets_are_gone_is_nobodys_in_one_place(world: Any, operator: Principal) -> None:
    """Where a removed asset was nobody knows: its records are seen by who sees everything."""
    from provost.server.api import runs
    from provost.server.services.assets import remove_asset

    remove_asset(by=world.local, name="inside1")
    with pytest.raises(NotFound):
        runs.show_run(operator, world.over["inside"])
    assert runs.show_run(world.local, world.over["inside"]).counts == {"failed": 1}


def test_retry_and_cancel_take_the_right_to_every_asset(world: Any) -> None:
    """Who sees all of a run, and may work on part of it, neither retries nor cancels it."""
    from provost.server.api import runs

    run = str(runs.push(world.local, said.PushBody(spec=push("inside1", "outside1"))).id)
    by = world.enter("vera", OPERATOR, Granted(Role.AUDITOR, "/outside"))
    for attempt in (runs.cancel_run, runs.retry_run):
        with pytest.raises(Forbidden, match="outside1"):
            attempt(by, run)


def test_limited_right_to_reveal(world: Any) -> None:
    """Who reveals in one node reveals nothing elsewhere, also where they see it."""
    from provost.server.api.accounts import reveal

    by = world.enter("rita", Granted(Role.AUDITOR), Granted(Role.AUDITOR, "/prod", reveal=True))
    assert reveal(by, "root@inside1", said.RevealBody()).secret == "hush inside of root"
    with pytest.raises(Forbidden, match="outside1"):
        reveal(by, "root@outside1", said.RevealBody())


def test_missing_names_list_what_is_seen(operator: Principal) -> None:
    """Errors list assets, nodes, tasks and users as far as the caller sees them, and count no others."""
    from provost.server.services.assets import find_asset
    from provost.server.services.nodes import find_node
    from provost.server.services.tasks import find_task
    from provost.server.services.users import find_user

    for find in (
        lambda: find_asset(by=operator, name="outside1"),
        lambda: find_node(by=operator, path="/outside"),
        lambda: find_task(by=operator, name="outside-task"),
        lambda: find_user(by=operator, username="someone"),
    ):
        with pytest.raises(NotFound) as caught:
            find()
        told = caught.value.message.partition("There is: ")[2]
        assert told in {"inside1.", "/prod, /prod/empty, /prod/web.", "inside-task.", "olga."}


def test_place_in_the_tree_that_is_free_again_is_nobodys(world: Any, operator: Principal) -> None:
    """A grant ends with its node: whatever takes its place in the tree is out of reach."""
    from provost.server.models import Grant
    from provost.server.services.nodes import ensure_nodes, remove_node

    ensure_nodes(by=world.local, paths=["/zoo"])
    world.enter("zoe", Granted(Role.ADMINISTRATOR, "/zoo"))
    remove_node(by=world.local, path="/zoo")
    assert not Grant.objects.filter(user__username="zoe").exists()
    assert Grant.objects.filter(user__username=operator.name).exists()


def test_account_of_a_failed_request_leaves_no_row(operator: Principal) -> None:
    """An account whose secret cannot be kept is not made, and one that is there keeps its marks."""
    from provost.server.models import Account, AuditEntry
    from provost.server.services.accounts import add_account
    from provost.server.services.checks import AccountFields

    entries = AuditEntry.objects.count()
    with pytest.raises(Refused):
        add_account(
            by=operator, fields=AccountFields("inside-alice", "inside1", privileged=True), secret=Password("x")
        )
    assert not Account.objects.get(username="inside-alice").privileged
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("provost.server.services.secrets.set_current", fail)
        with pytest.raises(ProvostError, match="no vault"):
            add_account(by=operator, fields=AccountFields("eve", "inside1"), secret=Password("x"))
    assert not Account.objects.filter(username="eve").exists()
    assert AuditEntry.objects.count() == entries


def fail(**_: Any) -> None:
    raise ProvostError("There is no vault.")


def test_caller_without_a_user_is_nobody(world: Any) -> None:
    """Who is no user of Provost's sees no users and no tokens of others, by no id at all."""
    from provost.server.services import tokens, users

    by = Principal("someone", face=world.local.face, grants=(Granted(Role.AUDITOR),))
    assert users.list_users(by=by) == []
    assert tokens.list_tokens(by=by) == []
    with pytest.raises(NotFound):
        users.find_user(by=by, username="someone")
    with pytest.raises(Forbidden):
        users.edit_user(by=by, username="someone", fields=users.UserFields(password=Password("x" * 20)))
    with pytest.raises(NotFound):
        tokens.create_token(by=by, user=None, name="mine", rights=None, days=1)


def test_token_is_kept_to_its_rights(world: Any) -> None:
    """A token for viewing does nothing else, whatever its user may do."""
    by = world.enter("anna", Granted(Role.ADMINISTRATOR, reveal=True), limit=frozenset({Right.VIEW}))
    assert [right for right in Right if by.reach(right)] == [Right.VIEW]
    for attempt in (
        lambda: edit(by, "inside1", comment="new"),
        lambda: bring_in(by, {"name": "inside1", "comment": "new"}),
        lambda: add(by, "new1", "/prod"),
    ):
        with pytest.raises(Forbidden):
            attempt()


def test_accounts_that_are_named_are_within_reach_and_no_others_are_meant(world: Any) -> None:
    """A run about accounts by name has their records alone, and none where one of them is out of reach."""
    from provost.core.specs import DiscoverSpec, RotateSpec, VerifySpec
    from provost.server.api import runs
    from provost.server.models import Record, Run

    operator = world.enter("operator-of-prod", Granted(Role.OPERATOR, "/prod"))
    auditor = world.enter("auditor-of-prod", Granted(Role.AUDITOR, "/prod"))
    verify, rotate = VerifySpec(action="verify"), RotateSpec(action="rotate")
    before = Run.objects.count()
    refused = [
        (operator, verify, ("root@inside1", "root@outside1"), NotFound),
        (operator, rotate, ("root@outside1",), NotFound),
        (operator, verify, ("nobody@inside1",), NotFound),
        (auditor, verify, ("root@inside1",), Forbidden),
        (operator, DiscoverSpec(action="discover"), ("root@inside1",), Refused),
    ]
    for by, spec, names, error in refused:
        with pytest.raises(error):
            runs.push(by, said.PushBody(spec=spec, accounts=names))
    assert Run.objects.count() == before
    # What the spec says of where is not meant: it is about the named account alone.
    wide = VerifySpec(action="verify", nodes=("/outside",), usernames=("somebody",))
    run = runs.push(operator, said.PushBody(spec=wide, accounts=("root@inside1",)))
    assert (run.spec.assets, run.spec.nodes, run.spec.usernames) == (("inside1",), (), ("root",))
    records = Record.objects.filter(run_id=run.id).values_list("asset_name", "username")
    assert set(records) == {("inside1", "root")}
