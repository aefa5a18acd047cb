"""Which SSH keys Provost makes, and how a key is told from others."""

import base64
import binascii
import hashlib
from enum import StrEnum

from provost.core.errors import Refused


class KeyAlgorithm(StrEnum):
    """Algorithms that a new key may have; the value is what `ssh-keygen -t` calls them, with a size for RSA."""

    ED25519 = "ed25519"
    RSA_3072 = "rsa-3072"
    RSA_4096 = "rsa-4096"
    ECDSA_P256 = "ecdsa-p256"
    ECDSA_P384 = "ecdsa-p384"
    ECDSA_P521 = "ecdsa-p521"


def fingerprint(public: str) -> str:
    """Return the fingerprint of an OpenSSH public key line, as ssh-keygen -l shows it: SHA256:..."""
    try:
        digest = hashlib.sha256(binascii.a2b_base64(public.split()[1])).digest()
    except (IndexError, binascii.Error):
        raise Refused("That is not an OpenSSH public key.", code="key_unreadable") from None
    return "SHA256:" + base64.b64encode(digest).decode().rstrip("=")
