from provost.core.documents import NewTokenDocument, TokenDocument
from provost.core.requests import TokenBody, TokenQuery
from provost.core.rights import Principal
from provost.server.api.describe import describe_token
from provost.server.services import tokens


def list_tokens(by: Principal, query: TokenQuery) -> list[TokenDocument]:
    """List tokens, the newest first; never their text."""
    return [describe_token(token) for token in tokens.list_tokens(by=by, user=query.user)]


def create_token(by: Principal, body: TokenBody) -> NewTokenDocument:
    """Make a token. This is the only time that its text is shown."""
    made = tokens.create_token(by=by, user=body.user, name=body.name, rights=body.rights, days=body.days)
    return describe_new(made)


def revoke_token(by: Principal, user: str, name: str) -> None:
    """Make a token void at once."""
    tokens.revoke_token(by=by, user=user, name=name)


def describe_new(made: tokens.NewToken) -> NewTokenDocument:
    """Tell of a token, with its text."""
    return NewTokenDocument(**describe_token(made.token).model_dump(), token=made.text)
