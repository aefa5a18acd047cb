"""Templates: pushes that are also done for each asset that arrives where they are for, exactly once."""

from dataclasses import replace
from datetime import timedelta

import pytest
from tests.server.conftest import compete
from tests.server.life import BY, add_account, add_asset, is_there, later, work_off

from provost.connectors import memory
from provost.core.errors import NotFound, Refused
from provost.core.model import SecretType, Strategy
from provost.core.push import PushSpec
from provost.core.rights import Granted, Role
from provost.core.schedule import Schedule
from provost.core.secrets import Password
from provost.core.specs import VerifySpec

pytestmark = pytest.mark.usefixtures("database")

SPEC = PushSpec(nodes=("/prod",), usernames=("alice", "bob"), secret_type=SecretType.PASSWORD)
TARGET_OF_ANOTHER_KIND = {"name": "web1", "kind": "linux", "address": "127.0.0.1"}


@pytest.fixture(autouse=True)
def hosts():
    """The hosts in memory, which every test finds empty."""
    memory.HOSTS.clear()
    yield memory.HOSTS
    memory.HOSTS.clear()


def create(name="usual", specified=None, spec=SPEC, **fields):
    from provost.server.services.nodes import ensure_nodes
    from provost.server.services.tasks import TaskFields, create_task

    ensure_nodes(by=BY, paths=[path for path in ("/prod", "/dev", *spec.nodes) if path != "/"])
    fields = TaskFields(**{"name": name, "spec": spec, "new_assets": True, **fields})
    return create_task(by=BY, fields=fields, specified=specified)


def edit(which="usual", **changes):
    from provost.server.services.tasks import edit_task, find_task, read_fields

    fields = replace(read_fields(task=find_task(by=BY, name=which)), **changes)
    return edit_task(by=BY, name=which, fields=fields, specified=None)


def claim(now=None):
    from provost.server.services.templates import claim_arrivals

    return claim_arrivals(now=now or later())


def move(name, *nodes):
    from provost.server.services.assets import describe_fields, edit_asset, find_asset

    fields = describe_fields(by=BY, asset=find_asset(by=BY, name=name))
    edit_asset(by=BY, name=name, fields=replace(fields, nodes=nodes))


def list_places(run):
    return sorted(run.records.values_list("asset_name", "username"))


def count_waiting():
    from provost.server.models import Arrival

    return Arrival.objects.count()


def test_asset_that_is_added_gets_its_accounts():
    """An asset below a template's node is pushed to once; those that were there before are left alone."""
    add_asset("old1", "/prod/db")
    create()
    add_asset("db1", "/prod/db")
    add_asset("dev1", "/dev")
    (run,) = claim()
    assert (run.requested_by, run.attended, run.task.name) == ("template usual", False, "usual")
    assert list_places(run) == [("db1", "alice"), ("db1", "bob")]
    assert work_off(run) == {"alice": "succeeded", "bob": "succeeded"}
    assert is_there("alice", "db1")
    assert claim() == []
    assert count_waiting() == 0


def test_what_arrives_together_is_one_run_for_each_template():
    """Many new assets are one run of a template, and another one of each other template that is for them."""
    create()
    create("more", spec=SPEC.model_copy(update={"usernames": ("carol",)}))
    for name in ("db1", "db2", "db3"):
        add_asset(name, "/prod")
    runs = sorted(claim(), key=lambda run: run.task.name)
    assert [run.task.name for run in runs] == ["more", "usual"]
    assert [run.records.count() for run in runs] == [3, 6]


def test_asset_without_privileged_account_waits():
    """It costs no run before it has one, nor one without a usable secret; then it is at once done."""
    from provost.server.models import Account

    create()
    asset = add_asset("db1", "/prod", privileged=False)
    assert claim() == []
    Account.objects.create(asset=asset, username="root", privileged=True)
    assert claim() == []
    add_account("root", "db1", privileged=True)
    (run,) = claim()
    assert work_off(run) == {"alice": "succeeded", "bob": "succeeded"}


def test_waiting_costs_one_query():
    """However many assets wait for a privileged account, a tick asks the database once."""
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    create()
    for number in range(20):
        add_asset(f"db{number}", "/prod", privileged=False)
    assert count_waiting() == 20
    with CaptureQueriesContext(
        connection,
    ) as queries:
        assert claim() == []
    assert len(queries) == 1


@pytest.mark.parametrize("how", ["edit", "import", "node"])
def test_asset_that_is_moved_there_gets_its_accounts(how):
    """An asset that is put into the node, by hand or an import, or that comes along with its node, is done."""
    from provost.server.services.imports import import_inventory
    from provost.server.services.inventory_files import Inventory, Row
    from provost.server.services.nodes import move_node

    create()
    add_asset("db1", "/dev/db")
    assert claim() == []
    if how == "edit":
        move("db1", "/prod/db")
    elif how == "import":
        row = Row(1, {"name": "db1", "nodes": ("/prod/db",)})
        import_inventory(by=BY, inventory=Inventory((), (row,), (), ()), name="some")
    else:
        move_node(by=BY, path="/dev/db", into="/prod")
    (run,) = claim()
    assert list_places(run) == [("db1", "alice"), ("db1", "bob")]


