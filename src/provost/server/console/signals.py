"""What django-allauth tells of people who come and go, for the audit trail.

What somebody mistyped as their name could be their password: a refused attempt names a user that there is, or
nobody.
"""

from typing import Any, Final

from allauth.account.internal.flows.login import get_authentication_records
from allauth.account.signals import user_logged_in
from allauth.mfa.models import Authenticator
from allauth.mfa.signals import (
    authentication_failed,
    authenticator_added,
    authenticator_removed,
    authenticator_reset,
    authenticator_used,
)
from allauth.socialaccount.signals import social_account_added
from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.signals import user_logged_out
from django.dispatch import receiver
from django.http import HttpRequest

from provost.core.rights import Face, Principal
from provost.server.services import audit, context, sign_in

UNKNOWN: Final = "somebody unknown"


def tell(action: str, username: str, **details: Any) -> None:
    """Write down what a user did about their own access."""
    current = context.request.get()
    by = Principal(
        username,
        Face.CONSOLE,
        source=current.source if current else "",
        request_id=current.id if current else "",
    )
    subject = f"user {username}" if username != UNKNOWN else UNKNOWN
    audit.write(by=by, action=action, subject=subject, details=details)


def tell_refused(request: HttpRequest, username: str, *, how: str, why: str) -> None:
    """Write down that somebody was refused: at the door, or when they were asked again."""
    action = "session.confirm_refused" if request.user.is_authenticated else "session.refused"
    tell(action, sign_in.find_name(username=username) or UNKNOWN, how=how, why=why)


@receiver(user_logged_in)
def _tell_begin(request: HttpRequest, user: AbstractBaseUser, **_rest: Any) -> None:
    records = get_authentication_records(request, user)
    tell("session.begin", user.get_username(), how=[_name_means(record) for record in records])


def _name_means(record: dict[str, Any]) -> str:
    if record["method"] == "mfa":
        return "passkey" if record.get("passwordless") else str(record["type"])
    return "provider" if record["method"] == "socialaccount" else str(record["method"])


@receiver(user_logged_out)
def _tell_end(user: AbstractBaseUser | None, **_rest: Any) -> None:
    if user is not None:
        tell("session.end", user.get_username())


@receiver(authenticator_added)
def _tell_added(user: AbstractBaseUser, authenticator: Authenticator, **_rest: Any) -> None:
    tell("factor.add", user.get_username(), factor=authenticator.type)


@receiver(authenticator_removed)
def _tell_removed(user: AbstractBaseUser, authenticator: Authenticator, **_rest: Any) -> None:
    tell("factor.remove", user.get_username(), factor=authenticator.type)


@receiver(authenticator_reset)
def _tell_renewed(user: AbstractBaseUser, authenticator: Authenticator, **_rest: Any) -> None:
    tell("factor.renew", user.get_username(), factor=authenticator.type)


@receiver(authenticator_used)
def _tell_used(user: AbstractBaseUser, authenticator: Authenticator, **_rest: Any) -> None:
    if authenticator.type == Authenticator.Type.RECOVERY_CODES:
        left = len(authenticator.wrap().get_unused_codes())
        tell("factor.use_recovery_code", user.get_username(), left=left)


@receiver(authentication_failed)
def _tell_failed(request: HttpRequest, user: AbstractBaseUser, **_rest: Any) -> None:
    tell_refused(request, user.get_username(), how="code", why="wrong")


@receiver(social_account_added)
def _tell_connected(sociallogin: Any, **_rest: Any) -> None:
    tell("user.connect", sociallogin.user.get_username(), subject=sociallogin.account.extra_data["subject"])
