"""The program `provost`, made to kill itself when the work on every host has come to one boundary.

usage: holder.py BOUNDARY[:NUMBER] provost-arguments...

Whoever comes to the boundary the NUMBERth time (the first, if it is not given) waits there.  When no other has
come for a while, the whole process group is killed.
"""

import asyncio
import os
import signal
import sys
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

from provost.config.start import start

QUIET = 1.0
"""Seconds in which nobody comes to the boundary any more."""


class Trap:
    """Holds the work on each asset at one boundary."""

    def __init__(self, number: int) -> None:
        self._number = number
        self._times: Counter[str] = Counter()
        self._end: asyncio.TimerHandle | None = None

    async def hold(self, asset: str) -> None:
        """Wait for the end, if this is the time."""
        self._times[asset] += 1
        if self._times[asset] == self._number:
            if self._end:
                self._end.cancel()
            self._end = asyncio.get_running_loop().call_later(QUIET, os.killpg, 0, signal.SIGKILL)
            await asyncio.Event().wait()

    def hold_after(self, owner: type, name: str, find: Callable[..., str]) -> None:
        """Hold at the end of a coroutine; `find` tells from its arguments which asset it is."""
        work: Callable[..., Awaitable[Any]] = getattr(owner, name)

        async def work_and_hold(*args: Any, **kwargs: Any) -> Any:
            result = await work(*args, **kwargs)
            await self.hold(find(*args))
            return result

        setattr(owner, name, work_and_hold)


def cut(lines: bytes) -> bytes:
    """Return what of a change goes out when its last line but one, the secret, is cut off in the middle."""
    return lines[: len(lines) - len(b"p_end\n") - 10] if lines.startswith(b"p_start") else lines


def hold_at_changes(trap: Trap, boundary: str) -> None:
    """Hold where a change (or a withdrawal, or a removal) has been sent, in half or as a whole, or answered."""
    from provost.connectors.linux.shell import Shell

    read, send = Shell.read_answer, Shell.send
    telling: set[int] = set()

    def note_and_send(self: Shell, lines: bytes) -> None:
        if lines.startswith(b"p_start"):
            telling.add(id(self))
        send(self, cut(lines) if boundary == "half-sent" else lines)

    async def read_and_hold(self: Shell) -> list[str]:
        if id(self) in telling and boundary != "answered":
            telling.discard(id(self))
            await trap.hold(self._asset)
        answer = await read(self)
        if answer[:1] == ["answer"] and boundary == "answered":
            await trap.hold(self._asset)
        return answer

    setattr(Shell, "send", note_and_send)  # noqa: B010  # mypy forbids the other way
    setattr(Shell, "read_answer", read_and_hold)  # noqa: B010


def arrange(boundary: str, number: int) -> None:
    """Set the trap."""
    from provost.connectors.linux import LinuxConnector
    from provost.connectors.linux.session import LinuxSession
    from provost.engine.job import Work

    trap = Trap(number)
    match boundary:
        case "opened":
            trap.hold_after(LinuxConnector, "open", lambda _, target, *__: target.asset)
        case "observed" | "verified":
            name = "observe" if boundary == "observed" else "verify"
            trap.hold_after(LinuxSession, name, lambda session, *_: session._target.asset)
        case "proven":
            trap.hold_after(Work, "prove", lambda work, *_: work.job.target.asset)
        case "half-sent" | "all-sent" | "answered":
            hold_at_changes(trap, boundary)
        case _:
            raise SystemExit(f"There is no boundary {boundary}")


if __name__ == "__main__":
    chosen, _, times = sys.argv.pop(1).partition(":")
    start()
    arrange(chosen, int(times or 1))
    from provost.cli.main import main

    main()
