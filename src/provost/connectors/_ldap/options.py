"""What an operator may say about any directory, and how such words are checked."""

from typing import Self

from pydantic import BeforeValidator, Field, model_validator

from provost.connectors._ldap.names import fold_dn
from provost.connectors._tls import Tls, TlsOptions


def check_dn(text: str) -> str:
    """Refuse what is no name of an entry, for pydantic."""
    if not fold_dn(text):
        raise ValueError("is not the name of an entry, such as ou=people,dc=example,dc=org")
    return text


def split_names(value: object) -> object:
    """Take names apart at commas, for pydantic."""
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


Names = BeforeValidator(split_names)


class DirectoryOptions(TlsOptions):
    """What an asset that is a directory may carry."""

    starttls: bool = Field(
        default=False, description="begin in clear and switch to TLS (StartTLS), as servers do on port 389"
    )

    @model_validator(mode="after")
    def _check_starttls(self) -> Self:
        if self.starttls and self.tls is Tls.OFF:
            raise ValueError("starttls asks for TLS, and tls=off for none")
        return self
