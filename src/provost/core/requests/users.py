"""Users, tokens, and the first administrator."""

from typing import Annotated

from pydantic import Field, SecretStr

from provost.core.requests.base import Flag, Said, Text
from provost.core.rights import Right, Role


class GrantBody(Said):
    """A role in a node and below (null: everywhere), with or without the right to reveal."""

    role: Role
    node: Text | None = None
    reveal: Flag = False


class UserBody(Said):
    """A new user. Without a password, they have tokens alone."""

    username: Annotated[str, Field(max_length=150)]
    email: Annotated[str, Field(max_length=254)] = ""
    password: SecretStr | None = Field(None, max_length=4096)
    grants: tuple[GrantBody, ...] = Field((), max_length=1000)


class UserPatch(Said):
    """What is to change of a user; what is not given stays. Grants are replaced as a whole."""

    email: Annotated[str, Field(max_length=254)] | None = None
    password: SecretStr | None = Field(None, max_length=4096)
    active: Flag | None = None
    grants: tuple[GrantBody, ...] | None = Field(None, max_length=1000)


class SessionQuery(Said):
    """Which sessions end: all but the one to `keep`."""

    keep: int | None = Field(None, ge=1, le=2**62)


class TokenBody(Said):
    """A new token of a user (null: the caller's), with some of their rights (null: all), for some days."""

    name: Annotated[str, Field(max_length=150)]
    user: Annotated[str, Field(max_length=150)] | None = None
    rights: frozenset[Right] | None = None
    days: int = Field(90, strict=True, ge=1, le=3650)


class TokenQuery(Said):
    """Whose tokens (null: everybody's, or the caller's own)."""

    user: Annotated[str, Field(max_length=150)] | None = None


class SetupBody(Said):
    """The first administrator, for whoever has the token that the server printed when it started."""

    setup_token: SecretStr = Field(max_length=255)
    username: Annotated[str, Field(max_length=150)]
    password: SecretStr | None = Field(None, max_length=4096)
