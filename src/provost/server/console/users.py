from typing import Final

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import URLPattern, path


def list_users(request: HttpRequest) -> HttpResponse:
    """List them."""
    return render(request, "console/users.html")


urlpatterns: Final[list[URLPattern]] = [
    path("users", list_users, name="users"),
]
