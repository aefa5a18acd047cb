import json
import os
from pathlib import Path
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provost.core.errors import VaultError
from provost.core.model import SecretType
from provost.core.secrets import Password, Secret, SshKey
from provost.vault import cipher
from provost.vault.keyset import DataKeyUnknown, Keyset
from provost.vault.masterkey import create_master_key, read_master_key, replace_master_key, unwrap_keyset

KEYSET = Keyset.generate()
ACCOUNT = uuid4()


@given(
    st.one_of(
        st.builds(Password, st.text(st.characters())),
        st.builds(SshKey, st.text(), st.none() | st.text()),
    )
)
def test_secret_comes_back_exactly(secret: Secret) -> None:
    """Whatever characters a secret has, decrypting gives the same secret."""
    encrypted = cipher.encrypt_secret(KEYSET, secret, account_id=ACCOUNT, version=3)
    assert (
        cipher.decrypt_secret(KEYSET, encrypted, account_id=ACCOUNT, secret_type=secret.secret_type, version=3)
        == secret
    )


@pytest.mark.parametrize(
    "elsewhere",
    [
        {"account_id": uuid4()},
        {"secret_type": SecretType.SSH_KEY},
        {"version": 2},
    ],
)
def test_moved_secret_does_not_decrypt(elsewhere: dict[str, object]) -> None:
    """A ciphertext put to another account, type or version is refused, without a word of its content."""
    encrypted = cipher.encrypt_secret(KEYSET, Password("hush-hush"), account_id=ACCOUNT, version=1)
    place = {"account_id": ACCOUNT, "secret_type": SecretType.PASSWORD, "version": 1} | elsewhere
    with pytest.raises(VaultError) as caught:
        cipher.decrypt_secret(KEYSET, encrypted, **place)  # type: ignore[arg-type]
    assert caught.value.code == "secret_does_not_decrypt"
    assert "hush-hush" not in str(caught.value)


def test_specified_secret_belongs_to_its_run() -> None:
    """A run's own secret decrypts for that run alone."""
    run = str(uuid4())
    encrypted = cipher.encrypt_specified(KEYSET, Password("x"), holder=run)
    assert cipher.decrypt_specified(KEYSET, encrypted, holder=run) == Password("x")
    with pytest.raises(VaultError):
        cipher.decrypt_specified(KEYSET, encrypted, holder=str(uuid4()))


def test_added_key_encrypts_and_old_one_still_decrypts() -> None:
    """With a new key added, the secrets of both keys decrypt; with the old one dropped, only the new one's."""
    old = Keyset.generate()
    before = old.encrypt(b"before", b"")
    both = old.add_primary()
    after = both.encrypt(b"after", b"")
    assert both.decrypt(before, b"") == b"before"
    new = both.keep(both.primary_key_id)
    assert new.decrypt(after, b"") == b"after"
    with pytest.raises(DataKeyUnknown, match=str(old.primary_key_id)):
        new.decrypt(before, b"")


@given(st.binary(max_size=40))
def test_damaged_ciphertext_is_refused(encrypted: bytes) -> None:
    """No bytes make decryption fail in another way than by a VaultError."""
    with pytest.raises(VaultError):
        KEYSET.decrypt(encrypted, b"")


def test_master_key_file_is_private_and_fits(tmp_path: Path) -> None:
    """A new master key file has mode 0600, is never overwritten, and unwraps what it wrapped."""
    path = tmp_path / "master.key"
    master = create_master_key(path)
    assert path.stat().st_mode & 0o777 == 0o600
    with pytest.raises(FileExistsError):
        create_master_key(path)
    assert [path] == list(tmp_path.iterdir())
    wrapped = KEYSET.wrap(master)
    assert unwrap_keyset(path, wrapped, master.primary_key_id).key_ids == KEYSET.key_ids


def test_missing_master_key_says_which_is_wanted(tmp_path: Path) -> None:
    """Without its file, the error names the file and the key that is wanted."""
    with pytest.raises(VaultError, match="Put the file that holds master key 4711 back") as caught:
        read_master_key(tmp_path / "master.key", 4711)
    assert caught.value.code == "master_key_missing"


def test_wrong_master_key_says_which_are_there(tmp_path: Path) -> None:
    """With another vault's file, the error names the key that is wanted and those that the file holds."""
    path = tmp_path / "master.key"
    other = create_master_key(path)
    master = Keyset.generate()
    with pytest.raises(
        VaultError, match=f"{master.primary_key_id} is wanted.* holds {other.primary_key_id}"
    ) as caught:
        unwrap_keyset(path, KEYSET.wrap(master), master.primary_key_id)
    assert caught.value.code == "master_key_wrong"


def test_master_key_with_right_id_and_wrong_key_is_wrong(tmp_path: Path) -> None:
    """A key id that happens to be the same does not pass for the key."""
    path = tmp_path / "master.key"
    master = Keyset.generate()
    forged = json.loads(Keyset.generate().serialize())
    forged["primaryKeyId"] = forged["key"][0]["keyId"] = master.primary_key_id
    replace_master_key(path, Keyset.parse(json.dumps(forged)))
    with pytest.raises(VaultError) as caught:
        unwrap_keyset(path, KEYSET.wrap(master), master.primary_key_id)
    assert caught.value.code == "master_key_wrong"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_somebody_elses_master_key_is_refused(tmp_path: Path) -> None:
    """A key file that another user made, and may know, is not used."""
    path = tmp_path / "master.key"
    create_master_key(path)
    os.chown(path, 12345, -1)
    with pytest.raises(VaultError) as caught:
        read_master_key(path)
    assert caught.value.code == "master_key_exposed"


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
def test_exposed_master_key_is_refused(tmp_path: Path, mode: int) -> None:
    """A master key file that others may use is refused with the command that mends it."""
    path = tmp_path / "master.key"
    create_master_key(path)
    path.chmod(mode)
    with pytest.raises(VaultError, match=f"chmod 600 {path}") as caught:
        read_master_key(path)
    assert caught.value.code == "master_key_exposed"


@pytest.mark.parametrize("content", [b"", b"hush-hush", b'{"key": "hush-hush"}', b"\xff\xfe", b"[]"])
def test_unreadable_master_key_shows_nothing_of_it(tmp_path: Path, content: bytes) -> None:
    """A file that is no keyset gives an error without its content."""
    path = tmp_path / "master.key"
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(VaultError) as caught:
        read_master_key(path, 1)
    assert caught.value.code == "master_key_unreadable"
    assert "hush" not in str(caught.value)


def test_interrupted_replacement_keeps_old_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A write that is cut off before its rename leaves the old file whole, and the next one succeeds."""
    path = tmp_path / "master.key"
    old = create_master_key(path)

    def fail(_: int) -> None:
        raise OSError("the power went out")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fail)
        with pytest.raises(OSError, match="power"):
            replace_master_key(path, old.add_primary())
    assert read_master_key(path).key_ids == old.key_ids
    replace_master_key(path, old.add_primary())
    assert len(read_master_key(path).key_ids) == 2
