"""Sessions that whoever has the database alone can neither read nor take over.

What a session holds is encrypted, and the cookie has a signature beside the session's key: both with the key
that a server takes from the vault (SECRET_KEY).
"""

import json
from base64 import urlsafe_b64encode
from typing import Any, Final

from cryptography.fernet import Fernet, InvalidToken
from django.conf import settings
from django.contrib.sessions.backends.db import SessionStore as PlainStore
from django.contrib.sessions.middleware import SessionMiddleware
from django.core.signing import BadSignature, Signer
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils.crypto import salted_hmac

_PURPOSE: Final = "provost.server.web.sessions"


class SessionStore(PlainStore):
    """A session in the database, encrypted."""

    def encode(self, session_dict: dict[str, Any]) -> str:
        """Return what is stored of a session."""
        return _make_cipher().encrypt(json.dumps(session_dict).encode()).decode()

    def decode(self, session_data: bytes | str) -> dict[str, Any]:
        """Return a session; one that cannot be read is empty."""
        try:
            read: dict[str, Any] = json.loads(_make_cipher().decrypt(session_data))
        except (InvalidToken, ValueError):
            return {}
        return read


class SealedSessionMiddleware(SessionMiddleware):
    """Takes a session's key from a cookie that it signed itself, and from no other."""

    def process_request(self, request: HttpRequest) -> None:
        """Give `request.session`."""
        try:
            key = _make_signer().unsign(request.COOKIES.get(settings.SESSION_COOKIE_NAME, ""))
        except BadSignature:
            key = None
        request.session = self.SessionStore(key)

    def process_response(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:  # type: ignore[override]  # any response
        """Store the session, and sign the cookie where there is a new one."""
        response = super().process_response(request, response)  # type: ignore[arg-type]  # as above
        cookie = response.cookies.get(settings.SESSION_COOKIE_NAME)
        if cookie is not None and cookie.value:
            signed = _make_signer().sign(cookie.value)
            cookie.set(settings.SESSION_COOKIE_NAME, signed, signed)
        return response


def _make_cipher() -> Fernet:
    return Fernet(urlsafe_b64encode(salted_hmac(_PURPOSE, "data", algorithm="sha256").digest()))


def _make_signer() -> Signer:
    return Signer(salt=_PURPOSE)
