"""Which SSH keys Provost makes, and how a key is told from others."""

import base64
import binascii
import hashlib
import re
from enum import StrEnum
from typing import Final

from provost.core.errors import Refused
from provost.core.facts import KeyFacts

# sshd(8), AUTHORIZED_KEYS FILE FORMAT: options hold spaces within double quotes alone.
_KEY_LINE: Final = re.compile(
    r'(?:(?P<options>(?:"(?:[^"\\]|\\.)*"|[^\s"])+)[ \t]+)?'
    r"(?P<algorithm>(?:ssh|ecdsa|sk)-[a-z0-9@.-]+)[ \t]+(?P<blob>[A-Za-z0-9+/]+={0,2})"
    r"(?:[ \t]+(?P<comment>.*))?"
)


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


def read_key_line(line: str) -> KeyFacts | None:
    """Return the key that a line of authorized_keys holds; None: to sshd, it holds none."""
    match = _KEY_LINE.fullmatch(line.strip())
    if match is None or match[0].startswith("#"):
        return None
    algorithm = match["algorithm"]
    try:
        blob = binascii.a2b_base64(match["blob"], strict_mode=True)
    except binascii.Error:
        return None
    # RFC 4253, 6.6: a blob begins with its own name, and that counts.
    if blob[4 : 4 + len(algorithm)] != algorithm.encode() or int.from_bytes(blob[:4]) != len(algorithm):
        return None
    return KeyFacts(
        fingerprint=fingerprint(f"{algorithm} {match['blob']}"),
        algorithm=algorithm,
        comment=match["comment"] or "",
        options=match["options"] or "",
    )
