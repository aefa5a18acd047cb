from typing import TYPE_CHECKING
from uuid import UUID

import pytest

from provost.core.errors import NotFound, VaultError
from provost.core.model import SecretState, SecretType, Strategy
from provost.core.secrets import Password, SshKey

if TYPE_CHECKING:
    from provost.server.models import Account, Run

pytestmark = pytest.mark.usefixtures("database")

PASSWORD, SSH_KEY = SecretType.PASSWORD, SecretType.SSH_KEY


def make_account(username: str = "alice") -> "Account":
    from provost.server.models import Account, Asset

    asset, _ = Asset.objects.get_or_create(name="web1", kind="memory", address="web1", port=1)
    return Account.objects.create(asset=asset, username=username)


def make_run() -> "Run":
    from provost.server.models import Run

    return Run.objects.create(action="push")


def stage(account: "Account", text: str, run: "Run | None" = None) -> UUID:
    from provost.server.services import secrets

    (version,) = secrets.stage(
        run_id=run.id if run else None, secrets=[(account.id, Password(text))], origin=Strategy.RANDOM
    )
    return version


def read_current(account: "Account") -> dict[SecretType, object]:
    from provost.server.services import secrets

    return dict(secrets.read_current(account_ids=[account.id]).get(account.id, {}))


def test_staged_secret_is_pending_and_not_in_the_list() -> None:
    """What is staged reads back as pending with its run, and the account is not in the list."""
    from provost.server.services import secrets

    account, run = make_account(), make_run()
    ids = [stage(account, "first", run), stage(account, "second", run)]
    pending = secrets.read_pending(account_ids=[account.id])[account.id, PASSWORD]
    assert [(one.id, one.secret, one.run_id) for one in pending] == [
        (ids[1], Password("second"), run.id),
        (ids[0], Password("first"), run.id),
    ]
    assert read_current(account) == {}
    assert secrets.read_pending(account_ids=[account.id], secret_types={SSH_KEY}) == {}
    account.refresh_from_db()
    assert account.listed_at is None


def test_promoting_retires_what_was() -> None:
    """Promoting makes one secret current, lists the account, and retires the others of its type."""
    from provost.server.services import secrets

    account = make_account()
    secrets.promote(version_ids=[stage(account, "old")])
    key = secrets.stage(run_id=None, secrets=[(account.id, SshKey("ssh-ed25519 AA"))], origin=Strategy.RANDOM)
    other, wanted = stage(account, "other"), stage(account, "new")
    secrets.promote(version_ids=[wanted])
    states = {one.id: one.state for one in secrets.history(account_id=account.id)}
    assert states[wanted] is SecretState.CURRENT
    assert states[other] is SecretState.RETIRED
    assert states[key[0]] is SecretState.PENDING
    assert list(states.values()).count(SecretState.RETIRED) == 2
    assert read_current(account) == {PASSWORD: Password("new")}
    account.refresh_from_db()
    assert account.listed_at is not None
    secrets.promote(version_ids=[wanted])
    assert read_current(account) == {PASSWORD: Password("new")}


def test_discarding_forgets_only_what_the_run_staged() -> None:
    """Discarding deletes this run's pendings and the accounts that thereby hold nothing; other runs' stay."""
    from provost.server.models import Account
    from provost.server.services import secrets

    mine, theirs = make_run(), make_run()
    fresh, shared, listed = make_account("fresh"), make_account("shared"), make_account("listed")
    secrets.set_current(secrets=[(listed.id, SshKey("ssh-ed25519 AA"))])
    kept = stage(shared, "theirs", theirs)
    for account in (fresh, shared, listed):
        stage(account, "mine", mine)
    secrets.discard(run_id=mine.id, epoch=0, account_ids=[fresh.id, shared.id, listed.id], secret_type=PASSWORD)
    assert set(Account.objects.values_list("username", flat=True)) == {"shared", "listed"}
    (left,) = secrets.history(account_id=shared.id)
    assert left.id == kept
    assert read_current(listed) == {SSH_KEY: SshKey("ssh-ed25519 AA")}


