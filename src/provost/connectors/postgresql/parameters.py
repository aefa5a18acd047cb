"""What an operator may say about a PostgreSQL server, and about accounts pushed to it."""

from datetime import date
from typing import Annotated, Final

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from provost.connectors._lists import listed
from provost.connectors._tls import TlsOptions

LONGEST_NAME: Final = 63
"""Bytes of a name (NAMEDATALEN less one). The server would cut a longer one short, and mean somebody else."""


def explain_name(name: str) -> str:
    """Return why a name cannot be that of a role, or an empty string."""
    try:
        size = len(name.encode())
    except UnicodeEncodeError:
        return "is not valid Unicode"
    if not 0 < size <= LONGEST_NAME:
        return f"has 1 to {LONGEST_NAME} bytes in UTF-8, not {size}"
    if any(c < " " or "\x7f" <= c <= "\x9f" for c in name):
        return "may hold no control character"
    if name in {"public", "none"} or name.startswith("pg_"):
        return "may not be public, none or begin with pg_: PostgreSQL keeps these names for itself"
    return ""


def _check_name(name: str) -> str:
    if why := explain_name(name):
        raise ValueError(why)
    return name


def _check_member(name: str) -> str:
    return name if name.startswith("pg_") else _check_name(name)  # pg_monitor and its like can be granted


def _check_database(name: str) -> str:
    if not 0 < len(name.encode(errors="replace")) <= LONGEST_NAME or not name.isprintable():
        raise ValueError(f"has 1 to {LONGEST_NAME} bytes and no control character")
    return name


_Role = Annotated[str, AfterValidator(_check_name)]
_Group = Annotated[str, AfterValidator(_check_member)]
_Database = Annotated[str, AfterValidator(_check_database)]


class PostgresqlOptions(TlsOptions):
    """Options of a PostgreSQL server."""

    database: _Database = Field(
        "postgres", description="the database to connect to; accounts belong to the whole server"
    )


class PostgresqlParameters(BaseModel):
    """Parameters of a push to PostgreSQL. An account that exists keeps what it has, but for its password."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    groups: Annotated[tuple[_Group, ...], listed(",")] = Field(
        (), description="roles to be a member of, which must exist, separated by commas"
    )
    connection_limit: int | None = Field(
        None, ge=0, le=2**31 - 1, description="how many connections at once (default: as many as there may be)"
    )
    valid_until: date | None = Field(
        None, description="the day, in UTC, from whose beginning the password lets in no more, YYYY-MM-DD"
    )
    inherit: bool = Field(default=True, description="has the rights of its groups without SET ROLE")
    createdb: bool = Field(default=False, description="may create databases")
    createrole: bool = Field(default=False, description="may create other accounts, and change them")
    replication: bool = Field(default=False, description="may replicate and take base backups")
    bypassrls: bool = Field(default=False, description="row-level security does not bind it")
    superuser: bool = Field(default=False, description="may do everything; takes a superuser to give")


class PostgresqlRemoval(BaseModel):
    """Parameters of a removal from PostgreSQL."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    reassign_to: _Role | None = Field(
        None, description="who gets what the account owns, in every database (default: the account that acts)"
    )
