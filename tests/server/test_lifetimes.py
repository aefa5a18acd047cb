"""Accounts that live for a time: disabled at its end, removed when their grace has passed, each once."""

from datetime import timedelta

import pytest
from tests.server.conftest import World, compete
from tests.server.life import BY, add_account, add_asset, do, find, is_there, later, push, work_off

from provost.connectors import memory
from provost.core.durations import parse_duration, write_duration
from provost.core.errors import Conflict, Forbidden, Refused, Unreachable
from provost.core.rights import Granted, Role
from provost.core.specs import DisableSpec, EnableSpec, ReconcileSpec, RemoveSpec

pytestmark = pytest.mark.usefixtures("database")

DAY = 86_400


@pytest.fixture(autouse=True)
def hosts():
    """The hosts in memory, which every test finds empty."""
    memory.HOSTS.clear()
    yield memory.HOSTS
    memory.HOSTS.clear()


def claim(now):
    from provost.server.services.expiry import claim_expired

    return claim_expired(now=now)


def set_life(username="alice", expires_at=None, *, by=BY, asset="db1", **fields):
    from provost.server.services.accounts import edit_account
    from provost.server.services.checks import AccountFields
    from provost.server.services.lifetimes import Life

    return edit_account(by=by, fields=AccountFields(username, asset, **fields), life=Life(expires_at))


def edit(username="alice", **fields):
    from provost.server.services.accounts import edit_account
    from provost.server.services.checks import AccountFields

    return edit_account(by=BY, fields=AccountFields(username, "db1", **fields))


def list_entries(action):
    from provost.server.models import AuditEntry

    return list(AuditEntry.objects.filter(action=action).order_by("number"))


def test_life_ends_in_two_steps():
    """A pushed account is disabled at the end of its lifetime, and removed when its grace has passed."""
    add_asset("db1")
    push("alice", lifetime=60, grace=120)
    assert claim(later(seconds=58)) == []
    (run,) = claim(later(seconds=61))
    assert (run.action, run.requested_by, run.attended) == ("disable", "expiry", False)
    assert work_off(run) == {"alice": "succeeded"}
    assert memory.HOSTS["db1"].accounts["alice"].disabled
    assert find("alice").disabled_at is not None
    assert claim(later(seconds=178)) == []
    (run,) = claim(later(seconds=181))
    assert work_off(run) == {"alice": "succeeded"}
    assert not is_there("alice")
    account = find("alice")
    assert (account.listed_at, account.expires_at, account.expiry_due, account.disabled_at) == (None,) * 4
    assert claim(later(days=400)) == []
    entries = list_entries("account.expire")
    assert [(one.subject, one.details["action"], one.who) for one in entries] == [
        ("account alice@db1", "disable", "expiry"),
        ("account alice@db1", "remove", "expiry"),
    ]


def test_life_without_grace_ends_in_one_step():
    """With no grace an account is removed at once, and the list has it no more."""
    add_asset("db1")
    push("alice", lifetime=1, grace=0)
    (run,) = claim(later(seconds=2))
    assert run.action == "remove"
    assert work_off(run) == {"alice": "succeeded"}
    assert not is_there("alice")


def test_account_with_a_grace_is_disabled_for_that_long_first():
    """However late the clock looks, an account is removed only after it was disabled for its grace."""
    from provost.server.models import Account

    add_asset("db1")
    push("alice", lifetime=60, grace=DAY)
    Account.objects.filter(username="alice").update(expires_at=later(days=-30), expiry_due=later(days=-30))
    (run,) = claim(later())
    assert run.action == "disable"
    work_off(run)
    account = find("alice")
    assert account.expiry_due == account.disabled_at + timedelta(days=1)
    assert claim(later(hours=23)) == []
    (run,) = claim(later(hours=25))
    assert run.action == "remove"


def test_account_disabled_by_hand_is_removed_after_the_end_of_its_life():
    """A grace that began before the end of the life does not shorten the life."""
    from provost.server.models import Account

    add_asset("db1")
    push("alice", lifetime=10 * DAY, grace=DAY)
    do(DisableSpec(action="disable", assets=("db1",), usernames=("alice",)))
    assert find("alice").expiry_due == find("alice").expires_at + timedelta(days=1)
    Account.objects.filter(username="alice").update(expiry_due=later())
    assert claim(later(days=5)) == []


