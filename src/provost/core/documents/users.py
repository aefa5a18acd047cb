"""Users, sessions and tokens."""

from datetime import datetime

from pydantic import Field

from provost.core.documents.base import Document
from provost.core.rights import Face, Right, Role


class GrantDocument(Document):
    """A role in a node and below (null: everywhere), with or without the right to reveal."""

    role: Role
    node: str | None
    reveal: bool


class UserDocument(Document):
    """Someone who may use Provost."""

    username: str
    email: str
    active: bool
    grants: list[GrantDocument]
    has_password: bool
    has_second_factor: bool
    last_login: datetime | None
    created: datetime
    version: int


class SessionDocument(Document):
    """A browser that a user is signed in with; `browser` is what it says of itself."""

    id: int
    source: str
    browser: str
    started: datetime
    last_seen: datetime


class TokenDocument(Document):
    """A program's way in, on behalf of a user; `rights` are those of the user's that it may use."""

    name: str
    user: str
    rights: list[Right]
    expires: datetime
    created: datetime
    last_used: datetime | None
    revoked: datetime | None


class NewTokenDocument(TokenDocument):
    """A token that was made just now: the only time that its text is shown."""

    token: str = Field(repr=False)


class WhoDocument(Document):
    """Who the caller is, and what they may do."""

    name: str
    face: Face
    token: str
    rights: list[Right]
    grants: list[GrantDocument]
