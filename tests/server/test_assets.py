from collections.abc import Iterable
from typing import Any

import pytest

from provost.core.errors import NotFound, ProvostError, Refused, UsageError
from provost.core.job import Login
from provost.core.keys import KeyAlgorithm, fingerprint
from provost.core.model import Become
from provost.core.rights import Granted, Role, make_local
from provost.core.secrets import Password, Secret, SshKey
from provost.vault.keys import generate_key

pytestmark = pytest.mark.usefixtures("database")

BY = make_local("tester")
KEY = generate_key(KeyAlgorithm.ED25519)


def add_asset(name: str, **fields: object) -> int:
    from provost.server.services import assets
    from provost.server.services.checks import AssetFields

    return assets.add_asset(
        by=BY, fields=AssetFields(**({"name": name, "kind": "linux", "address": name} | fields))
    ).id


def add_account(username: str, asset: str, *secrets: Secret, **fields: object) -> None:
    from provost.server.services import accounts
    from provost.server.services.checks import AccountFields

    for secret in secrets:
        accounts.add_account(by=BY, fields=AccountFields(username, asset, **fields), secret=secret)


def build(asset_ids: Iterable[int]) -> dict[int, object]:
    from provost.server.services import targets

    return dict(targets.build_targets(asset_ids=asset_ids))


def test_asset_has_its_kinds_port_and_its_nodes() -> None:
    """An asset without a port gets its kind's, and its nodes come into being."""
    from provost.server.services import assets

    add_asset("web1", nodes=("/prod/web", "/eu"))
    add_asset("web2", port=2222, comment="mine", via="web1")
    (web1, web2), _ = assets.list_assets(by=BY)
    assert (web1.port, sorted(node.full_path for node in web1.nodes.all())) == (22, ["/eu", "/prod/web"])
    assert (web2.port, web2.comment, web2.via) == (2222, "mine", web1)
    assert assets.list_assets(by=BY, filters=assets.AssetFilter(node="/prod")) == ([web1], None)


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"name": ""}, "name_refused"),
        ({"name": "a b"}, "name_refused"),
        ({"name": "a@b"}, "name_refused"),
        ({"name": "-a"}, "name_refused"),
        ({"name": "a\nb"}, "name_refused"),
        ({"name": "taken"}, "asset_exists"),
        ({"address": ""}, "address_refused"),
        ({"address": "-oProxyCommand=x"}, "address_refused"),
        ({"address": "a b"}, "address_refused"),
        ({"port": 0}, "port_refused"),
        ({"port": 65536}, "port_refused"),
        ({"kind": "linus"}, "kind_not_found"),
        ({"via": "nobody"}, "asset_not_found"),
        ({"options": {"color": "red"}}, "option_refused"),
        ({"nodes": ("prod",)}, "node_refused"),
    ],
)
def test_asset_that_cannot_be_is_refused(fields: dict[str, object], code: str) -> None:
    """Each field that cannot be used has a code of its own, and nothing is added."""
    from provost.server.models import Asset

    add_asset("taken")
    with pytest.raises(UsageError) as caught:
        add_asset(**({"name": "web1"} | fields))
    assert caught.value.code == code
    assert Asset.objects.count() == 1


def test_error_lists_what_there_is() -> None:
    """An unknown kind or asset is answered with what there is, the closest first, and not with everything."""
    from provost.server.services import assets

    with pytest.raises(NotFound, match=r"no kind 'linus'\. There is: linux, .*memory"):
        add_asset("x", kind="linus")
    for number in range(30):
        add_asset(f"host{number:02}")
    add_asset("zebra")
    with pytest.raises(NotFound, match=r"no asset 'zebrra'\. There is: zebra, .* and 21 more\."):
        assets.find_asset(by=BY, name="zebrra")


def test_route_never_comes_back() -> None:
    """A gateway that would be reached through itself is refused, and nothing is changed."""
    from provost.server.models import Asset
    from provost.server.services import assets

    first = add_asset("first")
    second = add_asset("second", via="first")
    third = add_asset("third", via="second")
    with pytest.raises(Refused, match="first via third via second via first") as caught:
        assets.set_via(by=BY, gateways={first: third})
    assert caught.value.code == "via_loop"
    with pytest.raises(Refused):
        assets.set_via(by=BY, gateways={first: first})
    assert Asset.objects.get(id=first).via is None
    assets.set_via(by=BY, gateways={second: None, first: third})
    assert Asset.objects.get(id=first).via_id == third


