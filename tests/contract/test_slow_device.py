"""Devices that take their time, and whose terminal repeats at once what is typed."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace

import asyncssh
import pytest
from tests.kinds.network_device import OTHER

from provost.conformance.reaching import Witnessed
from provost.connectors.network_device import DeviceConnector
from provost.core.connector import Timeouts
from provost.core.errors import TargetError, Unreachable
from provost.core.job import Login, Target
from provost.core.model import Presence
from provost.core.secrets import Password

SECRET = Password("the-secret-of-admin-1")
USERS = "user admin level 15\r\nuser alice level 1\r\n"
ANSWERS = {"user list": USERS, "flood": USERS * 150_000}

Serve = Callable[..., Awaitable[Target]]


class Doors(asyncssh.SSHServer):
    """A server that knows one account."""

    def password_auth_supported(self) -> bool:
        """Take passwords."""
        return True

    def validate_password(self, username: str, password: str) -> bool:
        """Let one in."""
        return (username, password) == ("admin", SECRET.text)


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    """A function that starts a device. `banner` comes, after `pause` s a prompt; answers take `slow` s."""
    servers: list[asyncssh.SSHAcceptor] = []
    connections: list[asyncssh.SSHServerConnection] = []
    tasks: list[asyncio.Task[None]] = []

    async def start(slow: float, pause: float, banner: str = "", prompt: str = "box$ ") -> Target:
        async def work(process: asyncssh.SSHServerProcess[str]) -> None:
            connections.append(process.channel.get_connection())
            lines: asyncio.Queue[str] = asyncio.Queue()
            tasks.append(asyncio.create_task(answer(process, lines)))
            typed = ""
            while new := (await process.stdin.read(1000)).replace("\r", "\n"):
                process.stdout.write(new.replace("\n", "\r\n"))
                *whole, typed = (typed + new).split("\n")
                for line in whole:
                    lines.put_nowait(line)

        async def answer(process: asyncssh.SSHServerProcess[str], lines: asyncio.Queue[str]) -> None:
            process.stdout.write(banner)
            await asyncio.sleep(pause)
            process.stdout.write(prompt)
            while True:
                line = await lines.get()
                await asyncio.sleep(slow)
                process.stdout.write(ANSWERS.get(line, "ERROR: what?\r\n" if line else "") + prompt)

        server = await asyncssh.listen(
            "127.0.0.1", 0, server_host_keys=[asyncssh.generate_private_key("ssh-ed25519")],
            server_factory=Doors, process_factory=work, line_editor=False,
        )  # fmt: skip
        servers.append(server)
        login = Login("admin", SECRET)
        return Target(1, "box", "network_device", "127.0.0.1", server.get_port(), (login,), OTHER)

    yield start
    for task in tasks:
        task.cancel()
    for connection in connections:
        connection.abort()
        await connection.wait_closed()
    for server in servers:
        server.close()
        await server.wait_closed()


@pytest.mark.parametrize(
    ("slow", "pause", "banner"),
    [(0, 0, ""), (0.4, 0.4, ""), (0.1, 1.2, ""), (1.5, 0, "Welcome.\r\n"), (0.2, 0.6, "Welcome to box\r\n")],
)
async def test_a_slow_device_is_understood(serve: Serve, slow: float, pause: float, banner: str) -> None:
    """No prompt that comes late is taken for the end of an empty answer: whoever is there is seen."""
    target = await serve(slow, pause, banner)
    session = await DeviceConnector().open(target, target.logins[0], Timeouts(), Witnessed())
    for _ in range(3):
        assert await session.observe(["alice", "bob"]) == {"alice": Presence.PRESENT, "bob": Presence.ABSENT}
    await session.close()


async def test_a_device_that_says_too_much(serve: Serve) -> None:
    """An answer without an end takes no memory without an end, and is no list of accounts."""
    target = replace(await serve(0, 0), options={**OTHER, "look_up": "flood"})
    with pytest.raises(Unreachable, match="said more than"):
        await DeviceConnector().open(target, target.logins[0], Timeouts(), Witnessed())


async def test_a_device_without_a_prompt(serve: Serve) -> None:
    """A device that says nothing that comes again is no device to work on."""
    target = await serve(0, 0, prompt="")
    with pytest.raises(TargetError) as caught:
        await DeviceConnector().open(target, target.logins[0], Timeouts(connect=1, command=1), Witnessed())
    assert caught.value.code == "shell_failed"
