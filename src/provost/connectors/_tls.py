"""TLS for every kind that is reached by it: who is believed, and how.

The underscore keeps this module out of the list of kinds.
"""

import ssl
from enum import StrEnum
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from provost.core.errors import HostKeyRefused, TargetError
from provost.core.job import Target


class Tls(StrEnum):
    """How a connection is protected."""

    VERIFY = "verify"
    UNVERIFIED = "unverified"
    OFF = "off"


def _check_pem(text: str) -> str:
    try:
        ssl.create_default_context(cadata=text)
    except (ssl.SSLError, ValueError) as error:
        raise ValueError("holds no certificate in PEM form (-----BEGIN CERTIFICATE-----)") from error
    return text


class TlsOptions(BaseModel):
    """What an asset that is reached by TLS may carry."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    tls: Tls = Field(
        Tls.VERIFY,
        description="verify: the server's certificate must be of a known issuer and hold its name; unverified: "
        "encrypted, and anybody may be in between; off: in clear",
    )
    tls_ca: Annotated[str, AfterValidator(_check_pem)] | None = Field(
        None,
        description="certificates of issuers in PEM form, believed instead of those of Provost's machine",
        json_schema_extra={"contentMediaType": "application/x-pem-file"},
    )
    tls_name: str | None = Field(
        None, description="the name that the certificate must hold (default: the address)"
    )

    def find_name(self, target: Target) -> str:
        """Return the name that the server's certificate must hold, however the server is reached."""
        return self.tls_name or target.address

    def make_context(self, target: Target) -> ssl.SSLContext | None:
        """Return a context that believes what the options say, whatever host a driver says; None: no TLS."""
        if self.tls is Tls.OFF:
            return None
        context = _NamedContext(ssl.PROTOCOL_TLS_CLIENT)
        context.name = self.find_name(target)
        if self.tls is Tls.UNVERIFIED:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        elif self.tls_ca is None:
            context.load_default_certs()
        else:
            context.load_verify_locations(cadata=self.tls_ca)
        return context


class _NamedContext(ssl.SSLContext):
    """A context that knows the server's name: a driver that goes through a tunnel would say 127.0.0.1."""

    name: str

    def wrap_socket(self, *args: Any, **kwargs: Any) -> ssl.SSLSocket:
        return super().wrap_socket(*args, **kwargs | {"server_hostname": self.name})

    def wrap_bio(self, *args: Any, **kwargs: Any) -> ssl.SSLObject:
        return super().wrap_bio(*args, **kwargs | {"server_hostname": self.name})


def refuse_certificate(target: Target, why: object) -> HostKeyRefused:
    """Return the error for a server whose certificate is not believed. `why` is the library's sentence."""
    return HostKeyRefused(
        f"The certificate of {target.asset} is not believed: {why}. Set tls_ca to its issuer, or "
        "tls_name to the name that it holds. If it was right until now, somebody may be in between.",
        code="certificate_refused",
    )


def miss_tls(target: Target, how: str) -> TargetError:
    """Return the error for a server that does no TLS. `how`: what to do there, so that it does."""
    return TargetError(
        f"{target.asset} does no TLS on port {target.port}. {how}; or set the asset's option tls=off, and "
        "secrets pass in clear.",
        code="tls_unavailable",
    )
