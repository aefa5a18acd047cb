"""The kind `linux`: hosts reached by SSH, with accounts in passwd(5) and keys in authorized_keys (sshd(8))."""

import re

from provost.connectors._ssh import Routes
from provost.connectors.linux.leaving import PROTECTED
from provost.connectors.linux.parameters import LinuxOptions, LinuxParameters, LinuxRemoval
from provost.connectors.linux.session import LinuxSession
from provost.connectors.linux.shell import Shell
from provost.core.connector import Timeouts, Witness
from provost.core.errors import Refused
from provost.core.job import Login, Target
from provost.core.model import Capability, SecretType
from provost.core.secrets import Password, Secret

_LONGEST_USERNAME = 32  # LOGIN_NAME_MAX less one, useradd(8)
_LONGEST_PASSWORD = 256  # bytes; PAM_MAX_RESP_SIZE is 512, crypt(5) takes 511


class LinuxConnector:
    """Serves one run; gateways are shared within it."""

    kind = "linux"
    default_port = 22
    secret_types = frozenset(SecretType)
    capabilities = frozenset(Capability)
    protected = PROTECTED
    options = LinuxOptions
    parameters = LinuxParameters
    removal = LinuxRemoval

    def __init__(self) -> None:
        self._routes = Routes()

    def check_username(self, username: str) -> None:
        """Take the names that every useradd and passwd(5) can hold, in whatever case."""
        if len(username) > _LONGEST_USERNAME:
            raise Refused(
                f"A username on Linux has at most {_LONGEST_USERNAME} characters, not {len(username)}.",
                code="username_refused",
            )
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_.-]*", username):
            raise Refused(
                f"{username!r} cannot be a username on Linux: it begins with a letter or _, and goes on with "
                f"letters, digits, dots, _ and -.",
                code="username_refused",
            )
        if re.fullmatch(r"[A-Z][A-Z0-9_]*", username):
            raise Refused(
                f"{username!r} cannot be a username on Linux: to sudoers(5), a name in capitals is an alias.",
                code="username_refused",
            )

    def check_secret(self, secret: Secret) -> None:
        """Refuse passwords that chpasswd(8) or a login could not take as they are."""
        if not isinstance(secret, Password):
            return
        if any(ord(c) < ord(" ") or ord(c) in range(0x7F, 0xA0) for c in secret.text):
            raise Refused(
                "A password on Linux may hold no control character (newline, tab, NUL ...).",
                code="secret_refused",
            )
        try:
            size = len(secret.text.encode())
        except UnicodeEncodeError:
            raise Refused("The password is not valid Unicode.", code="secret_refused") from None
        if not 0 < size <= _LONGEST_PASSWORD:
            raise Refused(
                f"A password on Linux has 1 to {_LONGEST_PASSWORD} bytes; this one has {size}.",
                code="secret_refused",
            )

    async def open(self, target: Target, login: Login, timeouts: Timeouts, witness: Witness) -> LinuxSession:
        """Log in as a privileged account that is, or becomes, root."""
        connection = await self._routes.connect(target, login, timeouts, witness)
        try:
            shell = await Shell.open(connection, login, target.asset, timeouts)
        except BaseException:
            connection.close()
            raise
        return LinuxSession(
            target=target,
            actor=login.username,
            connection=connection,
            shell=shell,
            routes=self._routes,
            timeouts=timeouts,
        )

    async def close(self) -> None:
        """End the gateways."""
        await self._routes.close()


connector = LinuxConnector
