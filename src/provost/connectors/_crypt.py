"""Hashes of passwords in the forms that systems keep them in, so that these are told no password.

The underscore keeps this module out of the list of kinds.
"""

import base64
import hashlib
import secrets
from typing import Final, Literal

_ITOA64: Final = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_BASE64: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
ROUNDS: Final = 5000
_FORMS: Final = {"sha256": (hashlib.sha256, 21), "sha512": (hashlib.sha512, 22)}
"""SHA-crypt's hashes, and by how many bytes it goes on in a digest before it writes the next three."""


def hash_sha512(password: str, salt: str = "") -> str:
    """Return `$6$salt$...`, as crypt(5) has it."""
    salt = salt or draw_salt(16)
    return f"$6${salt}${crypt_sha('sha512', password.encode(), salt.encode())}"


def hash_cisco_scrypt(password: str, salt: str = "") -> str:
    """Return `$9$salt$...`, which Cisco calls type 9."""
    salt = salt or draw_salt(14)
    digest = hashlib.scrypt(password.encode(), salt=salt.encode(), n=16384, r=1, p=1, dklen=32)
    text = base64.b64encode(digest).decode().rstrip("=").translate(str.maketrans(_BASE64, _ITOA64))
    return f"$9${salt}${text}"


def draw_salt(length: int) -> str:
    """Return a new salt of so many characters."""
    return "".join(secrets.choice(_ITOA64) for _ in range(length))


def crypt_sha(form: Literal["sha256", "sha512"], key: bytes, salt: bytes) -> str:
    """Return the digest of SHA-crypt (Drepper, Unix crypt using SHA-256 and SHA-512)."""
    sha, stride = _FORMS[form]
    inner = sha(key + salt + key).digest()
    start = key + salt + _stretch(inner, len(key))
    length = len(key)
    while length:
        start += inner if length & 1 else key
        length >>= 1
    digest = sha(start).digest()
    keys = _stretch(sha(key * len(key)).digest(), len(key))
    salts = _stretch(sha(salt * (16 + digest[0])).digest(), len(salt))
    for turn in range(ROUNDS):
        digest = sha(
            (keys if turn & 1 else digest)
            + (salts if turn % 3 else b"")
            + (keys if turn % 7 else b"")
            + (digest if turn & 1 else keys)
        ).digest()
    third, rest = divmod(len(digest), 3)
    text = ""
    for turn in range(third):
        places = (turn * stride + shift for shift in (0, third, 2 * third))
        text += _write(bytes(digest[place % (3 * third)] for place in places))
    return text + _write(digest[: -rest - 1 : -1])


def _stretch(digest: bytes, length: int) -> bytes:
    return (digest * (length // len(digest) + 1))[:length]


def _write(data: bytes) -> str:
    """Return up to three bytes, six bits a character, the last ones first."""
    number = int.from_bytes(data, "big")
    return "".join(_ITOA64[number >> 6 * place & 63] for place in range(len(data) + 1))
