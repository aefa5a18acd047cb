"""OpenLDAP: accounts as entries, with passwords by the Password Modify operation and SSH public keys."""

from pydantic import BaseModel

from provost.connectors._ldap import (
    DELETE,
    Code,
    Directory,
    Line,
    check_name,
    closed_on_failure,
    explain_refusal,
)
from provost.connectors._ssh import Routes
from provost.connectors.ldap.parameters import LdapOptions, LdapParameters, LdapRemoval
from provost.connectors.ldap.session import POLICY, LdapSession, find_policy_bar, name_login
from provost.core.connector import Connector, Timeouts, Witness
from provost.core.errors import LoginRefused
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
    protected = frozenset({"root"})
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
        """Bind as the privileged account, and see whether it may write.

        Raises:
            Unreachable: no connection.
            LoginRefused: the account was refused, or may not write below the base.
            HostKeyRefused: the server's certificate is not believed.
        """
        options = LdapOptions.model_validate(dict(target.options))
        if login.password is None:
            raise LoginRefused(
                f"A directory takes no SSH key: {login.username} needs a password.",
                code="login_method_unavailable",
            )
        with closed_on_failure(Line(target, options)) as line:
            name = name_login(login.username, options)
            answer = await line.log_in(name, login.password, self._routes, timeouts, POLICY, witness=witness)
            if refusal := explain_refusal(answer, target, login, find_policy_bar(answer)):
                raise refusal
            await line.run(_check_rights, line.directory, target, login, options)
            return LdapSession(
                target=target,
                options=options,
                actor=login.username,
                line=line,
                routes=self._routes,
                timeouts=timeouts,
            )

    async def close(self) -> None:
        """Close the ways through gateways."""
        await self._routes.close()


def _check_rights(directory: Directory, target: Target, login: Login, options: LdapOptions) -> None:
    """Have the base changed by taking away what it does not have: rights are looked at before that is seen."""
    if directory.read(options.base_dn, ["1.1"]) is None:
        raise LoginRefused(
            f"{target.asset} shows {login.username} no {options.base_dn}: is the option base_dn right, and may "
            "the account read there?",
            code="rights_missing",
        )
    answer = directory.modify(options.base_dn, {"description": [(DELETE, [b"provost: may this be changed?"])]})
    if answer.code in {Code.INSUFFICIENT_ACCESS_RIGHTS, Code.UNWILLING_TO_PERFORM, Code.REFERRAL}:
        raise LoginRefused(
            f"{login.username} may not write to {options.base_dn} on {target.asset}: {answer.text}.",
            code="rights_missing",
        )


connector: type[Connector] = LdapConnector
