"""Who looks at a page: found by the session's cookie, on the console's own pages alone."""

from collections.abc import Callable, Iterator
from typing import Any, Final
from urllib.parse import urlencode

from django.conf import settings
from django.db import DatabaseError
from django.http import HttpRequest, QueryDict
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.urls import reverse
from django_htmx.http import HttpResponseClientRedirect
from django_htmx.middleware import HtmxDetails

from provost.core.errors import ProvostError, Refused
from provost.core.rights import Face, Principal, Right
from provost.core.texts import check_text
from provost.server.console import faults
from provost.server.services import context, sign_in, users

NAMESPACE: Final = "console"
_FOR_ALL: Final = frozenset({"setup", "language"})


class Visit(HttpRequest):
    """A request for a page, by somebody who has signed in."""

    visitor: Principal
    htmx: HtmxDetails


class VisitorMiddleware:
    """Lets nobody but users at the console's pages, gives `request.visitor`, and tells errors as pages."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Serve a request."""
        return self._get_response(request)

    def process_view(
        self, request: HttpRequest, _view: object, _args: Any, _kwargs: Any
    ) -> HttpResponseBase | None:
        """Find out who it is; whoever has not signed in is led to where they can. No text may hold a NUL."""
        match = request.resolver_match
        if match is None:
            return None
        if match.namespace != NAMESPACE:
            is_theirs = match.url_name == "account_change_password" and request.user.is_authenticated
            return _lead_to_factor(request, find_visitor(request)) if is_theirs else None
        try:
            check_text([*match.kwargs.values(), *_list_texts(request.GET), *_list_texts(request.POST)])
        except Refused as error:
            return faults.tell_error(request, error)
        return None if match.url_name in _FOR_ALL else _find_way(request)

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponseBase | None:
        """Tell Provost's own errors, and those of the database, as a page."""
        match = request.resolver_match
        if match is None or match.namespace != NAMESPACE:
            return None
        if isinstance(error, ProvostError | DatabaseError):
            return faults.tell_error(request, error)
        return None


def _find_way(request: HttpRequest) -> HttpResponseBase | None:
    """Give `request.visitor`, or lead elsewhere who is not to be here."""
    if not request.user.is_authenticated:
        if not users.is_set_up():
            return _lead(request, reverse("console:setup"))
        page = _find_page(request)
        query = urlencode({"next": page}) if page else ""
        return _lead(request, f"{reverse(settings.LOGIN_URL)}?{query}".rstrip("?"))
    visitor = find_visitor(request)
    request.visitor = visitor  # type: ignore[attr-defined]  # what pages are given
    sign_in.note_seen(key=request.session.session_key or "")
    return _lead_to_factor(request, visitor)


def find_visitor(request: HttpRequest) -> Principal:
    """Return who has signed in, as one who calls services."""
    current = context.request.get()
    visitor = users.make_principal(
        user=request.user,  # type: ignore[arg-type]  # signed in
        face=Face.CONSOLE,
        source=current.source if current else "",
        request_id=current.id if current else "",
    )
    context.note_principal(visitor.name)
    return visitor


def describe_visitor(request: HttpRequest) -> dict[str, Any]:
    """Return what every page knows of who looks at it: `visitor`, and which rights they have somewhere."""
    visitor: Principal | None = getattr(request, "visitor", None)
    if visitor is None and getattr(request, "user", None) is not None and request.user.is_authenticated:
        visitor = find_visitor(request)
    if visitor is None:
        return {"visitor": None, "provider": settings.OIDC_NAME}
    match = request.resolver_match
    return {
        "visitor": visitor,
        "lacks_factor": lacks_factor(visitor),
        "place": (match.url_name or "").partition("_")[0].removesuffix("s") if match else "",
        "may": {str(right): bool(visitor.reach(right)) for right in Right},
        "everywhere": {str(right): visitor.reach(right).everywhere for right in Right},
    }


def _lead_to_factor(request: HttpRequest, visitor: Principal) -> HttpResponseBase | None:
    """Lead who lacks the second factor that their role must have to where it is set up."""
    if not lacks_factor(visitor):
        return None
    return _lead(request, reverse("mfa_index"))


def lacks_factor(visitor: Principal) -> bool:
    """Tell whether a role of theirs must have a second factor, and they have none."""
    return sign_in.is_factor_required(visitor.grants) and not sign_in.has_factor(user_id=visitor.user_id or 0)


def _list_texts(given: QueryDict) -> Iterator[str]:
    for name, texts in given.lists():
        yield name
        yield from map(str, texts)


def _find_page(request: HttpRequest) -> str | None:
    """Return the address of the page that somebody is on, or asks for: what they may come back to."""
    if details := getattr(request, "htmx", None):
        page: str | None = details.current_url_abs_path
        return page
    return request.get_full_path() if request.method == "GET" else None


def _lead(request: HttpRequest, url: str) -> HttpResponseBase:
    """Send the browser elsewhere, as a whole where htmx asked for a part of a page."""
    return HttpResponseClientRedirect(url) if getattr(request, "htmx", False) else redirect(url)
