from collections.abc import Sequence

from pydantic import SecretStr

from provost.core.documents import SessionDocument, UserDocument
from provost.core.requests import GrantBody, SessionQuery, UserBody, UserPatch
from provost.core.rights import Granted, Principal
from provost.core.secrets import Password
from provost.server.api.describe import describe_session, describe_user
from provost.server.services import users


def list_users(by: Principal) -> list[UserDocument]:
    """List users: all for who administers everything, else the caller alone."""
    return [describe_user(user) for user in users.list_users(by=by)]


def add_user(by: Principal, body: UserBody) -> UserDocument:
    """Add a user with their grants."""
    fields = users.UserFields(
        email=body.email, password=read_password(body.password), grants=_read_grants(body.grants)
    )
    return describe_user(users.add_user(by=by, username=body.username, fields=fields))


def show_user(by: Principal, name: str) -> UserDocument:
    """Show a user and what they are granted."""
    return describe_user(users.find_user(by=by, username=name))


def edit_user(by: Principal, name: str, body: UserPatch, version: int | None = None) -> UserDocument:
    """Change what is given of a user, and leave the rest. Grants are replaced as a whole."""
    fields = users.UserFields(
        email=body.email,
        password=read_password(body.password),
        active=body.active,
        grants=None if body.grants is None else _read_grants(body.grants),
    )
    return describe_user(users.edit_user(by=by, username=name, fields=fields, version=version))


def remove_user(by: Principal, name: str, version: int | None = None) -> None:
    """Remove a user with their grants and tokens. What they did stays in the audit trail."""
    users.remove_user(by=by, username=name, version=version)


def remove_factors(by: Principal, name: str) -> None:
    """Remove a user's second factors with their recovery codes: for who lost them. Their sessions end."""
    users.remove_factors(by=by, username=name)


def list_sessions(by: Principal, name: str) -> list[SessionDocument]:
    """List a user's sessions of the console, the newest first."""
    return [describe_session(one) for one in users.list_sessions(by=by, username=name)]


def end_sessions(by: Principal, name: str, query: SessionQuery) -> None:
    """End a user's sessions of the console at once. Their tokens stay."""
    users.end_sessions(by=by, username=name, keep=query.keep)


def end_session(by: Principal, name: str, session: str) -> None:
    """End one of a user's sessions of the console at once."""
    users.end_sessions(by=by, username=name, only=int(session) if session.isdecimal() else 0)


def read_password(given: SecretStr | None) -> Password | None:
    """Return a password that was given."""
    return None if given is None else Password(given.get_secret_value())


def _read_grants(given: Sequence[GrantBody]) -> tuple[Granted, ...]:
    return tuple(Granted(grant.role, grant.node, grant.reveal) for grant in given)
