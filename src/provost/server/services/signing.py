"""Keys that the console signs and encrypts with, each for one purpose, from the one that the vault holds."""

import hmac

from provost.server.services import held


def derive_key(purpose: str) -> bytes:
    """Return 32 bytes for one purpose: the same for all servers on a database.

    Raises:
        VaultError: the master key is missing or wrong, or the console's key does not decrypt.
    """
    return hmac.digest(held.read_console_key(), purpose.encode(), "sha256")
