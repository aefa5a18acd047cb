"""Sends a delivery to a webhook, once: a signed POST, to an address that is looked up and checked first.

Private addresses are usual here and allowed.  Refused are the networks of PROVOST_WEBHOOK_REFUSED_NETWORKS;
the connection is made to the very address that was checked.  Nothing of the answer but its status is read, so
that a webhook shows nobody what it can reach.
"""

import asyncio
import os
import socket
import ssl
import time
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import Final
from urllib.parse import urlsplit

import httpx
from django.conf import settings

from provost import __version__
from provost.core.notices import sign, write_body
from provost.server.services.deliveries import Fate, Parcel, Receipt

_PATIENCE: Final = 10.0
_GONE: Final = 410
_NAT64: Final = IPv6Network("64:ff9b::/96")


async def send(parcel: Parcel) -> Receipt:
    """Try once, for at most ten seconds, and return how it ended."""
    if parcel.secret is None:
        return Receipt(Fate.LATER, error=parcel.fault)
    try:
        async with asyncio.timeout(_PATIENCE):
            addresses = await look_up(parcel.address)
            if not addresses:
                return Receipt(Fate.NEVER, error="Webhooks are not sent to the network that the address is in.")
            return _judge(await _post(parcel, addresses))
    except (TimeoutError, httpx.TimeoutException):
        return Receipt(Fate.LATER, error=f"There was no answer within {_PATIENCE:.0f} seconds.")
    except (OSError, httpx.TransportError) as error:
        return Receipt(Fate.LATER, error=_explain(error))


async def look_up(url: str) -> list[IPv4Address | IPv6Address]:
    """Return the addresses of a URL's host, but for those that are refused."""
    parts = urlsplit(url)
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(parts.hostname, parts.port or parts.scheme, type=socket.SOCK_STREAM)
    addresses = dict.fromkeys(ip_address(one[4][0]) for one in found)
    return [address for address in addresses if not _is_refused(address)]


def _is_refused(address: IPv4Address | IPv6Address) -> bool:
    plain = _unwrap(address) if isinstance(address, IPv6Address) else address
    # To connect to the unspecified address is to connect to this machine.
    return plain.is_unspecified or any(plain in network for network in settings.WEBHOOK_REFUSED_NETWORKS)


def _unwrap(address: IPv6Address) -> IPv4Address | IPv6Address:
    """Return the IPv4 address that an IPv6 address stands for, mapped or translated, or the address itself."""
    if address in _NAT64:
        return IPv4Address(address.packed[-4:])
    return address.ipv4_mapped or address


async def _post(parcel: Parcel, addresses: Sequence[IPv4Address | IPv6Address]) -> int:
    """Post to the first of the addresses that lets itself be connected to, and return the answer's status."""
    url = httpx.URL(parcel.address)
    async with httpx.AsyncClient(
        verify=ssl.create_default_context(),
        trust_env=False,  # a proxy would look the name up once more
        follow_redirects=False,
        timeout=_PATIENCE,
    ) as client:
        for address in addresses[:-1]:
            try:
                return await _post_to(client, parcel, url, str(address))
            except httpx.ConnectError:
                continue
        return await _post_to(client, parcel, url, str(addresses[-1]))


async def _post_to(client: httpx.AsyncClient, parcel: Parcel, url: httpx.URL, address: str) -> int:
    body = write_body(parcel.event, parcel.created, parcel.payload)
    secret = parcel.secret.text if parcel.secret else ""
    headers = {
        **sign(secret, delivery=parcel.id, at=int(time.time()), body=body),
        "Host": url.netloc.decode(),
        "Content-Type": "application/json",
        "User-Agent": f"provost/{__version__}",
    }
    there = url.copy_with(host=address)
    names = {"sni_hostname": url.host}  # the certificate is to be of the name
    async with client.stream("POST", there, content=body, headers=headers, extensions=names) as response:
        return response.status_code


def _judge(status: int) -> Receipt:
    if httpx.codes.is_success(status):
        return Receipt(Fate.DELIVERED, status)
    if status == _GONE:
        return Receipt(Fate.GONE, status, "The receiver wants no more: the channel was switched off.")
    if httpx.codes.is_redirect(status):
        return Receipt(
            Fate.LATER, status, "The receiver sends elsewhere, which is not followed: give that address."
        )
    return Receipt(Fate.LATER, status, f"The receiver answered {status}.")


def _explain(error: BaseException) -> str:
    """Say what went wrong, without the address: its path may be secret."""
    cause: BaseException | None = error
    while cause is not None and not (isinstance(cause, OSError) and cause.errno):
        cause = cause.__cause__ or cause.__context__
    if isinstance(cause, ssl.SSLError):
        why = getattr(cause, "verify_message", None) or (cause.reason or "TLS failed").replace("_", " ").lower()
        return f"The receiver cannot be trusted: {why}."
    if isinstance(cause, socket.gaierror):
        return "The name of the receiver's host is not known."
    if cause is not None:
        return f"The receiver cannot be reached: {os.strerror(cause.errno or 0)}."
    return f"The receiver did not answer as HTTP has it ({type(error).__name__})."
