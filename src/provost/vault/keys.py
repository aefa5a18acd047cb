"""SSH keys: made, and read in the forms that people have them in."""

import base64
import warnings
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes, PublicKeyTypes
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_ssh_private_key,
    load_ssh_public_key,
)

from provost.core.errors import Refused
from provost.core.keys import KeyAlgorithm
from provost.core.secrets import SshKey

_SHORTEST_RSA: Final = 2048
_CURVES: Final = (ec.SECP256R1, ec.SECP384R1, ec.SECP521R1)
_PUBLIC_TYPES: Final = frozenset(
    {
        "ssh-ed25519",
        "ssh-rsa",
        "ecdsa-sha2-nistp256",
        "ecdsa-sha2-nistp384",
        "ecdsa-sha2-nistp521",
        "sk-ssh-ed25519@openssh.com",
        "sk-ecdsa-sha2-nistp256@openssh.com",
    }
)


def generate_key(algorithm: KeyAlgorithm) -> SshKey:
    """Make a new key pair."""
    return _export(_generate(algorithm))


def _generate(
    algorithm: KeyAlgorithm,
) -> ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey:
    match algorithm:
        case KeyAlgorithm.ED25519:
            return ed25519.Ed25519PrivateKey.generate()
        case KeyAlgorithm.RSA_3072:
            return rsa.generate_private_key(65537, 3072)
        case KeyAlgorithm.RSA_4096:
            return rsa.generate_private_key(65537, 4096)
        case KeyAlgorithm.ECDSA_P256:
            return ec.generate_private_key(ec.SECP256R1())
        case KeyAlgorithm.ECDSA_P384:
            return ec.generate_private_key(ec.SECP384R1())
        case KeyAlgorithm.ECDSA_P521:
            return ec.generate_private_key(ec.SECP521R1())


def read_key(text: str, passphrase: str | None = None) -> SshKey:
    """Read a key file: a private key, or a public key alone.

    Raises:
        Refused: as `read_private_key` and `read_public_key`.
    """
    if "PRIVATE KEY-----" in text:
        return read_private_key(text, passphrase)
    return read_public_key(text)


def read_private_key(text: str, passphrase: str | None = None) -> SshKey:
    """Read a private key in OpenSSH's form, PEM or PKCS #8. It is returned without its passphrase.

    Raises:
        Refused: `key_passphrase_needed`, `key_passphrase_wrong`, `key_unreadable`, or `key_weak` for DSA, RSA
            below 2048 bits, and what OpenSSH does not accept.
    """
    openssh = "BEGIN OPENSSH PRIVATE KEY" in text
    load = load_ssh_private_key if openssh else load_pem_private_key
    try:
        data = text.strip().encode() + b"\n"
        with warnings.catch_warnings(action="ignore"):  # for old kinds of keys, which are refused below
            try:
                key: PrivateKeyTypes = load(data, None)
            except TypeError:  # how cryptography says that a passphrase is needed
                key = _unlock(load, data, passphrase)
                openssh = False
    except (ValueError, UnsupportedAlgorithm):
        raise Refused(
            "That is not a private key that can be read: OpenSSH's form, PEM or PKCS #8 is wanted.",
            code="key_unreadable",
        ) from None
    exported = _export(key)
    # The form has a random number in it: what is in this form already stays the same when it is read again.
    return replace(exported, private=data.decode()) if openssh else exported


def _unlock(
    load: Callable[[bytes, bytes], PrivateKeyTypes], data: bytes, passphrase: str | None
) -> PrivateKeyTypes:
    if passphrase is None:
        raise Refused(
            "The private key is locked by a passphrase, which was not given.", code="key_passphrase_needed"
        )
    try:
        return load(data, passphrase.encode())
    except ValueError:
        raise Refused("The passphrase does not open the private key.", code="key_passphrase_wrong") from None


def read_public_key(text: str) -> SshKey:
    """Read one line of an OpenSSH public key file; its comment is dropped.

    Raises:
        Refused: `key_unreadable`, or `key_weak` as `read_private_key`.
    """
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    words = lines[0].split() if len(lines) == 1 else []
    if len(words) < 2 or words[0] not in _PUBLIC_TYPES:  # noqa: PLR2004  # a type and a blob
        raise Refused(
            "That is not an OpenSSH public key: one line is wanted, its type and its key "
            f"(types: {', '.join(sorted(_PUBLIC_TYPES))}).",
            code="key_unreadable",
        )
    try:
        public = f"{words[0]} {base64.b64encode(base64.b64decode(words[1], validate=True)).decode()}"
        _check_strength(load_ssh_public_key(public.encode()))
    except (ValueError, UnsupportedAlgorithm):
        raise Refused("The OpenSSH public key is damaged.", code="key_unreadable") from None
    return SshKey(public=public)


def _export(key: PrivateKeyTypes) -> SshKey:
    public = key.public_key()
    _check_strength(public)
    return SshKey(
        public=public.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode(),
        private=key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()).decode(),
    )


def _check_strength(key: PublicKeyTypes) -> None:
    if isinstance(key, rsa.RSAPublicKey):
        if key.key_size < _SHORTEST_RSA:
            raise Refused(
                f"An RSA key of {key.key_size} bits is too weak: {_SHORTEST_RSA} is the least.", code="key_weak"
            )
    elif isinstance(key, ec.EllipticCurvePublicKey):
        if not isinstance(key.curve, _CURVES):
            raise Refused(f"OpenSSH does not know keys on the curve {key.curve.name}.", code="key_weak")
    elif not isinstance(key, ed25519.Ed25519PublicKey):
        raise Refused("Only Ed25519, ECDSA and RSA keys are accepted.", code="key_weak")
