"""One host: where it is, how to get in, and what can be done to it from outside."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from provost.lab.addresses import list_listening
from provost.lab.processes import PATIENCE, LabError, end_sshd, list_sshd, open_process, read_pid

ENVIRONMENT = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root"}


@dataclass(frozen=True, slots=True)
class Host:
    """A host of a lab. `folder` is its state on the machine; the host itself cannot see it."""

    folder: Path = field(repr=False)
    name: str
    address: str
    port: int
    root_password: str = field(repr=False)
    host_key: str
    """The public host key, as an OpenSSH line without comment."""

    @classmethod
    def load(cls, folder: Path) -> "Host":
        """Read a host from its folder."""
        return cls(folder=folder, **json.loads((folder / "host.json").read_text()))

    def save(self) -> None:
        """Write the host into its folder."""
        facts = {name: value for name, value in asdict(self).items() if name != "folder"}
        path = self.folder / "host.json"
        path.touch(mode=0o600)
        path.write_text(json.dumps(facts))

    @property
    def root_key(self) -> str:
        """The private key that root's authorized_keys admits, in OpenSSH's PEM form; one for the whole lab."""
        return (self.folder.parent / "root_key").read_text()

    @property
    def log(self) -> Path:
        """What sshd has written, at level VERBOSE unless an option said otherwise."""
        return self.folder / "sshd.log"

    @property
    def pid(self) -> int:
        """The host's process 1, as the machine numbers it.

        Raises:
            LabError: the host does not run.
        """
        pid = read_pid(self.folder)
        if pid is None:
            raise LabError(f"{self.name} does not run any more; take its lab down and up again.")
        return pid

    @property
    def is_up(self) -> bool:
        """Whether the host runs and its sshd listens."""
        return read_pid(self.folder) is not None and (self.address, self.port) in list_listening()

    def run(self, script: str, stdin: str = "", *, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a shell script as root inside the host and return how it ended and what it wrote.

        With `check`, the script stops at the first command that fails.

        Raises:
            LabError: it failed (and `check`), or the host does not run.
        """
        enter = ["nsenter", "-t", str(self.pid), "-m", "-u", "-i", "-p", "-r", "-w", "/bin/sh"]
        if check:
            enter.append("-e")
        # Passed on as a descriptor: a script may hold passwords, and a command line is for everyone to see.
        with os.fdopen(os.memfd_create("script"), "w") as file:
            file.write(script)
            file.flush()
            done = subprocess.run(
                [*enter, f"/proc/self/fd/{file.fileno()}"],
                input=stdin,
                capture_output=True,
                text=True,
                check=False,
                pass_fds=[file.fileno()],
                env=ENVIRONMENT,
            )
        if check and done.returncode:
            raise LabError(f"{self.name}: a script ended with {done.returncode}: {done.stdout}{done.stderr}")
        return done

    def stop_sshd(self) -> None:
        """End sshd and its sessions: connections break, new ones are refused; the address stays the host's."""
        end_sshd(self.read_namespace())

    def start_sshd(self) -> None:
        """Start sshd again, with what its configuration now says.

        Raises:
            LabError: it did not come up; the message has the end of its log.
        """
        process = open_process(self.folder)
        if process is None:
            raise LabError(f"{self.name} does not run any more; take its lab down and up again.")
        try:
            boot({"sshd": {"name": self.name, "process": process, "log": str(self.log)}}, [process])
        finally:
            os.close(process)
        wait_for_sshd([self])

    def read_namespace(self) -> Path:
        """Return the name of the pid namespace that all processes of the host are in."""
        return Path(f"/proc/{self.pid}/ns/pid").readlink()


def boot(request: Mapping[str, Any], descriptors: Sequence[int]) -> None:
    """Run the program `provost.lab.boot` with a request and these descriptors.

    Raises:
        LabError: something did not start.
    """
    done = subprocess.run(
        [sys.executable, "-I", "-S", str(Path(__file__).with_name("boot.py"))],
        input=json.dumps({"descriptors": list(descriptors), **request}),
        capture_output=True,
        text=True,
        check=False,
        pass_fds=descriptors,
        start_new_session=True,  # Ctrl-C ends `up`, which then ends what it has begun
    )
    if done.returncode:
        raise LabError(f"The program that starts hosts failed: {done.stderr}")
    for name, problem in json.loads(done.stdout).items():
        hint = " A container must be a privileged one." if "Operation not permitted" in problem else ""
        raise LabError(f"{name} did not start: {problem}.{hint}")


def wait_for_sshd(hosts: Sequence[Host]) -> None:
    """Return when the sshd of each host listens.

    Raises:
        LabError: one has ended, or takes longer than anything should.
    """
    deadline = time.monotonic() + PATIENCE
    while True:
        before = time.monotonic()
        running = list_sshd()
        listening = list_listening()
        waiting = [host for host in hosts if (host.address, host.port) not in listening]
        if not waiting:
            return
        for host in waiting:
            if host.read_namespace() not in running or before > deadline:
                tail = "\n".join(host.log.read_text().splitlines()[-5:])
                raise LabError(f"{host.name}: sshd does not listen on {host.address} port {host.port}:\n{tail}")
        # Hosts that are starting need the processor more than this loop does.
        time.sleep(0.005 + time.monotonic() - before)
