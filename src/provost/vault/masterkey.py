"""The master key: a Tink keyset in a file of mode 0600, which encrypts the data keyset and nothing else."""

import os
from pathlib import Path

from provost.core.errors import VaultError
from provost.vault.keyset import Keyset

_OTHERS = 0o077


def read_master_key(path: Path, wanted: int | None = None) -> Keyset:
    """Read the master key file. `wanted` is the key that it must hold, when there is one already.

    Raises:
        VaultError: `master_key_missing`, `master_key_unreadable`, `master_key_exposed` (the
            file is somebody else's, or others may read it) or `master_key_wrong`.
    """
    put_back = "" if wanted is None else f" Put the file that holds master key {wanted} back, from your backup."
    try:
        with path.open(encoding="ascii") as file:
            status = os.fstat(file.fileno())
            text = file.read()
    except FileNotFoundError:
        raise VaultError(
            f"There is no master key file {path}.{put_back} PROVOST_MASTER_KEY_FILE says where it is.",
            code="master_key_missing",
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not text"
        raise VaultError(
            f"The master key file {path} cannot be read: {why}.{put_back}", code="master_key_unreadable"
        ) from None
    if status.st_uid not in {0, os.geteuid()}:
        raise VaultError(
            f"The master key file {path} belongs to user {status.st_uid}, who may know the key. "
            f"Put your own there, or run: chown {os.geteuid()} {path}",
            code="master_key_exposed",
        )
    if status.st_mode & _OTHERS:
        raise VaultError(
            f"The master key file {path} has mode {status.st_mode & 0o777:04o}: others may use it. "
            f"Run: chmod 600 {path}",
            code="master_key_exposed",
        )
    try:
        master = Keyset.parse(text)
    except ValueError as error:
        raise VaultError(
            f"The master key file {path} is {error}.{put_back}", code="master_key_unreadable"
        ) from None
    if wanted is not None and wanted not in master.key_ids:
        raise _refuse_wrong(path, wanted, master)
    return master


def unwrap_keyset(path: Path, wrapped: str, wanted: int) -> Keyset:
    """Return the data keyset that master key `wanted`, in the file at `path`, encrypted.

    Raises:
        VaultError: as `read_master_key`.
    """
    master = read_master_key(path, wanted)
    try:
        return Keyset.unwrap(wrapped, master)
    except ValueError:
        raise _refuse_wrong(path, wanted, master) from None


def _refuse_wrong(path: Path, wanted: int, master: Keyset) -> VaultError:
    held = ", ".join(map(str, master.key_ids))
    return VaultError(
        f"The master key file {path} does not belong to this database: master key {wanted} is wanted, the file "
        f"holds {held}. Put the right file back, from your backup, or name it in PROVOST_MASTER_KEY_FILE.",
        code="master_key_wrong",
    )


def create_master_key(path: Path) -> Keyset:
    """Make a master key and its file. A file that is already there is left alone.

    Raises:
        FileExistsError: there is one.
    """
    master = Keyset.generate()
    temporary = _write(path.with_name(f".{path.name}.{os.getpid()}"), master)
    try:
        os.link(temporary, path)
    finally:
        temporary.unlink()
    _sync_folder(path)
    return master


def replace_master_key(path: Path, master: Keyset) -> None:
    """Write `master` in place of the file at `path`: at every moment it holds the old keys or the new."""
    _write(path.with_name(f".{path.name}.new"), master).replace(path)
    _sync_folder(path)


def _write(temporary: Path, master: Keyset) -> Path:
    temporary.unlink(missing_ok=True)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(master.serialize())
        file.flush()
        os.fsync(file.fileno())
    return temporary


def _sync_folder(path: Path) -> None:
    descriptor = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
