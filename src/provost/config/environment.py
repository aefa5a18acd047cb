"""Every setting of Provost: a variable of the environment, `PROVOST_` and the field's name.

docs/configuration.md has the same table, which a test checks.
"""

import os
from collections.abc import Iterator, Mapping
from functools import partial
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Annotated, Any, Final, Literal
from urllib.parse import urlsplit, urlunsplit

import dj_database_url
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from provost.core.errors import UsageError
from provost.core.rights import Role

PREFIX: Final = "PROVOST_"
_WITH_SECRETS: Final = frozenset({"database_url", "smtp_url"})
_OF_COMMANDS: Final = frozenset({"PROVOST_SERVER", "PROVOST_TOKEN_FILE", "PROVOST_CA_FILE"})


_LOCAL: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_ENGINES: Final = frozenset({"django.db.backends.postgresql", "django.db.backends.sqlite3"})


def _split(text: Any) -> Any:
    return [part.strip() for part in text.split(",") if part.strip()] if isinstance(text, str) else text


def _find_home() -> Path:
    return Path.home() / ".provost"


def _check_url(url: str) -> str:
    if dj_database_url.parse(url).get("ENGINE") not in _ENGINES:
        raise ValueError
    return url


def _check_issuer(url: str) -> str:
    parts = urlsplit(url)
    local = parts.hostname in _LOCAL
    if not parts.hostname or parts.scheme not in ({"https", "http"} if local else {"https"}):
        raise ValueError
    return url


def _check_smtp(url: str) -> str:
    parts = urlsplit(url)
    shielded = parts.scheme == "smtps" or parts.query == "starttls" or parts.hostname in _LOCAL
    if parts.scheme not in {"smtp", "smtps"} or not parts.hostname or parts.query not in {"", "starttls"}:
        raise ValueError
    if parts.path.strip("/") or parts.fragment or parts.port == 0 or (parts.username and not shielded):
        raise ValueError
    return url


def _check_mailbox(text: str) -> str:
    name, at, domain = text.rpartition("@")
    if not (name and at and domain) or not text.isprintable() or set(text) & set(' <>,"') or not text.isascii():
        raise ValueError
    return text


def _check_public_url(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in {"https", "http"} or not parts.hostname or "@" in parts.netloc:
        raise ValueError
    if parts.path.strip("/") or parts.query or parts.fragment:
        raise ValueError
    return url.rstrip("/")


def _hide_secrets(url: str) -> str:
    parts = urlsplit(url)
    user, at, host = parts.netloc.rpartition("@")
    return urlunsplit(
        parts._replace(
            netloc=f"{user.partition(':')[0]}{':***' if ':' in user else ''}{at}{host}",
            query="***" if parts.query not in {"", "starttls"} else parts.query,
        )
    )


def _tell(value: Any) -> str | None:
    """Return a value as it is written in the environment; None: there is none."""
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, tuple | frozenset):
        return ",".join(sorted(map(str, value))) or None
    return None if value is None else str(value)


AbsolutePath = Annotated[Path, AfterValidator(Path.absolute)]
Network = Annotated[IPv4Network | IPv6Network, BeforeValidator(partial(ip_network, strict=False))]


