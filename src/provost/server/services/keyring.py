"""The data keyset: kept in the database, encrypted by the master key, and in memory once it is read."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from django.conf import settings
from django.db import connection

from provost.core.errors import VaultError
from provost.core.rights import Principal, Right
from provost.core.secrets import Secret
from provost.server.models.secrets import Keyset as Row
from provost.vault.keyset import DataKeyUnknown, Keyset
from provost.vault.masterkey import create_master_key, read_master_key, unwrap_keyset


@dataclass(frozen=True, slots=True)
class Keys:
    """The ids of the keys in use, and when the keyset was made and rotated last. None: unknown, or never."""

    master_key: int | None
    data_key: int | None
    created: datetime | None
    rotated: datetime | None


_cached: tuple[str, Keyset] | None = None


def create_keyset() -> bool:
    """Make the master key file and the data keyset, unless they are there. Returns whether one was made.

    Raises:
        VaultError: there is a keyset, and its master key is missing or wrong.
    """
    if row := Row.objects.first():
        unwrap_keyset(settings.MASTER_KEY_FILE, row.wrapped, row.master_key_id)
        return False
    path = settings.MASTER_KEY_FILE
    try:
        master = create_master_key(path)
    except FileExistsError:
        master = read_master_key(path)
    keyset = Keyset.generate()
    _, made = Row.objects.get_or_create(
        defaults={"wrapped": keyset.wrap(master), "master_key_id": master.primary_key_id}
    )
    return made


def read_keyset(*, fresh: bool = False) -> Keyset:
    """Return the data keyset to decrypt with: the one in memory, unless a `fresh` one is asked for.

    Raises:
        VaultError: the master key is missing or wrong, or there is no keyset yet.
    """
    if _cached and not fresh:
        return _cached[1]
    try:
        return _unwrap(_require(Row.objects.first()))
    except VaultError as error:
        if error.code != "master_key_wrong":
            raise
        # The master key may have been rotated between the two reads, of the row and of the file.
        return _unwrap(_require(Row.objects.first()))


def describe_keys(*, by: Principal) -> Keys:
    """Tell of the keys in use, by their ids.

    Raises:
        Forbidden: the caller may not administer everything.
    """
    by.require_everywhere(Right.ADMINISTER, what="see the keys of the vault")
    row = Row.objects.first()
    if row is None:
        return Keys(None, None, None, None)
    try:
        data_key = _unwrap(row).primary_key_id
    except VaultError:  # the check-up says why
        data_key = None
    return Keys(row.master_key_id, data_key, row.created, row.rotated)


def check_keyset() -> None:
    """Make sure that the master key file, as it is now, opens the keyset, as it is now.

    Raises:
        VaultError: as `read_keyset`.
    """
    row = _require(Row.objects.first())
    unwrap_keyset(settings.MASTER_KEY_FILE, row.wrapped, row.master_key_id)


def try_keysets(read: Callable[[Keyset], Secret]) -> Secret:
    """Decrypt with the keyset in memory; a key that it lacks may have come with a rotation since.

    Raises:
        VaultError: as `read_keyset`, or what `read` raises.
    """
    try:
        return read(read_keyset())
    except DataKeyUnknown:
        return read(read_keyset(fresh=True))


def share_keyset() -> Keyset:
    """Return the data keyset to encrypt with, which no rotation changes until the caller's transaction ends.

    Without that, a row could be written with a key that a rotation is just about to drop.  SQLite needs no
    lock: its transactions are exclusive here (transaction_mode IMMEDIATE).

    Raises:
        VaultError: as `read_keyset`.
    """
    if connection.vendor == "postgresql":
        return _unwrap(_require(next(iter(Row.objects.raw("SELECT * FROM server_keyset FOR SHARE")), None)))
    return _unwrap(_require(Row.objects.first()))


def lock_keyset() -> tuple[Row, Keyset]:
    """Return the row and the data keyset in it, for the caller alone until its transaction ends.

    Raises:
        VaultError: as `read_keyset`.
    """
    row = _require(Row.objects.select_for_update().first())
    return row, _unwrap(row)


def _require(row: Row | None) -> Row:
    if row is None:
        raise VaultError("There is no keyset in this database yet. Run: provost init", code="not_initialised")
    return row


def _unwrap(row: Row) -> Keyset:
    global _cached  # noqa: PLW0603  # once a process: unwrapping costs
    if _cached is None or _cached[0] != row.wrapped:
        _cached = row.wrapped, unwrap_keyset(settings.MASTER_KEY_FILE, row.wrapped, row.master_key_id)
    return _cached[1]
