"""Which SSH keys Provost makes."""

from enum import StrEnum


class KeyAlgorithm(StrEnum):
    """Algorithms that a new key may have; the value is what `ssh-keygen -t` calls them, with a size for RSA."""

    ED25519 = "ed25519"
    RSA_3072 = "rsa-3072"
    RSA_4096 = "rsa-4096"
    ECDSA_P256 = "ecdsa-p256"
    ECDSA_P384 = "ecdsa-p384"
    ECDSA_P521 = "ecdsa-p521"
