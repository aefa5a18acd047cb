"""Asking somebody who has signed in who they are, once more, before what matters: a secret is shown.

Attempts are counted by django-allauth: ten a minute, and five that are wrong in five minutes.
"""

import time
from typing import Final, Literal
from urllib.parse import urlencode

from allauth.account import app_settings
from allauth.account.adapter import get_adapter
from allauth.account.internal.flows.login import get_authentication_records
from allauth.account.internal.flows.reauthentication import reauthenticate_by_password
from allauth.core import ratelimit
from allauth.core.internal.httpkit import authenticated_user
from allauth.mfa.app_settings import FORMS
from allauth.mfa.base.forms import ReauthenticateForm
from allauth.mfa.models import Authenticator
from allauth.mfa.utils import is_mfa_enabled
from allauth.utils import get_form_class
from django.contrib import messages
from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.models import AnonymousUser
from django.core.exceptions import ValidationError
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.translation import gettext as _

from provost.core.errors import Refused
from provost.server.console.visitors import Visit

Means = Literal["password", "code", "sign_in"]

_EXHAUSTED: Final = frozenset({"too_many_login_attempts", "rate_limited"})


def ask(user: AbstractBaseUser | AnonymousUser) -> Means:
    """Return what `confirm` wants of a user: the password; without one, a code; else that they sign in anew."""
    if isinstance(user, AnonymousUser):
        return "sign_in"
    if user.has_usable_password():
        return "password"
    return "code" if is_mfa_enabled(user, [Authenticator.Type.TOTP]) else "sign_in"


def confirm(request: Visit, password: str) -> None:
    """Make sure that it is still the visitor who sits there; `password` is what `ask` says, where it says one.

    Raises:
        Refused: `password_wrong`, `code_wrong`; `sign_in_again`, the sign-in is more than five minutes ago;
            `too_many_attempts`. The audit trail has each that was wrong.
    """
    means = ask(request.user)
    if means == "sign_in":
        if not has_just_signed_in(request):
            raise _ask_to_sign_in()
        return
    if not ratelimit.consume(request, action="reauthenticate", user=request.user):
        raise _tell_exhausted()
    if means == "password":
        _confirm_password(request, password)
    else:
        _confirm_code(request, password)


def lead_to_confirm(request: Visit, back: str, *args: str) -> HttpResponseBase | None:
    """Lead somebody whose sign-in is more than five minutes ago to where they say who they are, and `back`.

    Raises:
        Refused: `sign_in_again`, they have no password to say it with.
    """
    if has_just_signed_in(request):
        return None
    if ask(request.user) != "password":
        raise _ask_to_sign_in()
    messages.info(request, _("Say who you are first, then do it again."))
    query = urlencode({"next": reverse(back, args=args)})
    return redirect(f"{reverse('account_reauthenticate')}?{query}")


def has_just_signed_in(request: HttpRequest) -> bool:
    """Tell whether the visitor proved who they are in the last five minutes."""
    if not isinstance(request.user, AbstractBaseUser):
        return False
    records = get_authentication_records(request, request.user)
    since = time.time() - app_settings.REAUTHENTICATION_TIMEOUT
    return any(record["at"] > since for record in records)


def _confirm_password(request: Visit, password: str) -> None:
    try:
        accepted = get_adapter().reauthenticate(authenticated_user(request), password)
    except ValidationError:
        raise _tell_exhausted() from None
    if not accepted:
        raise Refused(_("This is not your password."), code="password_wrong")
    reauthenticate_by_password(request)


def _confirm_code(request: Visit, code: str) -> None:
    form = get_form_class(FORMS, "reauthenticate", ReauthenticateForm)(user=request.user, data={"code": code})
    if not form.is_valid():
        if any(error.code in _EXHAUSTED for errors in form.errors.as_data().values() for error in errors):
            raise _tell_exhausted()
        raise Refused(_("This code is wrong, or was used already."), code="code_wrong")
    form.save()


def _ask_to_sign_in() -> Refused:
    text = _("Sign out and in again first: your sign-in is more than five minutes ago.")
    return Refused(text, code="sign_in_again")


def _tell_exhausted() -> Refused:
    return Refused(_("Too many attempts. Try again in five minutes."), code="too_many_attempts")
