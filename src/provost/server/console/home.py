from typing import Final

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import URLPattern, path


def show(request: HttpRequest) -> HttpResponse:
    """What is going on, and what to do next."""
    return render(request, "console/home.html")


urlpatterns: Final[list[URLPattern]] = [
    path("", show, name="home"),
]