def test_no_life_ends_by_a_clock_that_has_just_started():
    """A clock that may be wrong starts tasks, and ends nothing."""
    from provost.worker.clock import tick

    add_asset("db1")
    push("alice", lifetime=60)
    assert tick(now=later(days=1), settled=False) == 0
    assert find("alice").warn_due is not None
    assert tick(now=later(days=1), settled=True) == 2  # people are told, and a run is written down


def test_what_is_due_together_is_one_run_for_each_action():
    """Accounts of many assets whose lives are over are disabled in one run, and others removed in another."""
    for name in ("db1", "db2", "db3"):
        add_asset(name)
        push("alice", asset=name, lifetime=60)
        push("bob", asset=name, lifetime=60, grace=0)
    disabling, removing = claim(later(seconds=61))
    assert [run.records.count() for run in (disabling, removing)] == [3, 3]
    work_off(disabling), work_off(removing)
    assert all(memory.HOSTS[name].accounts["alice"].disabled for name in ("db1", "db2", "db3"))
    assert not any(is_there("bob", name) for name in ("db1", "db2", "db3"))


def test_many_servers_claim_each_account_once():
    """Four clocks that tick at the same instant write one run, and one record of each account."""
    from provost.server.models import Record

    for name in ("db1", "db2"):
        add_asset(name)
        push("alice", "bob", asset=name, lifetime=60)
    now = later(seconds=61)
    compete(*[lambda: claim(now)] * 4)
    records = Record.objects.filter(run__action="disable").values_list("asset_name", "username")
    assert sorted(records) == [(asset, name) for asset in ("db1", "db2") for name in ("alice", "bob")]


def test_account_is_not_claimed_twice_while_its_run_goes_on():
    """However long a run waits for a server, the account is in no other; when it is over, it is due again."""
    from provost.server.models import Run

    add_asset("db1")
    push("alice", lifetime=60)
    (run,) = claim(later(seconds=61))
    assert claim(later(days=1)) == []
    with pytest.raises(Conflict, match="about to disable"):
        set_life(expires_at=later(days=9))
    Run.objects.filter(id=run.id).update(state="cancelled")
    assert len(claim(later(days=1))) == 1


def test_host_that_is_down_is_tried_again(hosts):
    """A host that does not answer is tried again after half a minute, then ever later, but within an hour."""

    async def be_down(at, _username):
        if at is memory.Step.OPEN:
            raise Unreachable("nobody home")

    add_asset("db1")
    push("alice", lifetime=60, grace=10 * DAY)
    ends = find("alice").expires_at
    hosts["db1"].script = be_down
    pauses = []
    now = ends
    for _ in range(9):
        (run,) = claim(now)
        assert work_off(run) == {"alice": "unreachable"}
        due = find("alice").expiry_due
        pauses.append((due - now).total_seconds())
        now = due
    assert pauses[0] == 30
    assert pauses == sorted(pauses)
    assert pauses[-1] == 3600
    hosts["db1"].script = memory.behave
    (run,) = claim(now)
    assert work_off(run) == {"alice": "succeeded"}
    assert find("alice").expiry_due == ends + timedelta(days=10)


def test_account_that_nothing_can_be_done_about_stays_due():
    """On a busy asset, and without a privileged account, nothing is begun; then it is, at the next tick."""
    from provost.server.models import Account, AssetLock, Run

    asset = add_asset("db1")
    push("alice", lifetime=60)
    run = Run.objects.latest("created")
    now = later(seconds=61)
    lock = AssetLock.objects.create(asset=asset, run=run, owner="a/b/c/d/e", expires=later(hours=1))
    assert claim(now) == []
    lock.delete()
    Account.objects.filter(username="root").update(privileged=False)
    assert claim(now) == []
    Account.objects.filter(username="root").update(privileged=True)
    assert len(claim(now)) == 1


def test_one_that_cannot_be_ended_holds_up_nobody():
    """An account that a run may not be about is put off, with the reason in the log; the others are ended."""
    from provost.server.models import Account

    add_asset("db1")
    push("alice", "bob", lifetime=60)
    Account.objects.filter(username="bob").update(username="root2")
    Account.objects.filter(username="alice").update(username="")  # a name that the kind refuses
    now = later(seconds=61)
    (run,) = claim(now)
    assert [one.username for one in run.records.all()] == ["root2"]
    assert find("").expiry_due == now + timedelta(hours=1)


