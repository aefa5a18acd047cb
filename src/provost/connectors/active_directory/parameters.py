"""What an operator may say about an Active Directory domain, and about accounts pushed to it."""

import re
from datetime import date
from typing import Annotated, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from provost.connectors._keys import check_line
from provost.connectors._ldap.options import DirectoryOptions, Dn, Groups, Text
from provost.connectors._tls import Tls


def _check_domain(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+", text):
        raise ValueError("is not the DNS name of a domain, such as corp.example.com")
    return text.lower()


def _check_upn(text: str) -> str:
    if not re.fullmatch(r"[^@\s]+@[A-Za-z0-9.-]+", text):
        raise ValueError("is not a user principal name, such as ada@corp.example.com")
    return check_line(text)


_Domain = Annotated[str, AfterValidator(_check_domain)]
_Upn = Annotated[str, AfterValidator(_check_upn)]


class ActiveDirectoryOptions(DirectoryOptions):
    """Options of an Active Directory asset."""

    domain: _Domain = Field(description="the domain's DNS name, as corp.example.com")
    container: Dn | None = Field(
        None, description="where new accounts go, as OU=Services,DC=corp,DC=example,DC=com (default: CN=Users)"
    )
    base_dn: Dn | None = Field(None, description="where accounts are looked for (default: the whole domain)")
    upn_suffix: _Domain | None = Field(
        None, description="what follows the @ in the names of new accounts (default: the domain)"
    )

    @model_validator(mode="after")
    def _check_tls(self) -> Self:
        if self.tls is Tls.OFF:
            raise ValueError("tls=off: Active Directory takes new passwords over TLS only")
        return self

    @property
    def domain_dn(self) -> str:
        """The name of the domain's own entry."""
        return ",".join(f"DC={label}" for label in self.domain.split("."))

    @property
    def base(self) -> str:
        """Where accounts are looked for."""
        return self.base_dn or self.domain_dn

    @property
    def place(self) -> str:
        """Where new accounts go."""
        return self.container or f"CN=Users,{self.domain_dn}"


class ActiveDirectoryParameters(BaseModel):
    """Parameters of a push to Active Directory. An account that exists keeps what it has else."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    full_name: Text | None = Field(None, description="the name that is shown (default: none)")
    given_name: Text | None = Field(None, description="the first name")
    surname: Text | None = Field(None, description="the surname")
    mail: Text | None = Field(None, description="the mail address")
    comment: Text | None = Field(None, description="a description")
    upn: _Upn | None = Field(
        None, description="the user principal name (default: the username, with the asset's suffix)"
    )
    groups: Groups = Field((), description="groups to be a member of, which must exist, separated by commas")
    expires: date | None = Field(None, description="the day on which the account expires, YYYY-MM-DD")


class ActiveDirectoryRemoval(BaseModel):
    """A removal leaves nothing of an account in the domain, so there is nothing to say about it."""

    model_config = ConfigDict(extra="forbid", frozen=True)
