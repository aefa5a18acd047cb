"""How a secret is encrypted: by the data keyset, bound to the place that it is stored in."""

import json
from uuid import UUID

from provost.core.model import SecretType
from provost.core.secrets import Password, Secret, SshKey
from provost.vault.keyset import Keyset


def encrypt_secret(keyset: Keyset, secret: Secret, *, account_id: UUID, version: int) -> bytes:
    """Encrypt one version of an account's secret."""
    return keyset.encrypt(_encode(secret), _bind_version(account_id, secret.secret_type, version))


def decrypt_secret(
    keyset: Keyset, encrypted: bytes, *, account_id: UUID, secret_type: SecretType, version: int
) -> Secret:
    """Decrypt what `encrypt_secret` encrypted for the same account, type and version.

    Raises:
        VaultError: as `Keyset.decrypt`.
    """
    return _decode(keyset.decrypt(encrypted, _bind_version(account_id, secret_type, version)))


def encrypt_specified(keyset: Keyset, secret: Secret, *, holder: str) -> bytes:
    """Encrypt the operator's own secret for a run or a task."""
    return keyset.encrypt(_encode(secret), _bind_holder(holder))


def decrypt_specified(keyset: Keyset, encrypted: bytes, *, holder: str) -> Secret:
    """Decrypt what `encrypt_specified` encrypted for the same holder.

    Raises:
        VaultError: as `Keyset.decrypt`.
    """
    return _decode(keyset.decrypt(encrypted, _bind_holder(holder)))


def _bind_version(account_id: UUID, secret_type: SecretType, version: int) -> bytes:
    return f"provost secret {account_id} {secret_type.value} {version}".encode()


def _bind_holder(holder: str) -> bytes:
    return f"provost specified {holder}".encode()


def _encode(secret: Secret) -> bytes:
    if isinstance(secret, Password):
        return json.dumps({"password": secret.text}).encode()
    return json.dumps({"public": secret.public, "private": secret.private}).encode()


def _decode(plain: bytes) -> Secret:
    fields = json.loads(plain)
    if "password" in fields:
        return Password(fields["password"])
    return SshKey(public=fields["public"], private=fields["private"])