class Environment(BaseModel):
    """The settings; an empty variable counts as none. Frozen: they are read once a process."""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    home: AbsolutePath = Field(default_factory=_find_home, description="the data folder")
    database_url: Annotated[str, AfterValidator(_check_url)] | None = Field(
        default=None, description="a URL like postgresql://user@host/database"
    )
    master_key_file: AbsolutePath = Field(
        default_factory=lambda known: known["home"] / "master.key",
        description="the path of the master key file",
    )
    strict_host_keys: bool = Field(default=False, description="1 or 0: refuse hosts whose key is not known")
    known_hosts: str | None = Field(default=None, description="the path of an OpenSSH known_hosts file")
    debug: bool = Field(default=False, description="1 or 0: print the text of errors that nobody foresaw")
    host: str = Field(default="127.0.0.1", description="the address that the server listens on")
    port: int = Field(default=8443, ge=0, le=65535, description="the server's port, from 0 (any) to 65535")
    tls_cert_file: AbsolutePath | None = Field(default=None, description="the path of a certificate chain, PEM")
    tls_key_file: AbsolutePath | None = Field(default=None, description="the path of its private key, PEM")
    allowed_hosts: Annotated[tuple[str, ...], BeforeValidator(_split)] = Field(
        default=(), description="names that the server is asked by, with commas between"
    )
    trusted_proxies: Annotated[tuple[Network, ...], BeforeValidator(_split)] = Field(
        default=(), description="addresses or networks, such as 10.0.0.5,10.1.0.0/24"
    )
    worker_runs: int = Field(default=4, ge=1, le=64, description="runs at once, from 1 to 64")
    run_retention_days: int = Field(default=400, ge=1, le=36500, description="days, from 1 to 36500")
    log_format: Literal["text", "json"] = Field(default="text", description="text or json")
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="debug, info, warning or error"
    )
    rejected_logins_per_hour: int = Field(
        default=2, ge=1, le=1000, description="refused logins that an account may have in an hour, from 1"
    )
    public_metrics: bool = Field(default=False, description="1 or 0: show /metrics to anybody")
    token_longest_days: int = Field(default=365, ge=1, le=3650, description="days, from 1 to 3650")
    second_factor_roles: Annotated[frozenset[Role], BeforeValidator(_split)] = Field(
        default=frozenset(), description="roles with commas between: administrator, operator, auditor"
    )
    oidc_issuer: Annotated[str, AfterValidator(_check_issuer)] | None = Field(
        default=None, description="the https:// address of an OpenID provider"
    )
    oidc_client_id: str = Field(default="provost", description="the name that the provider knows Provost by")
    oidc_client_secret_file: AbsolutePath | None = Field(
        default=None, description="the path of a file that holds the secret which the provider gave"
    )
    oidc_name: str = Field(default="OpenID", description="what the button to sign in is called")
    oidc_claim: str = Field(
        default="preferred_username", description="the claim that is the username in Provost"
    )
    public_url: Annotated[str, AfterValidator(_check_public_url)] | None = Field(
        default=None,
        description="the address that people open the console by, like https://provost.example.org",
    )
    smtp_url: Annotated[str, AfterValidator(_check_smtp)] | None = Field(
        default=None,
        description="a URL like smtp://user@host:587?starttls or smtps://user@host; a user takes TLS",
    )
    smtp_password_file: AbsolutePath | None = Field(
        default=None, description="the path of a file that holds the password for the mail server"
    )
    mail_from: Annotated[str, AfterValidator(_check_mailbox)] | None = Field(
        default=None, description="an e-mail address that mail is sent from"
    )
    webhook_refused_networks: Annotated[tuple[Network, ...], BeforeValidator(_split)] = Field(
        default=(
            ip_network("169.254.0.0/16"),
            ip_network("100.100.100.200"),
            ip_network("168.63.129.16"),
            ip_network("fe80::/10"),
            ip_network("fd00:ec2::254"),
            ip_network("fd20:ce::254"),
        ),
        description="addresses or networks, with commas between, that no webhook is sent to",
    )

    def describe(self) -> Iterator[tuple[str, str, str | None, bool]]:
        """Yield of each setting its variable, what it is, the value in force, and whether it was given.

        Values hold no secret: of the URLs of the database and of the mail server, neither the password nor the
        parameters are told.
        """
        for name, field in type(self).model_fields.items():
            value = getattr(self, name)
            told = _hide_secrets(value) if name in _WITH_SECRETS and value else _tell(value)
            yield name_variable(name), field.description or "", told, name in self.model_fields_set

    def read_oidc_secret(self) -> str:
        """Return the secret that the OpenID provider gave, or nothing where there is no file of it.

        Raises:
            UsageError: `settings_refused`, the file cannot be read.
        """
        if self.oidc_client_secret_file is None:
            return ""
        try:
            return self.oidc_client_secret_file.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError):
            raise UsageError(
                f"{name_variable('oidc_client_secret_file')} cannot be read.", code="settings_refused"
            ) from None


def read_environment(variables: Mapping[str, str] = os.environ) -> Environment:
    """Return the settings.

    Raises:
        UsageError: `settings_refused`, a variable cannot be used. Its value may be secret, and is not shown.
    """
    given = {name: text for name in Environment.model_fields if (text := variables.get(name_variable(name)))}
    try:
        return Environment.model_validate(given)
    except ValidationError as error:
        refused = dict.fromkeys(str(one["loc"][0]) for one in error.errors(include_input=False))
        raise UsageError(
            "\n".join(
                f"{name_variable(name)} cannot be used. It is {Environment.model_fields[name].description}."
                for name in refused
            ),
            code="settings_refused",
        ) from None


def name_variable(setting: str) -> str:
    """Return the variable of a setting: PROVOST_PORT for port."""
    return PREFIX + setting.upper()


def list_unknown(variables: Mapping[str, str] = os.environ) -> list[str]:
    """List the variables that look like settings and are none: mistyped, mostly."""
    known = {name_variable(name) for name in Environment.model_fields} | _OF_COMMANDS
    return sorted(name for name in variables if name.startswith(PREFIX) and name not in known)
