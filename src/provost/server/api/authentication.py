"""Who makes a request: told by the token in its Authorization header alone, so that no cookie can act."""

from typing import Any

from asgiref.sync import sync_to_async
from django.http import HttpRequest
from ninja.security import HttpBearer

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


class Token(HttpBearer):
    """The API's way in, as OpenAPI has it."""

    def authenticate(self, request: HttpRequest, token: str) -> Principal | None:
        """Return who has this token."""
        del token  # it is read from the request again, so that there is one way to read it
        return authenticate(request)


class AsyncToken(Token):
    """The same for what is served without a thread of its own."""

    async def __call__(self, request: HttpRequest) -> Any:
        """Return who makes a request."""
        return await sync_to_async(authenticate)(request)
