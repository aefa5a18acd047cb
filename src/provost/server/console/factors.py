"""django-allauth's forms of second factors, stricter: a code works once, and refusals are written down."""

from typing import Any, Final

from allauth.core import context
from allauth.mfa import app_settings
from allauth.mfa.adapter import get_adapter
from allauth.mfa.base.forms import AuthenticateForm, BaseAuthenticateForm, ReauthenticateForm
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.forms import ActivateTOTPForm
from allauth.mfa.webauthn.forms import AuthenticateWebAuthnForm, LoginWebAuthnForm, ReauthenticateWebAuthnForm
from django.core.cache import cache
from django.core.exceptions import ValidationError

from provost.server.console import signals

_WINDOWS: Final = 2 * app_settings.TOTP_TOLERANCE + 1


def _spend(user: Any, code: str) -> None:
    """Take a code that an app showed, for as long as it would be accepted: it is good for one time.

    Raises:
        ValidationError: it was used already.
    """
    digits = "".join(one for one in code if one.isdecimal())
    if not cache.add(f"provost.code:{user.pk}:{digits}", "used", timeout=_WINDOWS * app_settings.TOTP_PERIOD):
        raise get_adapter().validation_error("incorrect_code")


class _Once(BaseAuthenticateForm):
    def clean_code(self) -> str:
        """Return the code."""
        code: str = super().clean_code()
        if self.authenticator.type == Authenticator.Type.TOTP:
            try:
                _spend(self.user, code)
            except ValidationError:
                signals.tell_refused(context.request, self.user.get_username(), how="code", why="used")
                raise
        return code


class CodeForm(_Once, AuthenticateForm):
    """The code of an app, or a recovery code, at the door."""


class CodeAgainForm(_Once, ReauthenticateForm):
    """The same, asked again later."""


class FirstCodeForm(ActivateTOTPForm):
    """The first code of a new app."""

    def clean_code(self) -> str:
        """Return the code."""
        code: str = super().clean_code()
        _spend(self.user, code)
        return code


class _Told(AuthenticateWebAuthnForm):
    def clean_credential(self) -> Authenticator:
        """Return the key that answered."""
        try:
            return super().clean_credential()
        except ValidationError:
            username = "" if self.user is None else self.user.get_username()
            signals.tell_refused(context.request, username, how="key", why="wrong")
            raise


class KeyForm(_Told):
    """A security key, or a passkey, as the second factor."""


class KeyAgainForm(_Told, ReauthenticateWebAuthnForm):
    """The same, asked again later."""


class PasskeyForm(_Told, LoginWebAuthnForm):
    """A passkey in the place of name, password and second factor."""