def test_gateway_cannot_be_removed() -> None:
    """An asset that others are reached through stays, and the error names them."""
    from provost.server.models import Asset
    from provost.server.services import assets

    add_asset("jump")
    add_asset("web1", via="jump")
    with pytest.raises(Refused, match="web1") as caught:
        assets.remove_asset(by=BY, name="jump")
    assert caught.value.code == "asset_is_gateway"
    assets.remove_asset(by=BY, name="web1")
    assets.remove_asset(by=BY, name="jump")
    assert not Asset.objects.exists()


def test_trusting_an_asset_keeps_the_history_of_its_keys() -> None:
    """`trust` takes the pinned keys out of the target and keeps them as replaced; the next key is pinned."""
    from provost.server.services import assets

    asset = add_asset("web1")
    first, second = (generate_key(KeyAlgorithm.ED25519).public for _ in range(2))
    assets.pin_host_keys(keys=[(asset, first), (asset, first)])
    assets.pin_host_keys(keys=[(asset, second)])
    assert build([asset])[asset].trust.pinned == (first,)
    assert [key.fingerprint for key in assets.trust_asset(by=BY, name="web1")] == [fingerprint(first)]
    assert build([asset])[asset].trust.pinned == ()
    assets.pin_host_keys(keys=[(asset, second)])
    assert build([asset])[asset].trust.pinned == (second,)
    states = assets.find_asset(by=BY, name="web1").host_keys.order_by("id").values_list("state", flat=True)
    assert list(states) == ["replaced", "trusted"]


def test_target_has_its_privileged_accounts_in_order() -> None:
    """Logins are the privileged accounts by priority, each with its secrets and its way to become root."""
    asset = add_asset("web1", options={"authorized_keys_file": "/etc/keys/%u"})
    add_account("root", "web1", Password("root's"))
    add_account("ops", "web1", Password("ops's"), KEY, privileged=True, priority=5, become=Become.SUDO)
    add_account("late", "web1", KEY, privileged=True, priority=20, become=Become.SU)
    add_account("early", "web1", Password("early's"), privileged=True, priority=1)
    add_account("guest", "web1", Password("guest's"))
    add_account("nokey", "web1", SshKey(KEY.public), privileged=True)
    target = build([asset])[asset]
    assert target.logins == (
        Login("early", password=Password("early's")),
        Login("ops", Password("ops's"), KEY, Become.SUDO, Password("ops's")),
        Login("late", None, KEY, Become.SU, Password("root's")),
    )
    assert (target.kind, target.address, target.port, target.via) == ("linux", "web1", 22, None)
    assert dict(target.options) == {"authorized_keys_file": "/etc/keys/%u"}


def test_account_off_the_list_is_no_login() -> None:
    """An account that was taken off the list is not logged in with."""
    from provost.server.services import accounts

    asset = add_asset("web1")
    add_account("root", "web1", Password("x"), privileged=True)
    accounts.unlist_account(by=BY, username="root", asset="web1")
    assert build([asset])[asset].logins == ()


def test_gateways_are_passed_with_their_own_account() -> None:
    """A gateway is passed with the account that it names, else its privileged ones; nested ones too."""
    outer = add_asset("outer", options={"via_account": "jump"})
    inner = add_asset("inner", via="outer")
    behind = [add_asset(f"web{number}", via="inner") for number in range(3)]
    add_account("root", "outer", Password("outer root"), privileged=True)
    add_account("jump", "outer", KEY)
    add_account("root", "inner", Password("inner root"), privileged=True)
    targets = build([outer, *behind])
    assert [login.username for login in targets[outer].logins] == ["root"]
    route = targets[behind[0]].via
    assert (route.asset_id, [login.username for login in route.logins]) == (inner, ["root"])
    assert route.via.logins == (Login("jump", key=KEY),)
    assert all(targets[one].via is route for one in behind)


