from typing import Final

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import URLPattern, path


def list_runs(request: HttpRequest) -> HttpResponse:
    """List them."""
    return render(request, "console/runs.html")


urlpatterns: Final[list[URLPattern]] = [
    path("runs", list_runs, name="runs"),
]
