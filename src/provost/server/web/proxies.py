"""Who a request really comes from, when proxies are in between."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Final

_SANE_ID: Final = re.compile(rb"[A-Za-z0-9._:-]{1,64}")

Headers = Iterable[tuple[bytes, bytes]]


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a request comes from: the client's address, whether it came by TLS, the id that a proxy gave it."""

    source: str
    secure: bool
    request_id: str | None = None


def find_origin(
    peer: str, *, secure: bool, headers: Headers, trusted: Sequence[IPv4Network | IPv6Network]
) -> Origin:
    """Return the origin of a request that came from `peer`. Only trusted proxies are believed.

    X-Forwarded-For is read from the right: each trusted proxy vouches for the address that it adds.
    """
    address = _parse(peer)
    if not _is_trusted(address, trusted):
        return Origin(peer if address is None else str(address), secure)
    told: dict[bytes, list[bytes]] = {}
    for name, value in headers:
        told.setdefault(name.lower(), []).extend(part.strip() for part in value.split(b","))
    for hop in reversed(told.get(b"x-forwarded-for", [])):
        if (before := _parse(hop.decode("latin-1"))) is None:
            break
        address = before
        if not _is_trusted(address, trusted):
            break
    request_id = told.get(b"x-request-id", [b""])[-1]
    return Origin(
        str(address),
        secure or told.get(b"x-forwarded-proto", [b""])[-1].lower() == b"https",
        request_id.decode() if _SANE_ID.fullmatch(request_id) else None,
    )


def _parse(text: str) -> IPv4Address | IPv6Address | None:
    try:
        address = ip_address(text)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def _is_trusted(
    address: IPv4Address | IPv6Address | None, trusted: Sequence[IPv4Network | IPv6Network]
) -> bool:
    return address is not None and any(address in network for network in trusted)
