"""New keys for what is stored, while others go on reading and writing.

Three steps, each of which may be the last that a process does, or be done twice:

1. A new data key joins the keyset and encrypts from now on.  Who writes holds the keyset's row meanwhile
   (`keyring.share_keyset`), so once this is committed nobody writes with the old key; who reads and does not
   know the new key reads the keyset again.
2. Every secret is encrypted anew, in batches.
3. When nothing is left under the old key, it is dropped.

With a new master key: it joins its file, then the keyset is encrypted with it, and only then the old one leaves
the file.  The row's lock is held over each change of the file.
"""

import time
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from provost.core.errors import VaultError
from provost.core.rights import Principal, Right
from provost.server.models.secrets import (
    AuditKey,
    ChannelSecret,
    ConsoleKey,
    SecretVersion,
    SpecifiedSecret,
    TaskSecret,
)
from provost.server.models.secrets import Keyset as Row
from provost.server.services import audit, held, keyring, secrets
from provost.server.services.chunks import CHUNK
from provost.vault import cipher
from provost.vault.keyset import Keyset
from provost.vault.masterkey import read_master_key, replace_master_key

_HELD: Final = (SpecifiedSecret, TaskSecret, ChannelSecret, AuditKey, ConsoleKey)
_PAUSE: Final = 0.1
"""Seconds, before another look for secrets that others were changing."""


@dataclass(frozen=True, slots=True)
class Rotation:
    """How many secrets were encrypted anew, and the ids of the keys in use from now on."""

    secrets: int
    data_key: int
    master_key: int


def rotate_keys(*, by: Principal, master: bool = False) -> Rotation:
    """Give the vault a new data key, and with `master` a new master key too.

    A rotation that was cut off is finished first, instead of beginning another.

    Raises:
        VaultError: the master key is missing or wrong; or `rotation_unfinished`, a secret does not decrypt: all
            others are encrypted anew, and the old key is kept.
        Forbidden: the caller may not administer everything.
    """
    by.require_everywhere(Right.ADMINISTER, what="make new keys")
    audit.write(by=by, action="key.rotate", subject="vault", details={"master": master})
    _begin(master=master)
    count = 0
    while True:
        done, failed = _encrypt_anew()
        count += done
        if failed:
            raise VaultError(
                f"{len(failed)} secrets cannot be encrypted anew: the old key is kept. The first: {failed[0]}",
                code="rotation_unfinished",
            )
        if keys := _finish():
            return Rotation(count, *keys)
        time.sleep(_PAUSE)


def _begin(*, master: bool) -> None:
    with transaction.atomic():
        row, keyset = keyring.lock_keyset()
        if len(keyset.key_ids) == 1:
            keyset = keyset.add_primary()
        path = settings.MASTER_KEY_FILE
        master_key = read_master_key(path, row.master_key_id)
        if master and len(master_key.key_ids) == 1:
            master_key = master_key.add_primary()
            replace_master_key(path, master_key)
        _wrap(row, keyset, master_key)


def _wrap(row: Row, keyset: Keyset, master_key: Keyset) -> None:
    row.wrapped = keyset.wrap(master_key)
    row.master_key_id = master_key.primary_key_id
    row.rotated = timezone.now()
    row.save()


def _encrypt_anew() -> tuple[int, list[VaultError]]:
    """Return how many secrets were encrypted anew, and what went wrong with others."""
    count = 0
    failed: list[VaultError] = []
    last = UUID(int=0)
    while True:
        with transaction.atomic():
            keyset = keyring.share_keyset()
            old = SecretVersion.objects.filter(id__gt=last).exclude(key_id=keyset.primary_key_id)
            # Rows that a push is just changing are left for later: waiting for them could end in a deadlock.
            if not (batch := list(old.select_for_update(skip_locked=True).order_by("id")[:CHUNK])):
                break
            done = []
            for row in batch:
                try:
                    secret = secrets.decrypt(row)
                except VaultError as error:
                    failed.append(error)
                    continue
                row.ciphertext = cipher.encrypt_secret(
                    keyset, secret, account_id=row.account_id, version=row.version
                )
                row.key_id = keyset.primary_key_id
                done.append(row)
            SecretVersion.objects.bulk_update(done, ["ciphertext", "key_id"])
        last = batch[-1].id
        count += len(done)
    for model in _HELD:
        with transaction.atomic():
            keyset = keyring.share_keyset()
            old_ones = model.objects.exclude(key_id=keyset.primary_key_id)
            for one in old_ones.select_for_update(skip_locked=True):
                try:
                    secret = held.decrypt_specified(one)
                except VaultError as error:
                    failed.append(error)
                    continue
                count += old_ones.filter(pk=one.pk).update(  # type: ignore[misc]  # each has a key of its own type
                    ciphertext=cipher.encrypt_specified(keyset, secret, holder=one.holder),
                    key_id=keyset.primary_key_id,
                )
    return count, failed


def _finish() -> tuple[int, int] | None:
    """Drop the old keys and return the ids of the data key and the master key; or None: something is left."""
    with transaction.atomic():
        row, keyset = keyring.lock_keyset()
        key_id = keyset.primary_key_id
        for model in (SecretVersion, *_HELD):
            if model.objects.exclude(key_id=key_id).exists():
                return None
        _wrap(row, keyset.keep(key_id), read_master_key(settings.MASTER_KEY_FILE, row.master_key_id))
    with transaction.atomic():
        row, _ = keyring.lock_keyset()
        master_key = read_master_key(settings.MASTER_KEY_FILE, row.master_key_id)
        if len(master_key.key_ids) > 1:
            replace_master_key(settings.MASTER_KEY_FILE, master_key.keep(row.master_key_id))
    return key_id, row.master_key_id
