from typing import Final

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import URLPattern, path


def list_tasks(request: HttpRequest) -> HttpResponse:
    """List them."""
    return render(request, "console/tasks.html")


urlpatterns: Final[list[URLPattern]] = [
    path("tasks", list_tasks, name="tasks"),
]
