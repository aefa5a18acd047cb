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
from provost.core.model import Become, Capability, SecretType
from provost.core.passwords import PasswordLimits

_LONGEST_USERNAME = 32  # LOGIN_NAME_MAX less one, useradd(8)


class LinuxConnector:
    """Serves one run; gateways are shared within it."""

    kind = "linux"
    default_port = 22
    secret_types = frozenset(SecretType)
    capabilities = frozenset(Capability)
    protected = PROTECTED
    passwords = PasswordLimits(longest=256)  # PAM_MAX_RESP_SIZE is 512, crypt(5) takes 511
    becomes = frozenset(Become)
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

    async def open(self, target: Target, login: Login, timeouts: Timeouts, witness: Witness) -> LinuxSession:
        """Log in as a privileged account that is, or becomes, root."""
        connection = await self._routes.connect(target, login, timeouts, witness)
        try:
            shell = await Shell.open(connection, login, target, timeouts, witness)
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
            witness=witness,
        )

    async def close(self) -> None:
        """End the gateways."""
        await self._routes.close()


connector = LinuxConnector