def test_clock_wakes_up_for_the_end_of_a_life():
    """The clock looks again when the next life ends, and otherwise as often as ever."""
    from provost.worker.clock import find_pause

    add_asset("db1")
    push("alice", lifetime=60)
    ends = find("alice").expires_at
    assert find_pause(now=later()) == 3
    assert find_pause(now=ends - timedelta(seconds=1)) == 1
    assert find_pause(now=ends) == 3


def test_what_fails_keeps_nothing_else_from_its_turn(monkeypatch):
    """When tasks cannot be started, lives end all the same, and the failure is told."""
    from provost.server.models import Run
    from provost.worker import clock

    def fail(**_):
        raise RuntimeError("broken")

    add_asset("db1")
    push("alice", lifetime=60)
    monkeypatch.setattr(clock, "claim_due", fail)
    with pytest.raises(RuntimeError, match="broken"):
        clock.tick(now=later(seconds=61), settled=True)
    assert Run.objects.filter(action="disable").count() == 1


def test_push_gives_a_lifetime_to_what_provost_creates_alone():
    """An account that was there before is adopted for good; what Provost creates or restores lives as told."""
    add_asset("db1")
    push("alice")
    memory.HOSTS["db1"].accounts["carol"] = memory.Account("hers")
    push("carol", "dave", lifetime=60)
    assert find("carol").expires_at is None
    assert find("dave").expires_at is not None
    push("alice", lifetime=60)
    assert find("alice").expires_at is None  # it was left as it is, so its life did not begin
    memory.HOSTS["db1"].accounts.pop("alice")
    push("alice", lifetime=60)
    assert find("alice").expires_at is not None


async def be_cut_off(at, username):
    """Let the answer about dave be lost, as when Provost is cut off."""
    if at is memory.Step.ANSWER and username == "dave":
        raise Unreachable("gone")


@pytest.mark.parametrize("was_there", [False, True], ids=["created", "adopted"])
def test_push_that_was_cut_off_gives_a_lifetime_to_what_it_created_alone(hosts, was_there):
    """The push that finds out what an earlier one did makes nobody's own account mortal."""
    add_asset("db1")
    host = hosts["db1"] = memory.Host({"root": memory.Account("hush of root")}, script=be_cut_off)
    if was_there:
        host.accounts["dave"] = memory.Account("his")
    assert push("dave", lifetime=60) == {"dave": "unreachable"}
    host.script = memory.behave
    assert push("dave", lifetime=60) == {"dave": "settled"}
    account = find("dave")
    assert (account.expires_at is None, account.created_by_provost) == (was_there, not was_there)


@pytest.mark.parametrize("unknown", [False, True], ids=["adopted since", "killed"])
def test_push_whose_doing_nobody_knows_gives_no_lifetime(hosts, unknown):
    """Where another push used the secret again, or nobody knows what it did, the account lives for good."""
    from provost.server.models import Record
    from provost.server.services.guard import forget_refusals

    async def be_lost(at, username):
        if at is memory.Step.SET and username == "dave":
            raise Unreachable("gone")

    add_asset("db1")
    host = hosts["db1"] = memory.Host({"root": memory.Account("hush of root")}, script=be_lost)
    push("dave", lifetime=60)
    assert Record.objects.get(username="dave").decision == "create"
    host.accounts["dave"] = memory.Account("his")
    host.script = be_cut_off
    push("dave", lifetime=60)
    if unknown:
        Record.objects.filter(username="dave", decision="adopt").update(decision=None)
    host.script = memory.behave
    forget_refusals(account_ids=[find("dave").id])
    assert push("dave", lifetime=60) == {"dave": "settled"}
    assert (find("dave").expires_at, find("dave").created_by_provost) == (None, False)


def test_operator_sets_changes_and_clears_a_lifetime():
    """A lifetime is set, made longer, and taken away, with the grace; each change is in the trail."""
    add_asset("db1")
    push("alice")
    first, second = later(days=30), later(days=60)
    assert set_life(expires_at=first, grace=DAY).expiry_due == first
    assert set_life(expires_at=second).expiry_due == second
    assert set_life(expires_at=None).expiry_due is None
    assert claim(later(days=400)) == []
    changes = [one.details for one in list_entries("account.edit")]
    assert [sorted(one) for one in changes] == [["expires_at", "grace"], ["expires_at"], ["expires_at"]]
    version = find("alice").version
    assert set_life(expires_at=None).version == version
    assert len(list_entries("account.edit")) == 3


