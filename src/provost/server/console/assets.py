from typing import Final

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import URLPattern, path


def list_assets(request: HttpRequest) -> HttpResponse:
    """List them."""
    return render(request, "console/assets.html")


urlpatterns: Final[list[URLPattern]] = [
    path("assets", list_assets, name="assets"),
]
