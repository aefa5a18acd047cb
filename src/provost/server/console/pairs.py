"""Pairs, on the page of one of their accounts: made, rotated, and removed."""

from typing import Final

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern, path, reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from provost.core.errors import UsageError
from provost.core.names import split_account
from provost.core.requests import PairBody
from provost.server.api import pairs as api
from provost.server.console.forms import Form, read_version
from provost.server.console.visitors import Visit


@require_POST
def add_pair(request: Visit, account: str) -> HttpResponse:
    """Let an account, which is in use, and another of its asset take turns."""
    username, asset = split_account(account)
    form: Form[PairBody] = Form(PairBody, request)
    try:
        api.add_pair(request.visitor, form.read(asset=asset, active=username))
        messages.success(request, _("The accounts are a pair."))
    except UsageError as error:
        messages.error(request, error.message)
    return redirect("console:account_show", account)


@require_POST
def rotate_pair(request: Visit, name: str) -> HttpResponse:
    """Rotate the idle account of a pair, and lead to the run."""
    try:
        run = api.rotate_pair(request.visitor, name)
    except UsageError as error:
        messages.error(request, error.message)
        return redirect("console:account_show", api.show_pair(request.visitor, name).idle)
    return redirect(f"{reverse('console:runs')}/{run.id}")


@require_POST
def remove_pair(request: Visit, name: str) -> HttpResponse:
    """Let the accounts of a pair take turns no more."""
    account = api.show_pair(request.visitor, name).active
    try:
        api.remove_pair(request.visitor, name, read_version(request))
        messages.success(request, _("The pair is removed. Its accounts stay as they are."))
    except UsageError as error:
        messages.error(request, error.message)
    return redirect("console:account_show", account)


urlpatterns: Final[list[URLPattern]] = [
    path("accounts/<path:account>/pair", add_pair, name="pair_add"),
    path("pairs/<str:name>/rotate", rotate_pair, name="pair_rotate"),
    path("pairs/<str:name>/remove", remove_pair, name="pair_remove"),
]
