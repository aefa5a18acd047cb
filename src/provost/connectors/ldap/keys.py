"""The SSH public keys of an entry: which stay and which go."""

from collections.abc import Iterable, Sequence

from provost.connectors._keys import KEY_MARK, KeyStrategy, write_key_line
from provost.connectors._ldap.answers import Entry
from provost.connectors._ldap.directory import ADD, DELETE, Changes
from provost.core.facts import KeyFacts
from provost.core.keys import fingerprint, read_key_line
from provost.core.secrets import SshKey


def read_key(value: bytes) -> KeyFacts | None:
    """Return the key that a value of sshPublicKey holds."""
    return read_key_line(value.decode(errors="replace"))


def holds(values: Iterable[bytes], key: SshKey) -> bool:
    """Tell whether a key is among some values."""
    return any(found.fingerprint == fingerprint(key.public) for value in values if (found := read_key(value)))


def put_key(
    values: Sequence[bytes], key: SshKey, *, strategy: KeyStrategy, options: str, after: SshKey | None
) -> list[bytes]:
    """Return the values with a key among them; without options of its own it gets those of the key `after`."""
    if after is not None and not options:
        options = next(
            (
                found.options
                for value in values
                if (found := read_key(value)) and found.fingerprint == fingerprint(after.public)
            ),
            "",
        )
    kept = [] if strategy is KeyStrategy.EXCLUSIVE else [value for value in values if not holds([value], key)]
    if strategy is KeyStrategy.REPLACE_MANAGED:
        kept = [value for value in kept if not _is_managed(value)]
    return [*kept, write_key_line(key.public, options).encode()]


def take_keys(values: Sequence[bytes], keep: SshKey, gone: Sequence[SshKey]) -> list[bytes]:
    """Return the values without the keys in `gone`, and without others that Provost put there."""
    return [
        value
        for value in values
        if holds([value], keep) or not (_is_managed(value) or any(holds([value], key) for key in gone))
    ]


def plan_keys(entry: Entry, new: Sequence[bytes]) -> Changes:
    """Return the changes that give an entry these keys, and their class with the first of them."""
    old = entry.get_all("sshPublicKey")
    came = [value for value in new if value not in old]
    gone = [value for value in old if value not in new]
    changes: Changes = {}
    if gone or came:
        changes["sshPublicKey"] = [(what, some) for what, some in ((DELETE, gone), (ADD, came)) if some]
    classes = {name.lower(): name for name in entry.list_texts("objectClass")}
    if new and "ldappublickey" not in classes:
        changes["objectClass"] = [(ADD, [b"ldapPublicKey"])]
    elif not new and old and "ldappublickey" in classes:
        changes["objectClass"] = [(DELETE, [classes["ldappublickey"].encode()])]
    return changes


def _is_managed(value: bytes) -> bool:
    key = read_key(value)
    return key is not None and KEY_MARK in key.comment.split()
