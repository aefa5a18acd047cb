from provost.core.documents import GrantDocument, NewTokenDocument, WhoDocument
from provost.core.requests import SetupBody
from provost.core.rights import Principal, Right
from provost.server.api.tokens import describe_new
from provost.server.api.users import read_password
from provost.server.services import nodes, tokens, users


def tell_who(by: Principal) -> WhoDocument:
    """Tell who the caller is, and what they may do somewhere or everywhere."""
    paths = nodes.list_paths(places=[grant.node for grant in by.grants if grant.node])
    return WhoDocument(
        name=by.name,
        face=by.face,
        token=by.token,
        rights=[right for right in Right if by.reach(right)],
        grants=[
            GrantDocument(role=grant.role, node=grant.node and paths[grant.node], reveal=grant.reveal)
            for grant in by.grants
        ],
    )


def set_up(by: Principal, body: SetupBody) -> NewTokenDocument:
    """Make the first administrator, and a token for them, by the setup token that the server printed."""
    user = users.set_up(
        token=body.setup_token.get_secret_value(),
        username=body.username,
        password=read_password(body.password),
        face=by.face,
        source=by.source,
        request_id=by.request_id,
    )
    return describe_new(tokens.create_first_token(user=user, source=by.source, request_id=by.request_id))
