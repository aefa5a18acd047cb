import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import dsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from provost.core.errors import Refused
from provost.core.keys import KeyAlgorithm, fingerprint
from provost.vault.keys import generate_key, read_key, read_private_key, read_public_key

PASSPHRASE = "correct horse"


@pytest.mark.parametrize("algorithm", KeyAlgorithm)
def test_generated_key_is_what_openssh_reads(algorithm: KeyAlgorithm, tmp_path: Path) -> None:
    """ssh-keygen reads a generated key and finds the same public half, algorithm and fingerprint."""
    key = generate_key(algorithm)
    assert key.private is not None
    file = tmp_path / "key"
    file.touch(0o600)
    file.write_text(key.private)
    public = subprocess.run(["ssh-keygen", "-y", "-f", file], capture_output=True, text=True, check=True).stdout
    assert public.split()[:2] == key.public.split()
    shown = subprocess.run(["ssh-keygen", "-l", "-f", file], capture_output=True, text=True, check=True).stdout
    assert fingerprint(key.public) in shown
    name, _, size = algorithm.value.partition("-")
    assert f"({name.upper()})" in shown
    assert size.lstrip("p") in shown
    assert read_private_key(key.private) == key
    assert read_public_key(key.public + " a comment").public == key.public


@pytest.mark.parametrize("form", ["RFC4716", "PEM", "PKCS8"])
@pytest.mark.parametrize("kind", ["ed25519", "rsa", "ecdsa"])
@pytest.mark.parametrize("passphrase", ["", PASSPHRASE])
def test_key_files_of_all_forms_are_read(form: str, kind: str, passphrase: str, tmp_path: Path) -> None:
    """OpenSSH, PEM and PKCS #8 files are read with and without a passphrase, and come back without it."""
    file = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", kind, "-m", form, "-N", passphrase, "-f", file], check=True)
    public = " ".join((tmp_path / "key.pub").read_text().split()[:2])
    text = file.read_text()
    if passphrase:
        with pytest.raises(Refused) as caught:
            read_private_key(text)
        assert caught.value.code == "key_passphrase_needed"
        with pytest.raises(Refused) as caught:
            read_private_key(text, "wrong horse")
        assert caught.value.code == "key_passphrase_wrong"
    key = read_key(text, PASSPHRASE)
    assert key.public == public
    assert key.private is not None
    assert read_private_key(key.private) == key


def test_public_key_alone_has_no_private_half(tmp_path: Path) -> None:
    """A public key file gives a key without private half, whatever its comment and blank lines."""
    file = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "me @ home", "-f", file], check=True)
    text = (tmp_path / "key.pub").read_text()
    key = read_key(f"# mine\n\n{text}\n")
    assert key.private is None
    assert key.public == " ".join(text.split()[:2])


def test_short_rsa_key_is_refused(tmp_path: Path) -> None:
    """RSA below 2048 bits is refused, private and public."""
    file = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "rsa", "-b", "1024", "-N", "", "-f", file], check=True)
    for part in (file, tmp_path / "key.pub"):
        with pytest.raises(Refused) as caught:
            read_key(part.read_text())
        assert caught.value.code == "key_weak"


def test_dsa_key_is_refused() -> None:
    """A DSA key is refused by what it is, without a warning."""
    key = dsa.generate_private_key(2048)
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    with pytest.raises(Refused) as caught:
        read_key(pem)
    assert caught.value.code == "key_weak"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "hush-hush",
        "ssh-ed25519",
        "ssh-ed25519 AAAA",
        "ssh-ed25519 !!!!",
        "ssh-rsa AAAAC3NzaC1lZDI1NTE5AAAAIHush",
        "-----BEGIN OPENSSH PRIVATE KEY-----\nhush-hush\n-----END OPENSSH PRIVATE KEY-----\n",
        "-----BEGIN PRIVATE KEY-----\naHVzaC1odXNo\n-----END PRIVATE KEY-----\n",
        "-----BEGIN PRIVATE KEY-----\n\udcff\n-----END PRIVATE KEY-----\n",
        "ssh-ed25519 AAAA\nssh-ed25519 AAAA",
    ],
)
def test_what_is_no_key_is_refused_without_being_shown(text: str) -> None:
    """Text that is no key gives `key_unreadable`, and the message shows nothing of it."""
    with pytest.raises(Refused) as caught:
        read_key(text, "a passphrase")
    assert caught.value.code == "key_unreadable"
    assert "hush" not in str(caught.value).lower()


def test_public_key_of_security_key_keeps_its_type() -> None:
    """A FIDO key's public half is kept as it is: as the plain type it would let nobody in."""
    blob = (
        "AAAAGnNrLXNzaC1lZDI1NTE5QG9wZW5zc2guY29tAAAAIOLw0cjUZNpXqMVFfPJ5p8LcN8PWvuT/aWEmRoLGdrzIAAAABHNzaDo="
    )
    line = f"sk-ssh-ed25519@openssh.com {blob}"
    assert read_public_key(line).public == line
