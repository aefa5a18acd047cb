"""The Django side of a request: the route that it takes, and whether the host is one of ours."""

from collections.abc import Callable
from typing import Any

from django.http import HttpRequest, HttpResponseNotAllowed
from django.http.response import HttpResponseBase

from provost.server.services import context
from provost.server.web.gate import PROBES
from provost.server.web.problems import make_problem


class RoutingMiddleware:
    """Notes the route for the metrics, and refuses hosts that are not allowed; probes may use any."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Serve a request.

        Raises:
            DisallowedHost: it asks for a host that PROVOST_ALLOWED_HOSTS does not name.
        """
        if request.path_info not in PROBES:
            request.get_host()
        response = self._get_response(request)
        if isinstance(response, HttpResponseNotAllowed):
            problem = make_problem(405, "method_refused", "Refused", f"Use one of: {response['Allow']}.")
            problem["Allow"] = response["Allow"]
            return problem
        return response

    def process_view(self, request: HttpRequest, _view: object, _args: Any, _kwargs: Any) -> None:
        """Note the route."""
        if (current := context.request.get()) is not None and request.resolver_match is not None:
            current.route = f"/{request.resolver_match.route}"
