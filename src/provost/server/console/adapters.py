"""How django-allauth signs people in here: by name, with no sign-up, and with second factors encrypted."""

from base64 import urlsafe_b64encode
from hashlib import sha256
from typing import Any, Final, NoReturn

from allauth.account.adapter import DefaultAccountAdapter
from allauth.core.exceptions import ImmediateHttpResponse
from allauth.core.internal import ratelimit
from allauth.mfa.adapter import DefaultMFAAdapter
from allauth.mfa.models import Authenticator
from allauth.socialaccount.adapter import DefaultSocialAccountAdapter
from allauth.socialaccount.models import SocialLogin
from allauth.socialaccount.providers.base.provider import ProviderException
from cryptography.fernet import Fernet
from django.conf import settings
from django.contrib.auth.base_user import AbstractBaseUser
from django.core.cache import cache
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.utils.crypto import salted_hmac
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from provost.core.errors import Forbidden
from provost.core.rights import Face
from provost.core.secrets import Password
from provost.server.console import reauthentication, signals
from provost.server.console.visitors import find_visitor
from provost.server.services import sign_in, signing, users
from provost.server.web.faults import make_page

NONCE: Final = "provider_nonce"
"""Where a session keeps what its ID token must hold: the same for all windows that sign in at once."""

_ASK: Final = gettext_lazy(
    "The provider knows you, and Provost does not: ask an administrator to add you, by the name that the "
    "provider gives you."
)


_ANYWHERE: Final = "50/15m/key"
"""Wrong passwords for a name from all addresses together; from one, five in five minutes."""

_TOLD: Final = 300


class AccountAdapter(DefaultAccountAdapter):
    """Signs users in; administrators alone add them."""

    error_messages = DefaultAccountAdapter.error_messages | {
        "username_password_mismatch": gettext_lazy("This username and this password do not belong together."),
        "too_many_login_attempts": gettext_lazy("Too many attempts. Try again in five minutes."),
        "incorrect_password": gettext_lazy("This is not your password."),
        "enter_current_password": gettext_lazy("This is not your password."),
        "rate_limited": gettext_lazy("Too many attempts. Try again in five minutes."),
    }

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        """Nobody signs up."""
        del request
        return False

    def is_safe_url(self, url: str) -> bool:
        """Tell whether somebody may be led there: to this server, by the name that it was asked by."""
        return url_has_allowed_host_and_scheme(
            url, allowed_hosts={self.request.get_host()}, require_https=self.request.is_secure()
        )

    def is_reauthentication_required(self, *, app: str, **_rest: Any) -> bool:
        """Tell whether somebody has to prove again who they are; not in the first minutes after they did.

        Raises:
            ImmediateHttpResponse: they have nothing to prove it with but the way that they came in.
        """
        del app
        if reauthentication.has_just_signed_in(self.request):
            return False
        if not self.get_reauthentication_methods(self.request.user):
            text = _("Sign out and in again first: your sign-in is more than five minutes ago.")
            raise ImmediateHttpResponse(make_page(self.request, 403, "sign_in_again", text))
        return True

    def pre_authenticate(self, request: HttpRequest, **credentials: Any) -> None:
        """Count an attempt, at a name from an address, and at a name from anywhere.

        Raises:
            ValidationError: there were too many. Of these, the audit trail has one in five minutes.
        """
        try:
            super().pre_authenticate(request, **credentials)
            self._anywhere = ratelimit.consume(
                request,
                app="provost",
                action="login_failed",
                config={"login_failed": _ANYWHERE},
                key=_name_count(credentials),
            )
            if not self._anywhere:
                raise self.validation_error("too_many_login_attempts")
        except ValidationError:
            key = self._get_login_attempts_cache_key(request, **credentials)
            if cache.add(f"provost.refused:{key}", "told", timeout=_TOLD):
                signals.tell_refused(request, credentials.get("username", ""), how="password", why="too many")
            raise

    def _get_login_attempts_cache_key(self, request: HttpRequest, **credentials: Any) -> str:
        """Return what attempts are counted by: the user, however the name is written, and the address.

        By the address too, so that nobody at another can lock them out; not by the Host field, which whoever
        guesses may fill in as they like.
        """
        return f"{_name_count(credentials)}:{ratelimit.get_ip(request)}"

    def _rollback_login_failed_rl_usage(self) -> None:
        """Take back what an attempt counted that was right."""
        super()._rollback_login_failed_rl_usage()
        if usage := getattr(self, "_anywhere", None):
            usage.rollback()

    def authentication_failed(self, request: HttpRequest, **credentials: Any) -> None:
        """Write down that a password was wrong."""
        signals.tell_refused(request, credentials.get("username", ""), how="password", why="wrong")

    def respond_user_inactive(self, request: HttpRequest, user: AbstractBaseUser) -> HttpResponse:
        """Tell a user who is not active."""
        signals.tell_refused(request, user.get_username(), how="any", why="inactive")
        return make_page(
            request, 403, "user_inactive", _("This user is not active: an administrator can change that.")
        )

    def set_password(self, user: AbstractBaseUser, password: str) -> None:
        """Give somebody who has signed in another password: their sessions end, but for this one."""
        fields = users.UserFields(password=Password(password))
        by = find_visitor(self.request)
        user.password = users.edit_user(by=by, username=by.name, fields=fields).password


