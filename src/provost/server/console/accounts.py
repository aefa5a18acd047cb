from typing import Final

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import URLPattern, path


def list_accounts(request: HttpRequest) -> HttpResponse:
    """List them."""
    return render(request, "console/accounts.html")


urlpatterns: Final[list[URLPattern]] = [
    path("accounts", list_accounts, name="accounts"),
]
