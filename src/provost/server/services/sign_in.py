"""What a user signs in with, and where they are signed in: second factors and sessions.

django-allauth keeps both. Recovery codes stand in for a second factor, and are none by themselves.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final

from allauth.mfa.models import Authenticator
from allauth.socialaccount.models import SocialAccount
from allauth.usersessions.models import UserSession
from django.conf import settings
from django.contrib.sessions.models import Session
from django.utils import timezone

from provost.core.errors import Forbidden
from provost.core.rights import Granted
from provost.server.models import User

_STALE: Final = timedelta(minutes=1)


def drop_factors(user: User) -> list[str]:
    """Delete all second factors of a user, recovery codes too, and return their types."""
    factors = Authenticator.objects.filter(user=user)
    types = sorted(factors.values_list("type", flat=True))
    factors.delete()
    return types


def is_factor_required(grants: Iterable[Granted]) -> bool:
    """Tell whether one of the roles must have a second factor, by PROVOST_SECOND_FACTOR_ROLES."""
    return any(grant.role in settings.SECOND_FACTOR_ROLES for grant in grants)


def has_factor(*, user_id: int, besides: int | None = None) -> bool:
    """Tell whether a user has a second factor, `besides` the one with this id."""
    factors = Authenticator.objects.filter(user_id=user_id).exclude(type=Authenticator.Type.RECOVERY_CODES)
    return factors.exclude(id=besides or 0).exists()


def list_sessions(user: User) -> list[UserSession]:
    """List the sessions of a user that go on, the newest first."""
    alive = Session.objects.filter(expire_date__gt=timezone.now()).values("session_key")
    return list(UserSession.objects.filter(user=user, session_key__in=alive).order_by("-created_at", "-id"))


def find_session(*, key: str) -> int | None:
    """Return the id of the session with this key."""
    return UserSession.objects.filter(session_key=key).values_list("id", flat=True).first()


def note_seen(*, key: str) -> None:
    """Note that a session was used just now, to the minute."""
    now = timezone.now()
    if UserSession.objects.filter(session_key=key, last_seen_at__lt=now - _STALE).exists():
        UserSession.objects.filter(session_key=key).update(last_seen_at=now)


def drop_sessions(user: User, *, only: int | None = None, keep: int | None = None) -> int:
    """End the sessions of a user at once, all or `only` one, but not the one to `keep`; return how many."""
    sessions = UserSession.objects.filter(user=user).exclude(id=keep or 0)
    if only is not None:
        sessions = sessions.filter(id=only)
    ended = list(sessions)
    for session in ended:
        session.end()
    return len(ended)


def drop_expired(*, now: datetime) -> None:
    """Delete the sessions that are over."""
    Session.objects.filter(expire_date__lt=now).delete()
    UserSession.objects.exclude(session_key__in=Session.objects.values("session_key")).delete()


def find_name(*, username: str) -> str:
    """Return the name of a user as it is written; empty: there is none."""
    return User.objects.filter(username__iexact=username).values_list("username", flat=True).first() or ""


def find_for_provider(*, username: str, provider: str) -> User:
    """Return the user whom a provider may be connected to: by the very name, letter by letter.

    Raises:
        Forbidden: `provider_user_unknown`, there is none who is active; `provider_user_taken`, somebody else at
            the provider is that user already.
    """
    user = User.objects.filter(username=username, is_active=True).first() if username else None
    if user is None or user.username != username:
        raise Forbidden("There is no active user of that name.", code="provider_user_unknown")
    if SocialAccount.objects.filter(user=user, provider=provider).exists():
        raise Forbidden("That user is somebody else at the provider.", code="provider_user_taken")
    return user