class MfaAdapter(DefaultMFAAdapter):
    """Keeps second factors encrypted by a key of the vault."""

    error_messages = DefaultMFAAdapter.error_messages | {
        "cannot_delete_authenticator": gettext_lazy(
            "Your role must have a second factor: add another one before you remove this one."
        ),
        "incorrect_code": gettext_lazy("This code is wrong, or was used already."),
    }

    def encrypt(self, text: str) -> str:
        """Return a second factor's secret as it is stored."""
        return _make_cipher().encrypt(text.encode()).decode()

    def decrypt(self, encrypted_text: str) -> str:
        """Return a second factor's secret."""
        return _make_cipher().decrypt(encrypted_text.encode()).decode()

    def can_delete_authenticator(self, authenticator: Authenticator) -> bool:
        """Tell whether a second factor may go: not the last one of whose role must have one."""
        by = users.make_principal(user=authenticator.user, face=Face.CONSOLE)
        return not sign_in.is_factor_required(by.grants) or sign_in.has_factor(
            user_id=authenticator.user_id, besides=authenticator.pk
        )

    def generate_authenticator_name(self, user: AbstractBaseUser, type: Authenticator.Type) -> str:  # noqa: A002  # allauth's name
        """Return what a new key is called unless its owner says otherwise."""
        return _("Key %s") % (Authenticator.objects.filter(user_id=user.pk, type=type).count() + 1)

    def get_totp_label(self, user: AbstractBaseUser) -> str:
        """Return what an app calls the user."""
        return user.get_username()


class ProviderAdapter(DefaultSocialAccountAdapter):
    """Signs in whom an OpenID provider knows and an administrator added."""

    def is_open_for_signup(self, request: HttpRequest, sociallogin: SocialLogin) -> bool:
        """Nobody signs up."""
        del request, sociallogin
        return False

    def populate_user(self, request: HttpRequest, sociallogin: SocialLogin, data: Any) -> Any:
        """Keep who it is, by issuer and subject, so that no other provider can say it.

        Raises:
            ProviderException: what it told does not fit together (OpenID Connect Core 1.0, 5.3.2), or was not
                told to this browser (3.1.3.7).
        """
        del data
        told = sociallogin.account.extra_data
        proof, more = told.get("id_token") or {}, told.get("userinfo") or {}
        if not proof.get("sub") or more.get("sub", proof["sub"]) != proof["sub"]:
            raise ProviderException("The provider's ID token and its user information differ.")
        nonce = request.session.get(NONCE)
        if not nonce or proof.get("nonce") != nonce:
            raise ProviderException("The provider's ID token is of another sign-in.")
        claims = proof | more
        name = claims.get(settings.OIDC_CLAIM)
        if settings.OIDC_CLAIM == "email" and claims.get("email_verified") is not True:
            name = None
        issuer, subject = proof["iss"], proof["sub"]
        sociallogin.account.uid = sha256(f"{issuer}\0{subject}".encode()).hexdigest()
        sociallogin.account.extra_data = {
            "issuer": issuer,
            "subject": subject,
            "username": name if isinstance(name, str) else "",
        }
        return sociallogin.user

    def pre_social_login(self, request: HttpRequest, sociallogin: SocialLogin) -> None:
        """Connect who comes for the first time to the user of that name.

        Raises:
            ImmediateHttpResponse: there is none, or the name is somebody else's.
        """
        if sociallogin.state.get("process") != "login":
            _refuse(request, "", "provider_refused", _("A provider is for signing in alone."))
        if sociallogin.is_existing:
            return
        account = sociallogin.account
        name = account.extra_data["username"]
        try:
            user = sign_in.find_for_provider(username=name, provider=account.provider)
        except Forbidden as error:
            text = str(_ASK) + (" " + _("That name is %s.") % name if name else "")
            _refuse(request, name, error.code, text)
        sociallogin.connect(request, user)

    def on_authentication_error(
        self,
        request: HttpRequest,
        provider: Any,
        error: Any = None,
        exception: Any = None,
        extra_context: Any = None,
    ) -> None:
        """Tell that the provider said no, or nothing that can be used.

        Raises:
            ImmediateHttpResponse: always.
        """
        del provider, error, exception, extra_context
        text = _("The provider did not sign you in, or this took too long. Try again from the start.")
        _refuse(request, "", "provider_refused", text)


def _refuse(request: HttpRequest, name: str, code: str, text: str) -> NoReturn:
    signals.tell_refused(request, name, how="provider", why=code)
    raise ImmediateHttpResponse(make_page(request, 403, code, text))


def _name_count(credentials: dict[str, Any]) -> str:
    """Return who is guessed at, as a digest: what was mistyped as a name could be a password."""
    typed = str(credentials.get("username", ""))
    name = sign_in.find_name(username=typed) or typed.casefold()
    return salted_hmac("provost.attempts", name, algorithm="sha256").hexdigest()


def _make_cipher() -> Fernet:
    return Fernet(urlsafe_b64encode(signing.derive_key("second factors")))
