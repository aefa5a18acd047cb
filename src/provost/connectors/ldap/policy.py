"""OpenLDAP's password policy (ppolicy): its locks, and what it says to logins and of new passwords."""

import re
from typing import Final

from provost.connectors._ldap.answers import Answer, Code, Entry
from provost.connectors._ldap.directory import Control, Directory
from provost.core.secrets import Password

ENDED: Final = b"19700101000000Z"
LOCKED: Final = b"000001010000Z"
"""What OpenLDAP calls locked for good; sssd looks at it, too, when it lets SSH keys in."""

POLICY: Final[Control] = ("1.3.6.1.4.1.42.2.27.8.5.1", False, None)
POLICY_HERE: Final[Control] = (POLICY[0], True, None)
"""The same as a condition: a database without a password policy then refuses."""

# draft-behera-ldap-password-policy-10, 6.2
_NO_ERROR: Final = -1
_MUST_CHANGE: Final = 2
_LOGIN_ERRORS: Final = {
    0: "its password has expired",
    1: "it is locked",
    _MUST_CHANGE: "its password must be changed first",
}
_PASSWORD_ERRORS: Final = {
    3: "only its owner may change it",
    4: "the old password must be given",
    5: "it is too simple",
    6: "it is too short",
    7: "the old one is too young",
    8: "it was in use before",
}


def is_disabled(entry: Entry) -> bool:
    """Tell whether Provost has disabled an account."""
    return entry.get("pwdEndTime") == ENDED.decode()


def find_policy_bar(answer: Answer) -> str:
    """Return why the password policy lets an account in no more, as far as the answer to a login tells."""
    return _LOGIN_ERRORS.get(_read_error(answer), "")


def must_change(answer: Answer) -> bool:
    """Tell whether a login was accepted for no more than a change of the password."""
    return _read_error(answer) == _MUST_CHANGE


def set_password(directory: Directory, dn: str, username: str, password: Password) -> None:
    """Set the password of an account.

    Raises:
        ChangeRefused: it was not taken; the message says what the policy has against it.
    """
    answer = directory.set_password(dn, password, POLICY)
    if answer.code != Code.SUCCESS:
        why = _PASSWORD_ERRORS.get(_read_error(answer), "")
        what = f"did not take the password of {username}{why and f', since by its policy {why}'}"
        raise directory.refuse(what, answer, "password_refused")


def _read_error(answer: Answer) -> int:
    # SEQUENCE { warning [0] OPTIONAL, error [1] ENUMERATED OPTIONAL }
    value = answer.controls.get(POLICY[0], {}).get("value")
    found = re.search(rb"\x81\x01(.)\Z", value or b"", re.DOTALL)
    return found[1][0] if found else _NO_ERROR
