"""What on a host forbids a login whatever the secret is."""

import time
from collections.abc import Sequence
from fnmatch import fnmatchcase

from provost.core.model import SecretType

_SECONDS_PER_DAY = 86_400
_METHODS = {
    SecretType.PASSWORD: ("passwordauthentication", "kbdinteractiveauthentication"),
    SecretType.SSH_KEY: ("pubkeyauthentication",),
}


class Policy:
    """sshd's settings for one user (names as sshd -T prints them), with the user's groups and expiry."""

    def __init__(self, settings: Sequence[tuple[str, str]]) -> None:
        self._settings = settings

    def _list(self, name: str) -> list[str]:
        return [word for key, value in self._settings if key == name for word in value.split()]

    def find_bar(self, username: str, secret_type: SecretType) -> str:
        """Return what forbids `username` to log in with this type of secret, or an empty string.

        User and group patterns as in sshd_config(5). Whether a pattern's @host part matches is not known from
        here: such a pattern may forbid, and does not allow.
        """
        groups = self._list("groups")
        users_allowed, groups_allowed = self._list("allowusers"), self._list("allowgroups")
        methods = [self._list(name) for name in _METHODS[secret_type]]
        is_root = username == "root"
        root_logins = self._list("permitrootlogin") if is_root else []
        bars = (
            (not is_root and self._list("nologin"), "/etc/nologin exists"),
            (_match(self._list("denyusers"), [username]), "sshd's DenyUsers names it"),
            (users_allowed and not _match(users_allowed, [username]), "sshd's AllowUsers does not name it"),
            (
                users_allowed and not _match([one for one in users_allowed if "@" not in one], [username]),
                "sshd's AllowUsers names it for some addresses alone",
            ),
            (_match(self._list("denygroups"), groups), "sshd's DenyGroups names a group of it"),
            (groups_allowed and not _match(groups_allowed, groups), "sshd's AllowGroups names no group of it"),
            (
                any("," in chain for chain in self._list("authenticationmethods")),
                "sshd's AuthenticationMethods asks for more than one secret",
            ),
            (root_logins == ["no"], "sshd's PermitRootLogin is no"),
            (
                secret_type is SecretType.PASSWORD and root_logins not in ([], ["yes"], ["no"]),
                "sshd's PermitRootLogin takes no password",
            ),
            (all(method == ["no"] for method in methods), f"sshd takes no {secret_type} for it"),
            (self._has_expired(), "the account has expired"),
            (
                bool(self._list("locked")) and self._list("usepam") == ["no"],
                "it is locked (! in shadow), and sshd without PAM then takes no login",
            ),
        )
        return next((why for holds, why in bars if holds), "")

    def binds_key(self) -> bool:
        """Tell whether options of the key itself may forbid the login."""
        return bool(self._list("keyoptions"))

    def _has_expired(self) -> bool:
        """Compare with shadow(5)'s day of expiry, in days since 1970."""
        days = self._list("expires")
        return bool(days) and days[0].isdigit() and int(days[0]) <= time.time() // _SECONDS_PER_DAY


def _match(patterns: list[str], names: list[str]) -> bool:
    return any(fnmatchcase(name, pattern.split("@")[0]) for pattern in patterns for name in names)
