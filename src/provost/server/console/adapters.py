"""How django-allauth signs people in here: by name, with no sign-up, and with second factors encrypted."""

from base64 import urlsafe_b64encode
from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from allauth.mfa.adapter import DefaultMFAAdapter
from allauth.socialaccount.adapter import DefaultSocialAccountAdapter
from cryptography.fernet import Fernet
from django.http import HttpRequest

from provost.server.services import signing


class AccountAdapter(DefaultAccountAdapter):
    """Signs users in; administrators alone add them."""

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        """Nobody signs up."""
        del request
        return False


class MfaAdapter(DefaultMFAAdapter):
    """Keeps second factors encrypted by a key of the vault."""

    def encrypt(self, text: str) -> str:
        """Return a second factor's secret as it is stored."""
        return _make_cipher().encrypt(text.encode()).decode()

    def decrypt(self, encrypted_text: str) -> str:
        """Return a second factor's secret."""
        return _make_cipher().decrypt(encrypted_text.encode()).decode()


class ProviderAdapter(DefaultSocialAccountAdapter):
    """Signs in whom an OpenID provider knows and an administrator added."""

    def is_open_for_signup(self, request: HttpRequest, sociallogin: Any) -> bool:
        """Nobody signs up."""
        del request, sociallogin
        return False


def _make_cipher() -> Fernet:
    return Fernet(urlsafe_b64encode(signing.derive_key("second factors")))
