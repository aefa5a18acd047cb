"""Devices that take their time, and whose terminal repeats at once what is typed."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace

import asyncssh
import pytest
from tests.kinds.network_device import OPTIONS

from provost.conformance.reaching import Witnessed
from provost.connectors.network_device import DeviceConnector
from provost.connectors.network_device.parameters import DeviceParameters
from provost.connectors.network_device.session import DeviceSession
from provost.core.connector import Change, Timeouts
from provost.core.errors import LoginRefused, TargetError, Unreachable
from provost.core.job import Login, Target
from provost.core.model import Become, Decision, Presence
from provost.core.secrets import Password

SECRET = Password("the-secret-of-admin-1")
NAMES = [f"user{number}" for number in range(6)]
LISTS = {"other": "user {} level 1", "cisco": "username {} privilege 1 secret 9 $9$x"}
ENDS = {"other": "$ ", "cisco": "#"}


@dataclass
class Box:
    """A device: `banner` comes, after `pause` seconds a prompt, and each answer takes `slow` seconds.

    `quick` answers, the first ones, take no time.  `opens`: what enable does, "unset" has it refuse all.
    Each list of its accounts has one that is named by how many lists it has made.
    """

    family: str = "other"
    slow: float = 0
    pause: float = 0
    banner: str = ""
    quick: int = 0
    opens: str = ""
    name: str = "box"
    enabled: bool = True
    target: Target = field(init=False)
    typed: list[str] = field(default_factory=list)
    _lists: int = 0
    _asks: str = ""
    _count: int = 0

    @property
    def newest(self) -> str:
        return f"list{self._lists}"

    @property
    def prompt(self) -> str:
        self._count += 1
        return self.name.format(self._count) + (ENDS[self.family] if self.enabled else ">")

    def answer(self, line: str) -> str:  # noqa: PLR0911  # one for each case
        """Return what a line is answered."""
        if self._asks:
            self.enabled = line == SECRET.text
            self._asks = "" if self.enabled or self.opens != "again" else "Password: "
            return self._asks or self.prompt
        if line == "enable" and self.opens == "unset":
            return "% No password set\r\n" + self.prompt
        if line == "enable":
            self._asks = "Password: "
            return self._asks
        if line in {"user list", "show running-config | include ^username"}:
            self._lists += 1
            names = [*NAMES, "admin", self.newest]
            return "".join(f"{LISTS[self.family].format(name)}\r\n" for name in names) + self.prompt
        if line == "flood":
            return "so much to say\r\n" * 400_000 + self.prompt
        if NAMES[2] in line:
            return "% Invalid password\r\n" + self.prompt
        if line == "write memory":
            return "[OK]\r\n" + self.prompt
        return self.prompt

    async def work(self, process: asyncssh.SSHServerProcess[str]) -> None:
        """Serve one session."""
        lines: asyncio.Queue[str] = asyncio.Queue()
        answering = asyncio.create_task(self._answer(process, lines))
        typed = ""
        while new := (await process.stdin.read(1000)).replace("\r", "\n"):
            shown = "\n" * new.count("\n") if self._asks else new
            process.stdout.write(shown.replace("\n", "\r\n"))
            *whole, typed = (typed + new).split("\n")
            for line in whole:
                lines.put_nowait(line)
        answering.cancel()

    async def _answer(self, process: asyncssh.SSHServerProcess[str], lines: asyncio.Queue[str]) -> None:
        process.stdout.write(self.banner)
        await asyncio.sleep(self.pause)
        process.stdout.write(self.prompt)
        while True:
            line = await lines.get()
            self.typed.append(line)
            await asyncio.sleep(self.slow if len(self.typed) > self.quick else 0)
            process.stdout.write(self.answer(line))


class Doors(asyncssh.SSHServer):
    """A server that knows one account."""

    def password_auth_supported(self) -> bool:
        """Take passwords."""
        return True

    def validate_password(self, username: str, password: str) -> bool:
        """Let one in."""
        return (username, password) == ("admin", SECRET.text)


Serve = Callable[[Box], asyncio.Future[Box]]


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    """A function that starts a device."""
    servers: list[asyncssh.SSHAcceptor] = []
    connections: list[asyncssh.SSHServerConnection] = []

    async def start(box: Box) -> Box:
        async def work(process: asyncssh.SSHServerProcess[str]) -> None:
            connections.append(process.channel.get_connection())
            await box.work(process)

        server = await asyncssh.listen(
            "127.0.0.1", 0, server_host_keys=[asyncssh.generate_private_key("ssh-ed25519")],
            server_factory=Doors, process_factory=work, line_editor=False,
        )  # fmt: skip
        servers.append(server)
        login = Login("admin", SECRET)
        box.target = Target(
            1, "box", "network_device", "127.0.0.1", server.get_port(), (login,), OPTIONS[box.family]
        )
        return box

    yield start
    for connection in connections:
        connection.abort()
        await connection.wait_closed()
    for server in servers:
        server.close()
        await server.wait_closed()


async def connect(box: Box, timeouts: Timeouts | None = None) -> DeviceSession:
    """Open a session with the device's login."""
    [login] = box.target.logins
    return await DeviceConnector().open(box.target, login, timeouts or Timeouts(), Witnessed())


