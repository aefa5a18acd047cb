"""Logins by SSH whose answer is not heard: what a host may have refused is counted."""

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace

import asyncssh
import pytest

from provost.connectors._ssh import Routes
from provost.connectors.linux import LinuxConnector
from provost.connectors.network_device import DeviceConnector
from provost.connectors.network_device.login import HostKeys, log_in
from provost.core.connector import Timeouts
from provost.core.errors import LoginRefused, LoginUnanswered, TargetError, Unreachable
from provost.core.job import Login, Target
from provost.core.model import Become, Verdict
from provost.core.secrets import Password, Secret
from provost.vault.keys import generate_key

SECRET = Password("her-secret")
KEY = generate_key("ed25519")
FOREVER = 3600.0
SHORT = Timeouts(connect=1.0, command=1.0)

Serve = Callable[..., Awaitable[Target]]


class Noted:
    """A witness that keeps the refused logins."""

    def __init__(self) -> None:
        self.refusals: list[tuple[int, str]] = []

    def see_host_key(self, asset_id: int, key: str) -> None:
        """Let it be."""

    def see_refusal(self, asset_id: int, username: str) -> None:
        """Keep it."""
        self.refusals.append((asset_id, username))


class Odd(asyncssh.SSHServer):
    """A server that does as it is told once it was given a secret; `asked` counts the secrets."""

    def __init__(self, answer: str) -> None:
        self.answer = answer
        self.asked = 0

    def connection_made(self, connection: asyncssh.SSHServerConnection) -> None:
        """Keep the connection, to end it."""
        self.connection = connection

    async def validate_password(self, _username: str, _password: str) -> bool:
        """Answer as told."""
        return await self._answer()

    async def validate_public_key(self, _username: str, _key: asyncssh.SSHKey) -> bool:
        """Answer as told."""
        return await self._answer()

    def public_key_auth_supported(self) -> bool:
        """Take keys."""
        return True

    def password_auth_supported(self) -> bool:
        """Take passwords."""
        return True

    async def _answer(self) -> bool:
        self.asked += 1
        match self.answer:
            case "hangs":
                await asyncio.sleep(FOREVER)
            case "ends":
                self.connection.abort()
            case "resets":
                reset = struct.pack("ii", 1, 0)
                self.connection.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, reset)
                self.connection.abort()
            case "too many":
                self.connection.disconnect(
                    asyncssh.DISC_PROTOCOL_ERROR, "Too many authentication failures", "en"
                )
                await asyncio.sleep(FOREVER)
        return self.answer == "accepts"


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    """A function that starts a server that answers logins, and what is run in them, as told."""
    servers: list[asyncssh.SSHAcceptor] = []
    odds: list[Odd] = []

    async def start(answer: str, *logins: Login, asset_id: int = 1, process: object = None) -> Target:
        host_key = asyncssh.generate_private_key("ssh-ed25519")

        def meet() -> Odd:
            odds.append(Odd(answer))
            return odds[-1]

        server = await asyncssh.listen(
            "127.0.0.1", 0, server_host_keys=[host_key], server_factory=meet,
            process_factory=process, encoding=None,
        )  # fmt: skip
        servers.append(server)
        return Target(asset_id, f"host-{asset_id}", "linux", "127.0.0.1", server.get_port(), logins)

    yield start
    for server in servers:
        server.close()
    for odd in odds:
        odd.connection.abort()
        await odd.connection.wait_closed()


@pytest.mark.parametrize(
    ("answer", "secret", "verdict", "reason", "refused"),
    [
        ("accepts", SECRET, Verdict.ACCEPTED, "", False),
        ("refuses", SECRET, Verdict.REJECTED, "login_rejected", True),
        ("hangs", SECRET, Verdict.UNKNOWN, "login_unanswered", True),
        ("ends", SECRET, Verdict.UNKNOWN, "login_unanswered", True),
        ("too many", SECRET, Verdict.REJECTED, "login_rejected", True),
        ("refuses", KEY, Verdict.REJECTED, "login_rejected", True),
        ("hangs", KEY, Verdict.UNKNOWN, "connect_timeout", False),
        ("ends", KEY, Verdict.UNKNOWN, "unreachable", False),
        ("too many", KEY, Verdict.REJECTED, "login_rejected", True),
    ],
)
async def test_a_verification(
    serve: Serve, answer: str, secret: Secret, verdict: Verdict, reason: str, refused: bool
) -> None:
    """A password whose answer was not heard counts as refused, and says nothing of the secret."""
    noted = Noted()
    told = await Routes().verify(await serve(answer), "al", secret, SHORT, noted)
    assert (told.verdict, told.reason, told.refused) == (verdict, reason, refused)
    assert not noted.refusals


