from typing import Annotated, Any, Final

from allauth.account.internal.flows.login import perform_password_login
from allauth.account.models import Login
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import URLPattern, path, reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods
from pydantic import Field, SecretStr

from provost.core.errors import Refused
from provost.core.requests import SetupBody
from provost.core.rights import Face
from provost.core.secrets import Password
from provost.server.console.forms import Form
from provost.server.services import context, users

_PLACES = {
    "setup_refused": "setup_token",
    "name_refused": "username",
    "password_refused": "password",
    "passwords_differ": "again",
}


class _SetupForm(SetupBody):
    password: Annotated[SecretStr, Field(min_length=1, max_length=4096)]
    again: SecretStr


@require_http_methods(["GET", "POST"])
def set_up(request: HttpRequest) -> HttpResponse:
    """Make the first administrator by the token that the server printed, and sign them in."""
    if users.is_set_up():
        return redirect("console:home")
    form: Form[Any] = Form(_SetupForm, request, places=_PLACES)
    if request.method == "POST":
        with form.telling():
            body = form.read()
            if body.password != body.again:
                raise Refused(_("The two passwords differ."), code="passwords_differ")
            current = context.request.get()
            user = users.set_up(
                token=body.setup_token.get_secret_value(),
                username=body.username,
                password=Password(body.password.get_secret_value()),
                face=Face.CONSOLE,
                source=current.source if current else "",
                request_id=current.id if current else "",
            )
            entrance = Login(user=user, redirect_url=reverse("console:home"))
            return perform_password_login(request, {"username": user.username}, entrance)
    return render(request, "console/setup.html", {"form": form}, status=form.status)


urlpatterns: Final[list[URLPattern]] = [
    path("setup", set_up, name="setup"),
]
