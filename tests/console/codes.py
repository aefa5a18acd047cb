"""The codes that an app shows (RFC 6238), for tests that sign in with them."""

import base64
import hmac
import struct
import time


def make_code(secret: str, *, ahead: int = 0) -> str:
    """Return the code of now, or of so many half minutes `ahead`."""
    counter = struct.pack(">Q", int(time.time()) // 30 + ahead)
    digest = hmac.digest(base64.b32decode(secret), counter, "sha1")
    place = digest[-1] & 15
    return f"{(int.from_bytes(digest[place : place + 4], 'big') & 0x7FFFFFFF) % 1_000_000:06}"
