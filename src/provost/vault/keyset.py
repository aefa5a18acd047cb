"""A Tink keyset of XChaCha20-Poly1305 keys: one encrypts, all decrypt.

Tink puts the id of the key in front of what it encrypts
(https://developers.google.com/tink/wire-format: one byte of version, four of key id, big-endian).
"""

import json
from functools import cache
from types import ModuleType
from typing import TYPE_CHECKING, Any, Self

from provost.core.errors import VaultError

if TYPE_CHECKING:
    from tink import KeysetHandle, aead

_PREFIX = 5
_BOUND_TO_KEYSET = b"provost keyset"


class DataKeyUnknown(VaultError):
    """Something is encrypted with a key that the keyset does not hold."""

    code = "secret_does_not_decrypt"


@cache
def _load() -> ModuleType:
    """Import Tink when the first keyset is used: most commands read no secret, and need not wait for it."""
    import tink  # noqa: PLC0415
    from tink import aead, json_proto_keyset_format, secret_key_access  # noqa: F401, PLC0415

    aead.register()
    return tink


class Keyset:
    """Keys that encrypt and decrypt bytes, each bound to some associated data."""

    def __init__(self, handle: "KeysetHandle") -> None:
        info = handle.keyset_info()
        self._handle = handle
        self.primitive: aead.Aead = handle.primitive(_load().aead.Aead)
        self.primary_key_id: int = info.primary_key_id
        self.key_ids: tuple[int, ...] = tuple(key.key_id for key in info.key_info)

    @classmethod
    def generate(cls) -> Self:
        """Return a keyset of one new key."""
        tink = _load()
        return cls(tink.new_keyset_handle(tink.aead.aead_key_templates.XCHACHA20_POLY1305))

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read what `serialize` wrote.

        Raises:
            ValueError: it is not a keyset; the message shows nothing of it.
        """
        tink = _load()
        try:
            return cls(tink.json_proto_keyset_format.parse(text, tink.secret_key_access.TOKEN))
        except tink.TinkError:
            raise ValueError("not a Tink keyset in JSON") from None

    def serialize(self) -> str:
        """Return the keys as Tink's JSON, in clear."""
        tink = _load()
        text: str = tink.json_proto_keyset_format.serialize(self._handle, tink.secret_key_access.TOKEN)
        return text

    def wrap(self, master: "Keyset") -> str:
        """Return these keys as Tink's JSON, encrypted by `master`."""
        text: str = _load().json_proto_keyset_format.serialize_encrypted(
            self._handle, master.primitive, _BOUND_TO_KEYSET
        )
        return text

    @classmethod
    def unwrap(cls, text: str, master: "Keyset") -> Self:
        """Read what `wrap` wrote.

        Raises:
            ValueError: `master` does not decrypt it.
        """
        tink = _load()
        try:
            return cls(tink.json_proto_keyset_format.parse_encrypted(text, master.primitive, _BOUND_TO_KEYSET))
        except tink.TinkError:
            raise ValueError("the master key does not decrypt this keyset") from None

    def add_primary(self) -> "Keyset":
        """Return these keys and a new one, which encrypts from now on."""
        while (new := Keyset.generate()).primary_key_id in self.key_ids:
            pass
        document, addition = json.loads(self.serialize()), json.loads(new.serialize())
        document["key"] += addition["key"]
        return _build(document, new.primary_key_id)

    def keep(self, key_id: int) -> "Keyset":
        """Return a keyset of this one's key `key_id` alone."""
        document = json.loads(self.serialize())
        document["key"] = [key for key in document["key"] if key["keyId"] == key_id]
        return _build(document, key_id)

    def encrypt(self, plain: bytes, associated_data: bytes) -> bytes:
        """Encrypt with the primary key."""
        encrypted: bytes = self.primitive.encrypt(plain, associated_data)
        return encrypted

    def decrypt(self, encrypted: bytes, associated_data: bytes) -> bytes:
        """Decrypt what any of the keys encrypted under the same associated data.

        Raises:
            DataKeyUnknown: no key here has the id that it asks for.
            VaultError: `secret_does_not_decrypt`, it was changed, or bound to something else.
        """
        if (key_id := int.from_bytes(encrypted[1:_PREFIX], "big")) not in self.key_ids:
            raise DataKeyUnknown(f"It is encrypted with data key {key_id}, which this vault does not hold.")
        try:
            plain: bytes = self.primitive.decrypt(encrypted, associated_data)
        except _load().TinkError:
            raise VaultError(
                "It was changed, or moved here from another place.", code="secret_does_not_decrypt"
            ) from None
        return plain


def _build(document: dict[str, Any], primary_key_id: int) -> Keyset:
    return Keyset.parse(json.dumps(document | {"primaryKeyId": primary_key_id}))
