"""Active Directory: users of a domain, on a Windows or a Samba domain controller."""

import re
from typing import Final

from pydantic import BaseModel

from provost.connectors._ldap.names import check_name, fold_dn
from provost.connectors._ssh import Routes
from provost.connectors.active_directory.parameters import (
    ActiveDirectoryOptions,
    ActiveDirectoryParameters,
    ActiveDirectoryRemoval,
)
from provost.connectors.active_directory.session import ActiveDirectorySession
from provost.core.connector import Connector, Timeouts, Witness
from provost.core.errors import Refused
from provost.core.job import Login, Target
from provost.core.model import Become, Capability, SecretType
from provost.core.passwords import PasswordLimits

LONGEST_NAME: Final = 20
"""Of sAMAccountName, for users."""

_FORBIDDEN: Final = frozenset('"/\\[]:;|=,+*?<>@')
_LONG_FORM: Final = re.compile(r"[^@\s]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+|.+,\s*[Dd][Cc]=[A-Za-z0-9-]+")
"""A user principal name, or the name of an entry: how accounts that are there may be called as well."""


class ActiveDirectoryConnector:
    """The kind `active_directory`."""

    kind = "active_directory"
    default_port = 636
    secret_types = frozenset({SecretType.PASSWORD})
    capabilities = frozenset(Capability)
    protected = frozenset({"Administrator", "Guest", "krbtgt"})
    passwords = PasswordLimits(longest=256)
    becomes = frozenset({Become.NONE})
    options: type[BaseModel] = ActiveDirectoryOptions
    parameters: type[BaseModel] = ActiveDirectoryParameters
    removal: type[BaseModel] = ActiveDirectoryRemoval

    def __init__(self) -> None:
        self._routes = Routes()

    def check_username(self, username: str) -> None:
        """Refuse what cannot be a sAMAccountName; longer forms of names are taken."""
        if _LONG_FORM.fullmatch(username) and ("@" in username or fold_dn(username)):
            check_name(username, 1024)
            return
        check_name(username, LONGEST_NAME)
        if _FORBIDDEN & set(username) or username.endswith((".", "$")):
            raise Refused(
                f"{username!r} is no sAMAccountName: those hold none of {' '.join(sorted(_FORBIDDEN))} and do "
                "not end with a dot or a $.",
                code="username_refused",
            )

    async def open(
        self, target: Target, login: Login, timeouts: Timeouts, witness: Witness
    ) -> ActiveDirectorySession:
        """Bind as the privileged account, and see whether it may create users.

        Raises as `ActiveDirectorySession.log_in` does.
        """
        session = ActiveDirectorySession(
            target=target,
            options=ActiveDirectoryOptions.model_validate(dict(target.options)),
            actor=login.username,
            routes=self._routes,
            timeouts=timeouts,
        )
        await session.log_in(login, witness)
        return session

    async def close(self) -> None:
        """Close the ways through gateways."""
        await self._routes.close()


connector: type[Connector] = ActiveDirectoryConnector