@pytest.mark.parametrize(
    "box",
    [
        Box(),
        Box(slow=0.4, pause=0.4),
        Box(slow=0.1, pause=1.2),
        Box(slow=1.5, banner="Welcome.\r\n"),
        Box(slow=1.2, pause=0.6, banner="Welcome to box\r\n"),
        Box("cisco"),
        Box("cisco", slow=0.4),
        Box("cisco", slow=1.2, banner="Welcome.\r\n"),
        Box("cisco", slow=0.2, pause=1.5),
        Box("cisco", slow=0.6, quick=2),
        Box("cisco", slow=1.5, banner="#### box ####\r\n# box [core] #\r\n"),
        Box("other", slow=0.5, name=""),
    ],
    ids=lambda box: f"{box.family}-{box.slow}-{box.pause}-{box.quick}-{box.banner.strip()}{box.name}",
)
async def test_a_slow_device_is_understood(serve: Serve, box: Box) -> None:
    """No prompt that comes late is taken for the end of an answer: each look sees what it asked for."""
    session = await connect(await serve(box))
    for _ in range(3):
        found = await session.observe(["user1", "nobody"])
        assert found == {"user1": Presence.PRESENT, "nobody": Presence.ABSENT}
        listed = {facts.username for facts in await session.discover()}
        assert box.newest in listed
    await session.close()


@pytest.mark.parametrize(("slow", "quick"), [(0, 0), (0.3, 0), (0.6, 2), (0.6, 3)])
@pytest.mark.parametrize("enabled", [True, False])
async def test_a_slow_refusal_is_of_whom_it_is_about(
    serve: Serve, slow: float, quick: int, enabled: bool
) -> None:
    """Of several passwords that are set one after the other, the refused one is told, and no other."""
    box = await serve(Box("cisco", slow=slow, quick=quick, enabled=enabled))
    become = Become.NONE if enabled else Become.SUDO
    box.target = replace(box.target, logins=(Login("admin", SECRET, become=become, become_password=SECRET),))
    session = await connect(box)
    changes = [Change(name, Decision.ADOPT, Password(f"for-{name}-1"), DeviceParameters()) for name in NAMES]
    told = {applied.username: applied.error async for applied in session.apply(changes)}
    assert [name for name, error in told.items() if error] == [NAMES[2]]
    await session.close()


@pytest.mark.parametrize(("opens", "times"), [("", 1), ("again", 1), ("unset", 0)])
async def test_a_wrong_password_of_enable(serve: Serve, opens: str, times: int) -> None:
    """It is told as refused and typed once; where none is asked for, it is not typed for all to see."""
    box = await serve(Box("cisco", enabled=False, opens=opens))
    wrong = Login("admin", SECRET, become=Become.SUDO, become_password=Password("no-such-Secret-7"))
    box.target = replace(box.target, logins=(wrong,))
    with pytest.raises(LoginRefused) as caught:
        await connect(box)
    assert caught.value.code == "become_refused"
    assert box.typed.count("no-such-Secret-7") == times


async def test_a_prompt_that_changes(serve: Serve) -> None:
    """Where the option says what the prompt is like, it need not be the same twice."""
    box = await serve(Box(name="[{}] box"))
    box.target = replace(box.target, options={**box.target.options, "prompt": r"\[\d+\] box\$ $"})
    session = await connect(box)
    assert (await session.observe(["user1"]))["user1"] is Presence.PRESENT
    await session.close()


async def test_a_device_that_says_too_much(serve: Serve) -> None:
    """An answer without an end takes no memory without an end, and is no list of accounts."""
    box = await serve(Box())
    box.target = replace(box.target, options={**box.target.options, "look_up": "flood"})
    with pytest.raises(Unreachable, match="without an end"):
        await connect(box)


async def test_a_device_without_a_prompt(serve: Serve) -> None:
    """A device that says nothing that comes again is no device to work on."""
    box = await serve(Box(name="{} at a time"))
    with pytest.raises(TargetError) as caught:
        await connect(box, Timeouts(connect=1, command=1))
    assert caught.value.code == "shell_failed"
