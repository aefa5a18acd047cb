"""Pairs: two accounts that take turns, so that an application never holds a secret that is dead."""

import pytest
from tests.server.conftest import compete
from tests.server.life import BY, add_account, add_asset, do, find, later, push, work_off

from provost.connectors import memory
from provost.core.errors import Conflict, LoginRefused, NotFound, Refused, Unreachable
from provost.core.model import SecretType
from provost.core.specs import DisableSpec, ReconcileSpec, RemoveSpec, RotateSpec, VerifySpec

pytestmark = pytest.mark.usefixtures("database")


@pytest.fixture(autouse=True)
def hosts():
    """The hosts in memory, which every test finds empty."""
    memory.HOSTS.clear()
    yield memory.HOSTS
    memory.HOSTS.clear()


@pytest.fixture
def pair():
    """The pair app: app_a is in use, app_b idle; and alice, who is in none."""
    add_asset("db1")
    push("app_a", "app_b", "alice")
    return add()


def add(name="app", active="app_a", idle="app_b", asset="db1", secret_type=None):
    from provost.server.services.pairs import PairFields, add_pair

    return add_pair(by=BY, fields=PairFields(name, asset, active, idle, secret_type))


def show(name="app"):
    """Return the names of the active and the idle account."""
    from provost.server.services.pairs import find_pair

    found = find_pair(by=BY, name=name)
    return found.active.username, found.idle.username


def rotate(*usernames, secret_type=SecretType.PASSWORD, **fields):
    spec = RotateSpec(action="rotate", assets=("db1",), usernames=usernames, secret_type=secret_type)
    return do(spec, **fields)


def make_turn(name="app"):
    """Return a run that rotates a pair."""
    from provost.server.services.pairs import build_rotation
    from provost.server.services.runs import create_run

    return create_run(by=BY, spec=build_rotation(by=BY, name=name), attended=False)


def password(username):
    return memory.HOSTS["db1"].accounts[username].password


def test_accounts_take_turns(pair):
    """The idle account is rotated and becomes the active one; the other keeps its secret until its own turn."""
    first = password("app_a")
    assert work_off(make_turn()) == {"app_b": "succeeded"}
    assert show() == ("app_b", "app_a")
    assert password("app_a") == first
    second = password("app_b")
    assert work_off(make_turn()) == {"app_a": "succeeded"}
    assert show() == ("app_a", "app_b")
    assert password("app_a") != first
    assert password("app_b") == second
    from provost.server.models import AuditEntry

    entry = AuditEntry.objects.filter(action="pair.switch").latest("number")
    assert (entry.subject, entry.who, entry.details["active"]) == ("pair app", "tester", "app_a")
    pair.refresh_from_db()
    assert pair.switched_at is not None
    assert pair.version == 3


def test_rotation_of_everything_leaves_the_active_one_alone(pair):
    """A rotation of all accounts of an asset is of the idle one of each pair, which then is the active one."""
    del pair
    before = password("app_a")
    assert set(rotate()) == {"app_b", "alice"}
    assert show() == ("app_b", "app_a")
    assert password("app_a") == before


def test_naming_the_active_one_is_refused(pair):
    """Who names the account that is in use is told to rotate the pair; both of them mean the idle one."""
    del pair
    with pytest.raises(Refused, match="provost pair rotate app") as refused:
        rotate("app_a")
    assert refused.value.code == "pair_active"
    assert rotate("app_a", "app_b") == {"app_b": "succeeded"}
    assert rotate("app_a", "app_b") == {"app_a": "succeeded"}


@pytest.mark.parametrize(
    ("error", "reason"),
    [(LoginRefused("no"), "login_rejected"), (Unreachable("gone"), "unreachable")],
    ids=["uncertain", "unverified"],
)
def test_what_is_not_proven_does_not_switch(pair, hosts, error, reason):
    """A new secret that the target refuses, or that could not be tried, leaves the active account active."""
    del pair

    async def fail(at, username):
        if at is memory.Step.VERIFY and username == "app_b":
            raise error

    hosts["db1"].script = fail
    assert work_off(make_turn()) == {"app_b": reason}
    assert show() == ("app_a", "app_b")
    hosts["db1"].script = memory.behave
    assert work_off(make_turn()) == {"app_b": "succeeded"}
    assert show() == ("app_b", "app_a")


def test_run_that_waits_rotates_nobody_who_came_into_use(pair):
    """Of two rotations of the same idle account the second one finds it in use, and leaves it alone."""
    del pair
    first, second = make_turn(), make_turn()
    work_off(first)
    in_use = password("app_b")
    assert work_off(second) == {"app_b": "pair_active"}
    assert password("app_b") == in_use
    assert show() == ("app_b", "app_a")


