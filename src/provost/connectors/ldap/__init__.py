"""OpenLDAP: accounts as entries, with passwords by the Password Modify operation and SSH public keys."""

from pydantic import BaseModel

from provost.connectors._ldap.names import check_name
from provost.connectors._ssh import Routes
from provost.connectors.ldap.parameters import PROTECTED, LdapOptions, LdapParameters, LdapRemoval
from provost.connectors.ldap.session import LdapSession
from provost.core.connector import Connector, Timeouts, Witness
from provost.core.job import Login, Target
from provost.core.model import Become, Capability, SecretType
from provost.core.passwords import PasswordLimits

LONGEST_NAME = 256


class LdapConnector:
    """The kind `ldap`."""

    kind = "ldap"
    default_port = 636
    secret_types = frozenset(SecretType)
    capabilities = frozenset(Capability)
    protected = PROTECTED
    passwords = PasswordLimits(longest=256)
    becomes = frozenset({Become.NONE})
    options: type[BaseModel] = LdapOptions
    parameters: type[BaseModel] = LdapParameters
    removal: type[BaseModel] = LdapRemoval

    def __init__(self) -> None:
        self._routes = Routes()

    def check_username(self, username: str) -> None:
        """Refuse what a directory would not keep apart from another name, or not keep at all."""
        check_name(username, LONGEST_NAME)

    async def open(self, target: Target, login: Login, timeouts: Timeouts, witness: Witness) -> LdapSession:
        """Bind as the privileged account, and see whether it may write. Raises as `LdapSession.log_in` does."""
        session = LdapSession(
            target=target,
            options=LdapOptions.model_validate(dict(target.options)),
            actor=login.username,
            routes=self._routes,
            timeouts=timeouts,
        )
        await session.log_in(login, witness)
        return session

    async def close(self) -> None:
        """Close the ways through gateways."""
        await self._routes.close()


connector: type[Connector] = LdapConnector
