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
    """sshd's effective settings for one user (names as sshd -T prints them), with the user's groups and expiry."""

    def __init__(self, settings: Sequence[tuple[str, str]]) -> None:
        self._settings = settings

    def _list(self, name: str) -> list[str]:
        return [word for key, value in self._settings if key == name for word in value.split()]

    def find_bar(self, username: str, secret_type: SecretType) -> str:
        """Return what forbids `username` to log in with this type of secret, or an empty string.

        User and group patterns as in sshd_config(5); a pattern's @host part is taken to match.
        """
        groups = self._list("groups")
        users_allowed, groups_allowed = self._list("allowusers"), self._list("allowgroups")
        if self._list("nologin") and username != "root":
            return "/etc/nologin exists"
        if _match(self._list("denyusers"), [username]):
            return "sshd's DenyUsers names it"
        if users_allowed and not _match(users_allowed, [username]):
            return "sshd's AllowUsers does not name it"
        if _match(self._list("denygroups"), groups):
            return "sshd's DenyGroups names a group of it"
        if groups_allowed and not _match(groups_allowed, groups):
            return "sshd's AllowGroups names no group of it"
        if any("," in chain for chain in self._list("authenticationmethods")):
            return "sshd's AuthenticationMethods asks for more than one secret"
        root = self._list("permitrootlogin")
        if username == "root" and (
            "no" in root or (secret_type is SecretType.PASSWORD and root and "yes" not in root)
        ):
            return f"sshd's PermitRootLogin is {root[0]}"
        methods = [self._list(name) for name in _METHODS[secret_type]]
        if all(method == ["no"] for method in methods):
            return f"sshd takes no {secret_type} for it"
        expires = self._list("expires")
        if expires and expires[0].isdigit() and int(expires[0]) <= time.time() // _SECONDS_PER_DAY:
            return "the account has expired"
        return ""


def _match(patterns: list[str], names: list[str]) -> bool:
    return any(fnmatchcase(name, pattern.split("@")[0]) for pattern in patterns for name in names)