def test_lifetime_of_a_disabled_account_is_not_set_back():
    """Another lifetime lets nobody in again: it is refused with advice, and a longer grace is not."""
    add_asset("db1")
    push("alice", lifetime=60, grace=DAY)
    work_off(claim(later(seconds=61))[0])
    ends = find("alice").expires_at
    for expires_at in (None, later(days=30)):
        with pytest.raises(Refused, match="provost enable --account alice --asset db1") as refused:
            set_life(expires_at=expires_at)
        assert refused.value.code == "account_disabled"
    assert edit(grace=9 * DAY).expiry_due == ends + timedelta(days=9)
    assert claim(later(days=8)) == []


def test_disabled_account_is_enabled_again():
    """Enabling lets an account in by the secret that it had, for good if its life was over; once is enough."""
    add_asset("db1")
    push("alice", lifetime=1, grace=DAY)
    work_off(claim(later(seconds=2))[0])
    enable = EnableSpec(action="enable", assets=("db1",), usernames=("alice",))
    assert do(enable, dry_run=True) == {"alice": "dry_run"}
    assert memory.HOSTS["db1"].accounts["alice"].disabled
    from provost.server.models import Account

    Account.objects.filter(username="alice").update(expires_at=later(seconds=-5))
    assert do(enable) == {"alice": "succeeded"}
    assert not memory.HOSTS["db1"].accounts["alice"].disabled
    account = find("alice")
    assert (account.disabled_at, account.expires_at, account.expiry_due) == (None, None, None)
    with pytest.raises(Refused, match="disabled by Provost"):
        do(enable)


def test_enabling_some_accounts_enables_no_others():
    """Of accounts named with their assets, each is enabled there, and none of that name elsewhere."""
    from provost.server.models import Account
    from provost.server.services.accounts import find_places

    for name in ("db1", "db2"):
        add_asset(name)
        push("alice", "bob", asset=name)
        do(DisableSpec(action="disable", assets=(name,), usernames=("alice", "bob")))
    enable = EnableSpec(action="enable", assets=("db1", "db2"), usernames=("alice", "bob"))
    do(enable, places=find_places(by=BY, names=["alice@db1", "bob@db2"]))
    disabled = Account.objects.exclude(disabled_at=None)
    assert sorted(map(str, disabled.select_related("asset"))) == ["alice@db2", "bob@db1"]


def test_account_that_is_enabled_early_lives_on_to_its_end():
    """An account disabled by hand before its end and enabled again is disabled at its end."""
    add_asset("db1")
    push("alice", lifetime=DAY, grace=DAY)
    ends = find("alice").expires_at
    do(DisableSpec(action="disable", assets=("db1",), usernames=("alice",)))
    assert find("alice").expiry_due == ends + timedelta(days=1)
    do(EnableSpec(action="enable", assets=("db1",), usernames=("alice",)))
    assert find("alice").expiry_due == ends


def test_disabled_account_that_is_gone_cannot_be_enabled():
    """Of an account that is not on the target any more, enabling says so, and changes nothing in the list."""
    add_asset("db1")
    push("alice")
    do(DisableSpec(action="disable", assets=("db1",), usernames=("alice",)))
    memory.HOSTS["db1"].accounts.pop("alice")
    assert do(EnableSpec(action="enable", assets=("db1",), usernames=("alice",))) == {"alice": "account_absent"}
    assert find("alice").disabled_at is not None


def test_disabled_account_is_left_out_of_checks():
    """A disabled account is not called out of sync, and no reconciliation lets it in again."""
    add_asset("db1")
    push("alice", "bob")
    do(DisableSpec(action="disable", assets=("db1",), usernames=("alice",)))
    assert set(do(ReconcileSpec(action="reconcile", assets=("db1",)))) == {"bob", "root"}
    assert memory.HOSTS["db1"].accounts["alice"].disabled


def test_restored_account_is_due_as_before():
    """A push that restores an account whose life is over does not prolong it."""
    add_asset("db1")
    push("alice", lifetime=60, grace=DAY)
    work_off(claim(later(seconds=61))[0])
    ends = find("alice").expires_at
    memory.HOSTS["db1"].accounts.pop("alice")
    push("alice")
    account = find("alice")
    assert (account.disabled_at, account.expires_at, account.expiry_due) == (None, ends, ends)


