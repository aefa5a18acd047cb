"""Hosts whose answers have no end: what is kept of them has one."""

import asyncio
from itertools import chain, repeat
from types import SimpleNamespace
from typing import Any, cast

import pytest

from provost.connectors._ssh import Routes
from provost.connectors.linux import shell as shell_module
from provost.connectors.linux.session import LinuxSession
from provost.connectors.linux.shell import Shell
from provost.core.connector import Timeouts, Verification, Witness
from provost.core.errors import LookupFailed
from provost.core.job import Target
from provost.core.model import Presence, Verdict
from provost.core.secrets import Password


class Refusing(Routes):
    """A way in that is refused."""

    async def verify(self, *_words: object) -> Verification:
        """Refuse."""
        return Verification(Verdict.REJECTED, "login_rejected", "no", refused=True)


def open_session(*answers: list[str], then: list[str]) -> LinuxSession:
    """Return a session whose shell gives these answers, and then one again and again."""
    told = chain(answers, repeat(then))

    async def read_answer() -> list[str]:
        await asyncio.sleep(0)
        return next(told)

    shell = SimpleNamespace(send=lambda _lines: None, read_answer=read_answer)
    return LinuxSession(
        target=Target(1, "web-1", "linux", "10.0.0.1", 22, ()), actor="root", connection=cast("Any", None),
        shell=cast("Any", shell), routes=Refusing(), timeouts=Timeouts(command=60),
        witness=cast("Witness", None),
    )  # fmt: skip


async def test_a_policy_without_an_end() -> None:
    """It is not read to the end, and the refused login is in doubt."""
    session = open_session(then=["policy", "groups", "x"])
    told = await session.verify("al", Password("secret"))
    assert (told.verdict, told.reason, told.refused) == (Verdict.UNKNOWN, "policy_unreadable", True)


async def test_accounts_that_nobody_asked_for() -> None:
    """They are not kept."""
    others = [["seen", f"user{number}", "present"] for number in range(100)]
    session = open_session(*others, ["seen", "al", "absent"], then=["lookup", "ended"])
    assert await session.observe(["al"]) == {"al": Presence.ABSENT}


@pytest.mark.parametrize("line", [b"\n", b"x" * 10_000 + b"\n"])
async def test_a_block_without_an_end(line: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is given up, however short its lines are."""
    monkeypatch.setattr(shell_module, "_BLOCK_LIMIT", 1 << 20)
    read = 0

    async def readuntil(_end: bytes) -> bytes:
        nonlocal read
        read += 1
        return line

    async def read_nothing(_most: int) -> bytes:
        return b""

    process = SimpleNamespace(
        stdout=SimpleNamespace(readuntil=readuntil), stderr=SimpleNamespace(read=read_nothing)
    )
    with pytest.raises(LookupFailed):
        await Shell(cast("Any", process), "web-1").read_block()
    assert read * (len(line) + 64) < 2 << 20
