from typing import Final

from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, path
from django.views.decorators.http import require_POST
from django.views.i18n import set_language


@require_POST
def choose(request: HttpRequest) -> HttpResponse:
    """Note in a cookie which language somebody reads."""
    return set_language(request)


urlpatterns: Final[list[URLPattern]] = [
    path("language", choose, name="language"),
]