def test_privileged_account_lives_for_good():
    """What Provost works with gets no lifetime, and loses one as it gets privileged, by hand or an import."""
    from provost.server.services.accounts import edit_account
    from provost.server.services.checks import AccountFields
    from provost.server.services.imports import import_inventory
    from provost.server.services.inventory_files import Inventory, Row

    add_asset("db1")
    with pytest.raises(Refused) as refused:
        set_life("root", later(days=1))
    assert refused.value.code == "account_privileged"
    push("alice", "bob", lifetime=60)
    edit_account(by=BY, fields=AccountFields("alice", "db1", privileged=True))
    row = Row(1, {"username": "bob", "asset": "db1", "privileged": True})
    import_inventory(by=BY, inventory=Inventory((), (), (row,), ()), name="some")
    for name in ("alice", "bob"):
        assert (find(name).expires_at, find(name).expiry_due, find(name).warn_due) == (None,) * 3
    assert claim(later(days=400)) == []
    (edited,) = list_entries("account.edit")
    assert edited.details["expires_at"][1] is None
    (imported,) = list_entries("inventory.import")
    assert "expires_at" in imported.details["accounts_changed"]["bob@db1"]


def test_lifetime_that_cannot_be_meant_is_refused():
    """An end in the past, or beyond ten years; of an account that a target needs; of one not in the list."""
    from provost.core.errors import NotFound
    from provost.server.services.accounts import unlist_account

    add_asset("db1")
    push("alice")
    for expires_at in (later(seconds=-1), later(days=4000)):
        with pytest.raises(Refused) as refused:
            set_life(expires_at=expires_at)
        assert refused.value.code == "lifetime_refused"
    with pytest.raises(Refused) as refused:
        push("root", lifetime=60)
    assert refused.value.code == "account_protected"
    unlist_account(by=BY, username="alice", asset="db1")
    with pytest.raises(NotFound):
        set_life(expires_at=later(days=1))


def test_account_that_is_about_to_go_becomes_nobodys_way():
    """While a removal waits, nobody is sent through an asset with that account, by hand or by an import."""
    from provost.server.models import Account
    from provost.server.services.assets import add_asset as add
    from provost.server.services.assets import edit_asset
    from provost.server.services.checks import AssetFields
    from provost.server.services.imports import import_inventory
    from provost.server.services.inventory_files import Inventory, Row
    from provost.server.services.runs import create_run

    add(by=BY, fields=AssetFields("gate", "linux", "gate", nodes=("/all",)))
    add_account("root", "gate", privileged=True)
    add_account("passes", "gate")
    Account.objects.filter(username="passes").update(created_by_provost=True)
    run = create_run(
        by=BY, spec=RemoveSpec(action="remove", assets=("gate",), usernames=("passes",)), attended=False
    )
    options = {"via_account": "passes"}
    fields = AssetFields("gate", "linux", "gate", nodes=("/all",), options=options)
    row = Row(1, {"name": "gate", "kind": "linux", "address": "gate", "options": options})
    for change in (
        lambda: edit_asset(by=BY, name="gate", fields=fields),
        lambda: import_inventory(by=BY, inventory=Inventory((), (row,), (), ()), name="some"),
    ):
        with pytest.raises(Conflict, match="about to disable or remove passes@gate"):
            change()
    type(run).objects.update(state="cancelled")
    assert edit_asset(by=BY, name="gate", fields=fields).options == options


def test_account_off_the_list_has_no_end():
    """Who takes an account off the list takes it from Provost's hands: it is not removed later."""
    from provost.server.services.accounts import unlist_account

    add_asset("db1")
    push("alice", lifetime=60)
    unlist_account(by=BY, username="alice", asset="db1")
    assert find("alice").expiry_due is None
    assert claim(later(days=400)) == []


def test_removed_account_that_is_pushed_again_lives_for_good():
    """A removal ends the lifetime; the next push of the account says how long it lives then."""
    add_asset("db1")
    push("alice", lifetime=60)
    do(RemoveSpec(action="remove", assets=("db1",), usernames=("alice",)))
    push("alice")
    assert find("alice").expires_at is None


def test_lifetime_of_what_others_created_takes_more_rights(world: World):
    """An operator ends no account that Provost did not create; who administers the asset does."""
    operator = world.enter("olga", Granted(Role.OPERATOR))
    administrator = world.enter("ada", Granted(Role.ADMINISTRATOR))
    given = {"username": "inside-alice", "asset": "inside1", "expires_at": later(days=1)}
    with pytest.raises(Forbidden):
        set_life(**given, by=operator)
    assert set_life(**given, by=administrator).expires_at is not None