def test_asset_that_is_imported_gets_its_accounts():
    """An import brings assets with their privileged accounts: they are done like any other, and once."""
    from provost.server.services.imports import import_inventory
    from provost.server.services.inventory_files import Inventory, Row

    create()
    asset = Row(1, {"name": "db1", "kind": "memory", "address": "db1", "nodes": ("/prod",)})
    root = Row(2, {"username": "root", "asset": "db1", "password": "hush", "privileged": True})
    inventory = Inventory((), (asset,), (root,), ())
    import_inventory(by=BY, inventory=inventory, name="some", dry_run=True)
    assert count_waiting() == 0
    import_inventory(by=BY, inventory=inventory, name="some")
    assert len(claim()) == 1
    import_inventory(by=BY, inventory=inventory, name="some")
    assert claim() == []


@pytest.mark.parametrize("how", ["edit", "node", "rename"])
def test_asset_that_stays_within_is_left_alone(how):
    """What was below the template's node is not new when it, or its node, moves there, or one is renamed."""
    from provost.server.services.nodes import ensure_nodes, move_node, rename_node

    create()
    ensure_nodes(by=BY, paths=["/prod/other"])
    add_asset("db1", "/prod/db")
    claim()
    if how == "edit":
        move("db1", "/prod/other")
    elif how == "node":
        move_node(by=BY, path="/prod/db", into="/prod/other")
    else:
        rename_node(by=BY, path="/prod", name="production")
    assert claim() == []


def test_template_that_moves_along_with_its_node_is_not_done_again():
    """A node that a template names moves with what is in it: nothing of that is new."""
    from provost.server.services.nodes import move_node

    create(spec=SPEC.model_copy(update={"nodes": ("/prod/db",)}))
    add_asset("db1", "/prod/db")
    assert len(claim()) == 1
    move_node(by=BY, path="/prod/db", into="/dev")
    assert claim() == []
    add_asset("db2", "/dev/db")
    assert len(claim()) == 1


def test_asset_that_left_again_is_left_alone():
    """An asset that waited, and is elsewhere by now, is not pushed to."""
    create()
    add_asset("db1", "/prod", privileged=False)
    move("db1", "/dev")
    add_account("root", "db1", privileged=True)
    assert claim() == []
    assert count_waiting() == 0


def test_template_for_everything():
    """A template for / is for every new asset, also one in no node."""
    from provost.server.services import assets
    from provost.server.services.checks import AssetFields

    create(spec=SPEC.model_copy(update={"nodes": ("/",)}))
    assets.add_asset(by=BY, fields=AssetFields("db1", "memory", "db1"))
    add_account("root", "db1", privileged=True)
    (run,) = claim()
    assert list_places(run) == [("db1", "alice"), ("db1", "bob")]


def test_template_of_a_kind():
    """With kinds, assets of others are none of its business: neither as they arrive, nor when it runs."""
    from provost.server.services import assets, tasks
    from provost.server.services.checks import AssetFields

    create(spec=SPEC.model_copy(update={"kinds": ("memory",)}))
    assets.add_asset(by=BY, fields=AssetFields(**TARGET_OF_ANOTHER_KIND, nodes=("/prod",)))
    add_account("root", "web1", privileged=True)
    assert count_waiting() == 0
    add_asset("db1", "/prod")
    (run,) = claim()
    work_off(run)
    assert list_places(tasks.start(by=BY, name="usual")) == [("db1", "alice"), ("db1", "bob")]


def test_kind_that_there_is_not():
    """A kind that nobody knows is refused by its name, and so is a push to a kind that no asset there has."""
    from provost.server.services.runs import create_run

    add_asset("db1", "/prod")
    with pytest.raises(NotFound):
        create(spec=SPEC.model_copy(update={"kinds": ("memroy",)}))
    with pytest.raises(Refused, match="of kind linux"):
        create_run(by=BY, spec=SPEC.model_copy(update={"kinds": ("linux",)}))


def test_everything_takes_the_right_to_everything(world):
    """Who works in a part of the tree alone pushes to no /, and sees no template for it."""
    from provost.core.errors import Forbidden
    from provost.server.services import runs, tasks

    spec = SPEC.model_copy(update={"nodes": ("/",)})
    create(spec=spec)
    by = world.enter("olga", Granted(Role.OPERATOR, node="/prod"))
    with pytest.raises(Forbidden):
        runs.create_run(by=by, spec=spec)
    with pytest.raises(NotFound):
        tasks.find_task(by=by, name="usual")
    run = runs.create_run(by=world.local, spec=spec)
    assert set(run.records.values_list("asset_name", flat=True)) == {"inside1", "outside1", "unseen1"}


