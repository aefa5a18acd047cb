"""The names of entries, and the values of attributes in names and filters."""

import re
import unicodedata

from ldap3.core.exceptions import LDAPException
from ldap3.utils.conv import escape_filter_chars
from ldap3.utils.dn import escape_rdn, parse_dn

from provost.core.errors import Refused


def fold_dn(dn: str) -> tuple[tuple[str, str], ...]:
    """Return a name in a form in which names of the same entry are equal; empty: it is no name of an entry."""
    try:
        parts = parse_dn(dn, strip=True)
    except (LDAPException, IndexError):
        return ()
    return tuple((kind.lower(), _unescape(value).casefold()) for kind, value, _ in parts)


def get_own_name(dn: str) -> str:
    """Return what an entry is called by itself, without where it is."""
    try:
        return _unescape(parse_dn(dn, strip=True)[0][1])
    except (LDAPException, IndexError):
        return dn


def _unescape(value: str) -> str:
    raw = re.sub(
        rb"\\(?:([0-9A-Fa-f]{2})|(.))",
        lambda found: bytes.fromhex(found[1].decode()) if found[1] else found[2],
        value.encode(),
        flags=re.DOTALL,
    )
    return raw.decode(errors="replace")


def escape(value: str) -> str:
    """Return a value as it stands in the name of an entry."""
    return str(escape_rdn(value))


def join_dn(attribute: str, value: str, base: str) -> str:
    """Return the name of an entry right below `base`."""
    return f"{attribute}={escape(value)},{base}"


def is_dn(username: str, base: str) -> bool:
    """Tell whether a username is the name of an entry in the same tree as `base`."""
    folded = fold_dn(username)
    return len(folded) > 1 and folded[-1] == fold_dn(base)[-1]


def check_name(username: str, longest: int) -> None:
    """Raise `Refused` for what a directory would not keep apart from another name, or not keep at all."""
    if not 0 < len(username) <= longest:
        raise Refused(f"A username in a directory has 1 to {longest} characters.", code="username_refused")
    if any(unicodedata.category(c) in {"Cc", "Cf", "Cs", "Cn", "Co", "Zl", "Zp"} for c in username):
        raise Refused("A username in a directory may hold no control character.", code="username_refused")
    if " ".join(unicodedata.normalize("NFKC", username).split()) != username:
        raise Refused(
            f"A directory does not tell {username!r} from other spellings: no spaces around it, no two in a "
            "row, and each character in its plainest form (NFKC).",
            code="username_refused",
        )


def match(attribute: str, *values: str) -> str:
    """Return a filter for entries where an attribute has one of some values."""
    tests = "".join(f"({attribute}={escape_filter_chars(value)})" for value in values)
    return tests if len(values) == 1 else f"(|{tests})"
