"""What a user signs in with, and where they are signed in: second factors and sessions.

django-allauth keeps both. Recovery codes stand in for a second factor, and are none by themselves.
"""

from allauth.mfa.models import Authenticator
from allauth.usersessions.models import UserSession

from provost.server.models import User


def drop_factors(user: User) -> list[str]:
    """Delete all second factors of a user, recovery codes too, and return their types."""
    factors = Authenticator.objects.filter(user=user)
    types = sorted(factors.values_list("type", flat=True))
    factors.delete()
    return types


def drop_sessions(user: User) -> int:
    """End all sessions of a user at once, and return how many there were."""
    sessions = list(UserSession.objects.filter(user=user))
    for session in sessions:
        session.end()
    return len(sessions)
