"""The API's way in, as ninja and OpenAPI have it."""

from typing import Any

from asgiref.sync import sync_to_async
from django.http import HttpRequest
from ninja.security import HttpBearer

from provost.core.rights import Principal
from provost.server.web.authentication import authenticate


class Token(HttpBearer):
    """A token in the Authorization header."""

    def authenticate(self, request: HttpRequest, token: str) -> Principal | None:
        """Return who has this token."""
        del token  # it is read from the request again, so that there is one way to read it
        return authenticate(request)


class AsyncToken(Token):
    """The same for what is served without a thread of its own."""

    async def __call__(self, request: HttpRequest) -> Any:
        """Return who makes a request."""
        return await sync_to_async(authenticate)(request)
