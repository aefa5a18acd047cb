"""What a server keeps of a password, made on this side: no plaintext is in any statement, nor in a log."""

import hashlib
from base64 import b64encode
from enum import StrEnum
from typing import Final

from nacl.bindings import crypto_scalarmult_ed25519_base_noclamp

from provost.connectors._crypt import ROUNDS, crypt_sha, draw_salt


class Plugin(StrEnum):
    """The ways to log in by a password whose verifiers Provost can make."""

    NATIVE = "mysql_native_password"
    ED25519 = "ed25519"
    SHA2 = "caching_sha2_password"


_SALT_LENGTH: Final = 20

UNFINISHED: Final = {
    Plugin.NATIVE: "*" + b"Provost: unfinished!".hex().upper(),
    Plugin.SHA2: "$A$005$Provost.unfinished.." + "Provost.unfinished...".ljust(43, "."),
}
"""What an account has in place of a verifier until its creation is finished: nobody knows a password for it."""


def make_verifier(plugin: Plugin, password: str) -> str:
    """Return what a server keeps of a password under a plugin."""
    return _MAKERS[plugin](password.encode())


def hash_native(password: bytes) -> str:
    """Return the hash of mysql_native_password."""
    return "*" + hashlib.sha1(hashlib.sha1(password).digest()).hexdigest().upper()  # noqa: S324  # the protocol's


def derive_ed25519(password: bytes) -> str:
    """Return the public key that MariaDB's ed25519 keeps: of a seed of any length, unlike RFC 8032's."""
    scalar = bytearray(hashlib.sha512(password).digest()[:32])
    scalar[0] &= 248
    scalar[31] = scalar[31] & 127 | 64
    return b64encode(crypto_scalarmult_ed25519_base_noclamp(bytes(scalar))).decode().rstrip("=")


def hash_sha2(password: bytes, salt: bytes | None = None) -> str:
    """Return the hash of caching_sha2_password: SHA-crypt, with a salt longer than crypt(3)'s."""
    salt = salt or draw_salt(_SALT_LENGTH).encode()
    return f"$A${ROUNDS // 1000:03X}${salt.decode('latin-1')}{crypt_sha256(password, salt)}"


def crypt_sha256(password: bytes, salt: bytes) -> str:
    """Return the digest of SHA-crypt by SHA-256."""
    return crypt_sha("sha256", password, salt)


_MAKERS: Final = {Plugin.NATIVE: hash_native, Plugin.ED25519: derive_ed25519, Plugin.SHA2: hash_sha2}