def test_retry_rotates_nobody_who_came_into_use(pair, hosts):
    """A rotation that failed, tried again after the pair has switched, leaves the account alone."""
    from provost.server.services.runs import create_retry

    del pair

    async def be_down(at, _username):
        if at is memory.Step.OPEN:
            raise Unreachable("nobody home")

    hosts["db1"].script = be_down
    failed = make_turn()
    work_off(failed)
    hosts["db1"].script = memory.behave
    work_off(make_turn())
    in_use = password("app_b")
    assert work_off(create_retry(by=BY, run=failed)) == {"app_b": "pair_active"}
    assert password("app_b") == in_use


def test_dry_run_switches_nothing(pair):
    """A look at what a rotation would do leaves the pair as it is."""
    del pair
    assert rotate(dry_run=True) == {"app_b": "dry_run", "alice": "dry_run"}
    assert show() == ("app_a", "app_b")


def test_checks_and_reconciliations_are_of_both(pair):
    """The active account is verified and reconciled as any other, and nothing switches."""
    del pair
    assert do(VerifySpec(action="verify", assets=("db1",), usernames=("app_a", "app_b"))) == {
        "app_a": "succeeded",
        "app_b": "succeeded",
    }
    memory.HOSTS["db1"].accounts["app_a"].password = "changed behind our back"
    do(ReconcileSpec(action="reconcile", assets=("db1",), usernames=("app_a",)))
    assert password("app_a") != "changed behind our back"
    assert show() == ("app_a", "app_b")


def test_pair_tells_whether_the_active_one_is_in_sync(pair):
    """What a pair is asked for: which account is in use, since when, and whether its secret is in force."""
    from provost.core.requests import PairQuery
    from provost.server.api.pairs import list_pairs, show_pair

    del pair
    told = show_pair(BY, "app")
    assert (told.active, told.idle, told.sync, told.switched_at) == ("app_a@db1", "app_b@db1", "in_sync", None)
    memory.HOSTS["db1"].accounts["app_a"].password = "changed behind our back"
    do(VerifySpec(action="verify", assets=("db1",)))
    assert show_pair(BY, "app").sync == "out_of_sync"
    assert [one.name for one in list_pairs(BY, PairQuery(asset="db1")).items] == ["app"]


@pytest.mark.parametrize("spec", [DisableSpec, RemoveSpec])
def test_account_of_a_pair_stays(pair, spec):
    """It is not disabled, removed, taken off the list or forgotten while it is in a pair, not even by force."""
    from provost.server.services.accounts import forget_account, unlist_account
    from provost.server.services.pairs import remove_pair

    del pair
    action = "disable" if spec is DisableSpec else "remove"
    for name in ("app_a", "app_b"):
        for force in (False, True):
            with pytest.raises(Conflict, match="provost pair remove app") as refused:
                do(spec(action=action, assets=("db1",), usernames=(name,), force=force))
            assert refused.value.code == "account_paired"
        for remove in (forget_account, unlist_account):
            with pytest.raises(Conflict, match="provost pair remove app"):
                remove(by=BY, username=name, asset="db1")
    remove_pair(by=BY, name="app")
    assert do(spec(action=action, assets=("db1",), usernames=("app_a",))) == {"app_a": "succeeded"}


def test_account_of_a_pair_stays_what_it_is(pair):
    """It gets no lifetime, by hand or by a push, and does not become privileged."""
    from provost.server.services.accounts import add_account as replace
    from provost.server.services.accounts import edit_account
    from provost.server.services.checks import AccountFields
    from provost.server.services.imports import import_inventory
    from provost.server.services.inventory_files import Inventory, Row
    from provost.server.services.lifetimes import Life

    del pair
    with pytest.raises(Conflict):
        edit_account(by=BY, fields=AccountFields("app_b", "db1"), life=Life(later(days=1)))
    privileged = AccountFields("app_b", "db1", privileged=True)
    with pytest.raises(Conflict):
        edit_account(by=BY, fields=privileged)
    from provost.core.secrets import Password

    with pytest.raises(Conflict):
        replace(by=BY, fields=privileged, secret=Password("x"), replace=True)
    row = Row(1, {"username": "app_b", "asset": "db1", "privileged": True})
    with pytest.raises(Conflict):
        import_inventory(by=BY, inventory=Inventory((), (), (row,), ()), name="some")
    memory.HOSTS["db1"].accounts.pop("app_b")
    push("app_b", lifetime=60)
    assert find("app_b").expires_at is None


