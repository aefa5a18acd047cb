from typing import Final

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import URLPattern, path


def list_tokens(request: HttpRequest) -> HttpResponse:
    """List them."""
    return render(request, "console/tokens.html")


urlpatterns: Final[list[URLPattern]] = [
    path("tokens", list_tokens, name="tokens"),
]
