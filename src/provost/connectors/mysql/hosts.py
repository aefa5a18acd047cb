"""Whom a server takes a client for: several accounts may have one username, and the host decides."""

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

_ADDRESSES: Final = re.compile(r"[0-9a-f.:%_/]+")


class Claim(Enum):
    """Whether a client with an account's username is taken for that account."""

    OURS = auto()
    THEIRS = auto()
    UNSURE = auto()


@dataclass(frozen=True, slots=True)
class Client:
    """Where a client is: as the server tells it, and the addresses that this may mean (none: not known)."""

    host: str
    addresses: tuple[str, ...]

    @classmethod
    def read(cls, host: str, address: str | None = None) -> "Client":
        """Return the client of a host, which is an address, or a name that the server has resolved."""
        if _is_address(host):
            return cls(host, (host,))
        if host == "localhost":
            return cls(host, ("127.0.0.1", "::1"))
        return cls(host, (address,) if address else ())


def attribute(mine: str, others: Iterable[str], client: Client) -> Claim:
    """Tell whether a client is taken for the account of the host pattern `mine`, or for one of `others`.

    The more specific pattern wins.
    """
    matched = match(mine, client)
    rivals = {other: sure for other in others if (sure := match(other, client)) is not False}
    if matched is False:
        return Claim.THEIRS
    if not rivals or (matched and all(_is_more_specific(mine, rival) for rival in rivals)):
        return Claim.OURS
    if any(sure and _is_more_specific(rival, mine) for rival, sure in rivals.items()):
        return Claim.THEIRS
    return Claim.UNSURE


def match(pattern: str, client: Client) -> bool | None:
    """Tell whether a client is meant by a host pattern; None: it may be."""
    if _fits(pattern, client.host):
        return True
    fitting = [_fits(pattern, address) for address in client.addresses]
    if fitting:
        return True if all(fitting) else None if any(fitting) else False
    return None if _ADDRESSES.fullmatch(pattern) else False


def _fits(pattern: str, host: str) -> bool:
    if "/" in pattern:
        try:
            return ipaddress.ip_address(host) in ipaddress.ip_network(pattern, strict=False)
        except ValueError:
            return False
    wanted = "".join({"%": ".*", "_": "."}.get(letter, re.escape(letter)) for letter in pattern)
    return re.fullmatch(wanted, host, re.IGNORECASE) is not None


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
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


def read_listed(listed: str) -> Client:
    """Return the client of a list of connections, which adds its port to the host."""
    name, _, port = listed.rpartition(":")
    return Client.read(name.strip("[]") if name and port.isdigit() else listed)