def test_what_is_no_pair(pair):
    """One account twice; one that is privileged, in another pair, or mortal; not there, or without a secret."""
    del pair
    add_asset("db2")
    add_asset("db3")
    push("mortal", lifetime=60)
    push("keyed")
    from provost.server.models.secrets import SecretVersion

    refused = {
        ("x", "alice", "alice", "db1"): (Refused, "pair_refused"),
        ("x", "alice", "root", "db1"): (Refused, "pair_refused"),
        ("x", "alice", "mortal", "db1"): (Refused, "pair_refused"),
        ("x", "alice", "app_b", "db1"): (Conflict, "account_paired"),
        ("x", "app_a", "alice", "db1"): (Conflict, "account_paired"),
        ("x", "alice", "nobody", "db1"): (NotFound, "account_not_found"),
        ("x", "alice", "keyed", "db2"): (NotFound, "account_not_found"),
        ("app", "alice", "keyed", "db1"): (Conflict, "pair_exists"),
        ("no name", "alice", "keyed", "db1"): (Refused, "name_refused"),
    }
    for given, (error, code) in refused.items():
        with pytest.raises(error) as told:
            add(*given)
        assert told.value.code == code, given
    SecretVersion.objects.filter(account=find("keyed")).update(secret_type="ssh_key")
    with pytest.raises(Refused, match="same type"):
        add("x", "alice", "keyed")


def test_pair_goes_with_its_asset(pair):
    """An asset that is removed takes its pairs along."""
    from provost.server.models import Pair
    from provost.server.services.assets import remove_asset

    del pair
    remove_asset(by=BY, name="db1")
    assert not Pair.objects.exists()


def test_pair_is_about_one_type_of_secret():
    """With a password and a key, the type is asked for; a rotation of the other switches nothing."""
    from provost.core.keys import KeyAlgorithm
    from provost.server.services import secrets
    from provost.server.services.pairs import find_pair
    from provost.vault.keys import generate_key

    add_asset("db1")
    push("app_a", "app_b")
    for name in ("app_a", "app_b"):
        key = generate_key(KeyAlgorithm.ED25519)
        secrets.set_current(secrets=[(find(name).id, key)])
        memory.HOSTS["db1"].accounts[name].set_secret(key)
    with pytest.raises(Refused) as refused:
        add()
    assert refused.value.code == "secret_type_needed"
    add(secret_type=SecretType.PASSWORD)
    assert rotate("app_b", secret_type=SecretType.SSH_KEY) == {"app_b": "succeeded"}
    assert show() == ("app_a", "app_b")
    assert rotate("app_a", secret_type=SecretType.SSH_KEY) == {"app_a": "succeeded"}
    assert set(rotate(secret_type=SecretType.SSH_KEY)) == {"app_a", "app_b"}
    assert show() == ("app_a", "app_b")
    in_use = password("app_a")
    assert work_off(make_turn()) == {"app_b": "succeeded"}
    assert show() == ("app_b", "app_a")
    assert password("app_a") == in_use
    assert find_pair(by=BY, name="app").secret_type == "password"


def test_pair_is_of_a_type_that_both_have(pair):
    """An account without a current secret of the pair's type would be handed out with none, or a dead one."""
    del pair
    push("other")
    with pytest.raises(Refused, match="current ssh_key"):
        add("x", "alice", "other", secret_type=SecretType.SSH_KEY)


def test_account_that_is_about_to_go_joins_no_pair():
    """While a removal waits for its turn, its account gets into no pair, which would be left with one."""
    from provost.server.services.runs import create_run

    add_asset("db1")
    push("app_a", "app_b")
    create_run(by=BY, spec=RemoveSpec(action="remove", assets=("db1",), usernames=("app_b",)), attended=False)
    with pytest.raises(Conflict, match="about to disable or remove"):
        add()


def test_pairs_are_made_once():
    """Two who pair the same accounts at the same instant: one of them is told that there is a pair."""
    add_asset("db1")
    push("app_a", "app_b", "app_c")
    told = []

    def try_it(name, idle):
        try:
            add(name, "app_a", idle)
        except Conflict as error:
            told.append(error.code)

    compete(lambda: try_it("one", "app_b"), lambda: try_it("two", "app_c"))
    assert told == ["account_paired"]


def test_unlisted_account_is_not_in_the_list_for_a_pair():
    """An account that only waits for a push to be settled is none that an application could use."""
    add_asset("db1")
    push("app_a")
    add_account("app_b", "db1")
    from provost.server.services.accounts import unlist_account

    unlist_account(by=BY, username="app_b", asset="db1")
    with pytest.raises(NotFound):
        add()
