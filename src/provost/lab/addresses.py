"""Loopback addresses for hosts, shared fairly with every other lab on the machine."""

import itertools
import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from provost.core.errors import UsageError

PORTS = (22, 2222, 22022)
"""The first that nothing holds on every address of the machine, as its own sshd does."""

PROBE = "127.1.255.254"  # never given to a host


@dataclass(frozen=True, slots=True)
class Claim:
    """An address that is taken for as long as somebody holds `socket`: this process, then the host itself."""

    address: str
    port: int
    socket: socket.socket


def claim_addresses(count: int) -> list[Claim]:
    """Take `count` addresses of 127.1.0.0/16 that no lab holds and nothing listens on.

    Raises:
        UsageError: there are not so many.
    """
    port = next((port for port in PORTS if _is_free(PROBE, port)), None)
    if port is None:
        raise UsageError(
            f"Something listens on the ports {', '.join(map(str, PORTS))} of every address of this machine; "
            "lab hosts need one of them.",
            code="lab_no_port",
        )
    claims = list(itertools.islice(_claim(port), count))
    if len(claims) < count:
        for claim in claims:
            claim.socket.close()
        raise UsageError(
            f"Only {len(claims)} of {count} addresses in 127.1.0.0/16 are free; take other labs down first.",
            code="lab_no_address",
        )
    return claims


def list_listening() -> set[tuple[str, int]]:
    """Return the (address, port) pairs that something listens on over IPv4: proc(5), /proc/net/tcp."""
    pairs = set()
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        _, local, _, state, *_ = line.split()
        if state == "0A":
            address, port = local.split(":")
            pairs.add((socket.inet_ntoa(struct.pack("=I", int(address, 16))), int(port, 16)))
    return pairs


def _claim(port: int) -> Iterator[Claim]:
    for third, fourth in itertools.product(range(255), range(1, 255)):
        address = f"127.1.{third}.{fourth}"
        # An abstract socket (unix(7)) belongs to a network namespace, as the address does, and ends with its
        # holders, however they end.
        holder = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            holder.bind(f"\0provost-lab/{address}")
        except OSError:
            holder.close()
            continue
        if _is_free(address, port):
            yield Claim(address, port, holder)
        else:
            holder.close()


def _is_free(address: str, port: int) -> bool:
    with socket.socket() as probe:
        # As sshd does: what is left of a closed connection does not matter.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError:
            return False
        return True
