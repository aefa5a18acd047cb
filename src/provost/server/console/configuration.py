"""The configuration in force, the keys of the vault, and what the check-up finds."""

from typing import Final

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import URLPattern, path
from django.utils.translation import ngettext
from django.views.decorators.http import require_GET, require_POST

from provost.core.requests import KeyRotationBody
from provost.core.rights import Right
from provost.server.api import keys
from provost.server.api import settings as api
from provost.server.console.visitors import Visit

_ORDER: Final = ("problem", "warning", "ok")


@require_GET
def show_settings(request: Visit) -> HttpResponse:
    """Show the configuration in force, without secrets."""
    return render(request, "console/settings.html", {"settings": api.show_settings(request.visitor)})


@require_GET
def list_findings(request: Visit) -> HttpResponse:
    """Look the server over, and list what is found, the worst first."""
    found = sorted(api.list_findings(request.visitor), key=lambda one: _ORDER.index(one.level))
    template = "console/settings_findings.html" if request.htmx else "console/settings_found.html"
    return render(request, template, {"findings": found})


@require_POST
def rotate_keys(request: Visit) -> HttpResponse:
    """Give the vault a new data key, and encrypt every secret anew."""
    request.visitor.require_everywhere(Right.ADMINISTER, what="make new keys")
    done = keys.rotate(request.visitor, KeyRotationBody())
    told = ngettext(
        "%(count)s secret is encrypted anew, by the data key %(key)s.",
        "%(count)s secrets are encrypted anew, by the data key %(key)s.",
        done.secrets,
    )
    messages.success(request, told % {"count": done.secrets, "key": done.data_key})
    return redirect("console:settings")


urlpatterns: Final[list[URLPattern]] = [
    path("settings", show_settings, name="settings"),
    path("settings/findings", list_findings, name="setting_findings"),
    path("settings/rotate", rotate_keys, name="setting_rotate"),
]
