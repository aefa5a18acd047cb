"""The processes of hosts, found from outside and ended without a doubt about whose they are."""

import os
import select
import signal
import time
from collections.abc import Sequence
from pathlib import Path

from provost.core.errors import ProvostError

PATIENCE = 60.0
"""Seconds that starting or ending anything may take on a machine that is busy with other work."""


class LabError(ProvostError):
    """Something in a lab went wrong: a host that does not start, a script in a host that failed."""

    code = "lab_error"


def read_pid(folder: Path) -> int | None:
    """Return the pid of process 1 of the host with this folder, or None when it has ended.

    `boot` has noted the pid with the time when the process began, since a pid is given again.
    """
    try:
        pid, start_time = (folder / "process").read_text().split()
        state, *rest = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return int(pid) if state not in {"Z", "X"} and rest[18] == start_time else None  # proc(5), /proc/pid/stat


def open_process(folder: Path) -> int | None:
    """Return a pidfd of process 1 of the host with this folder, or None when it has ended."""
    pid = read_pid(folder)
    descriptor = None if pid is None else _open_pid(pid)
    if descriptor is not None and read_pid(folder) != pid:  # what is open now could be another's
        os.close(descriptor)
        return None
    return descriptor


def list_sshd() -> dict[Path, list[int]]:
    """Return the pids of all sshd processes on the machine, by the pid namespace that they are in."""
    found: dict[Path, list[int]] = {}
    for folder in Path("/proc").iterdir():
        try:
            if folder.name.isdigit() and (folder / "comm").read_text().startswith("sshd"):
                found.setdefault((folder / "ns/pid").readlink(), []).append(int(folder.name))
        except (FileNotFoundError, ProcessLookupError):
            continue  # it has ended meanwhile
    return found


def end_sshd(namespace: Path) -> None:
    """Kill every sshd in a pid namespace, sessions included.

    Raises:
        LabError: one does not end.
    """
    while pids := list_sshd().get(namespace):
        end_processes([descriptor for pid in pids if (descriptor := _open_pid(pid)) is not None])


def end_processes(descriptors: Sequence[int]) -> None:
    """Kill the processes behind these pidfds, return when they have ended, and close the pidfds.

    Raises:
        LabError: one does not end.
    """
    poll = select.poll()
    for descriptor in descriptors:
        signal.pidfd_send_signal(descriptor, signal.SIGKILL)
        poll.register(descriptor, select.POLLIN)
    left = set(descriptors)
    deadline = time.monotonic() + PATIENCE
    while left and time.monotonic() < deadline:
        for descriptor, _ in poll.poll(1000):
            poll.unregister(descriptor)
            os.close(descriptor)
            left.discard(descriptor)
    if left:
        raise LabError(f"{len(left)} processes of the lab do not end; look for them in ps, and try again.")


def _open_pid(pid: int) -> int | None:
    try:
        return os.pidfd_open(pid)
    except ProcessLookupError:
        return None
