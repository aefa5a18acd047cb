"""How the suite gets to a bench's target, and what it wants there."""

import contextlib
import socket
from collections.abc import AsyncIterator
from dataclasses import replace
from uuid import uuid4

import pytest

from provost.conformance.bench import Bench
from provost.conformance.cutter import Cutter
from provost.core.connector import Connector, Session, Timeouts
from provost.core.job import Staged, Target, Wanted
from provost.core.model import Capability
from provost.core.secrets import Secret


class Witnessed:
    """A witness that keeps what it is told."""

    def __init__(self) -> None:
        self.host_keys: list[tuple[int, str]] = []
        self.refusals: list[tuple[int, str]] = []

    def see_host_key(self, asset_id: int, key: str) -> None:
        """Keep a host key."""
        self.host_keys.append((asset_id, key))

    def see_refusal(self, asset_id: int, username: str) -> None:
        """Keep a refusal."""
        self.refusals.append((asset_id, username))


@contextlib.asynccontextmanager
async def open_session(
    connector: Connector, target: Target, timeouts: Timeouts | None = None
) -> AsyncIterator[Session]:
    """Open a session with a target's first login, and close it and the connector."""
    try:
        session = await connector.open(target, target.logins[0], timeouts or Timeouts(), Witnessed())
        try:
            yield session
        finally:
            await session.close()
    finally:
        await connector.close()


def find_closed_port() -> int:
    """Return a port on loopback where nothing listens."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        return int(unused.getsockname()[1])


def lead_through(bench: Bench, cutter: Cutter) -> Target:
    """Return the bench's target as reached through a cutter; its certificate is still that of its own name."""
    target = bench.target
    if "tls_name" in bench.open_connector().options.model_fields:
        target = bench.aim(tls_name=target.options.get("tls_name", target.address))
    return replace(target, address="127.0.0.1", port=cutter.port)


def need(bench: Bench, capability: Capability) -> None:
    """Skip a test of what the kind does not declare."""
    if capability not in bench.open_connector().capabilities:
        pytest.skip(f"it does not {capability}")


def stage(username: str, secret: Secret) -> Wanted:
    """Return an account that is wanted with a secret that was staged just now."""
    return Wanted(username, secret.secret_type, None, (Staged(uuid4(), secret, fresh=True),))