def test_shorter_grace_of_what_others_created_takes_more_rights(world: World):
    """An operator brings on the removal of no account that Provost did not create, but may put it off."""
    from provost.server.services.accounts import edit_account
    from provost.server.services.checks import AccountFields

    operator = world.enter("olga", Granted(Role.OPERATOR))
    administrator = world.enter("ada", Granted(Role.ADMINISTRATOR))

    def give(grace, by):
        fields = AccountFields("inside-alice", "inside1", grace=grace)
        return edit_account(by=by, fields=fields).grace

    assert give(5 * DAY, operator) == 5 * DAY  # it lives for good
    set_life("inside-alice", later(days=1), by=administrator, asset="inside1")
    with pytest.raises(Forbidden):
        give(0, operator)
    assert give(9 * DAY, operator) == 9 * DAY
    assert give(0, administrator) == 0


def test_people_are_told_ahead_once():
    """That a life ends is told a tenth of it ahead, or a day where that is less, and not again."""
    from provost.server.services.expiry import tell_expiring

    add_asset("db1")
    push("alice", lifetime=1000)
    push("bob", lifetime=100 * DAY)
    alice, bob = find("alice"), find("bob")
    assert abs((alice.expires_at - alice.warn_due).total_seconds() - 100) < 1
    assert abs((bob.expires_at - bob.warn_due).total_seconds() - DAY) < 1
    assert tell_expiring(now=later(seconds=890)) == 0
    assert tell_expiring(now=later(seconds=910)) == 1
    assert tell_expiring(now=later(days=99, seconds=10)) == 1
    assert tell_expiring(now=later(days=99, seconds=10)) == 0


@pytest.mark.parametrize(("text", "seconds"), [("90s", 90), ("15m", 900), ("12h", 43_200), ("30d", 30 * DAY)])
def test_durations(text, seconds):
    """A span is read and written in the largest unit that it is whole in."""
    assert parse_duration(text) == seconds
    assert write_duration(seconds) == text


@pytest.mark.parametrize("text", ["", "1", "d", "-1d", "1.5h", "1w", "1d2h", "٣d", "99999999999d"])
def test_durations_that_are_none(text):
    """What is no span is refused, and not guessed at."""
    with pytest.raises(Refused) as refused:
        parse_duration(text)
    assert refused.value.code == "duration_refused"


def test_reconciliation_is_by_choice():
    """An account that is never to be reconciled is left out of a reconciliation, until it may be again."""
    add_asset("db1")
    push("alice")
    edit(reconcile=False)
    assert "alice" not in do(ReconcileSpec(action="reconcile", assets=("db1",)))
    edit(reconcile=True)
    assert "alice" in do(ReconcileSpec(action="reconcile", assets=("db1",)))


def test_account_that_is_another_by_now_is_not_ended(hosts):
    """One whose user id has changed is somebody else's: the clock waits until somebody has accepted that."""
    from provost.core.specs import DiscoverSpec
    from provost.server.services.found import accept

    look = DiscoverSpec(action="discover", assets=("db1",))
    add_asset("db1")
    push("alice", "bob", lifetime=60)
    hosts["db1"].accounts["alice"].uid = 1001
    do(look)
    hosts["db1"].accounts["alice"].uid = 1002
    do(look)
    assert not find("alice").created_by_provost
    now = later(seconds=61)
    (run,) = claim(now)
    assert [one.username for one in run.records.all()] == ["bob"]
    assert find("alice").expiry_due == now + timedelta(hours=1)
    accept(by=BY, accounts=["alice@db1"])
    (run,) = claim(now + timedelta(hours=1))
    assert [one.username for one in run.records.all()] == ["alice"]


def test_listed_account_of_others_ends_by_force():
    """An account that an administrator gave a lifetime is ended although Provost did not create it."""
    add_asset("db1")
    memory.HOSTS["db1"] = memory.Host({"carol": memory.Account("hush of carol")})
    add_account("carol", "db1")
    set_life("carol", later(seconds=5), grace=0)
    (run,) = claim(later(seconds=6))
    assert work_off(run) == {"carol": "succeeded"}
    assert not is_there("carol")
