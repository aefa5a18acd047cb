from pathlib import Path

import pytest

from provost.core.errors import NotFound, Refused
from provost.core.model import SecretType
from provost.core.rights import make_local
from provost.core.secrets import Password, Secret, SshKey

pytestmark = pytest.mark.usefixtures("database")

BY = make_local("tester")


@pytest.fixture(autouse=True)
def _asset(database: Path) -> None:
    del database
    from provost.server.services import assets
    from provost.server.services.checks import AssetFields

    assets.add_asset(by=BY, fields=AssetFields("web1", "linux", "web1"))


def add(username: str, secret: Secret, *, replace: bool = False, **fields: object) -> None:
    from provost.server.services import accounts
    from provost.server.services.checks import AccountFields

    accounts.add_account(
        by=BY, fields=AccountFields(username, "web1", **fields), secret=secret, replace=replace
    )


def list_accounts(**wanted: object) -> list[object]:
    from provost.server.services import accounts

    found, _ = accounts.list_accounts(by=BY, filters=accounts.AccountFilter(**wanted))
    return list(found)


def reveal(username: str, version: int | None = None) -> Secret:
    from provost.server.services import accounts, secrets

    account = accounts.find_account(by=BY, username=username, asset="web1")
    return secrets.reveal(account_id=account.id, secret_type=SecretType.PASSWORD, version=version)


def test_added_account_is_in_the_list() -> None:
    """An account that the operator adds is listed at once, with its secret current."""
    add("alice", Password("hers"), privileged=True)
    (alice,) = list_accounts()
    assert (alice.username, alice.privileged, alice.priority, alice.become) == ("alice", True, 10, "none")
    assert alice.listed_at is not None
    assert not alice.created_by_provost
    assert reveal("alice") == Password("hers")


def test_secret_is_not_replaced_unasked() -> None:
    """A second secret of a type is refused unless it replaces the first, which then stays in the history."""
    add("alice", Password("old"), privileged=True)
    with pytest.raises(Refused, match="--replace") as caught:
        add("alice", Password("new"))
    assert caught.value.code == "account_exists"
    assert reveal("alice") == Password("old")
    add("alice", Password("new"), replace=True)
    assert (reveal("alice"), reveal("alice", 1)) == (Password("new"), Password("old"))


def test_another_type_of_secret_joins_and_marks_stay() -> None:
    """A key joins an account that has a password, and what is not said of the account stays as it is."""
    from provost.server.services import accounts, secrets

    add("alice", Password("hers"), privileged=True, priority=3)
    add("alice", SshKey("ssh-ed25519 AAAA"))
    alice = accounts.find_account(by=BY, username="alice", asset="web1")
    assert (alice.privileged, alice.priority) == (True, 3)
    assert secrets.list_current_types(account_ids=[alice.id]) == {alice.id: set(SecretType)}


@pytest.mark.parametrize("username", ["", "a:b", "a\nb", "-x", "a\0b"])
def test_username_that_cannot_be_set_is_refused(username: str) -> None:
    """The kind's own rules for usernames hold for the list too."""
    with pytest.raises(Refused):
        add(username, Password("x"))
    assert list_accounts() == []


def test_password_that_cannot_be_set_is_refused_unseen() -> None:
    """The kind's own rules for passwords hold for the list too, and the error does not show the password."""
    with pytest.raises(Refused) as caught:
        add("alice", Password("hush\nhush"))
    assert "hush" not in str(caught.value)


def test_account_off_the_list_keeps_its_history() -> None:
    """Taken off the list, an account has no current secret and no mark, and its old secret can be revealed."""
    from provost.server.services import accounts

    add("alice", Password("hers"), privileged=True)
    accounts.unlist_account(by=BY, username="alice", asset="web1")
    assert list_accounts() == list_accounts(pending=True) == []
    with pytest.raises(NotFound):
        reveal("alice")
    assert reveal("alice", 1) == Password("hers")
    with pytest.raises(NotFound, match="not in the list"):
        accounts.unlist_account(by=BY, username="alice", asset="web1")
    add("alice", Password("anew"))
    assert not accounts.find_account(by=BY, username="alice", asset="web1").privileged


