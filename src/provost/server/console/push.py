from typing import Final

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import URLPattern, path


def list_push(request: HttpRequest) -> HttpResponse:
    """List them."""
    return render(request, "console/push.html")


urlpatterns: Final[list[URLPattern]] = [
    path("push", list_push, name="push"),
]
