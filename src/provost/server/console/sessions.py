from typing import Final

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import URLPattern, path
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from provost.core.requests import SessionQuery
from provost.server.api import users
from provost.server.console.visitors import Visit
from provost.server.services import sign_in


def list_sessions(request: Visit) -> HttpResponse:
    """Where the visitor is signed in."""
    found = users.list_sessions(request.visitor, request.visitor.name)
    return render(request, "console/sessions.html", {"sessions": found, "here": _find_this(request)})


@require_POST
def end_session(request: Visit, session: int) -> HttpResponse:
    """End one of the visitor's sessions."""
    users.end_session(request.visitor, request.visitor.name, str(session))
    messages.success(request, _("That session has ended."))
    return redirect("console:session_list")


@require_POST
def end_others(request: Visit) -> HttpResponse:
    """End all of the visitor's sessions but this one."""
    users.end_sessions(request.visitor, request.visitor.name, SessionQuery(keep=_find_this(request)))
    messages.success(request, _("All your other sessions have ended."))
    return redirect("console:session_list")


def _find_this(request: Visit) -> int | None:
    return sign_in.find_session(key=request.session.session_key or "")


urlpatterns: Final[list[URLPattern]] = [
    path("sessions", list_sessions, name="session_list"),
    path("sessions/<int:session>/end", end_session, name="session_end"),
    path("sessions/end-others", end_others, name="session_end_others"),
]
