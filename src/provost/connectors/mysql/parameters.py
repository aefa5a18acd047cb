"""What an operator may say about a MySQL or MariaDB server, and about accounts pushed to it."""

import re
from enum import StrEnum
from typing import Annotated, Final, NamedTuple, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from provost.connectors._lists import listed
from provost.connectors._tls import TlsOptions
from provost.connectors.mysql.verifiers import Plugin

LONGEST_NAME: Final = 80
"""Characters of a username on MariaDB; MySQL has 32, and refuses more itself."""

# What can be granted on a database or a table without any power over the server or other accounts.
_PRIVILEGES: Final = frozenset(
    {
        "ALL PRIVILEGES", "ALTER", "ALTER ROUTINE", "CREATE", "CREATE ROUTINE", "CREATE TEMPORARY TABLES",
        "CREATE VIEW", "DELETE", "DROP", "EVENT", "EXECUTE", "INDEX", "INSERT", "LOCK TABLES", "REFERENCES",
        "SELECT", "SHOW VIEW", "TRIGGER", "UPDATE",
    }
)  # fmt: skip
_OBJECT: Final = re.compile(r"([0-9A-Za-z_$-]{1,64})\.(\*|[0-9A-Za-z_$-]{1,64})")
_SYSTEM_DATABASES: Final = frozenset({"mysql", "sys", "information_schema", "performance_schema"})


class Grant(NamedTuple):
    """Privileges on all of a database (`table` is `*`) or on one table of it."""

    privileges: tuple[str, ...]
    database: str
    table: str


def find_fault(name: str) -> str:
    """Return what keeps a name from being set exactly, or nothing."""
    if not 0 < len(name) <= LONGEST_NAME:
        return f"has 1 to {LONGEST_NAME} characters"
    if name != name.strip():
        return "cannot begin or end with a space: servers take them for the same as without"
    if any(ord(c) < ord(" ") or "\x7f" <= c <= "\x9f" for c in name):
        return "may hold no control character"
    if any("\ud800" <= c <= "\udfff" or c > "\uffff" for c in name):
        return "may hold no character beyond the basic plane (emoji ...): servers cannot keep it"
    return ""


def read_grant(text: str) -> Grant:
    """Return what `SELECT, INSERT ON database.*` says.

    Raises:
        ValueError: it is not such a text.
    """
    words, *places = re.split(r"\s+ON\s+", text.strip(), maxsplit=1, flags=re.IGNORECASE)
    found = _OBJECT.fullmatch("".join(places).strip())
    if found is None:
        raise ValueError(
            f"{text!r} is not like SELECT, INSERT ON database.* or ON database.table (letters, digits, _ $ -)"
        )
    privileges = tuple(" ".join(word.split()).upper() for word in words.split(","))
    if unknown := sorted(set(privileges) - _PRIVILEGES):
        raise ValueError(f"{', '.join(unknown)} is none of: {', '.join(sorted(_PRIVILEGES))}")
    if found[1].lower() in _SYSTEM_DATABASES:
        raise ValueError(f"{found[1]} is the server's own; who may write there is above all accounts")
    return Grant(privileges, found[1], found[2])


def _check_host(text: str) -> str:
    if not re.fullmatch(r"[0-9A-Za-z._%:/-]{1,255}", text):
        raise ValueError("is no host pattern such as %, 10.1.%, 10.0.0.0/255.0.0.0, %.example.com or localhost")
    return text.lower()


def _check_role(text: str) -> str:
    if fault := find_fault(text):
        raise ValueError(f"{text!r}: the name of a role {fault}")
    if text.upper() in {"NONE", "PUBLIC", "CURRENT_ROLE", "ALL", "DEFAULT"}:
        raise ValueError(f"{text} is a word of the server, not the name of a role")
    return text


def _check_grant(text: str) -> str:
    read_grant(text)
    return text


_Role = Annotated[str, AfterValidator(_check_role)]
_Grant = Annotated[str, AfterValidator(_check_grant)]
_Limit = Annotated[int, Field(ge=0, le=2**31 - 1)]


class MysqlOptions(TlsOptions):
    """Options of a MySQL or MariaDB server."""

    account_host: Annotated[str, AfterValidator(_check_host)] = Field(
        "%",
        description="the host pattern of this asset's accounts: app here is 'app'@'%', and no other app",
    )


class PluginChoice(StrEnum):
    """How an account logs in by its password."""

    AUTO = "auto"
    NATIVE = "mysql_native_password"
    ED25519 = "ed25519"
    SHA2 = "caching_sha2_password"

    @property
    def plugin(self) -> Plugin | None:
        """The server's plugin; None: the one that fits."""
        return None if self is PluginChoice.AUTO else Plugin(self.value)


class MysqlParameters(BaseModel):
    """Parameters of a push. An account that exists keeps what it has, but for its secret."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    plugin: PluginChoice = Field(
        PluginChoice.AUTO,
        description="how the account logs in; auto: as it does already, else the usual way of the server "
        "(MariaDB: mysql_native_password, MySQL: caching_sha2_password); ed25519 is MariaDB's",
    )
    require_tls: bool = Field(default=False, description="let the account in by TLS alone (REQUIRE SSL)")
    roles: Annotated[tuple[_Role, ...], listed(",")] = Field(
        (), description="roles to grant, which must exist, separated by commas"
    )
    default_role: _Role | None = Field(None, description="one of the roles, to be in force from each login on")
    grants: Annotated[tuple[_Grant, ...], listed(";")] = Field(
        (), description="privileges, as SELECT, INSERT ON app.*; EXECUTE ON app.* (separated by semicolons)"
    )
    update_existing_grants: bool = Field(
        default=False, description="give roles and grants to adopted accounts too; nothing is taken away"
    )
    max_user_connections: _Limit | None = Field(None, description="connections at once (0: the server's limit)")
    max_connections_per_hour: _Limit | None = Field(None, description="connections in an hour (0: no limit)")
    max_queries_per_hour: _Limit | None = Field(None, description="statements in an hour (0: no limit)")
    max_updates_per_hour: _Limit | None = Field(None, description="changes of data in an hour (0: no limit)")

    @model_validator(mode="after")
    def _check_default_role(self) -> Self:
        if self.default_role is not None and self.default_role not in self.roles:
            raise ValueError("default_role must be one of roles")
        return self


class Definers(StrEnum):
    """What becomes of an account that stored objects run as."""

    REFUSE = "refuse"
    LEAVE = "leave"


class MysqlRemoval(BaseModel):
    """Parameters of a removal."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    definers: Definers = Field(
        Definers.REFUSE,
        description="refuse: an account stays that views, routines, triggers or events run as (DEFINER); "
        "leave: they stay without it, and fail when they are used",
    )
