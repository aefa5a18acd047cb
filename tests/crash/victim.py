"""The program `provost`, or a worker alone, made to kill itself at one boundary between two stages.

usage: victim.py BOUNDARY provost-arguments...     SIGKILL leaves no chance to tidy up.
       victim.py BOUNDARY worker                   at one that is called stopped it stops, as by SIGSTOP
"""

import os
import runpy
import signal
import sys
import time
from pathlib import Path
from typing import Any

from provost.config.start import start

BOUNDARIES = (
    "before-stage",
    "after-stage",
    "connected",
    "observed",
    "half-a-secret-sent",
    "all-sent",
    "answered",
    "verified",
    "before-record",
    "inside-record",
    "after-record",
    "before-finish",
)


def die(*_: object, **__: object) -> None:
    """Go, as a power cut would have it."""
    os.kill(os.getpid(), signal.SIGKILL)


def kill_before(owner: object, name: str) -> None:
    """Die instead of entering a function."""
    setattr(owner, name, die)


def kill_after(owner: object, name: str) -> None:
    """Die when a function (a coroutine or not) has done its work."""
    work = getattr(owner, name)

    def then_die(*args: object, **kwargs: object) -> None:
        work(*args, **kwargs)
        die()

    async def then_die_too(*args: object, **kwargs: object) -> None:
        await work(*args, **kwargs)
        die()

    setattr(owner, name, then_die_too if work.__code__.co_flags & 0x80 else then_die)


def stop_before(owner: object, name: str, begins: bytes = b"") -> None:
    """Stop, as by SIGSTOP, before a function is entered for the first time, with what `begins` so if given."""
    work, once = getattr(owner, name), iter([signal.SIGSTOP])

    def stop_and_work(*args: Any, **kwargs: Any) -> None:
        if not begins or args[-1].startswith(begins):
            for stop in once:
                os.kill(os.getpid(), stop)
        work(*args, **kwargs)

    setattr(owner, name, stop_and_work)


def arrange(boundary: str) -> None:  # noqa: C901, PLR0912  # one case for each boundary
    """Set the trap."""
    from provost.connectors.linux import LinuxConnector
    from provost.connectors.linux.session import LinuxSession
    from provost.connectors.linux.shell import Shell
    from provost.server.services import execution, recording

    match boundary:
        case "before-stage":
            kill_before(execution, "stage_jobs")
        case "after-stage":
            kill_after(execution, "stage_jobs")
        case "connected":
            kill_after(LinuxConnector, "open")
        case "observed":
            kill_after(LinuxSession, "observe")
        case "half-a-secret-sent" | "all-sent":
            send = Shell.send

            def send_and_die(self: Shell, lines: bytes) -> None:
                if lines.startswith(b"p_start"):
                    cut = len(lines) - len(b"p_end\n") - 10 if boundary.startswith("half") else len(lines)
                    send(self, lines[:cut])
                    time.sleep(0.3)  # for the host to work on it
                    die()
                send(self, lines)

            Shell.send = send_and_die
        case "answered":
            die_at_answer(LinuxSession)
        case "verified":
            kill_after(LinuxSession, "verify")
        case "before-record":
            kill_before(execution, "record_outcomes")
        case "inside-record":
            kill_after(recording.secrets, "promote")
        case "after-record":
            kill_after(execution, "record_outcomes")
        case "stopped-before-change":
            stop_before(Shell, "send", b"p_start")
        case "stopped-before-record":
            stop_before(execution, "record_outcomes")
        case "before-finish":
            kill_before(execution, "_finish")
        case _:
            raise SystemExit(f"There is no boundary {boundary}")


def die_at_answer(session: type) -> None:
    """Die when the first answer to a change has come."""
    apply = session.apply

    async def apply_and_die(self: object, changes: object) -> object:
        async for answer in apply(self, changes):
            die()
            yield answer

    session.apply = apply_and_die


if __name__ == "__main__":
    chosen, sys.argv[1:] = sys.argv[1], sys.argv[2:]
    start()
    arrange(chosen)
    if sys.argv[1:] == ["worker"]:
        runpy.run_path(str(Path(__file__).parents[1] / "lone_worker.py"))["main"]()
    else:
        from provost.cli.main import main

        main()
