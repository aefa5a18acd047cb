"""The groups of a directory: by usernames (posixGroup), or by the names of entries."""

from dataclasses import dataclass

from provost.connectors._ldap.answers import Entry
from provost.connectors._ldap.directory import Directory
from provost.connectors._ldap.names import fold_dn

_CLASSES = {"posixgroup": "memberUid", "groupofnames": "member", "groupofuniquenames": "uniqueMember"}


@dataclass(frozen=True, slots=True)
class Group:
    """One group. A posixGroup may be one of names as well (RFC 2307bis)."""

    name: str
    entry: Entry

    @property
    def dn(self) -> str:
        """The entry's name."""
        return self.entry.dn

    @property
    def number(self) -> int | None:
        """Its number on Linux hosts."""
        return self.entry.get_number("gidNumber")

    def list_references(self, username: str, dn: str) -> list[tuple[str, str]]:
        """Return the attributes and values that an account is a member by."""
        classes = {name.lower() for name in self.entry.list_texts("objectClass")}
        return [
            (attribute, username if attribute == "memberUid" else dn)
            for name, attribute in _CLASSES.items()
            if name in classes
        ]

    def has(self, username: str, dn: str) -> bool:
        """Tell whether an account is named as a member."""
        return username in self.entry.list_texts("memberUid") or any(
            fold_dn(value) == fold_dn(dn)
            for attribute in ("member", "uniqueMember")
            for value in self.entry.list_texts(attribute)
        )


def list_groups(directory: Directory, base: str | None, test: str) -> list[Group]:
    """Return the groups below `base` that a filter fits."""
    if base is None:
        return []
    classes = "".join(f"(objectClass={name})" for name in _CLASSES)
    found = directory.search(
        base,
        f"(&(|{classes}){test})",
        ["objectClass", "cn", "gidNumber", "memberUid", "member", "uniqueMember"],
    )
    return [Group(name, entry) for entry in found for name in entry.list_texts("cn")[:1]]
