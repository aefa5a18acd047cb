"""A lab: hosts that are started and ended together, and a folder that remembers them."""

import fcntl
import os
import secrets
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from provost.core.errors import UsageError
from provost.lab.addresses import Claim, claim_addresses
from provost.lab.host import Host, boot, wait_for_sshd
from provost.lab.image import list_missing, make_image
from provost.lab.processes import end_processes, open_process


def check_machine() -> None:
    """Make sure that hosts can be started here.

    Raises:
        UsageError: not root, or something is not installed.
    """
    if os.geteuid() != 0:
        raise UsageError(
            "Lab hosts need namespaces and file systems of their own: run this as root, or with sudo.",
            code="lab_needs_root",
        )
    if missing := list_missing():
        raise UsageError(
            f"Lab hosts need these Debian packages: {' '.join(missing)}. "
            f"Install them (apt-get install {' '.join(missing)}), then run this again.",
            code="lab_needs_packages",
        )


class Lab:
    """Hosts with their state in `directory`; they live until `down`, whatever becomes of this process.

    `hide` names files and folders of the machine that no host may see.  All but /usr and /etc is hidden
    anyway, and so is the lab's own folder.
    """

    def __init__(self, directory: Path, *, hide: Sequence[Path] = ()) -> None:
        self.directory = directory.absolute()
        self._hide = (self.directory, *hide)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.down()

    @property
    def root_key(self) -> Path:
        """The file with the private key that every host's root admits."""
        return self.directory / "root_key"

    def up(
        self,
        count: int = 1,
        *,
        prefix: str = "lab",
        size: str = "64m",
        sshd_options: Sequence[str] = (),
        busybox: Path | None = None,
    ) -> list[Host]:
        """Start hosts beside those that are there, and return them when each sshd listens.

        Args:
            count: how many.
            prefix: what their names begin with; numbers follow.
            size: how much each may write, as tmpfs(5) takes it.
            sshd_options: lines for sshd_config(5); they go before the lab's own and so override them.
            busybox: a static BusyBox; the hosts then have its applets alone: no Debian tools, PAM or sudo.

        Raises:
            UsageError: see `check_machine`; or no address is free.
            LabError: a host did not start; none of this call is left.
        """
        check_machine()
        with self._lock() as lock:
            lay_out = partial(
                make_image,
                root_public_key=self._make_root_key(),
                hide=self._hide,
                sshd_options=sshd_options,
                busybox=busybox,
            )
            claims = claim_addresses(count)
            older = self._list_folders()
            try:
                hosts = [self._make_host(prefix, claim) for claim in claims]
                orders = [
                    {
                        "name": host.name,
                        "folder": str(host.folder),
                        "size": size,
                        "claim": claim.socket.fileno(),
                        "image": asdict(lay_out(host)),
                    }
                    for host, claim in zip(hosts, claims, strict=True)
                ]
                # The lock too: should this process be killed, `down` waits until no host is half made.
                boot({"hosts": orders}, [lock, *(claim.socket.fileno() for claim in claims)])
                wait_for_sshd(hosts)
            except BaseException:
                _remove([folder for folder in self._list_folders() if folder not in older])
                raise
            finally:
                for claim in claims:
                    claim.socket.close()
        return hosts

    def hosts(self) -> list[Host]:
        """Return the hosts that `up` has started, running or not, oldest first."""
        folders = [path.parent for path in self.directory.glob("*/host.json")]
        return [Host.load(folder) for folder in sorted(folders, key=lambda path: (len(path.name), path.name))]

    def down(self, hosts: Sequence[Host] | None = None) -> int:
        """End every host and remove the lab's folder, or end these hosts alone; return how many they were.

        Raises:
            LabError: a process does not end; the folders then stay, and `down` can be tried again.
        """
        if not self.directory.exists():
            return 0
        with self._lock():
            folders = self._list_folders() if hosts is None else [host.folder for host in hosts]
            _remove(folders)
            if hosts is None:
                shutil.rmtree(self.directory)
        return len(folders)

    @contextmanager
    def _lock(self) -> Iterator[int]:
        """Hold the lab, and make its folder if need be; yields the descriptor that holds it."""
        while True:
            self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(self.directory, os.O_RDONLY)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX)
                if os.fstat(descriptor).st_nlink:  # else a `down` that came first has removed it
                    yield descriptor
                    return
            finally:
                os.close(descriptor)

    def _list_folders(self) -> list[Path]:
        return [path for path in self.directory.iterdir() if path.is_dir()]

    def _make_root_key(self) -> str:
        """Return the public half of the lab's key for root; make the key first if need be."""
        public = self.directory / "root_key.pub"
        if not public.exists():
            private_key, public_key = _make_key()
            _write_privately(self.root_key, private_key)
            public.write_text(public_key)
        return public.read_text()

    def _make_host(self, prefix: str, claim: Claim) -> Host:
        """Make the folder of a host and the host's own key and password."""
        number = 1
        while (folder := self.directory / f"{prefix}{number}").exists():
            number += 1
        folder.mkdir(mode=0o700)
        (folder / "root").mkdir()
        private_key, public_key = _make_key()
        _write_privately(folder / "host_key", private_key)
        host = Host(
            folder=folder,
            name=folder.name,
            address=claim.address,
            port=claim.port,
            root_password=secrets.token_urlsafe(18),
            host_key=public_key,
        )
        host.save()
        return host


def _make_key() -> tuple[str, str]:
    """Return an Ed25519 key as OpenSSH has it: the private half in PEM, the public half as a line."""
    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())
    public = key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
    return private.decode(), public.decode()


def _write_privately(path: Path, text: str) -> None:
    path.touch(mode=0o600)
    path.write_text(text)


def _remove(folders: Sequence[Path]) -> None:
    found = [open_process(folder) for folder in folders]
    end_processes([process for process in found if process is not None])
    for folder in folders:
        shutil.rmtree(folder)