def test_forgotten_account_leaves_nothing() -> None:
    """A forgotten account and its secrets are gone, but not while a run works on its asset."""
    from datetime import timedelta

    from django.utils import timezone

    from provost.server.models import Account, Asset, AssetLock, Run
    from provost.server.models.secrets import SecretVersion
    from provost.server.services import accounts
    from provost.server.services.locks import name_owner

    add("alice", Password("hers"))
    run = Run.objects.create(action="push")
    lock = AssetLock.objects.create(
        asset=Asset.objects.get(), run=run, owner=name_owner(), expires=timezone.now() + timedelta(minutes=1)
    )
    with pytest.raises(Refused, match=f"Run {run.id} works on web1") as caught:
        accounts.forget_account(by=BY, username="alice", asset="web1")
    assert caught.value.code == "asset_locked"
    lock.delete()
    accounts.forget_account(by=BY, username="alice", asset="web1")
    assert Account.objects.count() == SecretVersion.objects.count() == 0


def test_unsettled_account_is_listed_as_pending_only() -> None:
    """An account with a staged secret alone is not in the list, and is found under `pending`."""
    from provost.core.model import Strategy
    from provost.server.models import Account, Asset
    from provost.server.services import secrets

    account = Account.objects.create(asset=Asset.objects.get(), username="bob")
    secrets.stage(run_id=None, secrets=[(account.id, Password("x"))], origin=Strategy.RANDOM)
    assert list_accounts() == []
    assert list_accounts(pending=True, asset="web1") == [account]


def test_accounts_are_found_by_type_and_age_of_their_secrets() -> None:
    """The age is that of the secret in force, of the wanted type, and not of one that it replaced."""
    from datetime import timedelta

    from provost.server.models.secrets import SecretVersion

    def grow(username: str, days: int) -> None:
        for row in SecretVersion.objects.filter(account__username=username):
            row.promoted_at -= timedelta(days=days)
            row.save()

    def find(**wanted: object) -> set[str]:
        return {str(one).partition("@")[0] for one in list_accounts(**wanted)}

    add("old", Password("x"))
    add("renewed", Password("x"))
    grow("old", 100)
    grow("renewed", 100)
    add("renewed", Password("y"), replace=True)
    add("old", SshKey("ssh-ed25519 AAAA"))
    assert find(secret_type=SecretType.PASSWORD) == {"old", "renewed"}
    assert find(secret_type=SecretType.SSH_KEY) == {"old"}
    assert find(older_than=100) == find(older_than=90, newer_than=101) == {"old"}
    assert find(older_than=101) == find(newer_than=100, older_than=1) == set()
    assert find(newer_than=1) == {"old", "renewed"}
    assert find(newer_than=1, secret_type=SecretType.PASSWORD) == {"renewed"}


def test_what_runs_did_about_an_account_is_told_newest_first() -> None:
    """A page at a time, with the run of each; records of other accounts are not among them."""
    from provost.core.requests import PageQuery
    from provost.server.api.accounts import list_activity
    from provost.server.models import Account, Record, Run

    for username in ("alice", "bob"):
        add(username, Password("x"))
    runs = [Run.objects.create(action="push") for _ in range(3)]
    for run in runs:
        for account in Account.objects.select_related("asset"):
            Record.objects.create(
                run=run,
                asset=account.asset,
                asset_name="web1",
                username=account.username,
                account=account,
                secret_type="password",
                status="unchanged",
            )
    first = list_activity(BY, "alice@web1", PageQuery(limit=2))
    rest = list_activity(BY, "alice@web1", PageQuery(limit=2, cursor=first.next))
    assert [one.run for one in (*first.items, *rest.items)] == [run.id for run in reversed(runs)]
    assert {one.username for one in (*first.items, *rest.items)} == {"alice"}
    assert rest.next is None