def test_parameters_of_other_kinds_are_in_nobodys_way():
    """A template with a parameter of one kind is done for a new asset of another one."""
    create(spec=SPEC.model_copy(update={"parameters": {"shell": "/bin/sh", "linux.groups": "wheel"}}))
    add_asset("db1", "/prod")
    (run,) = claim()
    assert work_off(run) == {"alice": "succeeded", "bob": "succeeded"}


def test_kind_that_refuses_keeps_no_other_from_its_accounts():
    """Where a push is refused for the assets of a kind, those of others get theirs, and a run says why not."""
    from provost.server.models import Run
    from provost.server.services import assets
    from provost.server.services.checks import AssetFields

    create(spec=SPEC.model_copy(update={"usernames": ("a user",)}))
    assets.add_asset(by=BY, fields=AssetFields(**TARGET_OF_ANOTHER_KIND, nodes=("/prod",)))
    add_account("root", "web1", privileged=True)
    add_asset("db1", "/prod")
    (run,) = claim()
    assert list_places(run) == [("db1", "a user")]
    skipped = Run.objects.get(state="skipped")
    assert (skipped.reason, skipped.requested_by) == ("username_refused", "template usual")
    assert count_waiting() == 0


def test_specified_secret_is_set_on_new_assets():
    """The secret that a template holds is set, and each run keeps a copy for its retry."""
    create(
        spec=SPEC.model_copy(update={"strategy": Strategy.SPECIFIED}), specified=Password("the same for all")
    )
    add_asset("db1", "/prod")
    (run,) = claim()
    work_off(run)
    assert memory.HOSTS["db1"].accounts["alice"].password == "the same for all"


def test_many_servers_do_each_template_once():
    """Four clocks that tick at the same instant write one run for what arrived."""
    from provost.server.models import Record

    create()
    for name in ("db1", "db2"):
        add_asset(name, "/prod")
    now = later()
    compete(*[lambda: claim(now)] * 4)
    assert sorted(Record.objects.values_list("asset_name", "username")) == [
        (asset, name) for asset in ("db1", "db2") for name in ("alice", "bob")
    ]


def test_inactive_template_waits():
    """While a template is not active nothing is done; what arrives meanwhile is not for it."""
    create()
    add_asset("db1", "/prod")
    edit(active=False)
    add_asset("db2", "/prod")
    assert claim() == []
    edit(active=True)
    (run,) = claim()
    assert list_places(run) == [("db1", "alice"), ("db1", "bob")]


def test_push_that_is_no_template_any_more_forgets_what_waits():
    """When new assets are no longer its business, those that wait are not, either."""
    create()
    add_asset("db1", "/prod")
    edit(new_assets=False)
    assert count_waiting() == 0
    edit(new_assets=True)
    assert claim() == []


def test_schedule_is_kept_beside_new_assets():
    """A run for new assets that is not over makes no scheduled one wait, and the task's last run is either."""
    from provost.server.services.tasks import claim_due, find_task

    schedule = Schedule(every="1h", since=later(hours=-1))
    create(schedule=schedule)
    add_asset("db1", "/prod")
    (run,) = claim()
    assert find_task(by=BY, name="usual").last_run == run
    (scheduled,) = claim_due(now=later(hours=2), limit=9)
    assert scheduled.state == "queued"


def test_fault_of_provosts_own_keeps_no_other_waiting(database):
    """A template whose secret does not decrypt is tried again in an hour; the others are done meanwhile."""
    from provost.server.models import Run
    from provost.server.models.secrets import TaskSecret

    del database
    create("broken", spec=SPEC.model_copy(update={"strategy": Strategy.SPECIFIED}), specified=Password("mine"))
    create("fine")
    TaskSecret.objects.update(ciphertext=b"\0" * 40)
    add_asset("db1", "/prod")
    (run,) = claim()
    assert run.task.name == "fine"
    assert Run.objects.get(state="skipped").task.name == "broken"
    assert claim() == []
    assert claim(later(minutes=59)) == []
    claim(later() + timedelta(minutes=61))
    assert Run.objects.filter(state="skipped").count() == 2


def test_what_is_no_template():
    """A template is a push, and names nodes: a check, or a push to assets by name, has no new assets."""
    add_asset("db1", "/prod")
    for spec in (
        VerifySpec(action="verify", nodes=("/prod",)),
        SPEC.model_copy(update={"nodes": (), "assets": ("db1",)}),
    ):
        with pytest.raises(Refused) as refused:
            create(spec=spec)
        assert refused.value.code == "template_refused"


def test_removed_template_or_asset_leaves_nothing():
    """With the template, or with the asset, what waits is gone."""
    from provost.server.services.assets import remove_asset
    from provost.server.services.tasks import delete_task

    create()
    create("more")
    add_asset("db1", "/prod")
    delete_task(by=BY, name="more")
    assert count_waiting() == 1
    remove_asset(by=BY, name="db1")
    assert count_waiting() == 0
    assert claim() == []
