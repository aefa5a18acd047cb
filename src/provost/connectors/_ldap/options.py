"""What an operator may say about any directory, and how such words are checked."""

from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from provost.connectors._keys import check_line
from provost.connectors._ldap.names import fold_dn
from provost.connectors._lists import listed
from provost.connectors._tls import Tls, TlsOptions


def check_dn(text: str) -> str:
    """Refuse what is no name of an entry, for pydantic."""
    if not fold_dn(text):
        raise ValueError("is not the name of an entry, such as ou=people,dc=example,dc=org")
    return text


def _check_text(text: str) -> str:
    if not text.strip():
        raise ValueError("may not be empty")
    return check_line(text)


Dn = Annotated[str, AfterValidator(check_dn)]
Text = Annotated[str, AfterValidator(_check_text)]
Groups = Annotated[tuple[Text, ...], listed(",")]


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
