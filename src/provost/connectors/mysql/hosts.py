"""Whom a server takes a client for: several accounts may have one username, and the host decides."""

import ipaddress
import re
from collections.abc import Iterable
from enum import Enum, auto
from typing import Final

_ADDRESS: Final = re.compile(r"[0-9a-f.:%_/]+")


class Claim(Enum):
    """Whether a client with an account's username is taken for that account."""

    OURS = auto()
    THEIRS = auto()
    UNSURE = auto()


def attribute(mine: str, others: Iterable[str], client: str) -> Claim:
    """Tell whether a client is taken for the account of the host pattern `mine`, or for one of `others`.

    The more specific pattern wins. `client` is a host as the server tells it: a name that it resolved, or an
    address; what a name's address is, is not known here.
    """
    rivals = [other for other in others if can_match(other, client)]
    if not can_match(mine, client):
        return Claim.THEIRS
    if not rivals or (
        _surely_matches(mine, client) and all(_is_more_specific(mine, rival) for rival in rivals)
    ):
        return Claim.OURS
    if any(_is_more_specific(rival, mine) and _surely_matches(rival, client) for rival in rivals):
        return Claim.THEIRS
    return Claim.UNSURE


def can_match(pattern: str, client: str) -> bool:
    """Tell whether a client may be meant by a host pattern; False only if it certainly is not."""
    return _surely_matches(pattern, client) or (
        _ADDRESS.fullmatch(pattern) is not None and not _is_address(client)
    )


def _surely_matches(pattern: str, client: str) -> bool:
    if "/" in pattern:
        try:
            return ipaddress.ip_address(client) in ipaddress.ip_network(pattern, strict=False)
        except ValueError:
            return False
    wanted = "".join({"%": ".*", "_": "."}.get(letter, re.escape(letter)) for letter in pattern)
    return re.fullmatch(wanted, client, re.IGNORECASE) is not None


def _is_address(client: str) -> bool:
    try:
        ipaddress.ip_address(client)
    except ValueError:
        return False
    return True


def _is_more_specific(one: str, other: str) -> bool:
    """Tell whether a pattern surely comes before another: what servers do with networks differs by version."""
    if "/" in one + other:
        return "/" in one and other == "%"
    return _measure(one) > _measure(other)


def _measure(pattern: str) -> int:
    wildcard = re.search("[%_]", pattern)
    return wildcard.start() if wildcard else len(pattern) + 255


def read_client(host: str) -> str:
    """Return the client of a list of connections, which adds its port."""
    name, _, port = host.rpartition(":")
    return name.strip("[]") if name and port.isdigit() else host
