from typing import Final

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import URLPattern, path


def list_audit(request: HttpRequest) -> HttpResponse:
    """List them."""
    return render(request, "console/audit.html")


urlpatterns: Final[list[URLPattern]] = [
    path("audit", list_audit, name="audit"),
]
