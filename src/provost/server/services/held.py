"""Secrets that belong to no account: the operator's own for a run or a task, and what Provost signs with."""

from contextlib import suppress
from functools import lru_cache
from secrets import token_hex
from uuid import UUID

from django.db import IntegrityError, transaction

from provost.core.errors import VaultError
from provost.core.secrets import Password, Secret
from provost.server.models.secrets import AuditKey, ChannelSecret, ConsoleKey, Held, SpecifiedSecret, TaskSecret
from provost.server.services import keyring
from provost.vault import cipher


def hold_specified(*, run_id: UUID, secret: Secret) -> None:
    """Store the operator's own secret for a run, until `drop_specified`.

    Raises:
        VaultError: the master key is missing or wrong.
    """
    with transaction.atomic():
        _hold(SpecifiedSecret(run_id=run_id), secret)


def read_specified(*, run_id: UUID) -> Secret | None:
    """Decrypt the operator's own secret for a run, if one is held.

    Raises:
        VaultError: the master key is missing or wrong, or the secret does not decrypt.
    """
    row = SpecifiedSecret.objects.filter(run_id=run_id).first()
    return None if row is None else decrypt_specified(row)


def drop_specified(*, run_id: UUID) -> None:
    """Forget the operator's own secret for a run."""
    SpecifiedSecret.objects.filter(run_id=run_id).delete()


def hold_for_task(*, task_id: UUID, secret: Secret) -> None:
    """Store the operator's own secret for a saved task, in the place of the one before.

    Raises:
        VaultError: the master key is missing or wrong.
    """
    with transaction.atomic():
        TaskSecret.objects.filter(task_id=task_id).delete()
        _hold(TaskSecret(task_id=task_id), secret)


def read_for_task(*, task_id: UUID) -> Secret | None:
    """Decrypt the operator's own secret for a saved task, if it has one.

    Raises:
        VaultError: the master key is missing or wrong, or the secret does not decrypt.
    """
    row = TaskSecret.objects.filter(task_id=task_id).first()
    return None if row is None else decrypt_specified(row)


def drop_for_task(*, task_id: UUID) -> None:
    """Forget the operator's own secret for a saved task."""
    TaskSecret.objects.filter(task_id=task_id).delete()


def hold_for_channel(*, channel_id: UUID, secret: Password) -> None:
    """Store what the deliveries of a new webhook are signed with.

    Raises:
        VaultError: the master key is missing or wrong.
    """
    with transaction.atomic():
        _hold(ChannelSecret(channel_id=channel_id), secret)


def read_for_channel(*, channel_id: UUID) -> Password:
    """Decrypt what the deliveries of a webhook are signed with.

    Raises:
        VaultError: the master key is missing or wrong, or the secret is not there or does not decrypt.
    """
    row = ChannelSecret.objects.filter(channel_id=channel_id).first()
    secret = None if row is None else decrypt_specified(row)
    if not isinstance(secret, Password):
        raise VaultError("The channel has no signing secret.", code="secret_does_not_decrypt")
    return secret


def read_audit_key() -> bytes:
    """Return the key that the audit trail is chained with; it is made when it is first asked for.

    Raises:
        VaultError: the master key is missing or wrong, or the key does not decrypt.
    """
    return _read_key(AuditKey)


def read_console_key() -> bytes:
    """Return the key that the console signs with; it is made when it is first asked for.

    Raises:
        VaultError: as `read_audit_key`.
    """
    return _read_key(ConsoleKey)


def _read_key(model: type[AuditKey | ConsoleKey]) -> bytes:
    row = model.objects.first()
    if row is None:
        row = model()
        with suppress(IntegrityError), transaction.atomic():  # two at once: the first one's is the key
            _hold(row, Password(token_hex(32)))
        row = model.objects.get()
    return _decrypt_key(model, bytes(row.ciphertext))


@lru_cache(maxsize=4)
def _decrypt_key(model: type[AuditKey | ConsoleKey], ciphertext: bytes) -> bytes:
    row = model(ciphertext=ciphertext)
    secret = decrypt_specified(row)
    if not isinstance(secret, Password):
        raise VaultError(f"The {row} is none.", code="secret_does_not_decrypt")
    return bytes.fromhex(secret.text)


def _hold(row: Held, secret: Secret) -> None:
    keyset = keyring.share_keyset()
    row.ciphertext = cipher.encrypt_specified(keyset, secret, holder=row.holder)
    row.key_id = keyset.primary_key_id
    row.save(force_insert=True)


def decrypt_specified(row: Held) -> Secret:
    """Decrypt the row that holds the operator's own secret for a run or a task.

    Raises:
        VaultError: the master key is missing or wrong, or `secret_does_not_decrypt`, naming the run or task.
    """
    try:
        return keyring.try_keysets(
            lambda keyset: cipher.decrypt_specified(keyset, bytes(row.ciphertext), holder=row.holder)
        )
    except VaultError as error:
        if error.code != "secret_does_not_decrypt":
            raise
        raise VaultError(
            f"The {row} does not decrypt. {error.message} Give it anew.",
            code=error.code,
        ) from None
