import threading
from pathlib import Path
from uuid import UUID

import pytest

from provost.core.errors import VaultError
from provost.core.model import SecretType, Strategy
from provost.core.rights import make_local
from provost.core.secrets import Password

pytestmark = pytest.mark.usefixtures("database")

BY = make_local("tester")


def make_secrets(count: int) -> dict[UUID, Password]:
    """Store a current password for new accounts, and return them by account."""
    from provost.server.models import Account, Asset, Run, Task
    from provost.server.services import held, secrets

    asset = Asset.objects.create(name="web1", kind="memory", address="web1", port=1)
    accounts = Account.objects.bulk_create(
        Account(asset=asset, username=f"user{number}") for number in range(count)
    )
    made = {account.id: Password(f"password of {account.username}") for account in accounts}
    secrets.set_current(secrets=list(made.items()))
    held.hold_specified(run_id=Run.objects.create(action="push").id, secret=Password("specified"))
    task = Task.objects.create(name="nightly", spec={})
    held.hold_for_task(task_id=task.id, secret=Password("of the task"))
    return made


def read_all(wanted: dict[UUID, Password]) -> dict[UUID, object]:
    from provost.server.models import Run, Task
    from provost.server.services import held, secrets

    assert held.read_specified(run_id=Run.objects.get().id) == Password("specified")
    assert held.read_for_task(task_id=Task.objects.get().id) == Password("of the task")
    held = secrets.read_current(account_ids=wanted)
    return {account_id: of_it[SecretType.PASSWORD] for account_id, of_it in held.items()}


def forget_keyset() -> None:
    """What a fresh process knows."""
    from provost.server.services import keyring

    keyring._cached = None


def list_keys() -> tuple[int, ...]:
    from provost.server.services import keyring

    forget_keyset()
    return keyring.read_keyset().key_ids


def test_rotation_encrypts_everything_anew() -> None:
    """After a rotation there is one new key, every secret is under it, and all of them read as before."""
    from provost.server.models.secrets import AuditKey, SecretVersion, SpecifiedSecret, TaskSecret
    from provost.server.services.rotation import rotate_keys

    wanted = make_secrets(30)
    (old,) = list_keys()
    done = rotate_keys(by=BY)
    (new,) = list_keys()
    assert new == done.data_key != old
    assert done.secrets == 33
    rows = [
        row for model in (SecretVersion, SpecifiedSecret, TaskSecret, AuditKey) for row in model.objects.all()
    ]
    assert {row.key_id for row in rows} == {new}
    assert {int.from_bytes(bytes(row.ciphertext)[1:5], "big") for row in rows} == {new}
    assert read_all(wanted) == wanted


@pytest.mark.parametrize("master", [False, True])
def test_other_processes_go_on_with_the_keyset_they_know(master: bool) -> None:
    """Whoever read the keyset before a rotation reads all secrets after it, and writes with the new key."""
    from provost.server.models.secrets import SecretVersion
    from provost.server.services import keyring, secrets
    from provost.server.services.rotation import rotate_keys

    wanted = make_secrets(3)
    before = keyring._cached
    done = rotate_keys(by=BY, master=master)
    keyring._cached = before
    assert read_all(wanted) == wanted
    keyring._cached = before
    account_id = next(iter(wanted))
    (version,) = secrets.stage(run_id=None, secrets=[(account_id, Password("next"))], origin=Strategy.RANDOM)
    assert SecretVersion.objects.get(id=version).key_id == done.data_key


class Killed(BaseException):
    """As if the process had ended here."""


class Fuse:
    """Lets some calls pass, and kills at the one after them."""

    def __init__(self, calls: int) -> None:
        self.calls = calls

    def guard(self, owner: object, name: str, patch: pytest.MonkeyPatch) -> None:
        """Put the fuse in front of a function."""
        original = getattr(owner, name)

        def step(*args: object, **named: object) -> object:
            if not self.calls:
                raise Killed
            self.calls -= 1
            return original(*args, **named)

        patch.setattr(owner, name, step)