def test_version_numbers_go_on_per_type() -> None:
    """Each type of an account's secrets counts its versions, also within one call."""
    from provost.server.services import secrets

    account = make_account()
    stage(account, "one")
    secrets.stage(
        run_id=None,
        secrets=[
            (account.id, Password("two")),
            (account.id, SshKey("ssh-ed25519 AA", "private")),
            (account.id, Password("three")),
        ],
        origin=Strategy.SPECIFIED,
    )
    versions = {(one.secret_type, one.version) for one in secrets.history(account_id=account.id)}
    assert versions == {(PASSWORD, 1), (PASSWORD, 2), (PASSWORD, 3), (SSH_KEY, 1)}
    texts = [
        secrets.reveal(account_id=account.id, secret_type=PASSWORD, version=version) for version in (1, 2, 3)
    ]
    assert texts == [Password("one"), Password("two"), Password("three")]


def test_public_key_alone_is_told_without_decrypting() -> None:
    """What is known of a key is told with its public half, and whether Provost holds the private one."""
    from provost.server.services import secrets

    account = make_account()
    secrets.set_current(secrets=[(account.id, SshKey("ssh-ed25519 AA"))])
    (held,) = secrets.list_held(account_ids=[account.id])[account.id]
    assert (held.public_key, held.public_only) == ("ssh-ed25519 AA", True)


def test_secret_that_is_not_there_is_not_found() -> None:
    """Revealing what is not held is `secret_not_found`, never an empty answer."""
    from provost.server.services import secrets

    account = make_account()
    stage(account, "pending")
    with pytest.raises(NotFound, match="alice@web1 has no current password"):
        secrets.reveal(account_id=account.id, secret_type=PASSWORD)
    with pytest.raises(NotFound, match="version 7"):
        secrets.reveal(account_id=account.id, secret_type=PASSWORD, version=7)


def test_row_moved_in_the_database_does_not_decrypt() -> None:
    """A ciphertext copied to another account is refused, and the error names that account and no secret."""
    from provost.server.models.secrets import SecretVersion
    from provost.server.services import secrets

    alice, bob = make_account("alice"), make_account("bob")
    secrets.set_current(secrets=[(alice.id, Password("hush-hush")), (bob.id, Password("x"))])
    stolen = SecretVersion.objects.get(account=alice).ciphertext
    SecretVersion.objects.filter(account=bob).update(ciphertext=stolen)
    with pytest.raises(VaultError, match="password of bob@web1, version 1, does not decrypt") as caught:
        read_current(bob)
    assert caught.value.code == "secret_does_not_decrypt"
    assert "hush" not in str(caught.value)
    assert read_current(alice) == {PASSWORD: Password("hush-hush")}


def test_no_secret_lies_in_the_database_in_clear() -> None:
    """No column of a stored secret holds it, nor does that of a run's own secret."""
    from provost.server.models.secrets import SecretVersion, SpecifiedSecret
    from provost.server.services import held, secrets

    account, run = make_account(), make_run()
    secrets.set_current(secrets=[(account.id, Password("hush-hush"))])
    held.hold_specified(run_id=run.id, secret=Password("hush-hush"))
    rows = [*SecretVersion.objects.values(), *SpecifiedSecret.objects.values()]
    assert rows
    assert all(b"hush" not in bytes(row["ciphertext"]) and "hush" not in str(row) for row in rows)


def test_specified_secret_is_held_until_it_is_dropped() -> None:
    """A run's own secret can be read until it is dropped."""
    from provost.server.services import held

    run = make_run()
    assert held.read_specified(run_id=run.id) is None
    held.hold_specified(run_id=run.id, secret=Password("mine"))
    assert held.read_specified(run_id=run.id) == Password("mine")
    held.drop_specified(run_id=run.id)
    assert held.read_specified(run_id=run.id) is None


def test_queries_do_not_grow_with_the_accounts() -> None:
    """Within a chunk, 400 accounts take as many queries as 40 in bulk operations (inserts are batched)."""
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    from provost.server.models import Account
    from provost.server.services import secrets

    asset = make_account().asset
    counts = []
    for size in (40, 400):
        accounts = Account.objects.bulk_create(
            Account(asset=asset, username=f"user-{size}-{number}") for number in range(size)
        )
        ids = [account.id for account in accounts]
        with CaptureQueriesContext(connection) as captured:
            versions = secrets.stage(
                run_id=None, secrets=[(one, Password("x" * 24)) for one in ids], origin=Strategy.RANDOM
            )
            secrets.read_pending(account_ids=ids)
            secrets.promote(version_ids=versions)
            secrets.read_current(account_ids=ids)
            secrets.list_held(account_ids=ids)
        counts.append(sum(not query["sql"].startswith("INSERT") for query in captured))
    assert counts[0] == counts[1]
