"""The pages of django-allauth that are used: signing in and out, second factors, the password, a provider.

Its other pages are not there: nobody signs up, and nothing goes by e-mail.
"""

from secrets import token_urlsafe
from typing import Final
from urllib.parse import urlencode

import requests
from allauth.account import views as account_views
from allauth.mfa.adapter import get_adapter as get_mfa_adapter
from allauth.mfa.base import views as mfa_views
from allauth.mfa.recovery_codes import views as recovery_views
from allauth.mfa.totp import views as totp_views
from allauth.mfa.webauthn import views as webauthn_views
from allauth.socialaccount.providers.openid_connect import views as provider_views
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.forms import Form
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import URLPattern, path
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST
from django.views.generic.base import RedirectView

from provost.server.console import reauthentication
from provost.server.console.adapters import NONCE
from provost.server.web.faults import make_page

_PROVIDER: Final = {"provider_id": "oidc"}


class RemoveKeyView(webauthn_views.RemoveWebAuthnView):
    """Removes a key, but not the last second factor of whose role must have one."""

    def form_valid(self, form: Form) -> HttpResponse:
        """Remove it."""
        if not get_mfa_adapter().can_delete_authenticator(self.object):
            form.add_error(None, get_mfa_adapter().validation_error("cannot_delete_authenticator"))
            return self.form_invalid(form)
        return super().form_valid(form)


@login_required
def change_password(request: HttpRequest) -> HttpResponseBase:
    """Change one's own password."""
    if reauthentication.ask(request.user) != "password":
        messages.info(request, _("You have no password: an administrator can give you one."))
        return redirect("mfa_index")
    return account_views.password_change(request)


@require_POST
def go_to_provider(request: HttpRequest, provider_id: str) -> HttpResponseBase:
    """Lead to the provider, by a page of its own: the pages' policy lets no form end up elsewhere."""
    nonce = request.session.setdefault(NONCE, token_urlsafe())
    # Nothing of the address is passed on.
    request.GET = QueryDict(urlencode({"auth_params": urlencode({"nonce": nonce})}))
    try:
        response: HttpResponseBase = provider_views.login(request, provider_id)
    except (requests.RequestException, KeyError, ValueError):
        text = _("The provider does not answer as it should. Sign in with your password, or try again later.")
        return make_page(request, 503, "provider_unreachable", text)
    if isinstance(response, HttpResponseRedirect):
        return render(request, "socialaccount/leave.html", {"url": response.url})
    return response


def come_from_provider(request: HttpRequest, provider_id: str) -> HttpResponseBase:
    """Sign in who comes back from the provider."""
    response: HttpResponseBase = provider_views.callback(request, provider_id)
    return response


urlpatterns: Final[list[URLPattern]] = [
    path("login/", account_views.login, name="account_login"),
    path("logout/", account_views.logout, name="account_logout"),
    path("reauthenticate/", account_views.reauthenticate, name="account_reauthenticate"),
    path("password/change/", change_password, name="account_change_password"),
    path("2fa/", mfa_views.index, name="mfa_index"),
    path("2fa/authenticate/", mfa_views.authenticate, name="mfa_authenticate"),
    path("2fa/reauthenticate/", mfa_views.reauthenticate, name="mfa_reauthenticate"),
    path("2fa/totp/activate/", totp_views.activate_totp, name="mfa_activate_totp"),
    path("2fa/totp/deactivate/", totp_views.deactivate_totp, name="mfa_deactivate_totp"),
    path("2fa/recovery-codes/", recovery_views.view_recovery_codes, name="mfa_view_recovery_codes"),
    path(
        "2fa/recovery-codes/generate/",
        recovery_views.generate_recovery_codes,
        name="mfa_generate_recovery_codes",
    ),
    path("2fa/keys/", RedirectView.as_view(pattern_name="mfa_index"), name="mfa_list_webauthn"),
    path("2fa/keys/add/", webauthn_views.add_webauthn, name="mfa_add_webauthn"),
    path("2fa/keys/login/", webauthn_views.login_webauthn, name="mfa_login_webauthn"),
    path(
        "2fa/keys/reauthenticate/",
        webauthn_views.reauthenticate_webauthn,
        name="mfa_reauthenticate_webauthn",
    ),
    path("2fa/keys/<int:pk>/remove/", RemoveKeyView.as_view(), name="mfa_remove_webauthn"),
    path("2fa/keys/<int:pk>/edit/", webauthn_views.edit_webauthn, name="mfa_edit_webauthn"),
    path("provider/", go_to_provider, _PROVIDER, name="openid_connect_login"),
    path("provider/callback/", come_from_provider, _PROVIDER, name="openid_connect_callback"),
]