def test_an_account_is_shown_with_the_rights_that_extend_to_it() -> None:
    """In a node of theirs somebody may more than elsewhere."""
    from provost.core.rights import Face, Granted, Right, Role
    from provost.server.api.accounts import show_account
    from provost.server.services import accounts, assets, users
    from provost.server.services.checks import AccountFields, AssetFields

    assets.add_asset(by=BY, fields=AssetFields("prod1", "linux", "prod1", nodes=("/prod/web",)))
    add("alice", Password("x"))
    accounts.add_account(by=BY, fields=AccountFields("alice", "prod1"), secret=Password("x"))
    grants = (Granted(Role.AUDITOR), Granted(Role.OPERATOR, "/prod", reveal=True))
    user = users.add_user(by=BY, username="anna", fields=users.UserFields(grants=grants))
    anna = users.make_principal(user=user, face=Face.API)
    assert set(show_account(anna, "alice@web1").rights) == {Right.VIEW, Right.AUDIT}
    assert set(show_account(anna, "alice@prod1").rights) == {
        Right.VIEW,
        Right.AUDIT,
        Right.OPERATE,
        Right.REVEAL,
    }


def test_unknown_account_is_not_found_and_lists_the_closest() -> None:
    """The error for an account that is not there names the nearest one of that asset."""
    from provost.server.services import accounts

    add("alice", Password("x"))
    with pytest.raises(NotFound, match=r"account on web1 named 'alicce'\. There is: alice\.") as caught:
        accounts.find_account(by=BY, username="alicce", asset="web1")
    assert caught.value.code == "account_not_found"


def check(username: str, verdict: str) -> None:
    from provost.core.model import Verdict
    from provost.server.services import accounts, sync

    account = accounts.find_account(by=BY, username=username, asset="web1")
    sync.note_checks(checks=[sync.Check(account.id, SecretType.PASSWORD, Verdict(verdict), "why", "so")])


def test_accounts_are_found_by_what_their_last_check_told() -> None:
    """Each answer finds its own; who was never checked is found as that; the counts are those of the lists."""
    from provost.server.services import overview

    for name, verdict in (("a", "accepted"), ("b", "rejected"), ("c", "unknown"), ("d", ""), ("e", "")):
        add(name, Password(f"of-{name}"))
        if verdict:
            check(name, verdict)
    found = {
        sync: [one.username for one in list_accounts(sync=sync)]
        for sync in ("in_sync", "out_of_sync", "unknown", "never")
    }
    assert found == {"in_sync": ["a"], "out_of_sync": ["b"], "unknown": ["c"], "never": ["d", "e"]}
    assert list_accounts(sync="never", secret_type=SecretType.SSH_KEY) == []
    assert overview.count_sync(by=BY) == {sync: len(names) for sync, names in found.items()}


def test_accounts_are_placed_by_name() -> None:
    """Each once; what is not there, and what is no name of an account, is refused."""
    from provost.server.services import accounts

    for name in ("a", "b"):
        add(name, Password(f"of-{name}"))
    places = accounts.find_places(by=BY, names=["a@web1", "b@web1", "a@web1"])
    assert {username for _, username in places} == {"a", "b"}
    for names, code in ((["z@web1"], "account_not_found"), (["a@web9"], "asset_not_found"), (["a"], "usage")):
        with pytest.raises((NotFound, Refused)) as caught:
            accounts.find_places(by=BY, names=names)
        assert caught.value.code == code


def test_an_account_may_be_left_out_of_reconciliations() -> None:
    """Who is never to be reconciled is no part of a run that does, also where it is named."""
    from provost.core.specs import ReconcileSpec
    from provost.server.services import accounts, runs
    from provost.server.services.checks import AccountFields

    for name in ("a", "b"):
        add(name, Password(f"of-{name}"))
    accounts.edit_account(by=BY, fields=AccountFields("a", "web1", reconcile=False))
    spec = ReconcileSpec(action="reconcile", assets=("web1",))
    run = runs.create_run(by=BY, spec=spec, attended=False)
    assert [record.username for record in run.records.all()] == ["b"]
    with pytest.raises(Refused, match="never to be reconciled"):
        runs.create_run(by=BY, spec=spec.model_copy(update={"usernames": ("a",)}), attended=False)