@pytest.mark.parametrize("master", [False, True])
@pytest.mark.parametrize("again_master", [False, True])
def test_rotation_may_be_killed_at_any_step_and_run_again(
    database: Path, monkeypatch: pytest.MonkeyPatch, master: bool, again_master: bool
) -> None:
    """Cut off before any of its writes, a rotation loses no secret, and running it again finishes it."""
    from provost.server.models.secrets import Keyset as KeysetRow
    from provost.server.models.secrets import SecretVersion
    from provost.server.services import rotation
    from provost.vault import cipher
    from provost.vault.masterkey import read_master_key

    monkeypatch.setattr(rotation, "CHUNK", 10)
    wanted = make_secrets(35)
    places = [
        (KeysetRow, "save"),
        (SecretVersion.objects, "bulk_update"),
        (cipher, "encrypt_specified"),
        (rotation, "replace_master_key"),
    ]
    for moment in range(40):
        fuse = Fuse(moment)
        with monkeypatch.context() as patch:
            for owner, name in places:
                fuse.guard(owner, name, patch)
            try:
                rotation.rotate_keys(by=BY, master=master)
                break
            except Killed:
                pass
        forget_keyset()
        assert read_all(wanted) == wanted
        if moment % 2:
            rotation.rotate_keys(by=BY, master=again_master)
            assert len(list_keys()) == 1
            assert read_all(wanted) == wanted
            forget_keyset()
    else:
        pytest.fail("the rotation never came to its end")
    assert moment > 4
    assert len(list_keys()) == 1
    assert read_all(wanted) == wanted
    row = KeysetRow.objects.get()
    assert row.master_key_id in read_master_key(database / "master.key").key_ids
    if master or again_master:
        assert read_master_key(database / "master.key").key_ids == (row.master_key_id,)


def test_new_master_key_replaces_the_old(database: Path) -> None:
    """After `--master` the file holds one new key, and the old file opens nothing any more."""
    from provost.server.services import keyring
    from provost.server.services.rotation import rotate_keys
    from provost.vault.masterkey import read_master_key

    wanted = make_secrets(3)
    file = database / "master.key"
    old = file.read_text()
    done = rotate_keys(by=BY, master=True)
    new = file.read_text()
    assert read_master_key(file).key_ids == (done.master_key,)
    assert file.stat().st_mode & 0o777 == 0o600
    file.write_text(old)
    forget_keyset()
    with pytest.raises(VaultError, match=f"master key {done.master_key} is wanted") as caught:
        keyring.read_keyset()
    assert caught.value.code == "master_key_wrong"
    file.write_text(new)
    assert read_all(wanted) == wanted


def test_secret_that_does_not_decrypt_keeps_the_old_key() -> None:
    """One damaged secret is named, the others are encrypted anew, and its key stays until it is forgotten."""
    from provost.server.models.secrets import SecretVersion
    from provost.server.services.accounts import forget_account
    from provost.server.services.rotation import rotate_keys

    wanted = make_secrets(5)
    damaged = next(iter(wanted))
    row = SecretVersion.objects.get(account_id=damaged)
    *whole, last = bytes(row.ciphertext)
    row.ciphertext = bytes([*whole, last ^ 1])
    row.save()
    with pytest.raises(VaultError, match=r"1 secrets cannot be encrypted anew.*user0@web1") as caught:
        rotate_keys(by=BY)
    assert caught.value.code == "rotation_unfinished"
    assert len(list_keys()) == 2
    assert SecretVersion.objects.exclude(key_id=row.key_id).count() == 4
    del wanted[damaged]
    assert read_all(wanted) == wanted
    forget_account(by=BY, username="user0", asset="web1")
    rotate_keys(by=BY)
    assert len(list_keys()) == 1
    assert read_all(wanted) == wanted


def test_pushes_go_on_during_rotations() -> None:
    """While secrets are staged and promoted without pause, rotations come and go, and all read back."""
    from django.db import connection

    from provost.server.services import secrets
    from provost.server.services.rotation import rotate_keys

    wanted = make_secrets(40)
    ids = list(wanted)
    over = threading.Event()
    failures: list[BaseException] = []
    rounds = 0

    def push() -> None:
        nonlocal rounds
        try:
            while not over.is_set() or rounds < 3:
                rounds += 1
                fresh = [(one, Password(f"round {rounds} of {one}")) for one in reversed(ids)]
                versions = secrets.stage(run_id=None, secrets=fresh, origin=Strategy.RANDOM)
                secrets.promote(version_ids=versions)
                wanted.update(fresh)
                assert read_all(wanted) == wanted
        except BaseException as error:  # noqa: BLE001  # it is raised again in the test's own thread
            failures.append(error)
        finally:
            connection.close()

    worker = threading.Thread(target=push)
    worker.start()
    try:
        for _ in range(5):
            rotate_keys(by=BY)
    finally:
        over.set()
        worker.join()
    assert not failures, failures
    rotate_keys(by=BY)
    assert len(list_keys()) == 1
    assert read_all(wanted) == wanted
