"""Pushes to real hosts through the engine, without a server in between."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from uuid import uuid4

import asyncssh
import pytest

from provost import engine
from provost.conformance.reaching import Witnessed
from provost.connectors.linux import LinuxConnector
from provost.connectors.linux.parameters import LinuxParameters
from provost.connectors.linux.session import LinuxSession
from provost.core.connector import Timeouts
from provost.core.job import HostTrust, Job, Login, Outcome, Staged, Target, Wanted
from provost.core.secrets import Password, Secret
from provost.lab import Host

Push = Callable[..., Awaitable[dict[str, Outcome]]]
AimAt = Callable[..., Target]
LogIn = Callable[..., Awaitable[bool]]
Connect = Callable[[Target], Awaitable[LinuxSession]]


@pytest.fixture
def aim_at() -> AimAt:
    """A function that makes a Target of a lab host; by default with root's password."""

    def aim(
        host: Host,
        *logins: Login,
        via: Target | None = None,
        trust: HostTrust | None = None,
        options: dict[str, str] | None = None,
    ) -> Target:
        return Target(
            asset_id=hash(host.name),
            asset=host.name,
            kind="linux",
            address=host.address,
            port=host.port,
            logins=logins or (Login("root", password=Password(host.root_password)),),
            options=options or {},
            trust=trust or HostTrust(),
            via=via,
        )

    return aim


@pytest.fixture
def push() -> Push:
    """A function that pushes one secret for accounts of one target, and returns the outcomes by username."""

    async def push_to(
        target: Target,
        *usernames: str,
        secret: Secret,
        current: Secret | None = None,
        left_pending: Sequence[Secret] = (),
        others: tuple[Secret, ...] = (),
        seen: list[engine.Event] | None = None,
        limits: engine.Limits | None = None,
        **parameters: object,
    ) -> dict[str, Outcome]:
        staged = tuple(Staged(uuid4(), one, fresh=False) for one in left_pending)
        pending = () if current else (Staged(uuid4(), secret, fresh=True), *staged)
        wanted = tuple(Wanted(name, secret.secret_type, current, pending, others) for name in usernames)
        job = Job(
            target=target,
            wanted=wanted,
            parameters=LinuxParameters.model_validate(parameters),
        )

        async def feed() -> object:
            yield job

        outcomes: dict[str, Outcome] = {}
        async for event in engine.run(
            feed(), {"linux": LinuxConnector()}, limits or engine.Limits(), asyncio.Event()
        ):
            if seen is not None:
                seen.append(event)
            if isinstance(event, engine.Settled):
                outcomes = {outcome.username: outcome for outcome in event.outcomes}
        return outcomes

    return push_to


@pytest.fixture
async def connect() -> AsyncIterator[Connect]:
    """A function that opens a session on a target with its first login; all end with the test."""
    connector = LinuxConnector()
    sessions: list[LinuxSession] = []

    async def open_session(target: Target) -> LinuxSession:
        sessions.append(await connector.open(target, target.logins[0], Timeouts(), Witnessed()))
        return sessions[-1]

    yield open_session
    for session in sessions:
        await session.close()
    await connector.close()


@pytest.fixture
def log_in() -> LogIn:
    """A function that tells whether a username and a secret get into a host, without any code of Provost's."""

    async def try_login(host: Host, username: str, secret: Secret) -> bool:
        ways = (
            {"password": secret.text, "client_keys": None}
            if isinstance(secret, Password)
            else {"client_keys": [asyncssh.import_private_key(secret.private)]}
        )
        try:
            connection = await asyncssh.connect(
                host.address,
                host.port,
                username=username,
                known_hosts=None,
                config=None,
                agent_path=None,
                **ways,
            )
        except (asyncssh.PermissionDenied, asyncssh.ConnectionLost):  # so ends the login of an expired account
            return False
        connection.close()
        await connection.wait_closed()
        return True

    return try_login