@pytest.mark.parametrize(
    ("answer", "login", "error", "code"),
    [
        ("hangs", Login("root", SECRET), LoginUnanswered, "login_unanswered"),
        ("ends", Login("root", SECRET), LoginUnanswered, "login_unanswered"),
        ("hangs", Login("root", key=KEY), Unreachable, "connect_timeout"),
        ("hangs", Login("root", SECRET, KEY), Unreachable, "connect_timeout"),
        ("too many", Login("root", SECRET), LoginRefused, "privileged_login_refused"),
        ("too many", Login("root", SECRET, KEY), LoginRefused, "login_method_unavailable"),
    ],
)
async def test_a_login(serve: Serve, answer: str, login: Login, error: type[TargetError], code: str) -> None:
    """What may have been refused is no reason to try again; a host that was given no password is."""
    target = await serve(answer)
    with pytest.raises(error) as caught:
        await LinuxConnector().open(target, login, SHORT, Noted())
    assert caught.value.code == code
    assert caught.value.permanent == (error is not Unreachable)


async def test_a_login_that_is_broken_off(serve: Serve) -> None:
    """A run that is stopped while a password is not answered yet counts it."""
    noted, target = Noted(), await serve("hangs")
    login = asyncio.create_task(Routes().verify(target, "al", SECRET, Timeouts(), noted))
    await asyncio.sleep(0.5)
    login.cancel()
    with pytest.raises(asyncio.CancelledError):
        await login
    assert noted.refusals == [(1, "al")]


def become(answer: str) -> Callable[["asyncssh.SSHServerProcess[bytes]"], Awaitable[None]]:
    """Return what plays sudo, or su: it asks, and does as told with what it is given."""

    async def play(process: "asyncssh.SSHServerProcess[bytes]") -> None:
        command = process.command or ""
        prompt = command.split()[3] if command.startswith("sudo") else "Password: "
        process.stderr.write(prompt.encode())
        await process.stdin.readline()
        if answer == "ends":
            process.channel.get_connection().abort()
        elif answer == "refuses":
            process.exit(1)
        else:
            await asyncio.sleep(FOREVER)

    return play


@pytest.mark.parametrize("how", [Become.SUDO, Become.SU])
@pytest.mark.parametrize(
    ("answer", "code"),
    [("hangs", "become_unanswered"), ("ends", "become_unanswered"), ("refuses", "become_refused")],
)
async def test_becoming_root(serve: Serve, how: Become, answer: str, code: str) -> None:
    """So it is with the password that sudo or su asks for."""
    login = Login("ops", SECRET, become=how, become_password=Password("another"))
    target = await serve("accepts", process=become(answer))
    with pytest.raises(LoginRefused) as caught:
        await LinuxConnector().open(target, login, SHORT, Noted())
    assert caught.value.code == code
    assert isinstance(caught.value, LoginUnanswered) == (answer != "refuses")


@pytest.mark.parametrize("answer", ["refuses", "hangs", "ends"])
async def test_a_gateway(serve: Serve, answer: str) -> None:
    """What a gateway refuses during a verification is told of, and in a run no login is tried there twice."""
    gateway = await serve(answer, Login("gate", SECRET), Login("spare", key=KEY), asset_id=2)
    target = Target(1, "inner", "linux", "127.0.0.1", 1, (), via=gateway)
    routes, noted = Routes(), Noted()
    for _ in range(3):
        told = await routes.verify(target, "al", SECRET, SHORT, noted)
        assert (told.verdict, told.reason, told.refused) == (Verdict.UNKNOWN, "gateway_failed", False)
    assert noted.refusals.count((2, "gate")) == 1
    await routes.close()


@pytest.mark.parametrize("answer", ["hangs", "ends", "resets"])
async def test_a_login_to_a_device(serve: Serve, answer: str) -> None:
    """By its driver as well, who acts and who is verified: however it ends, the password was given."""
    login = Login("admin", SECRET)
    target = replace(await serve(answer, login), kind="network_device", options={"device_type": "cisco_ios"})
    connector = DeviceConnector()
    with pytest.raises(LoginUnanswered):
        await connector.open(target, login, SHORT, Noted())
    keys = HostKeys(target, {})
    with pytest.raises(LoginUnanswered):
        await asyncio.to_thread(log_in, target, (target.address, target.port), login, SHORT, keys)


async def test_a_device_that_is_lost_after_the_login(serve: Serve) -> None:
    """Who was let in was not refused."""

    async def end(process: asyncssh.SSHServerProcess[bytes]) -> None:
        process.channel.get_connection().abort()

    login = Login("admin", SECRET)
    target = replace(
        await serve("accepts", login, process=end), kind="network_device", options={"device_type": "cisco_ios"}
    )
    with pytest.raises(TargetError) as caught:
        await DeviceConnector().open(target, login, SHORT, Noted())
    assert not isinstance(caught.value, LoginRefused)
