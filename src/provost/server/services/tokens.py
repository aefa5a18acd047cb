"""Tokens: how programs come in. A token's text is shown once; its SHA-256 is enough to know it again.

The text has 256 random bits, so a plain hash of it cannot be searched for.
"""

from dataclasses import dataclass
from datetime import timedelta
from hashlib import sha256
from secrets import token_urlsafe
from typing import Final

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from provost.core.errors import Conflict, Forbidden, NotFound, Refused
from provost.core.rights import Face, Principal, Right
from provost.server.models import Token, User
from provost.server.services import audit
from provost.server.services.names import check_name
from provost.server.services.users import find_user, make_principal

PREFIX: Final = "provost_"
"""What every token begins with, so that scanners of source code find one that was left there."""

_FIRST_DAYS: Final = 7
_STALE: Final = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class NewToken:
    """A token that was made just now, with its text."""

    token: Token
    text: str


def create_token(
    *, by: Principal, user: str | None, name: str, rights: frozenset[Right] | None, days: int
) -> NewToken:
    """Make a token for a user (None: the caller), with some of their rights (None: all).

    Who does not administer everything makes tokens for themselves, and none with a token: one that leaked would
    leave others behind when it is revoked.  A token makes none with a right that it does not have itself.

    Raises:
        NotFound: there is no such user.
        Refused: a field cannot be used.
        Conflict: the user has a token of that name.
        Forbidden: the caller may not.
    """
    check_name("a token", name)
    if by.token and not by.reach(Right.ADMINISTER).everywhere:
        raise Forbidden("A token makes no tokens, unless it administers everything.")
    if not 1 <= days <= settings.TOKEN_LONGEST_DAYS:
        raise Refused(f"A token lasts 1 to {settings.TOKEN_LONGEST_DAYS} days.", code="days_refused")
    expires = timezone.now() + timedelta(days=days)
    with transaction.atomic():
        owner = find_user(by=by, username=user or by.name)
        wanted = by.limit if rights is None else rights
        if not wanted <= by.limit:
            raise Forbidden(f"{by.name} may not give a token more rights than their own has.")
        if owner.tokens.filter(name=name).exists():
            raise Conflict(f"{owner} has a token {name} already.", code="token_exists")
        text = PREFIX + token_urlsafe(32)
        token = Token.objects.create(
            user=owner, name=name, digest=_digest(text), rights=sorted(wanted), expires=expires
        )
        audit.write(
            by=by,
            action="token.create",
            subject=f"token {name} of {owner}",
            details={"rights": sorted(wanted), "expires": expires.isoformat()},
        )
    return NewToken(token, text)


def list_tokens(*, by: Principal, user: str | None = None) -> list[Token]:
    """List tokens, the newest first: of one user, or all that the caller sees.

    Raises:
        NotFound: there is no such user.
    """
    tokens = Token.objects.select_related("user")
    if user is not None:
        return list(tokens.filter(user=find_user(by=by, username=user)))
    if not by.reach(Right.ADMINISTER).everywhere:
        tokens = tokens.filter(user_id=by.user_id or 0)
    return list(tokens)


def revoke_token(*, by: Principal, user: str, name: str) -> None:
    """Make a token void at once. It stays listed.

    Raises:
        NotFound: there is no such token.
        Forbidden: a token ends none but itself, unless it administers everything.
    """
    if by.token and by.token != name and not by.reach(Right.ADMINISTER).everywhere:
        raise Forbidden(f"The token {by.token} may end none but itself.")
    with transaction.atomic():
        token = Token.objects.filter(user=find_user(by=by, username=user), name=name).first()
        if token is None:
            raise NotFound(f"{user} has no token {name!r}.", code="token_not_found")
        if token.revoked is None:
            token.revoked = timezone.now()
            token.save(update_fields=["revoked"])
            audit.write(by=by, action="token.revoke", subject=f"token {name} of {user}")


def authenticate(*, text: str, source: str, request_id: str) -> Principal | None:
    """Return who comes in with a token; None: it is not valid (any more), or its user is not active."""
    now = timezone.now()
    token = (
        Token.objects.select_related("user")
        .filter(digest=_digest(text), revoked=None, expires__gt=now, user__is_active=True)
        .first()
    )
    if token is None:
        return None
    if token.last_used is None or token.last_used < now - _STALE:
        Token.objects.filter(id=token.id).update(last_used=now)
    return make_principal(
        user=token.user,
        face=Face.API,
        limit=frozenset(map(Right, token.rights)),
        token=token.name,
        source=source,
        request_id=request_id,
    )


def create_first_token(*, user: User, source: str, request_id: str) -> NewToken:
    """Make the token that the first administrator goes on with."""
    by = make_principal(user=user, face=Face.API, source=source, request_id=request_id)
    return create_token(by=by, user=None, name="setup", rights=None, days=_FIRST_DAYS)


def _digest(text: str) -> str:
    return sha256(text.encode()).hexdigest()
