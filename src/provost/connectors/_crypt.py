"""Hashes of passwords in the forms that systems keep them in, so that these are told no password.

The underscore keeps this module out of the list of kinds.
"""

import base64
import hashlib
import secrets
from typing import Final

_ITOA64: Final = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_BASE64: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_ROUNDS: Final = 5000
_SALT_LENGTH: Final = {"sha512": 16, "cisco": 14}


def hash_sha512(password: str, salt: str = "") -> str:
    """Return `$6$salt$...`, as crypt(5) has it (Drepper, Unix crypt using SHA-256 and SHA-512)."""
    salt = salt or _draw_salt("sha512")
    key, grain = password.encode(), salt.encode()
    inner = hashlib.sha512(key + grain + key).digest()
    outer = hashlib.sha512(key + grain + _stretch(inner, len(key)))
    length = len(key)
    while length:
        outer.update(inner if length & 1 else key)
        length >>= 1
    digest = outer.digest()
    keys = _stretch(hashlib.sha512(key * len(key)).digest(), len(key))
    grains = _stretch(hashlib.sha512(grain * (16 + digest[0])).digest(), len(grain))
    for index in range(_ROUNDS):
        step = hashlib.sha512(keys if index & 1 else digest)
        if index % 3:
            step.update(grains)
        if index % 7:
            step.update(keys)
        step.update(digest if index & 1 else keys)
        digest = step.digest()
    text = ""
    for index in range(21):
        first, second, third = ((index + shift) for shift in (0, 21, 42))
        order = ((first, second, third), (second, third, first), (third, first, second))[index % 3]
        text += _write(int.from_bytes(bytes(digest[place] for place in order), "big"), 4)
    return f"$6${salt}${text}{_write(digest[63], 2)}"


def hash_cisco_scrypt(password: str, salt: str = "") -> str:
    """Return `$9$salt$...`, which Cisco calls type 9."""
    salt = salt or _draw_salt("cisco")
    digest = hashlib.scrypt(password.encode(), salt=salt.encode(), n=16384, r=1, p=1, dklen=32)
    text = base64.b64encode(digest).decode().rstrip("=").translate(str.maketrans(_BASE64, _ITOA64))
    return f"$9${salt}${text}"


def _draw_salt(form: str) -> str:
    return "".join(secrets.choice(_ITOA64) for _ in range(_SALT_LENGTH[form]))


def _stretch(digest: bytes, length: int) -> bytes:
    return (digest * (length // len(digest) + 1))[:length]


def _write(number: int, count: int) -> str:
    return "".join(_ITOA64[number >> 6 * place & 63] for place in range(count))