def test_queries_do_not_grow_with_the_assets() -> None:
    """Targets of 300 assets behind a gateway take as many queries as those of 3."""
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    add_asset("jump")
    add_account("root", "jump", Password("x"), privileged=True)
    counts = []
    for size in (3, 300):
        ids = [add_asset(f"web{size}-{number}", via="jump") for number in range(size)]
        for number in range(min(size, 10)):
            add_account("root", f"web{size}-{number}", Password("x"), privileged=True)
        with CaptureQueriesContext(connection) as captured:
            assert len(build(ids)) == size
        counts.append(len(captured))
    assert counts[0] == counts[1] == 7


def test_errors_of_the_inventory_are_usage() -> None:
    """What the inventory does not hold or cannot take is the operator's input, so the exit status is 2."""
    assert issubclass(NotFound, UsageError)
    assert issubclass(Refused, UsageError)
    assert issubclass(UsageError, ProvostError)


def test_an_asset_tells_whether_it_can_be_worked_on() -> None:
    """Its privileged accounts are told in their order, those without a secret to log in with as of no use."""
    from provost.core.requests import AssetQuery
    from provost.server.api.assets import list_assets, show_asset
    from provost.server.services import accounts

    for name in ("bare", "key", "web1"):
        add_asset(name)
    add_account("guest", "bare", Password("guest's"))
    add_account("root", "key", SshKey(KEY.public), privileged=True)
    add_account("root", "web1", Password("old"), privileged=True)
    add_account("ops", "web1", KEY, privileged=True, priority=5, become=Become.SUDO)
    root = accounts.AccountFields("root", "web1")
    accounts.add_account(by=BY, fields=root, secret=Password("new"), replace=True)
    add_account("gone", "web1", KEY, privileged=True)
    accounts.unlist_account(by=BY, username="gone", asset="web1")
    found = {one.name: one.privileged for one in list_assets(BY, AssetQuery()).items}
    assert {name: [(one.username, one.usable) for one in of_it] for name, of_it in found.items()} == {
        "bare": [],
        "key": [("root", False)],
        "web1": [("ops", True), ("root", True)],
    }
    shown = show_asset(BY, "web1")
    assert shown.privileged == found["web1"]
    assert (shown.accounts, shown.unlisted, shown.secrets) == (2, 1, 4)


def test_nodes_and_runs_of_an_asset_are_those_that_the_caller_sees(world: Any) -> None:
    """A node counts each asset below it once; the runs of an asset are its own, none of one out of reach."""
    from provost.core.push import PushSpec
    from provost.core.requests import RunQuery
    from provost.server.api.nodes import list_nodes
    from provost.server.api.runs import list_runs
    from provost.server.services import assets, runs
    from provost.server.services.checks import AssetFields

    fields = AssetFields("twice", "memory", "twice", nodes=("/prod/web", "/prod/empty", "/outside/web"))
    assets.add_asset(by=BY, fields=fields)
    ben = world.enter("ben", Granted(Role.OPERATOR, "/prod"))
    assert {one.path: (one.assets, one.within) for one in list_nodes(ben)} == {
        "/prod": (0, 2),
        "/prod/web": (2, 2),
        "/prod/empty": (1, 1),
    }
    assert {one.path: one.within for one in list_nodes(BY)}["/outside"] == 2
    spec = PushSpec(assets=("twice", "outside1"), usernames=("bob", "eve"), secret_type="password")
    both = runs.create_run(by=BY, spec=spec, specified=None, attended=False)
    assert [one.id for one in list_runs(ben, RunQuery(asset="twice")).items] == [both.id]
    of_inside = {str(one.id) for one in list_runs(ben, RunQuery(asset="inside1")).items}
    assert of_inside == {world.runs["inside"], world.over["inside"]}
    assert [str(one.id) for one in list_runs(BY, RunQuery(asset="outside1", limit=1)).items] == [str(both.id)]
    for name in ("outside1", "nowhere"):
        with pytest.raises(NotFound, match=f"There is no asset '{name}'"):
            list_runs(ben, RunQuery(asset=name))
