from typing import Final

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import URLPattern, path


def list_configuration(request: HttpRequest) -> HttpResponse:
    """List them."""
    return render(request, "console/configuration.html")


urlpatterns: Final[list[URLPattern]] = [
    path("settings", list_configuration, name="settings"),
]
