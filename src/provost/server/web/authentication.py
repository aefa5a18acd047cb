"""Who makes a request: told by the token in its Authorization header alone, so that no cookie can act."""

from django.http import HttpRequest

from provost.core.rights import Face, Principal
from provost.server.services import context, tokens

_SCHEME = "bearer"


def authenticate(request: HttpRequest) -> Principal | None:
    """Return who makes a request; None: it has no token, or one that is not valid."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != _SCHEME or not token:
        return None
    current = context.request.get()
    principal = tokens.authenticate(
        text=token.strip(),
        source=current.source if current else "",
        request_id=current.id if current else "",
    )
    if principal is not None:
        context.note_principal(principal.name)
    return principal


def make_stranger() -> Principal:
    """Return somebody who is not known yet, and may do nothing."""
    current = context.request.get()
    return Principal(
        "nobody",
        Face.API,
        source=current.source if current else "",
        request_id=current.id if current else "",
    )
